// Package catalogue reads the brand's catalogue of purposes and preferences
// and holds the one in force.
//
// A catalogue that parses can be put in force: it is complete, names nothing
// twice, and all that it asks for, given at once on one device, fits into a
// statement. What it may change of the one before says Follows. It is the only
// importer of the YAML library.
package catalogue

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	_ "time/tzdata" // a machine need not know the zones

	"go.yaml.in/yaml/v3"

	"github.com/cardea-id/cardea"
)

// MaxBytes is the largest catalogue that is read, as YAML.
const MaxBytes = 256 << 10

// Parse reads one YAML document. An unknown field, a second document, a text
// over MaxBytes, and whatever cardea.Catalogue.Validate refuses, is an error
// that wraps cardea.ErrInvalidCatalogue. Durations are written "72h". The
// default and protective values of a preference that is text are written
// as plain text, without JSON's quotes, those of a set as a list.
func Parse(text []byte) (*cardea.Catalogue, error) {
	if len(text) > MaxBytes {
		return nil, fmt.Errorf("%w: over %d bytes", cardea.ErrInvalidCatalogue, MaxBytes)
	}
	cat := new(cardea.Catalogue)
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(cat); err != nil {
		return nil, fmt.Errorf("%w: %s", cardea.ErrInvalidCatalogue, fault(err))
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: more than one document", cardea.ErrInvalidCatalogue)
	}
	for i := range cat.Preferences {
		shorten(&cat.Preferences[i])
	}
	cat.Settle()
	return cat, Check(cat)
}

// shorten gives the values of a definition the form values have everywhere
// else. A value that does not fit is left for Check to name.
func shorten(d *cardea.PreferenceDef) {
	for _, v := range []*cardea.Value{&d.Default, &d.Protective} {
		none := v == &d.Default && d.Type == cardea.TypeHours // no hours are hours too
		if (*v != "" || none) && slices.Contains(cardea.TextTypes, d.Type) {
			quoted, _ := json.Marshal(string(*v)) // a string always has a JSON form
			*v = cardea.Value(quoted)
		}
		if short, err := d.Parse(string(*v)); err == nil {
			*v = short
		}
	}
}

// Check refuses, with cardea.ErrInvalidCatalogue, what can not be put in force.
func Check(cat *cardea.Catalogue) error {
	if err := cat.Validate(); err != nil {
		return err
	}
	for _, d := range cat.Preferences {
		if _, ok := cat.Terms(d.Under()); d.Purpose != "" && !ok {
			return fmt.Errorf("%w: preference %q: purpose %q has no facet %q to stand or fall with",
				cardea.ErrInvalidCatalogue, d.Key, d.Purpose, d.Under().Facet())
		}
	}
	for _, zone := range cat.Communication.Quiet.Zones {
		if _, err := time.LoadLocation(zone); err != nil || zone == "Local" || zone == "" {
			return fmt.Errorf("%w: communication: quiet.zones: there is no %.40q", cardea.ErrInvalidCatalogue, zone)
		}
	}
	return checkSize(cat)
}

// Hash names the content of a catalogue: equal for equal content, whatever
// the order of map keys or the comments in the YAML.
func Hash(cat *cardea.Catalogue) cardea.Hash {
	text, _ := json.Marshal(cat) // strings, numbers and maps with text keys: can not fail
	return sha256.Sum256(text)
}

// A Holder holds the catalogue in force. Any number of readers may ask for it
// while it is replaced. What Current returns is shared: change nothing in it.
type Holder struct {
	// Replaced is called when another is in force. It must not wait, and is set
	// before there can be another. Nil: nobody asks.
	Replaced func()

	now     atomic.Pointer[held]
	putting sync.Mutex
}

type held struct {
	cat    *cardea.Catalogue
	hash   cardea.Hash
	number uint64 // how many were put before it and with it; zero: it was not
}

// New holds a catalogue, which must have passed Check.
func New(cat *cardea.Catalogue) *Holder {
	h := new(Holder)
	h.Replace(cat)
	return h
}

// Current is the catalogue in force and its Hash.
func (h *Holder) Current() (*cardea.Catalogue, cardea.Hash) {
	now := h.now.Load()
	return now.cat, now.hash
}

// Replace puts another catalogue in force at once, and only in this process.
func (h *Holder) Replace(cat *cardea.Catalogue) {
	h.replace(cat, 0)
}

func (h *Holder) replace(cat *cardea.Catalogue, number uint64) {
	h.now.Store(&held{cat: cat, hash: Hash(cat), number: number})
	if h.Replaced != nil {
		h.Replaced()
	}
}
