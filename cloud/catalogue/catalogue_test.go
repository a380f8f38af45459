package catalogue_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/catalogue"
	"github.com/cardea-id/cardea/internal/wire"
)

func shipped(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile("../../testdata/catalogue.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func parse(t testing.TB, text []byte) *cardea.Catalogue {
	t.Helper()
	cat, err := catalogue.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return cat
}

func TestShippedCatalogue(t *testing.T) {
	cat := parse(t, shipped(t))
	terms, ok := cat.Terms("presence/use")
	if !ok || terms.Staleness != 30*time.Second || terms.Class != cardea.ClassA {
		t.Errorf("presence/use: %+v %v, want class A and 30 s", terms, ok)
	}
	for _, key := range []cardea.Key{
		"voice_history/use", "voice_history/sensitive", "recommendations/use", "recommendations/third_party",
		"product_analytics/use", "offers/use", "offers/marketing", "precise_location/use",
		"precise_location/third_party", "on_device_personalisation/use", "device_security/use",
	} {
		if _, ok := cat.Terms(key); !ok {
			t.Errorf("%s is not asked", key)
		}
	}
	for key, want := range map[cardea.PreferenceKey]cardea.Value{
		"language": `"en"`, "voice_speed": "100", "microphone_off": "false", "cabin_temperature": "21",
	} {
		if d, ok := cat.Preference(key); !ok || d.Default != want {
			t.Errorf("%s: default %s, want %s", key, d.Default, want)
		}
	}
	for _, kind := range []cardea.DeviceKind{"speaker", "car"} {
		n, err := catalogue.BodyBytes(cat, kind)
		if err != nil || n == 0 || n > wire.MaxBodyBytes/2 {
			t.Errorf("everything given on a %s takes %d bytes (%v), want room for more purposes", kind, n, err)
		}
		t.Logf("everything given on a %s: at most %d bytes", kind, n)
	}
}

const small = `
languages: [en]
purposes:
  - id: p
    version: 1
    devices: [speaker]
    class: C
    staleness: 1h
    validity: 17520h
    legal_basis: consent
    data: [a]
    recipients: [{name: X, relation: own, country: SE}]
    retention: none
    facets: [use]
    texts: {en: {title: t, what: w, why: y, benefit: b, refusal: r, facets: {use: "?"}}}
preferences:
  - {key: mode, type: enum, choices: [on, "off"], default: "off", devices: [speaker], purpose: p, titles: {en: Mode}}
`

func TestParseRefuses(t *testing.T) {
	parse(t, []byte(small))
	bad := func(why, from, to string) {
		t.Helper()
		text := strings.Replace(small, from, to, 1)
		if text == small {
			t.Fatalf("%s: nothing replaced", why)
		}
		_, err := catalogue.Parse([]byte(text))
		if !errors.Is(err, cardea.ErrInvalidCatalogue) {
			t.Errorf("%s: %v, want ErrInvalidCatalogue", why, err)
		}
	}
	bad("an unknown field, here a default answer", "version: 1", "version: 1\n    granted: true")
	bad("a misspelt field", "retention", "retension")
	bad("a number as duration", "staleness: 1h", "staleness: 3600")
	bad("staler than the class", "staleness: 1h", "staleness: 100h")
	bad("a consent without end", "validity: 17520h", "validity: 0s")
	bad("a key twice", "class: C", "class: C\n    class: C")
	bad("a missing text", "refusal: r, ", "")
	bad("a preference tied to nothing", "purpose: p", "purpose: q")
	bad("a preference tied to a purpose without use", "facets: [use]", "facets: [sale]\n    x: 1")
	bad("a value that does not fit", `default: "off"`, "default: maybe")
	bad("a value in JSON quotes", `default: "off"`, `default: '"off"'`)
	bad("two documents", "languages: [en]", "languages: [en]\n---\nlanguages: [en]")
	bad("no document", small, "#")
	bad("another shape", small, "[1, 2]")
}

func TestPreferenceNeedsUse(t *testing.T) {
	text := strings.NewReplacer("facets: [use]", "facets: [sale]", `{use: "?"}`, `{sale: "?"}`).Replace(small)
	_, err := catalogue.Parse([]byte(text))
	if !errors.Is(err, cardea.ErrInvalidCatalogue) || !strings.Contains(err.Error(), `no facet "use"`) {
		t.Errorf("%v, want a word on the facet use", err)
	}
}

func TestParseLimits(t *testing.T) {
	text := append(shipped(t), bytes.Repeat([]byte("#"), catalogue.MaxBytes)...)
	if _, err := catalogue.Parse(text); !errors.Is(err, cardea.ErrInvalidCatalogue) {
		t.Errorf("an oversized catalogue: %v", err)
	}
	var bomb strings.Builder
	bomb.WriteString("a: &a [x,x,x,x,x,x,x,x,x]\n")
	for c := 'b'; c < 'k'; c++ {
		bomb.WriteString(fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c,", c-1), 9), ",")))
	}
	if _, err := catalogue.Parse([]byte(bomb.String())); !errors.Is(err, cardea.ErrInvalidCatalogue) {
		t.Errorf("an alias bomb: %v", err)
	}
}

func TestTooMuchToAsk(t *testing.T) {
	bad := func(why string, grow func(cat *cardea.Catalogue)) {
		cat := parse(t, []byte(small))
		grow(cat)
		err := catalogue.Check(cat)
		if !errors.Is(err, cardea.ErrInvalidCatalogue) || !strings.Contains(err.Error(), "ask for less") {
			t.Errorf("%s: %v, want it refused", why, err)
		}
	}
	bad("many purposes", func(cat *cardea.Catalogue) {
		p := cat.Purposes[0]
		for i := range 100 {
			p.ID = cardea.PurposeID(fmt.Sprintf("a_purpose_with_a_long_name_%d", i))
			cat.Purposes = append(cat.Purposes, p)
		}
	})
	bad("long texts as preferences", func(cat *cardea.Catalogue) {
		d := cat.Preferences[0]
		d.Type, d.Purpose = cardea.TypeString, ""
		for i := range 6 {
			d.Key = cardea.PreferenceKey(fmt.Sprintf("text_%d", i))
			cat.Preferences = append(cat.Preferences, d)
		}
	})
}

func TestFollows(t *testing.T) {
	before := parse(t, []byte(small))
	edit := func(change func(p *cardea.Purpose)) *cardea.Catalogue {
		next := parse(t, []byte(small))
		change(&next.Purposes[0])
		return next
	}
	good := func(why string, change func(p *cardea.Purpose)) {
		if err := catalogue.Follows(before, edit(change)); err != nil {
			t.Errorf("%s: %v", why, err)
		}
	}
	bad := func(why string, change func(p *cardea.Purpose)) {
		if err := catalogue.Follows(before, edit(change)); !errors.Is(err, cardea.ErrInvalidCatalogue) {
			t.Errorf("%s: %v, want ErrInvalidCatalogue", why, err)
		}
	}
	good("no change", func(*cardea.Purpose) {})
	good("a new version", func(p *cardea.Purpose) { p.Version, p.Retention = 2, "for ever" })
	good("a removed purpose", func(p *cardea.Purpose) { p.ID = "other" })
	good("a language more", func(p *cardea.Purpose) { p.Texts["de"] = p.Texts["en"] })
	bad("a changed retention", func(p *cardea.Purpose) { p.Retention = "for ever" })
	bad("a changed text", func(p *cardea.Purpose) {
		p.Texts["en"] = cardea.Text{Title: "t", What: "w", Why: "y", Benefit: "b", Refusal: "r", Facets: map[cardea.Facet]string{"use": "!"}}
	})
	bad("one more recipient", func(p *cardea.Purpose) { p.Recipients = append(p.Recipients, p.Recipients[0]) })
	bad("a lower version", func(p *cardea.Purpose) { p.Version = 0 })
}

func TestHolder(t *testing.T) {
	cat := parse(t, []byte(small))
	h := catalogue.New(cat)
	_, first := h.Current()
	if again := catalogue.Hash(parse(t, []byte("# a comment\n"+small))); again != first {
		t.Error("a comment changed the hash")
	}
	next := parse(t, shipped(t))
	h.Replace(next)
	if got, hash := h.Current(); got != next || hash == first || hash != catalogue.Hash(next) {
		t.Error("Current is not what was put in force")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(shipped(f))
	f.Add([]byte(small))
	f.Add([]byte("languages: [en]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		cat, err := catalogue.Parse(text)
		if err != nil {
			if !errors.Is(err, cardea.ErrInvalidCatalogue) {
				t.Fatalf("%v does not wrap ErrInvalidCatalogue", err)
			}
			return
		}
		if err := catalogue.Check(cat); err != nil {
			t.Fatalf("parsed, and then refused: %v", err)
		}
		if err := catalogue.Follows(cat, cat); err != nil {
			t.Fatalf("does not follow itself: %v", err)
		}
	})
}

// All that the shipped catalogue names as data is registered, in each of the four
// groups, with its concept of the Data Privacy Vocabulary.
func TestDataCategories(t *testing.T) {
	cat, err := catalogue.Parse(shipped(t))
	if err != nil {
		t.Fatal(err)
	}
	groups := map[cardea.DataGroup]int{}
	for _, p := range cat.Purposes {
		for _, data := range p.Data {
			c, ok := cat.Category(data)
			if !ok || c.DPV == "" {
				t.Errorf("%s: %q is not registered", p.ID, data)
			}
			groups[c.Group]++
		}
	}
	for _, g := range cardea.DataGroups {
		if groups[g] == 0 {
			t.Errorf("nothing is %s", g)
		}
	}
}

// What only the whole catalogue can tell of the newer sections is refused too.
func TestNewSections(t *testing.T) {
	good := string(shipped(t))
	for says, replace := range map[string][2]string{
		"quiet.zones":           {"zones: [Europe/Stockholm", "zones: [Europe/Atlantis"},
		"write \"21:00":         {"hours: \"21:00-08:00\"", "hours: \"9pm\""},
		"not among the data":    {"data: [software version", "data: [shoe size, software version"},
		"whole seconds":         {"validity: 168h", "validity: 1ms"},
		"has no facet \"sale\"": {"purpose: offers\n", "purpose: offers\n    facet: sale\n"},
	} {
		text := strings.Replace(good, replace[0], replace[1], 1)
		if _, err := catalogue.Parse([]byte(text)); text == good || err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want an error that names %s: %v", says, err)
		}
	}
}

// Whoever wrote the file knows YAML, and no types of Go.
func TestFaultsAreSaidInYAML(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "testdata/catalogue.yaml does",
		"a: b\nc: d":               "line 1: there is no field a; line 2: there is no field c",
		"words":                    "line 1: `words` (str) is of the wrong type",
		"purposes: [{version: x}]": "line 1: `x` (str) is of the wrong type",
	} {
		_, err := catalogue.Parse([]byte(text))
		if !errors.Is(err, cardea.ErrInvalidCatalogue) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
