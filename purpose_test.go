package cardea_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
)

func TestParseKey(t *testing.T) {
	for _, facet := range cardea.Facets {
		want := cardea.KeyOf("voice_2", facet)
		got, err := cardea.ParseKey(string(want))
		if err != nil || got != want || got.Purpose() != "voice_2" || got.Facet() != facet {
			t.Errorf("ParseKey(%q) = %q, %v", want, got, err)
		}
	}
	for _, bad := range []string{
		"", "/", "voice", "voice/", "/use", "voice/other", "voice/use/", "voice//use", "Voice/use", "2voice/use", "_v/use",
		"voice/use\n", "voice /use", "stimme\u00e4/use", strings.Repeat("v", 33) + "/use",
	} {
		if k, err := cardea.ParseKey(bad); !errors.Is(err, cardea.ErrInvalidKey) {
			t.Errorf("ParseKey(%q) = %q, %v", bad, k, err)
		}
	}
	longest := cardea.KeyOf(cardea.PurposeID(strings.Repeat("v", 32)), cardea.FacetCrossBorder)
	if _, err := cardea.ParseKey(string(longest)); err != nil || len(longest) > cardea.MaxKeyBytes {
		t.Errorf("the longest key has %d bytes, %v", len(longest), err)
	}
}

func TestKeyOfNothing(t *testing.T) {
	k := cardea.Key("nothing")
	if k.Purpose() != "nothing" || k.Facet() != "" {
		t.Errorf("%q has purpose %q, facet %q", k, k.Purpose(), k.Facet())
	}
}

func TestClasses(t *testing.T) {
	for class, want := range map[cardea.Class]time.Duration{
		cardea.ClassA: time.Hour, cardea.ClassB: 24 * time.Hour, cardea.ClassC: 72 * time.Hour,
		cardea.ClassL: 720 * time.Hour, cardea.ClassN: 0, "": 0, "Z": 0,
	} {
		if got := class.MaxStaleness(); got != want {
			t.Errorf("class %q: %s, want %s", class, got, want)
		}
		if got, want := class.Valid(), class != "" && class != "Z"; got != want {
			t.Errorf("class %q: valid %t", class, got)
		}
	}
}

// Whatever the owner is shown must change the notice, or a grant would prove
// agreement to something else.
func TestNoticeCoversWhatIsShown(t *testing.T) {
	base := purpose("voice", cardea.ClassA, cardea.FacetUse, cardea.FacetThirdParty)
	first := base.Notice("en")
	if first.IsZero() || first != purpose("voice", cardea.ClassA, cardea.FacetUse, cardea.FacetThirdParty).Notice("en") {
		t.Fatal("the notice of the same purpose differs")
	}
	text := func(change func(*cardea.Text)) func(*cardea.Purpose) {
		return func(p *cardea.Purpose) {
			tt := p.Texts["en"]
			change(&tt)
			p.Texts["en"] = tt
		}
	}
	for name, change := range map[string]func(*cardea.Purpose){
		"id":         func(p *cardea.Purpose) { p.ID = "other" },
		"version":    func(p *cardea.Purpose) { p.Version++ },
		"validity":   func(p *cardea.Purpose) { p.Validity += time.Second },
		"retention":  func(p *cardea.Purpose) { p.Retention = "for ever" },
		"countries":  func(p *cardea.Purpose) { p.Countries = []string{"DE", "US"} },
		"data":       func(p *cardea.Purpose) { p.Data = append(p.Data, "location") },
		"recipient":  func(p *cardea.Purpose) { p.Recipients[0].Name = "Somebody else" },
		"relation":   func(p *cardea.Purpose) { p.Recipients[0].Relation = cardea.RelationThirdParty },
		"country":    func(p *cardea.Purpose) { p.Recipients[0].Country = "US" },
		"sold":       func(p *cardea.Purpose) { p.Recipients[0].Sold = true },
		"recipients": func(p *cardea.Purpose) { p.Recipients = nil },
		"facets":     func(p *cardea.Purpose) { p.Facets = p.Facets[:1] },
		"title":      text(func(tt *cardea.Text) { tt.Title += "!" }),
		"what":       text(func(tt *cardea.Text) { tt.What += "!" }),
		"why":        text(func(tt *cardea.Text) { tt.Why += "!" }),
		"benefit":    text(func(tt *cardea.Text) { tt.Benefit += "!" }),
		"refusal":    text(func(tt *cardea.Text) { tt.Refusal += "!" }),
		"kept":       text(func(tt *cardea.Text) { tt.Retention = "for ever" }),
		"question":   text(func(tt *cardea.Text) { tt.Facets[cardea.FacetUse] += "!" }),
		"moved word": text(func(tt *cardea.Text) { tt.What, tt.Why = tt.What+tt.Why, "" }),
	} {
		p := purpose("voice", cardea.ClassA, cardea.FacetUse, cardea.FacetThirdParty)
		change(&p)
		if p.Notice("en") == first {
			t.Errorf("%s: the notice stayed the same", name)
		}
		if p.ShowsNotice(first) {
			t.Errorf("%s: the old notice still counts", name)
		}
	}
}

func TestNoticeOfEachLanguage(t *testing.T) {
	p := purpose("voice", cardea.ClassA, cardea.FacetUse)
	p.Texts["de"] = p.Texts["en"]
	if p.Notice("en") == p.Notice("de") {
		t.Error("two languages have one notice")
	}
	if !p.ShowsNotice(p.Notice("de")) || p.ShowsNotice(cardea.Hash{}) || p.ShowsNotice(p.Notice("fr")) {
		t.Error("only the notices of languages there are count")
	}
	if !p.Notice("fr").IsZero() {
		t.Error("a language without text has a notice")
	}
}

func TestPurposeOn(t *testing.T) {
	p := purpose("voice", cardea.ClassA, cardea.FacetUse)
	if !p.On("speaker") || p.On("car") {
		t.Error("a purpose is asked on the kinds it names and no other")
	}
}

func FuzzParseKey(f *testing.F) {
	for _, seed := range []string{"", "voice/use", "voice/use\n", "a/sale", "/", "voice/use/use", strings.Repeat("v", 33) + "/use"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		k, err := cardea.ParseKey(text)
		if err != nil {
			if k != "" {
				t.Errorf("%q came with %v", k, err)
			}
			return
		}
		if string(k) != text || cardea.KeyOf(k.Purpose(), k.Facet()) != k || len(k) > cardea.MaxKeyBytes {
			t.Errorf("%q was read as %q", text, k)
		}
	})
}

// purpose is a complete one, for a speaker, of the class and facets.
func purpose(id cardea.PurposeID, class cardea.Class, facets ...cardea.Facet) cardea.Purpose {
	questions := map[cardea.Facet]string{}
	for _, f := range facets {
		questions[f] = "May we, for " + string(f) + "?"
	}
	return cardea.Purpose{
		ID: id, Version: 1, Class: class, Validity: 365 * 24 * time.Hour, LegalBasis: "consent",
		Devices: []cardea.DeviceKind{"speaker"}, Data: []string{"voice recordings"}, Facets: facets,
		Recipients: []cardea.Recipient{{Name: "Speech Inc", Relation: cardea.RelationProcessor, Country: "DE"}},
		Retention:  "30 days", Countries: []string{"DE"},
		Texts: map[string]cardea.Text{"en": {
			Title: "Voice", What: "what you say", Why: "to understand you",
			Benefit: "you need no hands", Refusal: "use the buttons", Facets: questions,
		}},
	}
}
