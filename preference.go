package cardea

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ErrInvalidValue is returned for a value that does not fit its preference.
var ErrInvalidValue = errors.New("invalid preference value")

// A PreferenceKey names something the owner can set, such as "voice_speed".
type PreferenceKey string

// ParsePreferenceKey checks the text form of a preference key.
func ParsePreferenceKey(text string) (PreferenceKey, error) {
	if !isName(text, 48, "_.") {
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
	if err := d.shortest(d.Default); err != nil {
		return fmt.Errorf("default: %w", err)
	}
	if !d.Privacy {
		if d.Protective != "" {
			return errors.New("protective: only a privacy preference has one")
		}
		return nil
	}
	if err := d.shortest(d.Protective); err != nil {
		return fmt.Errorf("protective: %w", err)
	}
	return nil
}

// shortest demands the form in which values are compared.
func (d PreferenceDef) shortest(v Value) error {
	short, err := d.Parse(string(v))
	if err == nil && short != v {
		err = fmt.Errorf("%w: write it as %s", ErrInvalidValue, short)
	}
	return err
}

// Parse reads a JSON scalar and returns it in its shortest form if it fits.
func (d PreferenceDef) Parse(text string) (Value, error) {
	if len(text) > MaxValueBytes || !utf8.ValidString(text) {
		return "", d.tooLong()
	}
	var v any
	r := json.NewDecoder(strings.NewReader(text))
	r.UseNumber()
	if err := r.Decode(&v); err != nil || !json.Valid([]byte(text)) {
		return "", fmt.Errorf("%w for %s: want a JSON scalar such as true, 21 or \"de\"", ErrInvalidValue, d.Key)
	}
	short, ok := d.fit(v)
	if !ok {
		return "", fmt.Errorf("%w for %s: want %s", ErrInvalidValue, d.Key, d.wants())
	}
	if len(short) > MaxValueBytes {
		return "", d.tooLong()
	}
	return short, nil
}

func (d PreferenceDef) tooLong() error {
	return fmt.Errorf("%w for %s: at most %d bytes of UTF-8", ErrInvalidValue, d.Key, MaxValueBytes)
}

// fit returns the shortest form of a decoded scalar the preference can take.
func (d PreferenceDef) fit(v any) (Value, bool) {
	switch x := v.(type) {
	case bool:
		return Value(strconv.FormatBool(x)), d.Type == TypeBool
	case json.Number:
		n, ok := wholeNumber(string(x))
		return Value(strconv.FormatInt(n, 10)), ok && d.Type == TypeInt && n >= d.Min && n <= d.Max
	case string:
		return quote(x), d.Type == TypeString || d.Type == TypeEnum && slices.Contains(d.Choices, x)
	}
	return "", false
}

// wholeNumber reads 21, and 21.0 and 2.1e1 as far as floats are exact.
func wholeNumber(text string) (int64, bool) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(text, 64)
	return int64(f), err == nil && f == math.Trunc(f) && math.Abs(f) <= 1<<53
}

// quote writes a JSON string without the escapes that only HTML needs.
func quote(s string) Value {
	var b strings.Builder
	w := json.NewEncoder(&b)
	w.SetEscapeHTML(false)
	w.Encode(s) // a string always has a JSON form
	return Value(strings.TrimSuffix(b.String(), "\n"))
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

// Overlooks reports whether e takes protection back without having seen each of
// the others, which were set at the same scope: one of two that protect at once
// replaces the other, and who has seen the one that stands need not know of both.
func (d PreferenceDef) Overlooks(others []Entry, e Entry) bool {
	return d.Privacy && e.Value != d.Protective && slices.ContainsFunc(others, func(o Entry) bool { return !saw(e, o) })
}

// Resolve picks what a device is told: its own setting before the account's,
// before the default; of a privacy preference the protective value if either
// scope has it. A value that was erased, or that the definition no longer takes,
// does not count.
func (d PreferenceDef) Resolve(account, device *Setting) Preference {
	out := Preference{Key: d.Key, Value: d.Default}
	for _, s := range []*Setting{account, device} {
		if s == nil || d.Privacy && out.Value == d.Protective && !out.Decided.isZero() || d.shortest(s.Value) != nil {
			continue
		}
		out.Value, out.Decided = s.Value, s.Entry.Position.Point()
	}
	return out
}

func (p Point) isZero() bool { return p == Point{} }

// On reports whether devices of the kind have the preference.
func (d PreferenceDef) On(kind DeviceKind) bool { return slices.Contains(d.Devices, kind) }
