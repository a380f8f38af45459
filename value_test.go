package cardea_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/cardea-id/cardea"
)

func TestParseValue(t *testing.T) {
	for text, want := range map[string]cardea.Value{
		"true": "true", " 21.0 ": "21", "1.50": "1.50", "9007199254740993": "9007199254740993", `"<b>"`: `"<b>"`, `"\u003cb>"`: `"<b>"`,
		"[]": "[]", `["b","a"]`: `["a","b"]`,
		"": "", "null": "", "{}": "", "[1]": "", `["a","a"]`: "", "1 2": "", `"` + strings.Repeat("x", 10<<10) + `"`: "",
	} {
		got, err := cardea.ParseValue(text)
		if got != want || (err == nil) != (want != "") || err != nil && !errors.Is(err, cardea.ErrInvalidValue) {
			t.Errorf("%.40q: %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestValueSaysWhatItIs(t *testing.T) {
	set, text := cardea.SetOf([]string{"b", "a"}), cardea.Value(`"x \"y\""`)
	if got := set.Set(); len(got) != 2 || got[0] != "a" || set.Text() != "" {
		t.Errorf("%q, %q", got, set.Text())
	}
	if text.Text() != `x "y"` || text.Set() != nil || cardea.Value("21").Set() != nil || cardea.Value(`["a","a"]`).Set() != nil {
		t.Errorf("%q is read as %q and %q", text, text.Text(), text.Set())
	}
}
