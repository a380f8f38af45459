package cardea_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cardea-id/cardea"
)

// german is the complete catalogue with a second language and all words in it.
func german() *cardea.Catalogue {
	c := catalogue()
	c.Languages = []string{"en", "de"}
	for i := range c.Purposes {
		p := &c.Purposes[i]
		p.Texts["de"] = p.Texts["en"]
	}
	for i := range c.Preferences {
		c.Preferences[i].Titles = map[string]string{"en": "t", "de": "t"}
	}
	c.Words = map[string]map[string]string{"de": {
		"consent": "Einwilligung", "voice recordings": "Sprachaufnahmen", "Speech Inc": "Sprach-AG", "30 days": "30 Tage",
	}}
	return c
}

func TestWords(t *testing.T) {
	c := german()
	c.Settle()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	p := c.Purposes[0]
	said := p.Said(p.Texts["de"])
	if said.LegalBasis != "Einwilligung" || said.Data[0] != "Sprachaufnahmen" || said.Recipients[0].Name != "Sprach-AG" || said.Retention != "30 Tage" {
		t.Errorf("in German: %+v", said)
	}
	if p.Data[0] != "voice recordings" || p.Recipients[0].Name != "Speech Inc" {
		t.Errorf("saying it changed the purpose: %+v", p)
	}
	if said = p.Said(p.Texts["en"]); said.LegalBasis != "consent" || said.Data[0] != "voice recordings" || said.Retention != "30 days" {
		t.Errorf("in English: %+v", said)
	}
}

// A purpose's own word comes before the one that all have, and what its text says
// of how long the data is kept before both.
func TestOwnWords(t *testing.T) {
	c := german()
	text := c.Purposes[0].Texts["de"]
	text.Words, text.Retention = map[string]string{"consent": "Ihr Ja"}, "einen Monat"
	c.Purposes[0].Texts["de"] = text
	c.Settle()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	p := c.Purposes[0]
	if said := p.Said(p.Texts["de"]); said.LegalBasis != "Ihr Ja" || said.Retention != "einen Monat" || said.Data[0] != "Sprachaufnahmen" {
		t.Errorf("%+v", said)
	}
	if again := p.Notice("de"); again.IsZero() || again != settled(c).Purposes[0].Notice("de") {
		t.Error("settling twice is another notice")
	}
}

func settled(c *cardea.Catalogue) *cardea.Catalogue {
	c.Settle()
	return c
}

func TestWordsThatAreMissing(t *testing.T) {
	for _, c := range []struct {
		says   []string // what the error names
		change func(*cardea.Catalogue)
	}{
		{[]string{"words.de", "Speech Inc", "voice"}, func(c *cardea.Catalogue) { delete(c.Words["de"], "Speech Inc") }},
		{[]string{"words.de", "consent"}, func(c *cardea.Catalogue) { c.Words["de"]["consent"] = "" }},
		{[]string{"words.de", "30 days"}, func(c *cardea.Catalogue) { delete(c.Words["de"], "30 days") }},
		{[]string{"words.de", "Speech AG"}, func(c *cardea.Catalogue) { c.Words["de"]["Speech AG"] = "Sprach-AG" }},
		{[]string{"words.en", "after the first"}, func(c *cardea.Catalogue) { c.Words["en"] = map[string]string{"consent": "your yes"} }},
		{[]string{"words.fr", "after the first"}, func(c *cardea.Catalogue) { c.Words["fr"] = map[string]string{"consent": "oui"} }},
		{[]string{"texts.de.words", "shoe size"}, func(c *cardea.Catalogue) {
			text := c.Purposes[0].Texts["de"]
			text.Words = map[string]string{"shoe size": "Schuhgröße"}
			c.Purposes[0].Texts["de"] = text
		}},
		{[]string{"words.ko", "must be set"}, func(c *cardea.Catalogue) {
			c.Languages = append(c.Languages, "ko")
			for i := range c.Purposes {
				c.Purposes[i].Texts["ko"] = c.Purposes[i].Texts["en"]
			}
			for i := range c.Preferences {
				c.Preferences[i].Titles["ko"] = "t"
			}
		}},
	} {
		cat := german()
		c.change(cat)
		err := settled(cat).Validate()
		if !errors.Is(err, cardea.ErrInvalidCatalogue) {
			t.Errorf("want an error that names %q: %v", c.says, err)
			continue
		}
		for _, part := range c.says {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("want an error that names %s: %v", part, err)
			}
		}
	}
	none := german()
	none.Words = nil
	if err := settled(none).Validate(); err != nil {
		t.Errorf("a catalogue that has no words at all: %v", err)
	}
}

// What a name is in another language is what its reader agreed to, so it is part
// of that language's notice and of no other.
func TestNoticeNamesTheWords(t *testing.T) {
	base := settled(german()).Purposes[0]
	plain := german()
	plain.Words = nil
	seen := map[cardea.Hash]bool{base.Notice("de"): true, plain.Purposes[0].Notice("de"): true}
	for name, word := range map[string]string{"Speech Inc": "Rede-AG", "voice recordings": "Ton", "consent": "Ja", "30 days": "einen Monat"} {
		c := german()
		c.Words["de"][name] = word
		p := settled(c).Purposes[0]
		seen[p.Notice("de")] = true
		if p.Notice("en") != base.Notice("en") {
			t.Errorf("%q in German is another notice in English", name)
		}
	}
	if len(seen) != 6 {
		t.Errorf("%d notices, want 6", len(seen))
	}
	if plain.Purposes[0].Notice("en") != base.Notice("en") {
		t.Error("words for German are another notice in English")
	}
}

// TestOtherWordsAreNoOtherThing: a recipient that is called otherwise in a language
// is the same recipient, and another recipient is another in every language.
func TestOtherWordsAreNoOtherThing(t *testing.T) {
	before := settled(german()).Purposes[0]
	next := func(change func(c *cardea.Catalogue)) cardea.Purpose {
		c := german()
		change(c)
		p := settled(c).Purposes[0]
		p.Version, p.Change = 2, cardea.ChangeEditorial
		return p
	}
	for name, p := range map[string]cardea.Purpose{
		"the same":              next(func(*cardea.Catalogue) {}),
		"another word":          next(func(c *cardea.Catalogue) { c.Words["de"]["Speech Inc"] = "Rede-AG" }),
		"another word for data": next(func(c *cardea.Catalogue) { c.Words["de"]["voice recordings"] = "Ton" }),
		"no words any more":     next(func(c *cardea.Catalogue) { c.Words = nil }),
	} {
		if err := p.Follows(before); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := func(c *cardea.Catalogue) {
		p := &c.Purposes[0]
		p.Recipients = slices.Clone(p.Recipients)
		p.Recipients[0].Name = "Somebody Inc"
		c.Words["de"]["Somebody Inc"] = "Sprach-AG" // by a word that hides it
	}
	if err := next(other).Follows(before); err == nil || !strings.Contains(err.Error(), "recipients") {
		t.Errorf("another recipient under the same word: %v", err)
	}
	longer := func(c *cardea.Catalogue) { c.Words["de"]["30 days"] = "10 Jahre" }
	if err := next(longer).Follows(before); err == nil || !strings.Contains(err.Error(), "retention") {
		t.Errorf("kept for another time in one language: %v", err)
	}
}

// TestKeptInEachLanguage: a language may begin to say how long data is kept, and
// leave it to the first again. It may not say something else.
func TestKeptInEachLanguage(t *testing.T) {
	at := func(version uint32, kept map[string]string) cardea.Purpose {
		c := german()
		c.Words = nil
		p := c.Purposes[0]
		p.Version, p.Texts = version, map[string]cardea.Text{}
		if version > 1 {
			p.Change = cardea.ChangeEditorial
		}
		for language, k := range kept {
			p.Texts[language] = cardea.Text{Title: "t", Retention: k}
		}
		return p
	}
	for _, c := range []struct {
		before, next map[string]string
		good         bool
	}{
		{map[string]string{"de": ""}, map[string]string{"de": "30 Tage"}, true},
		{map[string]string{"de": "30 Tage"}, map[string]string{"de": "30 Tage"}, true},
		{map[string]string{"de": "30 Tage"}, map[string]string{"de": ""}, true},
		{map[string]string{"de": "30 Tage"}, map[string]string{"ko": "30일"}, true},
		{map[string]string{"de": "30 Tage"}, map[string]string{"de": "30 Tage", "ko": "30일"}, true},
		{map[string]string{"de": "30 Tage"}, map[string]string{"de": "10 Jahre"}, false},
		{map[string]string{"de": "30 Tage", "ko": "30일"}, map[string]string{"de": "30 Tage", "ko": "10년"}, false},
		{map[string]string{"en": "30 days, at most"}, map[string]string{"en": "10 years"}, false},
	} {
		if err := at(2, c.next).Follows(at(1, c.before)); (err == nil) != c.good {
			t.Errorf("%q after %q: %v", c.next, c.before, err)
		}
	}
}
