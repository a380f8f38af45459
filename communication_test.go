package cardea_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
)

// writing is a catalogue under which the brand may write.
func writing() *cardea.Catalogue {
	cat, title := catalogue(), map[string]string{"en": "It"}
	cat.Purposes = append(cat.Purposes, purpose("offers", cardea.ClassB, cardea.FacetUse, cardea.FacetMarketing))
	cat.Communication = cardea.Communication{
		Media: []cardea.Medium{{Key: "email", AnyHour: true, Titles: title}, {Key: "push", Titles: title}},
		Topics: []cardea.Topic{{
			Key: "offers", Consent: "offers/marketing", Often: []cardea.Frequency{cardea.Each, cardea.Weekly},
			Defaults: map[string]cardea.Frequency{"email": cardea.Weekly}, Titles: title,
		}},
		Quiet: cardea.Quiet{Hours: "21:00-08:00", Zones: []string{"Asia/Seoul", "Europe/Berlin"}, Titles: title, ZoneTitles: title},
	}
	return cat
}

func TestCommunicationGood(t *testing.T) {
	for name, change := range map[string]func(*cardea.Communication){
		"as it is":       func(*cardea.Communication) {},
		"nothing":        func(c *cardea.Communication) { *c = cardea.Communication{} },
		"no quiet hours": func(c *cardea.Communication) { c.Quiet.Hours = "" },
		"no defaults":    func(c *cardea.Communication) { c.Topics[0].Defaults = nil },
		"one name":       func(c *cardea.Communication) { c.Topics[0].Key = "push" },
	} {
		cat := writing()
		change(&cat.Communication)
		if err := cat.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCommunicationBad(t *testing.T) {
	for _, c := range []struct {
		says   string
		change func(*cardea.Communication)
	}{
		{"channels", func(c *cardea.Communication) { c.Media = nil }},
		{"topics", func(c *cardea.Communication) { c.Topics = nil }},
		{"at most 20", func(c *cardea.Communication) { c.Media[0].Key = strings.Repeat("m", 21) }},
		{"lower-case", func(c *cardea.Communication) { c.Topics[0].Key = "a.b" }},
		{"twice", func(c *cardea.Communication) { c.Media[1].Key = "email" }},
		{"twice", func(c *cardea.Communication) { c.Topics = append(c.Topics, c.Topics[0]) }},
		{"titles.en", func(c *cardea.Communication) { c.Media[0].Titles = nil }},
		{"titles.en", func(c *cardea.Communication) { c.Topics[0].Titles = nil }},
		{"not asked", func(c *cardea.Communication) { c.Topics[0].Consent = "weather/marketing" }},
		{"not asked", func(c *cardea.Communication) { c.Topics[0].Consent = "billing/use" }},
		{"marketing", func(c *cardea.Communication) { c.Topics[0].Consent = "offers/use" }},
		{"often", func(c *cardea.Communication) { c.Topics[0].Often = nil }},
		{"often", func(c *cardea.Communication) { c.Topics[0].Often = []cardea.Frequency{cardea.Off} }},
		{"often", func(c *cardea.Communication) { c.Topics[0].Often = []cardea.Frequency{"hourly"} }},
		{"not offered", func(c *cardea.Communication) { c.Topics[0].Defaults["email"] = cardea.Daily }},
		{"not offered", func(c *cardea.Communication) { c.Topics[0].Defaults["pigeon"] = cardea.Weekly }},
		{"quiet.hours", func(c *cardea.Communication) { c.Quiet.Hours = "at night" }},
		{"quiet.zones", func(c *cardea.Communication) { c.Quiet.Zones = nil }},
		{"quiet.titles.en", func(c *cardea.Communication) { c.Quiet.Titles = nil }},
		{"quiet.zone_titles.en", func(c *cardea.Communication) { c.Quiet.ZoneTitles = nil }},
	} {
		cat := writing()
		c.change(&cat.Communication)
		if err := cat.Validate(); !errors.Is(err, cardea.ErrInvalidCatalogue) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("want an error that names %s: %v", c.says, err)
		}
	}
	cat := writing()
	cat.Preferences[0].Key = "comm.email.offers"
	if err := cat.Validate(); err == nil || !strings.Contains(err.Error(), "communication") {
		t.Errorf("a preference with the name of a wish: %v", err)
	}
}

// A wish is a privacy preference: never is what protects.
func TestWishes(t *testing.T) {
	cat := writing()
	d, ok := cat.Preference("comm.email.offers")
	if !ok || d.Default != `"weekly"` || !d.Protects(`"off"`) || d.Protects(`"weekly"`) || d.Titles["en"] == "" {
		t.Errorf("%+v, %t", d, ok)
	}
	if d, _ := cat.Preference("comm.push.offers"); d.Default != `"off"` {
		t.Errorf("what has no default is %s", d.Default)
	}
	for _, v := range []string{`"off"`, `"weekly"`, `"each"`} {
		if _, err := d.Parse(v); err != nil {
			t.Error(err)
		}
	}
	if _, err := d.Parse(`"daily"`); err == nil {
		t.Error("a frequency that is not offered can be chosen")
	}
	if d, ok := cat.Preference(cardea.QuietHours); !ok || !d.Protects(`"00:00-24:00"`) || d.Default != `"21:00-08:00"` {
		t.Errorf("quiet hours: %+v", d)
	}
	if d, ok := cat.Preference(cardea.QuietZone); !ok || d.Default != `"Asia/Seoul"` {
		t.Errorf("their zone: %+v", d)
	}
	for _, key := range []cardea.PreferenceKey{"comm.pigeon.offers", "comm.email.weather", "comm.email", "comm."} {
		if d, ok := cat.Preference(key); ok {
			t.Errorf("%s is defined: %+v", key, d)
		}
	}
	if _, ok := catalogue().Preference(cardea.QuietHours); ok {
		t.Error("who writes to nobody asks for quiet hours")
	}
}

func TestMaySend(t *testing.T) {
	seoul, err := time.LoadLocation("Asia/Seoul")
	if err != nil {
		t.Fatal(err)
	}
	at := func(text string) time.Time {
		if text == "" {
			return time.Time{}
		}
		when, err := time.ParseInLocation("01-02 15:04", text, seoul)
		if err != nil {
			t.Fatal(err)
		}
		return when.AddDate(2026, 0, 0)
	}
	night, _ := cardea.ParseHours("21:00-08:00")
	given := cardea.Consent{Reason: cardea.ReasonGranted, ValidUntil: cardea.MillisOf(at("12-01 00:00"))}
	for name, c := range map[string]struct {
		consent   cardea.Consent
		medium    string
		often     cardea.Frequency
		quiet     cardea.Hours
		at, last  string
		send      bool
		reason    cardea.SendReason
		notBefore string
	}{
		"by day":                      {given, "push", cardea.Each, night, "05-04 12:00", "", true, cardea.SendWanted, ""},
		"by night":                    {given, "push", cardea.Each, night, "05-04 23:00", "", false, cardea.SendQuiet, "05-05 08:00"},
		"what wakes nobody, by night": {given, "email", cardea.Each, night, "05-04 23:00", "", true, cardea.SendWanted, ""},
		"no quiet hours":              {given, "push", cardea.Each, cardea.Hours{}, "05-04 23:00", "", true, cardea.SendWanted, ""},
		"quiet all day":               {given, "push", cardea.Each, cardea.AllDay, "05-04 12:00", "", false, cardea.SendQuiet, ""},
		"too soon":                    {given, "push", cardea.Weekly, night, "05-04 12:00", "05-01 12:00", false, cardea.SendTooSoon, "05-08 12:00"},
		"too soon, and then quiet":    {given, "push", cardea.Weekly, night, "05-04 12:00", "05-01 22:00", false, cardea.SendTooSoon, "05-09 08:00"},
		"a week later":                {given, "push", cardea.Weekly, night, "05-08 12:00", "05-01 12:00", true, cardea.SendWanted, ""},
		"a day later":                 {given, "push", cardea.Daily, night, "05-02 12:00", "05-01 12:00", true, cardea.SendWanted, ""},
		"a month later":               {given, "push", cardea.Monthly, night, "05-31 11:59", "05-01 12:00", false, cardea.SendTooSoon, "05-31 12:00"},
		"not wanted":                  {given, "push", cardea.Off, night, "05-04 12:00", "", false, cardea.SendOff, ""},
		"never said":                  {given, "push", "", night, "05-04 12:00", "", false, cardea.SendOff, ""},
		"wanted, but no consent":      {cardea.Consent{Reason: cardea.ReasonNotAsked}, "push", cardea.Each, night, "05-04 12:00", "", false, cardea.SendNoConsent, ""},
		"wanted, but withdrawn":       {cardea.Consent{Reason: cardea.ReasonWithdrawn}, "push", cardea.Each, night, "05-04 12:00", "", false, cardea.SendNoConsent, ""},
		"wanted, but the yes is over": {given, "push", cardea.Each, night, "12-01 12:00", "", false, cardea.SendNoConsent, ""},
		"not wanted, and no consent":  {cardea.Consent{Reason: cardea.ReasonRefused}, "push", cardea.Off, night, "05-04 12:00", "", false, cardea.SendNoConsent, ""},
		"a last one that is to come":  {given, "push", cardea.Each, night, "05-04 12:00", "05-04 13:00", false, cardea.SendTooSoon, "05-04 13:00"},
	} {
		m, _ := writing().Communication.Medium(c.medium)
		got := m.MaySend(c.consent, cardea.Wishes{Frequency: c.often, Quiet: c.quiet, Zone: seoul}, at(c.at), at(c.last))
		if got.Send != c.send || got.Reason != c.reason || !got.NotBefore.Equal(at(c.notBefore)) {
			t.Errorf("%s: %+v, want %t, %s, %s", name, got, c.send, c.reason, c.notBefore)
		}
	}
}

func TestCategories(t *testing.T) {
	good := func() *cardea.Catalogue {
		cat := catalogue()
		for _, data := range cat.Purposes[0].Data {
			cat.Categories = append(cat.Categories, cardea.Category{Data: data, Group: cardea.DataBehavioural, DPV: "pd:Behavioural"})
		}
		return cat
	}
	cat := good()
	if err := cat.Validate(); err != nil {
		t.Fatal(err)
	}
	if c, ok := cat.Category(cat.Purposes[0].Data[0]); !ok || c.Group != cardea.DataBehavioural {
		t.Errorf("%+v, %t", c, ok)
	}
	if _, ok := cat.Category("the weather"); ok {
		t.Error("what no purpose names is registered")
	}
	for says, change := range map[string]func(*cardea.Catalogue){
		"twice":            func(c *cardea.Catalogue) { c.Categories = append(c.Categories, c.Categories[0]) },
		"group":            func(c *cardea.Catalogue) { c.Categories[0].Group = "secret" },
		"pd:EmailAddress":  func(c *cardea.Catalogue) { c.Categories[0].DPV = "EmailAddress" },
		"dpv is a concept": func(c *cardea.Catalogue) { c.Categories[0].DPV = "pd:E mail" },
		"not among the":    func(c *cardea.Catalogue) { c.Purposes[0].Data = append(c.Purposes[0].Data, "the weather") },
	} {
		cat := good()
		change(cat)
		if err := cat.Validate(); !errors.Is(err, cardea.ErrInvalidCatalogue) || !strings.Contains(err.Error(), says) {
			t.Errorf("want an error that names %s: %v", says, err)
		}
	}
}
