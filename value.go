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

// A Value is a JSON scalar, or an array of strings, in its shortest form: true,
// 21, "de", ["jazz","news"]. An array is in ascending order with nothing twice,
// so that one set is one value. At most MaxValueBytes.
type Value string

// MaxValueBytes bounds a value.
const MaxValueBytes = 1024

// wanted is what a value looks like.
const wanted = `a JSON scalar such as true, 21 or "de", or an array of different strings`

// ParseValue reads the JSON of a value of any type and returns it in its
// shortest form. Whether it fits a preference its definition says.
func ParseValue(text string) (Value, error) {
	v, err := decodeValue(text)
	if err != nil {
		return "", err
	}
	short, ok := shorten(v)
	if !ok {
		return "", fmt.Errorf("%w: want %s", ErrInvalidValue, wanted)
	}
	if len(short) > MaxValueBytes {
		return "", errTooLong
	}
	return short, nil
}

var errTooLong = fmt.Errorf("%w: at most %d bytes of UTF-8", ErrInvalidValue, MaxValueBytes)

func decodeValue(text string) (v any, err error) {
	if len(text) > MaxValueBytes || !utf8.ValidString(text) {
		return nil, errTooLong
	}
	r := json.NewDecoder(strings.NewReader(text))
	r.UseNumber()
	if err := r.Decode(&v); err != nil || !json.Valid([]byte(text)) {
		return nil, fmt.Errorf("%w: want %s", ErrInvalidValue, wanted)
	}
	return v, nil
}

// shorten writes what was decoded, if it can be a value.
func shorten(v any) (Value, bool) {
	switch x := v.(type) {
	case bool:
		return Value(strconv.FormatBool(x)), true
	case json.Number:
		if n, ok := wholeNumber(string(x)); ok {
			return Value(strconv.FormatInt(n, 10)), true
		}
		return Value(x), true
	case string:
		return quote(x), true
	case []any:
		items, ok := textsOf(x)
		return SetOf(items), ok
	}
	return "", false
}

// textsOf is an array as a set of strings.
func textsOf(list []any) ([]string, bool) {
	items := make([]string, len(list))
	for i, item := range list {
		text, ok := item.(string)
		if !ok {
			return nil, false
		}
		items[i] = text
	}
	return items, !repeats(items)
}

// SetOf writes a set in its one order. Nothing may stand in it twice.
func SetOf(items []string) Value {
	quoted := make([]string, len(items))
	for i, item := range slices.Sorted(slices.Values(items)) {
		quoted[i] = string(quote(item))
	}
	return Value("[" + strings.Join(quoted, ",") + "]")
}

// Set is the members of a set, none twice; nil for another value.
func (v Value) Set() []string {
	var list []any
	if !strings.HasPrefix(string(v), "[") || json.Unmarshal([]byte(v), &list) != nil {
		return nil
	}
	items, ok := textsOf(list)
	if !ok {
		return nil
	}
	return items
}

// Text is a string without its quotes; empty for another value.
func (v Value) Text() string {
	var s string
	if json.Unmarshal([]byte(v), &s) != nil {
		return ""
	}
	return s
}

// UnmarshalYAML reads a scalar as its text, and a list as the set it is.
func (v *Value) UnmarshalYAML(unmarshal func(any) error) error {
	var text string
	if unmarshal(&text) == nil {
		*v = Value(text)
		return nil
	}
	var items []string
	if err := unmarshal(&items); err != nil {
		return err
	}
	*v = SetOf(items)
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

// Parse reads the JSON of a value and returns it in its shortest form if it
// fits.
func (d PreferenceDef) Parse(text string) (Value, error) {
	v, err := decodeValue(text)
	if err != nil {
		return "", fmt.Errorf("%s: %w", d.Key, err)
	}
	short, ok := d.fit(v)
	if !ok {
		return "", fmt.Errorf("%w for %s: want %s", ErrInvalidValue, d.Key, d.wants())
	}
	if len(short) > MaxValueBytes {
		return "", fmt.Errorf("%s: %w", d.Key, errTooLong)
	}
	return short, nil
}

// fit returns the shortest form of what was decoded if the preference takes it.
func (d PreferenceDef) fit(v any) (Value, bool) {
	short, ok := shorten(v)
	if !ok {
		return "", false
	}
	switch x := v.(type) {
	case bool:
		return short, d.Type == TypeBool
	case json.Number:
		n, whole := wholeNumber(string(x))
		return short, whole && d.Type == TypeInt && n >= d.Min && n <= d.Max
	case []any:
		return short, d.Type == TypeSet && !slices.ContainsFunc(x, func(item any) bool { return !slices.Contains(d.Choices, item.(string)) })
	case string:
		return short, d.takes(x)
	}
	return "", false
}

func (d PreferenceDef) takes(text string) bool {
	switch d.Type {
	case TypeString:
		return true
	case TypeEnum:
		return slices.Contains(d.Choices, text)
	case TypeHours:
		_, err := ParseHours(text)
		return err == nil
	}
	return false
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
	case TypeSet:
		return fmt.Sprintf("an array of some of %q, each once", d.Choices)
	case TypeHours:
		return `hours such as "21:00-08:00", or "" for none`
	}
	return "a " + string(d.Type)
}
