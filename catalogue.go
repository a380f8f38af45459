package cardea

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrInvalidCatalogue is returned for a catalogue that may not be loaded.
var ErrInvalidCatalogue = errors.New("invalid catalogue")

// A Catalogue is what a brand asks of its customers and what they can set: for
// every purpose its current version, and the definitions of preferences.
type Catalogue struct {
	Languages   []string        `yaml:"languages" json:"languages"` // each text exists in each of them
	Purposes    []Purpose       `yaml:"purposes" json:"purposes"`
	Preferences []PreferenceDef `yaml:"preferences" json:"preferences"`

	Communication Communication `yaml:"communication" json:"communication,omitzero"`
	Categories    []Category    `yaml:"data_categories" json:"data_categories,omitempty"`

	// Words are what purposes name, by language and name: all of it in each language
	// but the first, which is the one of the names themselves, or nothing. See Settle.
	Words map[string]map[string]string `yaml:"words" json:"words,omitempty"`

	// Former are the earlier versions of purposes, in any order. They are no
	// part of the catalogue as it is written: whoever puts it in force knows
	// what was in force before.
	Former []Purpose `yaml:"-" json:"-"`
}

// Purpose finds the current version of a purpose.
func (c *Catalogue) Purpose(id PurposeID) (Purpose, bool) {
	for _, p := range c.Purposes {
		if p.ID == id {
			return p, true
		}
	}
	return Purpose{}, false
}

// Preference finds a definition; one of a wish too, see Communication.
func (c *Catalogue) Preference(key PreferenceKey) (PreferenceDef, bool) {
	if isCommunication(key) {
		return c.Communication.preference(key)
	}
	for _, d := range c.Preferences {
		if d.Key == key {
			return d, true
		}
	}
	return PreferenceDef{}, false
}

// Terms are what a grant of the key must meet to count now; ok is false for a
// key the catalogue does not ask.
func (c *Catalogue) Terms(key Key) (t Terms, ok bool) {
	p, ok := c.Purpose(key.Purpose())
	if !ok {
		return Terms{}, false
	}
	if slices.Contains(p.Keys(), key) {
		return Terms{
			Version: p.Version, Class: p.Class, Staleness: p.MaxStaleness(),
			Validity: p.Validity, Required: []Authoriser{Owner}, Former: c.former(p, key.Facet()),
		}, true
	}
	return Terms{}, false
}

// Validate refuses a catalogue in which something the owner must be told is
// missing, an answer would be too old, or the same thing is named twice.
func (c *Catalogue) Validate() error {
	if len(c.Languages) == 0 || slices.Contains(c.Languages, "") || repeats(c.Languages) {
		return fmt.Errorf("%w: name at least one language, each once", ErrInvalidCatalogue)
	}
	seen := map[string]bool{}
	for _, p := range c.Purposes {
		if err := c.validatePurpose(p); err != nil {
			return fmt.Errorf("%w: purpose %.40q: %w", ErrInvalidCatalogue, p.ID, err)
		}
		if seen[string(p.ID)] {
			return fmt.Errorf("%w: purpose %q stands there twice", ErrInvalidCatalogue, p.ID)
		}
		seen[string(p.ID)] = true
	}
	for _, d := range c.Preferences {
		if err := c.validatePreference(d); err != nil {
			return fmt.Errorf("%w: preference %.40q: %w", ErrInvalidCatalogue, d.Key, err)
		}
		if seen["pref "+string(d.Key)] {
			return fmt.Errorf("%w: preference %q stands there twice", ErrInvalidCatalogue, d.Key)
		}
		seen["pref "+string(d.Key)] = true
	}
	if err := c.Communication.validate(c); err != nil {
		return fmt.Errorf("%w: communication: %w", ErrInvalidCatalogue, err)
	}
	if err := c.validateCategories(); err != nil {
		return err
	}
	if err := c.validateWords(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidCatalogue, err)
	}
	return nil
}

// maxValidity is ten years: longer than any law lets a consent stand unasked.
const maxValidity = 10 * 365 * 24 * time.Hour

func (c *Catalogue) validatePurpose(p Purpose) error {
	switch {
	case !isPurpose(string(p.ID)):
		return errors.New("id: lower-case letters, digits and '_', at most 32")
	case p.Version == 0:
		return errors.New("version: starts at 1")
	case !p.Class.Valid():
		return errors.New("class: one of A, B, C, L, N")
	case p.Staleness < 0 || p.Class != ClassN && p.Staleness > p.Class.MaxStaleness():
		return fmt.Errorf("staleness: at most %s for class %s", p.Class.MaxStaleness(), p.Class)
	case p.Staleness%time.Second != 0 || p.Validity%time.Second != 0:
		return errors.New("staleness and validity: whole seconds")
	case p.Class != ClassN && (p.Validity <= 0 || p.Validity > maxValidity):
		return errors.New("validity: no consent is endless, say how long one counts, such as 17520h")
	case len(p.Devices) == 0 || len(p.Facets) == 0 || len(p.Data) == 0:
		return errors.New("devices, facets and data: at least one each")
	case repeats(p.Facets):
		return errors.New("facets: the same one stands there twice")
	case p.LegalBasis == "" || p.Retention == "":
		return errors.New("legal_basis and retention: must be set")
	}
	if err := p.validateChange(); err != nil {
		return err
	}
	if err := validateRecipients(p.Recipients); err != nil {
		return err
	}
	if err := c.validateFields(p); err != nil {
		return err
	}
	for _, k := range p.Keys() {
		if _, err := ParseKey(string(k)); err != nil {
			return err
		}
	}
	return c.validateTexts(p)
}

func repeats[T cmp.Ordered](list []T) bool {
	return len(slices.Compact(slices.Sorted(slices.Values(list)))) < len(list)
}

func validateRecipients(recipients []Recipient) error {
	for _, r := range recipients {
		switch r.Relation {
		case RelationOwn, RelationProcessor, RelationThirdParty:
		default:
			return fmt.Errorf("recipient %.40q: relation is own, processor or third_party", r.Name)
		}
		if r.Name == "" || len(r.Country) != 2 {
			return fmt.Errorf("recipient %.40q: needs a name and a two-letter country", r.Name)
		}
	}
	return nil
}

func (c *Catalogue) validateTexts(p Purpose) error {
	for _, language := range c.Languages {
		t := p.Texts[language]
		if t.Title == "" || t.What == "" || t.Why == "" || t.Benefit == "" || t.Refusal == "" {
			return fmt.Errorf("texts.%s: title, what, why, benefit and refusal must be set", language)
		}
		if t.Changed == "" && (p.Change == ChangeNotify || p.Change == ChangeMaterial) {
			return fmt.Errorf("texts.%s.changed: say in a sentence what is new", language)
		}
		for _, f := range p.Facets {
			if t.Facets[f] == "" {
				return fmt.Errorf("texts.%s.facets.%s: must be set", language, f)
			}
		}
	}
	return nil
}

func (c *Catalogue) validatePreference(d PreferenceDef) error {
	if err := d.validate(); err != nil {
		return err
	}
	if language := untitled(d.Titles, c.Languages); language != "" {
		return fmt.Errorf("titles.%s: must be set", language)
	}
	if d.Purpose == "" {
		return nil
	}
	if _, ok := c.Purpose(d.Purpose); !ok {
		return fmt.Errorf("purpose %.40q is not in the catalogue", d.Purpose)
	}
	return nil
}
