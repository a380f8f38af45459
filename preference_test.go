package cardea_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
)

func def(kind cardea.PreferenceType) cardea.PreferenceDef {
	d := cardea.PreferenceDef{
		Key: "it", Type: kind, Devices: []cardea.DeviceKind{"speaker"}, Titles: map[string]string{"en": "It"},
	}
	switch kind {
	case cardea.TypeBool:
		d.Default = "false"
	case cardea.TypeInt:
		d.Min, d.Max, d.Default = -10, 100, "0"
	case cardea.TypeEnum:
		d.Choices, d.Default = []string{"de", "en"}, `"en"`
	case cardea.TypeSet:
		d.Choices, d.Default = []string{"rock", "jazz", "<news>"}, `["jazz"]`
	case cardea.TypeHours:
		d.Default = `"21:00-08:00"`
	case cardea.TypeString:
		d.Default = `""`
	}
	return d
}

func TestParsePreferenceKey(t *testing.T) {
	for _, good := range []string{"theme", "seat.left_2", "a", "a" + strings.Repeat("b", 47)} {
		if k, err := cardea.ParsePreferenceKey(good); err != nil || string(k) != good {
			t.Errorf("ParsePreferenceKey(%q) = %q, %v", good, k, err)
		}
	}
	for _, bad := range []string{"", "Theme", "2d", ".a", "a b", "a/b", "a\n", "a" + strings.Repeat("b", 48)} {
		if _, err := cardea.ParsePreferenceKey(bad); !errors.Is(err, cardea.ErrInvalidKey) {
			t.Errorf("ParsePreferenceKey(%q): %v", bad, err)
		}
	}
}

func TestPreferenceParse(t *testing.T) {
	for _, c := range []struct {
		kind cardea.PreferenceType
		text string
		want cardea.Value // "": refused
	}{
		{cardea.TypeBool, "true", "true"},
		{cardea.TypeBool, " false\n", "false"},
		{cardea.TypeBool, "1", ""},
		{cardea.TypeBool, `"true"`, ""},
		{cardea.TypeBool, "null", ""},
		{cardea.TypeBool, "", ""},
		{cardea.TypeBool, "true true", ""},
		{cardea.TypeBool, "true}", ""},
		{cardea.TypeInt, "21", "21"},
		{cardea.TypeInt, "21.0", "21"},
		{cardea.TypeInt, "2.1e1", "21"},
		{cardea.TypeInt, "-0", "0"},
		{cardea.TypeInt, "-10", "-10"},
		{cardea.TypeInt, "100", "100"},
		{cardea.TypeInt, "-11", ""},
		{cardea.TypeInt, "101", ""},
		{cardea.TypeInt, "1.5", ""},
		{cardea.TypeInt, "1e999", ""},
		{cardea.TypeInt, "NaN", ""},
		{cardea.TypeInt, "true", ""},
		{cardea.TypeEnum, `"de"`, `"de"`},
		{cardea.TypeEnum, `"d\u0065"`, `"de"`},
		{cardea.TypeEnum, `"fr"`, ""},
		{cardea.TypeEnum, "de", ""},
		{cardea.TypeString, `""`, `""`},
		{cardea.TypeString, `"<b> & \u003c"`, `"<b> & <"`},
		{cardea.TypeString, `["a"]`, ""},
		{cardea.TypeString, `{}`, ""},
		{cardea.TypeString, "\"\xff\"", ""},
		{cardea.TypeSet, `[]`, `[]`},
		{cardea.TypeSet, ` [ "rock" , "jazz" ] `, `["jazz","rock"]`},
		{cardea.TypeSet, `["\u003cnews>","jazz"]`, `["<news>","jazz"]`},
		{cardea.TypeSet, `["jazz","jazz"]`, ""},
		{cardea.TypeSet, `["jazz","polka"]`, ""},
		{cardea.TypeSet, `["jazz",null]`, ""},
		{cardea.TypeSet, `["jazz",1]`, ""},
		{cardea.TypeSet, `[["jazz"]]`, ""},
		{cardea.TypeSet, `"jazz"`, ""},
		{cardea.TypeSet, `{"jazz":true}`, ""},
		{cardea.TypeSet, "[" + strings.Repeat(`"jazz",`, 1500) + `"rock"]`, ""},
		{cardea.TypeEnum, `["de"]`, ""},
		{cardea.TypeHours, `"21:00-08:00"`, `"21:00-08:00"`},
		{cardea.TypeHours, `""`, `""`},
		{cardea.TypeHours, `"21-8"`, ""},
		{cardea.TypeHours, `21`, ""},
		{"odd", "true", ""},
	} {
		got, err := def(c.kind).Parse(c.text)
		if got != c.want || (err == nil) != (c.want != "") || err != nil && !errors.Is(err, cardea.ErrInvalidValue) {
			t.Errorf("%s %q: %q, %v; want %q", c.kind, c.text, got, err, c.want)
		}
	}
}

func TestPreferenceParseKeepsAllDigits(t *testing.T) {
	d := def(cardea.TypeInt)
	d.Min, d.Max = math.MinInt64, math.MaxInt64
	for _, text := range []string{"9007199254740993", "9223372036854775807", "-9223372036854775808"} {
		if got, err := d.Parse(text); string(got) != text {
			t.Errorf("%s was read as %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"9223372036854775808", "1e18", "9.007199254740994e15"} {
		if got, err := d.Parse(text); err == nil {
			t.Errorf("%s, which is not exact, was read as %s", text, got)
		}
	}
}

func TestPreferenceParseLength(t *testing.T) {
	d := def(cardea.TypeString)
	longest := `"` + strings.Repeat("a", cardea.MaxValueBytes-2) + `"`
	if got, err := d.Parse(longest); err != nil || string(got) != longest {
		t.Errorf("%d bytes: %v", len(longest), err)
	}
	if _, err := d.Parse(`"a` + longest[1:]); !errors.Is(err, cardea.ErrInvalidValue) {
		t.Errorf("one byte more: %v", err)
	}
	grows := `"` + strings.Repeat("\u2028", 300) + `"` // written as an escape of twice the length
	if got, err := d.Parse(grows); err == nil && len(got) > cardea.MaxValueBytes {
		t.Errorf("grew to %d bytes", len(got))
	}
}

// prefer is an entry that sets a preference.
func prefer(value cardea.Value) cardea.Entry {
	return cardea.Entry{Decision: cardea.Decision{Act: cardea.ActPrefer, Preference: "it", Value: value}, Channel: cardea.ChannelPortal}
}

func TestSettles(t *testing.T) {
	plain, privacy := def(cardea.TypeBool), def(cardea.TypeBool)
	privacy.Privacy, privacy.Protective = true, "true"
	var b book
	b.add(yes(), 0)
	stands := &cardea.Setting{Value: "false", Entry: b.add(in(1, 1, kitchen, prefer("false")), 0)}
	seen, unseen := prefer("true"), prefer("true")
	seen.Base = b[1].Position
	for name, c := range map[string]struct {
		def    cardea.PreferenceDef
		stands *cardea.Setting
		e      cardea.Entry
		want   bool
	}{
		"nothing stands":                {plain, nil, unseen, true},
		"seen in the ledger":            {plain, stands, seen, true},
		"not seen":                      {plain, stands, unseen, false},
		"seen in the same log":          {plain, stands, in(1, 2, kitchen, unseen), true},
		"before it in the same log":     {plain, stands, in(1, 1, kitchen, unseen), false},
		"another log":                   {plain, stands, in(2, 9, kitchen, unseen), false},
		"protective, not seen":          {privacy, stands, unseen, true},
		"not protective, not seen":      {privacy, stands, prefer("false"), false},
		"not protective, but has seen":  {privacy, stands, in(1, 2, kitchen, prefer("false")), true},
		"the word, but not for privacy": {def(cardea.TypeBool), stands, prefer("true"), false},
	} {
		if got := c.def.Settles(c.stands, c.e); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestResolve(t *testing.T) {
	plain, privacy := def(cardea.TypeBool), def(cardea.TypeBool)
	privacy.Privacy, privacy.Protective = true, "true"
	set := func(v cardea.Value, seq uint64) *cardea.Setting {
		return &cardea.Setting{Value: v, Entry: cardea.Entry{Position: cardea.Position{Era: 1, Seq: seq}}}
	}
	for name, c := range map[string]struct {
		def             cardea.PreferenceDef
		account, device *cardea.Setting
		want            cardea.Value
		seq             uint64
	}{
		"default":                          {plain, nil, nil, "false", 0},
		"account":                          {plain, set("true", 1), nil, "true", 1},
		"device":                           {plain, nil, set("true", 2), "true", 2},
		"device before account":            {plain, set("true", 2), set("false", 1), "false", 1},
		"protective account":               {privacy, set("true", 1), set("false", 2), "true", 1},
		"protective device":                {privacy, set("false", 2), set("true", 1), "true", 1},
		"protective nowhere":               {privacy, set("false", 1), set("false", 2), "false", 2},
		"an erased value":                  {plain, set("true", 1), set("", 2), "true", 1},
		"a value that no longer fits":      {plain, set(`"true"`, 1), nil, "false", 0},
		"a protective default, overridden": {protectiveDefault(privacy), set("false", 1), nil, "false", 1},
		"a device given back":              {plain, set("true", 1), set("", 2), "true", 1},
		"all given back":                   {plain, set("", 3), set("", 2), "false", 0},
	} {
		got := c.def.Resolve(1, c.account, c.device)
		if got.Key != "it" || got.Value != c.want || got.Decided.Seq != c.seq {
			t.Errorf("%s: %+v, want %s of %d", name, got, c.want, c.seq)
		}
	}
}

func protectiveDefault(d cardea.PreferenceDef) cardea.PreferenceDef {
	d.Default = d.Protective
	return d
}

func TestPreferenceOn(t *testing.T) {
	if d := def(cardea.TypeBool); !d.On("speaker") || d.On("car") {
		t.Error("a preference is on the kinds it names and no other")
	}
}

func FuzzPreferenceParse(f *testing.F) {
	kinds := []cardea.PreferenceType{cardea.TypeBool, cardea.TypeInt, cardea.TypeEnum, cardea.TypeString, cardea.TypeSet, cardea.TypeHours}
	for i, seed := range []string{"true", "21.0", `"de"`, `""`, `["rock","jazz"]`, `"21:00-08:00"`, `[]`, `["jazz","jazz"]`, `"<\u2028>"`, "-0", "1e3", `"\ud800"`, "[1]", "9007199254740993", ""} {
		f.Add(uint8(i), seed)
	}
	f.Fuzz(func(t *testing.T, kind uint8, text string) {
		d := def(kinds[int(kind)%len(kinds)])
		v, err := d.Parse(text)
		if err != nil {
			if v != "" || !errors.Is(err, cardea.ErrInvalidValue) {
				t.Errorf("%q: %q, %v", text, v, err)
			}
			return
		}
		if again, err := d.Parse(string(v)); again != v || err != nil {
			t.Errorf("%q became %q, and that %q, %v", text, v, again, err)
		}
		if !json.Valid([]byte(v)) || len(v) > cardea.MaxValueBytes {
			t.Errorf("%q became %d bytes: %q", text, len(v), v)
		}
	})
}

// A value says where it comes from and when, and which consent it is under; the
// default comes from nowhere.
func TestResolveSaysWhereFrom(t *testing.T) {
	d := def(cardea.TypeBool)
	d.Purpose, d.Facet = "mileage", cardea.FacetThirdParty
	set := &cardea.Setting{Value: "true", Entry: cardea.Entry{Channel: cardea.ChannelDevice, Recorded: 1000, Position: cardea.Position{Era: 1, Seq: 7}}}
	want := cardea.Preference{Key: "it", Value: "true", Decided: cardea.Point{Era: 1, Seq: 7}, Source: cardea.ChannelDevice, Since: 1000, Under: "mileage/third_party"}
	if got := d.Resolve(2000, set, nil); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := d.Resolve(2000, nil, nil); got != (cardea.Preference{Key: "it", Value: "false", Under: "mileage/third_party"}) {
		t.Errorf("the default: %+v", got)
	}
	d.Facet = ""
	if d.Under() != "mileage/use" {
		t.Errorf("without a facet: %s", d.Under())
	}
}

// A value whose time is over is gone from that instant on, and what stood below
// it counts.
func TestResolveForgetsWhatIsOver(t *testing.T) {
	d := def(cardea.TypeInt)
	d.Validity = time.Hour
	at := func(v cardea.Value, recorded cardea.Millis) *cardea.Setting {
		return &cardea.Setting{Value: v, Entry: cardea.Entry{Recorded: recorded, Position: cardea.Position{Era: 1, Seq: uint64(recorded)}}}
	}
	account, device := at("1", 5000), at("2", 1000)
	hour := cardea.Millis(time.Hour.Milliseconds())
	for now, want := range map[cardea.Millis]cardea.Value{
		1000: "2", 1000 + hour - 1: "2", 1000 + hour: "1", 5000 + hour - 1: "1", 5000 + hour: "0",
	} {
		if got := d.Resolve(now, account, device); got.Value != want {
			t.Errorf("at %d: %s, want %s", now, got.Value, want)
		}
	}
	p := d.Resolve(1000, nil, device)
	for now, gone := range map[cardea.Now]bool{
		{Time: p.ValidUntil - 1, Synced: true}: false, {Time: p.ValidUntil, Synced: true}: true, {Time: 1}: true,
	} {
		if p.Gone(now) != gone {
			t.Errorf("gone at %+v: %t", now, !gone)
		}
	}
	if (cardea.Preference{}).Gone(cardea.Now{}) {
		t.Error("a value without an end is gone")
	}
}
