package cardea_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
)

// catalogue is a complete one: two purposes and two preferences.
func catalogue() *cardea.Catalogue {
	mute := def(cardea.TypeBool)
	mute.Key, mute.Privacy, mute.Protective, mute.Purpose = "mute", true, "true", "voice"
	return &cardea.Catalogue{
		Languages: []string{"en"},
		Purposes: []cardea.Purpose{
			purpose("voice", cardea.ClassA, cardea.FacetUse, cardea.FacetSale),
			purpose("billing", cardea.ClassN, cardea.FacetUse),
		},
		Preferences: []cardea.PreferenceDef{def(cardea.TypeInt), mute},
	}
}

func TestValidateGood(t *testing.T) {
	good := map[string]func(*cardea.Catalogue){
		"as it is":          func(*cardea.Catalogue) {},
		"no preferences":    func(c *cardea.Catalogue) { c.Preferences = nil },
		"nothing asked":     func(c *cardea.Catalogue) { c.Purposes, c.Preferences = nil, nil },
		"shorter staleness": func(c *cardea.Catalogue) { c.Purposes[0].Staleness = 30 * time.Second },
		"the class's own":   func(c *cardea.Catalogue) { c.Purposes[0].Staleness = time.Hour },
		"endless necessity": func(c *cardea.Catalogue) { c.Purposes[1].Validity = 0 },
		"no recipients":     func(c *cardea.Catalogue) { c.Purposes[0].Recipients = nil },
		"no countries":      func(c *cardea.Catalogue) { c.Purposes[0].Countries = nil },
		"one name, two things": func(c *cardea.Catalogue) {
			c.Preferences[0].Key = "voice"
		},
	}
	for name, change := range good {
		c := catalogue()
		change(c)
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestValidateBad(t *testing.T) {
	voiceText := func(change func(*cardea.Text)) func(*cardea.Catalogue) {
		return func(c *cardea.Catalogue) {
			text := c.Purposes[0].Texts["en"]
			change(&text)
			c.Purposes[0].Texts["en"] = text
		}
	}
	voice := func(change func(*cardea.Purpose)) func(*cardea.Catalogue) {
		return func(c *cardea.Catalogue) { change(&c.Purposes[0]) }
	}
	pref := func(change func(*cardea.PreferenceDef)) func(*cardea.Catalogue) {
		return func(c *cardea.Catalogue) { change(&c.Preferences[1]) }
	}
	for _, c := range []struct {
		says   string // what the error names
		change func(*cardea.Catalogue)
	}{
		{"language", func(c *cardea.Catalogue) { c.Languages = nil }},
		{"language", func(c *cardea.Catalogue) { c.Languages = []string{"en", "en"} }},
		{"language", func(c *cardea.Catalogue) { c.Languages = []string{"en", ""} }},
		{"texts.de", func(c *cardea.Catalogue) { c.Languages = []string{"en", "de"} }},
		{"twice", func(c *cardea.Catalogue) { c.Purposes = append(c.Purposes, c.Purposes[0]) }},
		{"twice", func(c *cardea.Catalogue) { c.Preferences = append(c.Preferences, c.Preferences[0]) }},
		{"id", voice(func(p *cardea.Purpose) { p.ID = "Voice" })},
		{"id", voice(func(p *cardea.Purpose) { p.ID = "" })},
		{"id", voice(func(p *cardea.Purpose) { p.ID = cardea.PurposeID(strings.Repeat("v", 33)) })},
		{"version", voice(func(p *cardea.Purpose) { p.Version = 0 })},
		{"class", voice(func(p *cardea.Purpose) { p.Class = "" })},
		{"class", voice(func(p *cardea.Purpose) { p.Class = "D" })},
		{"staleness", voice(func(p *cardea.Purpose) { p.Staleness = -time.Second })},
		{"staleness", voice(func(p *cardea.Purpose) { p.Staleness = time.Hour + time.Second })},
		{"staleness", voice(func(p *cardea.Purpose) { p.Staleness = time.Millisecond })},
		{"validity", voice(func(p *cardea.Purpose) { p.Validity = 0 })},
		{"validity", voice(func(p *cardea.Purpose) { p.Validity = -time.Hour })},
		{"validity", voice(func(p *cardea.Purpose) { p.Validity = 200 * 365 * 24 * time.Hour })},
		{"validity", voice(func(p *cardea.Purpose) { p.Validity += time.Millisecond })},
		{"devices", voice(func(p *cardea.Purpose) { p.Devices = nil })},
		{"facets", voice(func(p *cardea.Purpose) { p.Facets = nil })},
		{"data", voice(func(p *cardea.Purpose) { p.Data = nil })},
		{"facets", voice(func(p *cardea.Purpose) { p.Facets = append(p.Facets, p.Facets[0]) })},
		{"purpose/facet", voice(func(p *cardea.Purpose) { p.Facets = append(p.Facets, "gossip") })},
		{"legal_basis", voice(func(p *cardea.Purpose) { p.LegalBasis = "" })},
		{"retention", voice(func(p *cardea.Purpose) { p.Retention = "" })},
		{"relation", voice(func(p *cardea.Purpose) { p.Recipients[0].Relation = "friend" })},
		{"country", voice(func(p *cardea.Purpose) { p.Recipients[0].Country = "Germany" })},
		{"name", voice(func(p *cardea.Purpose) { p.Recipients[0].Name = "" })},
		{"texts.en", voice(func(p *cardea.Purpose) { p.Texts = nil })},
		{"title", voiceText(func(t *cardea.Text) { t.Title = "" })},
		{"what", voiceText(func(t *cardea.Text) { t.What = "" })},
		{"why", voiceText(func(t *cardea.Text) { t.Why = "" })},
		{"benefit", voiceText(func(t *cardea.Text) { t.Benefit = "" })},
		{"refusal", voiceText(func(t *cardea.Text) { t.Refusal = "" })},
		{"facets.sale", voiceText(func(t *cardea.Text) { delete(t.Facets, cardea.FacetSale) })},
		{"preference key", pref(func(d *cardea.PreferenceDef) { d.Key = "Mute" })},
		{"devices", pref(func(d *cardea.PreferenceDef) { d.Devices = nil })},
		{"titles", pref(func(d *cardea.PreferenceDef) { d.Titles = nil })},
		{"titles.en", pref(func(d *cardea.PreferenceDef) { d.Titles = map[string]string{"de": "Stumm"} })},
		{"default", pref(func(d *cardea.PreferenceDef) { d.Default = "" })},
		{"default", pref(func(d *cardea.PreferenceDef) { d.Default = "21" })},
		{"write it as false", pref(func(d *cardea.PreferenceDef) { d.Default = " false" })},
		{"default", pref(func(d *cardea.PreferenceDef) { d.Type = "odd" })},
		{"protective", pref(func(d *cardea.PreferenceDef) { d.Protective = "" })},
		{"write it as true", pref(func(d *cardea.PreferenceDef) { d.Protective = "true " })},
		{"protective", pref(func(d *cardea.PreferenceDef) { d.Privacy = false })},
		{"choices", pref(func(d *cardea.PreferenceDef) { d.Type, d.Default, d.Protective = cardea.TypeSet, "[]", "[]" })},
		{"choices", pref(func(d *cardea.PreferenceDef) { d.Type, d.Choices = cardea.TypeSet, []string{"a", "a"} })},
		{"choices", pref(func(d *cardea.PreferenceDef) { d.Type, d.Choices = cardea.TypeSet, []string{strings.Repeat("a", 1024)} })},
		{"facet", pref(func(d *cardea.PreferenceDef) { d.Purpose, d.Facet = "", cardea.FacetUse })},
		{"sync", pref(func(d *cardea.PreferenceDef) { d.Sync = "device_only" })},
		{"sync", pref(func(d *cardea.PreferenceDef) { d.Sync = cardea.SyncCloud })},
		{"validity", pref(func(d *cardea.PreferenceDef) { d.Validity = -time.Hour })},
		{"validity", pref(func(d *cardea.PreferenceDef) { d.Validity = time.Millisecond })},
		{"validity", pref(func(d *cardea.PreferenceDef) { d.Validity = time.Hour })},
		{"not in the catalogue", pref(func(d *cardea.PreferenceDef) { d.Purpose = "weather" })},
	} {
		cat := catalogue()
		c.change(cat)
		if err := cat.Validate(); !errors.Is(err, cardea.ErrInvalidCatalogue) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("want an error that names %s: %v", c.says, err)
		}
	}
}

func TestTerms(t *testing.T) {
	c := catalogue()
	c.Purposes[0].Version, c.Purposes[0].Staleness = 3, time.Minute
	got, ok := c.Terms("voice/sale")
	if !ok || got.Version != 3 || got.Class != cardea.ClassA || got.Staleness != time.Minute || got.Validity != year {
		t.Errorf("%+v, %t", got, ok)
	}
	if len(got.Required) != 1 || got.Required[0] != cardea.Owner {
		t.Errorf("required: %v", got.Required)
	}
	c.Purposes[0].Staleness = 0
	if got, _ = c.Terms("voice/use"); got.Staleness != time.Hour {
		t.Errorf("the class's staleness: %s", got.Staleness)
	}
	for _, key := range []cardea.Key{"", "voice", "voice/marketing", "weather/use"} {
		if got, ok := c.Terms(key); ok || len(got.Required) != 0 {
			t.Errorf("terms of %q, which is not asked: %+v", key, got)
		}
	}
}

func TestCatalogueFinds(t *testing.T) {
	c := catalogue()
	if p, ok := c.Purpose("billing"); !ok || p.ID != "billing" {
		t.Errorf("%+v, %t", p.ID, ok)
	}
	if d, ok := c.Preference("mute"); !ok || d.Key != "mute" {
		t.Errorf("%+v, %t", d.Key, ok)
	}
	if _, ok := c.Purpose(""); ok {
		t.Error("a purpose without a name")
	}
	if _, ok := c.Preference("voice"); ok {
		t.Error("a purpose found as a preference")
	}
}
