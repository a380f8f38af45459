package catalogue

import (
	"encoding/json"
	"fmt"
	"maps"

	"github.com/cardea-id/cardea"
)

// Follows refuses a catalogue in which a purpose of the one before is another
// under the same version, or has a lower one, or passes a change of substance
// off as one of words: a yes names a version, and must not come to count for
// what its giver was never shown. A language may be added, because that changes
// no notice there was. The one before may have several versions of a purpose.
func Follows(before, next *cardea.Catalogue) error {
	for _, p := range before.Purposes {
		n, ok := next.Purpose(p.ID)
		switch {
		case !ok:
		case n.Version > p.Version:
			if err := n.Follows(predecessor(before.Purposes, n)); err != nil {
				return fmt.Errorf("%w: purpose %q: version %d: %w", cardea.ErrInvalidCatalogue, p.ID, n.Version, err)
			}
		case n.Version < p.Version:
			return fmt.Errorf("%w: purpose %q: version %d is below the present %d", cardea.ErrInvalidCatalogue, p.ID, n.Version, p.Version)
		case !same(p, n):
			return fmt.Errorf("%w: purpose %q: changed under version %d: raise the version and say the change",
				cardea.ErrInvalidCatalogue, p.ID, p.Version)
		}
	}
	return nil
}

// predecessor is the newest version there was before p.
func predecessor(past []cardea.Purpose, p cardea.Purpose) (found cardea.Purpose) {
	for _, o := range past {
		if o.ID == p.ID && o.Version < p.Version && o.Version > found.Version {
			found = o
		}
	}
	return found
}

// same compares all but the languages that only next has.
func same(before, next cardea.Purpose) bool {
	texts := maps.Clone(next.Texts)
	maps.DeleteFunc(texts, func(language string, _ cardea.Text) bool {
		_, had := before.Texts[language]
		return !had
	})
	next.Texts = texts
	a, _ := json.Marshal(before) // strings, numbers and maps with text keys: can not fail
	b, _ := json.Marshal(next)
	return string(a) == string(b)
}
