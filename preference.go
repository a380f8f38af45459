package cardea

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// A PreferenceKey names something the owner can set, such as "voice_speed".
type PreferenceKey string

// ParsePreferenceKey checks the text form of a preference key.
func ParsePreferenceKey(text string) (PreferenceKey, error) {
	if !isName(text, 48, "_.") {
		return "", fmt.Errorf("%w: %.64q is no preference key", ErrInvalidKey, text)
	}
	return PreferenceKey(text), nil
}

// A PreferenceType is what values a preference takes.
type PreferenceType string

// The types there are.
const (
	TypeBool   PreferenceType = "bool"
	TypeInt    PreferenceType = "int"
	TypeEnum   PreferenceType = "enum"
	TypeSet    PreferenceType = "set" // any of the choices, or none: a JSON array
	TypeString PreferenceType = "string"
	TypeHours  PreferenceType = "hours" // a part of every day, as Hours writes it
)

// TextTypes are the types whose values are JSON strings.
var TextTypes = []PreferenceType{TypeEnum, TypeString, TypeHours}

// A Sync says who may change a preference.
type Sync string

// The directions there are; none is SyncBoth. What never leaves a device is no
// preference of the cloud's: the firmware keeps it itself.
const (
	SyncBoth  Sync = "two_way"
	SyncCloud Sync = "cloud_to_device" // only the owner's pages and the brand's API
)

// A PreferenceDef defines a preference. A privacy preference has a protective
// value, which follows the rules of a denial: it always wins, and holds until
// somebody who has seen it chooses otherwise.
type PreferenceDef struct {
	Key     PreferenceKey  `yaml:"key" json:"key"`
	Type    PreferenceType `yaml:"type" json:"type"`
	Min     int64          `yaml:"min" json:"min,omitempty"`
	Max     int64          `yaml:"max" json:"max,omitempty"`
	Choices []string       `yaml:"choices" json:"choices,omitempty"`
	Default Value          `yaml:"default" json:"default"`
	Devices []DeviceKind   `yaml:"devices" json:"devices"`

	// Purpose and Facet name the consent it stands and falls with: while that is
	// not given, it is absent on devices and untold to the brand. No purpose:
	// it needs none. No facet is FacetUse.
	Purpose PurposeID `yaml:"purpose" json:"purpose,omitempty"`
	Facet   Facet     `yaml:"facet" json:"facet,omitempty"`

	Privacy    bool  `yaml:"privacy" json:"privacy,omitempty"`
	Protective Value `yaml:"protective" json:"protective,omitempty"`
	Sync       Sync  `yaml:"sync" json:"sync,omitempty"`

	// Validity is how long a value counts that was set; then it is gone. Zero is
	// until another is set.
	Validity time.Duration `yaml:"validity" json:"validity,omitempty"`

	Titles map[string]string `yaml:"titles" json:"titles"` // by language

	// Words are what the owner reads for a choice, by language and choice; one
	// that has none is shown as it is.
	Words map[string]map[string]string `yaml:"words" json:"words,omitempty"`
}

// Under is the consent the preference stands and falls with; empty for none.
func (d PreferenceDef) Under() Key {
	switch {
	case d.Purpose == "":
		return ""
	case d.Facet == "":
		return KeyOf(d.Purpose, FacetUse)
	}
	return KeyOf(d.Purpose, d.Facet)
}

func (d PreferenceDef) validate() error {
	if _, err := ParsePreferenceKey(string(d.Key)); err != nil {
		return err
	}
	switch {
	case isCommunication(d.Key):
		return fmt.Errorf("key: what begins with %q belongs to the section communication", communicationPrefix)
	case len(d.Devices) == 0 || len(d.Titles) == 0:
		return errors.New("devices and titles: at least one each")
	case d.Facet != "" && d.Purpose == "":
		return errors.New("facet: belongs to a purpose")
	case d.Validity < 0 || d.Validity%time.Second != 0:
		return errors.New("validity: whole seconds")
	case d.Sync != "" && d.Sync != SyncBoth && d.Sync != SyncCloud:
		return fmt.Errorf("sync: is %s or %s", SyncBoth, SyncCloud)
	}
	if err := d.validateChoices(); err != nil {
		return err
	}
	if err := d.shortest(d.Default); err != nil {
		return fmt.Errorf("default: %w", err)
	}
	return d.validatePrivacy()
}

// validateChoices refuses a set of which not every part is a value.
func (d PreferenceDef) validateChoices() error {
	if d.Type != TypeSet {
		return nil
	}
	if len(d.Choices) == 0 || repeats(d.Choices) {
		return errors.New("choices: at least one, each once")
	}
	if whole := SetOf(d.Choices); len(whole) > MaxValueBytes {
		return fmt.Errorf("choices: all of them are %d bytes, at most %d", len(whole), MaxValueBytes)
	}
	return nil
}

// validatePrivacy refuses protection that would end by itself, or that a device
// could not give.
func (d PreferenceDef) validatePrivacy() error {
	switch {
	case !d.Privacy && d.Protective != "":
		return errors.New("protective: only a privacy preference has one")
	case !d.Privacy:
		return nil
	case d.Validity != 0:
		return errors.New("validity: a privacy preference does not end by itself")
	case d.Sync == SyncCloud:
		return errors.New("sync: a privacy preference can be set on the device in hand")
	}
	if err := d.shortest(d.Protective); err != nil {
		return fmt.Errorf("protective: %w", err)
	}
	return nil
}

// A Setting is what stands for a preference at one scope, and the entry that
// set it. One without a value stands for nothing: the scope was given back to
// what stands elsewhere.
type Setting struct {
	Value Value
	Entry Entry
}

// Settles reports whether the entry e, with its value, replaces what stands.
// An entry that has seen what stands wins; a concurrent one does not, except
// that a protective value of a privacy preference always wins.
func (d PreferenceDef) Settles(stands *Setting, e Entry) bool {
	return stands == nil || saw(e, stands.Entry) || d.Protects(e.Value)
}

// Protects reports whether a value is the protective one.
func (d PreferenceDef) Protects(v Value) bool { return d.Privacy && v == d.Protective }

// Overlooks reports whether e takes protection back without having seen each of
// the others, which were set at the same scope: one of two that protect at once
// replaces the other, and who has seen the one that stands need not know of both.
func (d PreferenceDef) Overlooks(others []Entry, e Entry) bool {
	return d.Privacy && e.Value != d.Protective && slices.ContainsFunc(others, func(o Entry) bool { return !saw(e, o) })
}

// Counts reports whether a setting says anything at an instant. One whose value
// was erased or given back does not, nor one the definition no longer takes, nor
// one whose time is over.
func (d PreferenceDef) Counts(s *Setting, at Millis) bool {
	if s == nil || d.shortest(s.Value) != nil {
		return false
	}
	end := d.end(s.Entry)
	return end == 0 || at < end
}

// end is when the value an entry set no longer counts; zero is never.
func (d PreferenceDef) end(e Entry) Millis {
	if d.Validity == 0 {
		return 0
	}
	return e.Recorded.Add(d.Validity)
}

// Resolve picks what a device is told at an instant: its own setting before the
// account's, before the default; of a privacy preference the protective value if
// either scope has it.
func (d PreferenceDef) Resolve(at Millis, account, device *Setting) Preference {
	out := Preference{Key: d.Key, Value: d.Default, Under: d.Under()}
	for _, s := range []*Setting{account, device} {
		if !d.Counts(s, at) || d.Protects(out.Value) && !out.Decided.isZero() {
			continue
		}
		out.Value, out.Decided = s.Value, s.Entry.Position.Point()
		out.Source, out.Since, out.ValidUntil = s.Entry.Channel, s.Entry.Recorded, d.end(s.Entry)
	}
	return out
}

func (p Point) isZero() bool { return p == Point{} }

// On reports whether devices of the kind have the preference.
func (d PreferenceDef) On(kind DeviceKind) bool { return slices.Contains(d.Devices, kind) }
