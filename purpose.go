package cardea

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ErrInvalidKey is returned for text that is no consent key.
var ErrInvalidKey = errors.New("invalid consent key")

// A PurposeID names why data is used: lower-case letters, digits and '_', at
// most 32 characters.
type PurposeID string

// A Facet is the part of a purpose a law wants asked apart.
type Facet string

// The facets there are.
const (
	FacetUse         Facet = "use"
	FacetThirdParty  Facet = "third_party"
	FacetCrossBorder Facet = "cross_border"
	FacetSensitive   Facet = "sensitive"
	FacetMarketing   Facet = "marketing"
	FacetSale        Facet = "sale"
)

// Facets lists every facet in the order in which they are asked.
var Facets = []Facet{FacetUse, FacetSensitive, FacetThirdParty, FacetCrossBorder, FacetMarketing, FacetSale}

// A Key is the unit of consent, a purpose and a facet, written
// "recommendations/use".
type Key string

// MaxKeyBytes bounds a key, so that bodies keep within their size.
const MaxKeyBytes = 48

// isPurpose reports whether a text can name a purpose.
func isPurpose(text string) bool { return isName(text, 32, "_") }

// isName reports whether a text is at most so many lower-case letters, digits
// and others of these, and begins with a letter. (Package regexp would be a
// fortieth of what a device has to load.)
func isName(text string, most int, others string) bool {
	for i, c := range []byte(text) {
		letter := 'a' <= c && c <= 'z'
		if !letter && (i == 0 || (c < '0' || c > '9') && strings.IndexByte(others, c) < 0) {
			return false
		}
	}
	return text != "" && len(text) <= most
}

// KeyOf joins a purpose and a facet.
func KeyOf(p PurposeID, f Facet) Key { return Key(string(p) + "/" + string(f)) }

// ParseKey checks the text form of a key.
func ParseKey(text string) (Key, error) {
	purpose, facet, _ := strings.Cut(text, "/")
	if !isPurpose(purpose) || !slices.Contains(Facets, Facet(facet)) {
		return "", fmt.Errorf("%w %.64q: want purpose/facet, as in \"recommendations/use\"", ErrInvalidKey, text)
	}
	return Key(text), nil
}

// Purpose is the part before the slash.
func (k Key) Purpose() PurposeID {
	p, _, _ := strings.Cut(string(k), "/")
	return PurposeID(p)
}

// Facet is the part after the slash.
func (k Key) Facet() Facet {
	_, f, _ := strings.Cut(string(k), "/")
	return Facet(f)
}

// A Class says how stale a yes may be. It is the default of a purpose; an
// operator may shorten it.
type Class string

// The classes, from the most delicate to the one that is not gated.
const (
	ClassA Class = "A" // precise location, voice, children, sale: 1 h
	ClassB Class = "B" // marketing, profiling, third parties: 24 h
	ClassC Class = "C" // analytics, cloud recommendations: 72 h
	ClassL Class = "L" // computed and kept on the device: 30 d
	ClassN Class = "N" // necessary for the service: listed, not gated
)

// MaxStaleness is how long after the cloud's last word a yes of this class
// still counts. Class N is not gated and an unknown class has none.
func (c Class) MaxStaleness() time.Duration {
	switch c {
	case ClassA:
		return time.Hour
	case ClassB:
		return 24 * time.Hour
	case ClassC:
		return 72 * time.Hour
	case ClassL:
		return 30 * 24 * time.Hour
	}
	return 0
}

// Valid reports whether the class exists.
func (c Class) Valid() bool { return c == ClassN || c.MaxStaleness() > 0 }

// A DeviceKind is the sort of device a purpose is meant for, such as "speaker".
type DeviceKind string

// A Relation says what a recipient is to the controller.
type Relation string

// The relations there are.
const (
	RelationOwn        Relation = "own"
	RelationProcessor  Relation = "processor"
	RelationThirdParty Relation = "third_party"
)

// A Recipient is somebody who gets the data.
type Recipient struct {
	Name     string   `yaml:"name" json:"name"`
	Relation Relation `yaml:"relation" json:"relation"`
	Country  string   `yaml:"country" json:"country"` // ISO 3166-1 alpha-2
	Sold     bool     `yaml:"sold" json:"sold"`       // whether money or value is given for the data
}

// A Text is a purpose in one language, as the owner reads it.
type Text struct {
	Title   string           `yaml:"title" json:"title"`
	What    string           `yaml:"what" json:"what"`       // which data
	Why     string           `yaml:"why" json:"why"`         // what for
	Benefit string           `yaml:"benefit" json:"benefit"` // what the owner gets in return
	Refusal string           `yaml:"refusal" json:"refusal"` // what happens without it
	Facets  map[Facet]string `yaml:"facets" json:"facets"`   // one sentence a facet, as a question answered by yes

	// Changed is what is new against the version before; of a [ChangeEditorial]
	// nothing needs to be said.
	Changed string `yaml:"changed" json:"changed,omitempty"`

	// Retention is the purpose's, said in this language. Empty: by its word, or as
	// it stands in the purpose.
	Retention string `yaml:"retention" json:"retention,omitempty"`

	// Words are what the purpose's names are in this language: of its data, its
	// recipients, its legal basis. One that has none is shown as it is. What many
	// purposes name is said once, in [Catalogue.Words].
	Words map[string]string `yaml:"words" json:"words,omitempty"`
}

// Say is a name in the text's language.
func (t Text) Say(name string) string { return cmp.Or(t.Words[name], name) }

// A Purpose is why data is used. It is immutable: any change makes a new
// version, which says in Change what becomes of a yes to the one before. It has
// no default answer, so a consent ticked in advance cannot be written down.
type Purpose struct {
	ID      PurposeID `yaml:"id" json:"id"`
	Version uint32    `yaml:"version" json:"version"`

	// Change is empty at a purpose's first version. ReconsentBy belongs to
	// ChangeMaterial: the end of every yes to an earlier version.
	Change      Change    `yaml:"change" json:"change,omitempty"`
	ReconsentBy time.Time `yaml:"reconsent_by" json:"reconsent_by,omitzero"`

	Devices    []DeviceKind  `yaml:"devices" json:"devices"`
	Class      Class         `yaml:"class" json:"class"`
	Staleness  time.Duration `yaml:"staleness" json:"staleness"` // at most the class's; 0 is the class's
	Validity   time.Duration `yaml:"validity" json:"validity"`   // after which a yes ends and is asked again
	LegalBasis string        `yaml:"legal_basis" json:"legal_basis"`
	Data       []string      `yaml:"data" json:"data"`

	// Fields are what devices may collect for the purpose, and of which of its data
	// each is. None: nothing. Hold is how long it may wait on a device when it can
	// not be sent; 0 is MaxHold.
	Fields map[string]string `yaml:"fields" json:"fields,omitempty"`
	Hold   time.Duration     `yaml:"hold" json:"hold,omitempty"`

	Recipients []Recipient `yaml:"recipients" json:"recipients"`
	Retention  string      `yaml:"retention" json:"retention"`
	Countries  []string    `yaml:"countries" json:"countries"`
	Facets     []Facet     `yaml:"facets" json:"facets"`
	// Advertising: it chooses what is advertised by what somebody does with other
	// companies' things, or lets others do so.
	Advertising bool `yaml:"advertising" json:"advertising,omitzero"`

	Texts map[string]Text `yaml:"texts" json:"texts"` // by language tag, "en"
}

// Kept is how long the data is kept, as who reads the text is told it.
func (p Purpose) Kept(t Text) string { return cmp.Or(t.Retention, t.Say(p.Retention)) }

// Said is the purpose as who reads the text is told it: with the words of its
// language for data, recipients, legal basis and how long the data is kept. It is
// for reading only. Whatever is compared goes by the names.
func (p Purpose) Said(t Text) Purpose {
	p.LegalBasis, p.Retention = t.Say(p.LegalBasis), p.Kept(t)
	p.Data, p.Recipients = slices.Clone(p.Data), slices.Clone(p.Recipients)
	for i, d := range p.Data {
		p.Data[i] = t.Say(d)
	}
	for i, r := range p.Recipients {
		p.Recipients[i].Name = t.Say(r.Name)
	}
	return p
}

// names are what can be said in other words for who reads another language.
func (p Purpose) names() []string {
	names := append([]string{p.LegalBasis, p.Retention}, p.Data...)
	for _, r := range p.Recipients {
		names = append(names, r.Name)
	}
	return names
}

// MaxStaleness is the purpose's own bound, or its class's.
func (p Purpose) MaxStaleness() time.Duration {
	if p.Staleness > 0 {
		return p.Staleness
	}
	return p.Class.MaxStaleness()
}

// Keys lists the units of consent the purpose asks for.
func (p Purpose) Keys() []Key {
	keys := make([]Key, len(p.Facets))
	for i, f := range p.Facets {
		keys[i] = KeyOf(p.ID, f)
	}
	return keys
}

// Sells lists the keys that a browser's word against selling and sharing (Global
// Privacy Control) is about: selling, where it is asked apart; otherwise passing
// on to who pays for it, or the use itself where that is not asked apart either;
// and every key of advertising across companies. What is not gated has none.
func (p Purpose) Sells() []Key {
	if p.Class == ClassN {
		return nil
	}
	if p.Advertising {
		return p.Keys()
	}
	paid := slices.ContainsFunc(p.Recipients, func(r Recipient) bool { return r.Sold })
	switch {
	case slices.Contains(p.Facets, FacetSale):
		return []Key{KeyOf(p.ID, FacetSale)}
	case paid && slices.Contains(p.Facets, FacetThirdParty):
		return []Key{KeyOf(p.ID, FacetThirdParty)}
	case paid:
		return p.Keys()
	}
	return nil
}

// On reports whether devices of the kind are asked this purpose.
func (p Purpose) On(kind DeviceKind) bool { return slices.Contains(p.Devices, kind) }

// Notice is the content hash of everything the owner is shown in one language.
// A grant names it, so that what was agreed to can be proven. The zero Hash
// means the purpose has no text in that language.
func (p Purpose) Notice(language string) Hash {
	t, ok := p.Texts[language]
	if !ok {
		return Hash{}
	}
	items := 14
	if p.Change != "" {
		items += 3
	}
	if p.Advertising {
		items++
	}
	if t.Retention != "" {
		items++
	}
	words := p.words(t)
	if len(words) > 0 {
		items++
	}
	d := newDigest("cardea notice", items)
	d.text(string(p.ID)).uint(uint64(p.Version)).text(language)
	d.text(t.Title).text(t.What).text(t.Why).text(t.Benefit).text(t.Refusal)
	d.text(p.Retention).uint(uint64(p.Validity.Seconds())).text(strings.Join(p.Countries, " "))
	d.array(len(p.Facets))
	for _, f := range p.Facets {
		d.array(2).text(string(f)).text(t.Facets[f])
	}
	d.array(len(p.Recipients))
	for _, r := range p.Recipients {
		d.array(4).text(r.Name).text(string(r.Relation)).text(r.Country).bool(r.Sold)
	}
	d.array(len(p.Data))
	for _, c := range p.Data {
		d.text(c)
	}
	if p.Change != "" {
		d.text(string(p.Change)).uint(p.reconsentSeconds()).text(t.Changed)
	}
	if p.Advertising {
		d.bool(true)
	}
	if t.Retention != "" {
		d.text(t.Retention)
	}
	if len(words) > 0 {
		d.array(len(words))
		for _, name := range words {
			d.array(2).text(name).text(t.Words[name])
		}
	}
	return d.sum()
}

// words are the names that the text has words for, in the purpose's order.
func (p Purpose) words(t Text) []string {
	if len(t.Words) == 0 {
		return nil
	}
	return slices.DeleteFunc(p.names(), func(name string) bool { return t.Words[name] == "" })
}

// ShowsNotice reports whether hash is this purpose's notice in any language.
func (p Purpose) ShowsNotice(hash Hash) bool {
	for language := range p.Texts {
		if hash == p.Notice(language) {
			return true
		}
	}
	return false
}
