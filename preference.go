package cardea

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"unicode/utf8"
)

// ErrInvalidValue is returned for a value that does not fit its preference.
var ErrInvalidValue = errors.New("invalid preference value")

// A PreferenceKey names something the owner can set, such as "voice_speed".
type PreferenceKey string

var preferencePattern = regexp.MustCompile(`^[a-z][a-z0-9_.]{0,47}$`)

// ParsePreferenceKey checks the text form of a preference key.
func ParsePreferenceKey(text string) (PreferenceKey, error) {
	if !preferencePattern.MatchString(text) {
		return "", fmt.Errorf("%w: %.64q is no preference key", ErrInvalidKey, text)
	}
	return PreferenceKey(text), nil
}

// A Value is a JSON scalar in its shortest form: true, 21, "de". At most
// MaxValueBytes.
type Value string

// MaxValueBytes bounds a value.
const MaxValueBytes = 1024

// A PreferenceType is what values a preference takes.
type PreferenceType string

// The types there are.
const (
	TypeBool   PreferenceType = "bool"
	TypeInt    PreferenceType = "int"
	TypeEnum   PreferenceType = "enum"
	TypeString PreferenceType = "string"
)

// A PreferenceDef defines a preference. A privacy preference has a protective
// value, which follows the rules of a denial: it always wins, and holds until
// somebody who has seen it chooses otherwise.
type PreferenceDef struct {
	Key        PreferenceKey     `yaml:"key" json:"key"`
	Type       PreferenceType    `yaml:"type" json:"type"`
	Min        int64             `yaml:"min" json:"min,omitempty"`
	Max        int64             `yaml:"max" json:"max,omitempty"`
	Choices    []string          `yaml:"choices" json:"choices,omitempty"`
	Default    Value             `yaml:"default" json:"default"`
	Devices    []DeviceKind      `yaml:"devices" json:"devices"`
	Purpose    PurposeID         `yaml:"purpose" json:"purpose,omitempty"` // absent on devices while its use is not given
	Privacy    bool              `yaml:"privacy" json:"privacy,omitempty"`
	Protective Value             `yaml:"protective" json:"protective,omitempty"`
	Titles     map[string]string `yaml:"titles" json:"titles"` // by language
}

func (d PreferenceDef) validate() error {
	if _, err := ParsePreferenceKey(string(d.Key)); err != nil {
		return err
	}
	if len(d.Devices) == 0 || len(d.Titles) == 0 {
		return errors.New("devices and titles: at least one each")
	}
	if _, err := d.Parse(string(d.Default)); err != nil {
		return fmt.Errorf("default: %w", err)
	}
	if !d.Privacy {
		return nil
	}
	if _, err := d.Parse(string(d.Protective)); err != nil {
		return fmt.Errorf("protective: %w", err)
	}
	return nil
}

// Parse reads a JSON scalar and returns it in its shortest form if it fits.
func (d PreferenceDef) Parse(text string) (Value, error) {
	if len(text) > MaxValueBytes || !utf8.ValidString(text) {
		return "", fmt.Errorf("%w for %s: at most %d bytes of UTF-8", ErrInvalidValue, d.Key, MaxValueBytes)
	}
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return "", fmt.Errorf("%w for %s: want a JSON scalar such as true, 21 or \"de\"", ErrInvalidValue, d.Key)
	}
	if err := d.fits(v); err != nil {
		return "", err
	}
	short, err := json.Marshal(v)
	return Value(short), err
}

func (d PreferenceDef) fits(v any) error {
	switch x := v.(type) {
	case bool:
		if d.Type == TypeBool {
			return nil
		}
	case float64:
		if d.Type == TypeInt && x == math.Trunc(x) && x >= float64(d.Min) && x <= float64(d.Max) {
			return nil
		}
	case string:
		if d.Type == TypeString || d.Type == TypeEnum && slices.Contains(d.Choices, x) {
			return nil
		}
	}
	return fmt.Errorf("%w for %s: want %s", ErrInvalidValue, d.Key, d.wants())
}

func (d PreferenceDef) wants() string {
	switch d.Type {
	case TypeInt:
		return fmt.Sprintf("a whole number from %d to %d", d.Min, d.Max)
	case TypeEnum:
		return fmt.Sprintf("one of %q", d.Choices)
	}
	return "a " + string(d.Type)
}

// A Setting is what stands for a preference at one scope, and the entry that
// set it.
type Setting struct {
	Value Value
	Entry Entry
}

// Settles reports whether the entry e, with its value, replaces what stands.
// An entry that has seen what stands wins; a concurrent one does not, except
// that a protective value of a privacy preference always wins.
func (d PreferenceDef) Settles(stands *Setting, e Entry) bool {
	return stands == nil || saw(e, stands.Entry) || d.Privacy && e.Value == d.Protective
}

// Resolve picks what a device is told: its own setting before the account's,
// before the default; of a privacy preference the protective value if either
// scope has it.
func (d PreferenceDef) Resolve(account, device *Setting) Preference {
	out := Preference{Key: d.Key, Value: d.Default}
	for _, s := range []*Setting{account, device} {
		if s == nil || d.Privacy && out.Value == d.Protective && !out.Decided.isZero() {
			continue
		}
		out.Value, out.Decided = s.Value, s.Entry.Position.Point()
	}
	return out
}

func (p Point) isZero() bool { return p == Point{} }

// On reports whether devices of the kind have the preference.
func (d PreferenceDef) On(kind DeviceKind) bool { return slices.Contains(d.Devices, kind) }
