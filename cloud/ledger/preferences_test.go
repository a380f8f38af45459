package ledger_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/store/accountdb"
)

var kitchen = cardea.Scope{Device: cardea.DeviceID(strings.Repeat("A", 43))}

// prefer sets a preference having seen everything.
func (d *desk) prefer(channel cardea.Channel, scope cardea.Scope, key cardea.PreferenceKey, value cardea.Value) cardea.Rejected {
	d.Helper()
	return d.take(channel, scope, cardea.Decision{
		Event: cardea.NewID[cardea.EventID](), Act: cardea.ActPrefer, Preference: key, Value: value, Base: d.page().Head,
	})
}

func (d *desk) choice(key cardea.PreferenceKey) ledger.PreferenceChoice {
	d.Helper()
	for _, c := range d.page().Preferences {
		if c.Def.Key == key {
			return c
		}
	}
	d.Fatalf("the page has no %s", key)
	return ledger.PreferenceChoice{}
}

// told is what the account's first device would be told of a preference.
func (d *desk) told(key cardea.PreferenceKey) (p cardea.Preference, there bool) {
	d.Helper()
	err := d.ledger.DB.View(d.Context(), func(tx *accountdb.Tx) error {
		links, err := tx.Links(d.account.ID)
		if err != nil {
			return err
		}
		cat, _ := d.ledger.Catalogue.Current()
		body, err := d.ledger.Body(tx, cat, links[0])
		for _, told := range body.Preferences {
			if told.Key == key {
				p, there = told, true
			}
		}
		return err
	})
	if err != nil {
		d.Fatal(err)
	}
	return p, there
}

// amend changes the definition of a preference.
func (d *desk) amend(key cardea.PreferenceKey, change func(*cardea.PreferenceDef)) {
	d.Helper()
	cat, _ := d.ledger.Catalogue.Current()
	next := *cat
	next.Preferences = append([]cardea.PreferenceDef(nil), cat.Preferences...)
	for i := range next.Preferences {
		if next.Preferences[i].Key == key {
			change(&next.Preferences[i])
		}
	}
	d.ledger.Catalogue.Replace(&next)
}

// A preference set for one device holds there, and giving it back makes the
// device follow the account again.
func TestSetForOneDevice(t *testing.T) {
	d := newDesk(t)
	link(d)
	d.prefer(cardea.ChannelPortal, cardea.Scope{}, "voice_speed", "120")
	if r := d.prefer(cardea.ChannelPortal, kitchen, "voice_speed", "80"); r != "" {
		t.Fatal(r)
	}
	c := d.choice("voice_speed")
	if c.Value != "120" || len(c.On) != 1 || c.On[0].Name != "Kitchen" || c.On[0].Value != "80" || !c.On[0].Apart || c.On[0].Held {
		t.Errorf("%+v", c)
	}
	if p, _ := d.told("voice_speed"); p.Value != "80" || p.Source != cardea.ChannelPortal || p.Since == 0 {
		t.Errorf("the device is told %+v", p)
	}
	if r := d.prefer(cardea.ChannelPortal, kitchen, "voice_speed", ""); r != "" {
		t.Fatal(r)
	}
	if c := d.choice("voice_speed"); c.On[0].Apart || c.On[0].Value != "120" {
		t.Errorf("given back: %+v", c.On[0])
	}
	if r := d.prefer(cardea.ChannelPortal, cardea.Scope{}, "voice_speed", ""); r != "" {
		t.Fatal(r)
	}
	if c := d.choice("voice_speed"); c.Value != "100" || c.Source != "" || c.Since != 0 {
		t.Errorf("the default: %+v", c.Preference)
	}
}

// Giving back is a decision: one event is one, and who has not seen the value
// does not take it away.
func TestGivingBackIsADecision(t *testing.T) {
	d := newDesk(t)
	link(d)
	old := d.page().Head
	d.prefer(cardea.ChannelPortal, kitchen, "voice_speed", "80")
	back := cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActPrefer, Preference: "voice_speed", Base: old}
	if r := d.take(cardea.ChannelPortal, kitchen, back); r != cardea.RejectedConflict {
		t.Errorf("by somebody who had not seen the value: %q", r)
	}
	back.Base = d.page().Head
	for range 2 {
		if r := d.take(cardea.ChannelPortal, kitchen, back); r != "" {
			t.Error(r)
		}
	}
	back.Value = "90"
	if _, err := d.ledger.Decide(t.Context(), d.account.ID, cardea.ChannelPortal, kitchen, back); !errors.Is(err, ledger.ErrReused) {
		t.Errorf("the same event with a value: %v", err)
	}
	if seq := d.page().Head.Seq; seq != 2+old.Seq {
		t.Errorf("%d entries, want 2", seq-old.Seq)
	}
}

// The most protective value of any scope holds, and the page says where.
func TestPrivacyAcrossScopes(t *testing.T) {
	d := newDesk(t)
	link(d)
	d.prefer(cardea.ChannelPortal, kitchen, "microphone_off", "false")
	d.prefer(cardea.ChannelPortal, cardea.Scope{}, "microphone_off", "true")
	c := d.choice("microphone_off")
	if p, _ := d.told("microphone_off"); p.Value != "true" || c.On[0].Value != "true" || !c.On[0].Held || c.On[0].Apart {
		t.Errorf("off everywhere, on here: the device is told %s, the page says %+v", p.Value, c.On[0])
	}
	d.prefer(cardea.ChannelPortal, cardea.Scope{}, "microphone_off", "false")
	d.prefer(cardea.ChannelDevice, kitchen, "microphone_off", "true")
	c = d.choice("microphone_off")
	if p, _ := d.told("microphone_off"); p.Value != "true" || c.Value != "false" || !c.On[0].Apart {
		t.Errorf("on everywhere, off here: the device is told %s, the page says %+v", p.Value, c.On[0])
	}
	if r := d.prefer(cardea.ChannelBrand, kitchen, "microphone_off", ""); r != cardea.RejectedConfirm {
		t.Errorf("the brand gives protection back: %q", r)
	}
	if r := d.prefer(cardea.ChannelPortal, kitchen, "microphone_off", ""); r != "" {
		t.Error(r)
	}
	if p, _ := d.told("microphone_off"); p.Value != "false" {
		t.Errorf("given back: the device is told %s", p.Value)
	}
}

func TestBadPreferences(t *testing.T) {
	d := newDesk(t)
	link(d)
	for value, want := range map[cardea.Value]cardea.Rejected{
		`["world","local"]`: "", `[]`: "",
		`["local","local"]`: cardea.RejectedValue, `["gossip"]`: cardea.RejectedValue, `"local"`: cardea.RejectedValue, `[1]`: cardea.RejectedValue,
		`{}`: cardea.RejectedValue, `null`: cardea.RejectedValue, cardea.Value(`["` + strings.Repeat("x", 10<<10) + `"]`): cardea.RejectedValue,
	} {
		if r := d.prefer(cardea.ChannelPortal, cardea.Scope{}, "news_topics", value); r != want {
			t.Errorf("%.40s: %q, want %q", value, r, want)
		}
	}
	d.prefer(cardea.ChannelPortal, cardea.Scope{}, "news_topics", ` [ "world", "local" ] `)
	if p, _ := d.told("news_topics"); p.Value != `["local","world"]` {
		t.Errorf("a set is told as %s", p.Value)
	}
	if r := d.prefer(cardea.ChannelPortal, cardea.Scope{}, "no_such", "1"); r != cardea.RejectedUnknown {
		t.Errorf("what the catalogue does not have: %q", r)
	}
}

// Two pages, or a page and a device, that set the same thing without having seen
// each other: the first stands, the second is told.
func TestTwoTabsAtOnce(t *testing.T) {
	d := newDesk(t)
	link(d)
	base := d.page().Head
	say := func(channel cardea.Channel, scope cardea.Scope, value cardea.Value) cardea.Rejected {
		return d.take(channel, scope, cardea.Decision{
			Event: cardea.NewID[cardea.EventID](), Act: cardea.ActPrefer, Preference: "news_topics", Value: value, Base: base,
		})
	}
	if r := say(cardea.ChannelPortal, cardea.Scope{}, `["sport"]`); r != "" {
		t.Error(r)
	}
	for _, channel := range []cardea.Channel{cardea.ChannelPortal, cardea.ChannelDevice, cardea.ChannelBrand} {
		if r := say(channel, cardea.Scope{}, `["world"]`); r != cardea.RejectedConflict {
			t.Errorf("through %s, not knowing of it: %q", channel, r)
		}
	}
	if r := say(cardea.ChannelDevice, kitchen, `["world"]`); r != "" {
		t.Errorf("for the device alone, where nothing stood: %q", r)
	}
	if c := d.choice("news_topics"); c.Value != `["sport"]` || c.On[0].Value != `["world"]` {
		t.Errorf("%+v", c)
	}
}

// A value whose time is over is gone wherever it is read, and what was below it
// stands.
func TestExpiredValueIsGone(t *testing.T) {
	d := newDesk(t)
	link(d)
	d.prefer(cardea.ChannelPortal, cardea.Scope{}, "guest_playlists", "true")
	p, _ := d.told("guest_playlists")
	if p.Value != "true" || p.ValidUntil != p.Since.Add(7*24*time.Hour) {
		t.Errorf("told %+v", p)
	}
	d.amend("guest_playlists", func(def *cardea.PreferenceDef) { def.Validity = time.Nanosecond })
	if p, _ := d.told("guest_playlists"); p.Value != "false" || p.Source != "" {
		t.Errorf("told %+v when it is over", p)
	}
	if c := d.choice("guest_playlists"); c.Value != "false" {
		t.Errorf("the page shows %s when it is over", c.Value)
	}
}

// What only the cloud sets, a device does not.
func TestCloudToDevice(t *testing.T) {
	d := newDesk(t)
	link(d)
	d.amend("voice_speed", func(def *cardea.PreferenceDef) { def.Sync = cardea.SyncCloud })
	for _, c := range []struct {
		channel cardea.Channel
		scope   cardea.Scope
		want    cardea.Rejected
	}{
		{cardea.ChannelDevice, cardea.Scope{}, cardea.RejectedConfirm},
		{cardea.ChannelDevice, kitchen, cardea.RejectedConfirm},
		{cardea.ChannelPortal, kitchen, ""},
		{cardea.ChannelBrand, cardea.Scope{}, ""},
	} {
		if r := d.prefer(c.channel, c.scope, "voice_speed", "90"); r != c.want {
			t.Errorf("through %s: %q, want %q", c.channel, r, c.want)
		}
	}
}

// A preference that a newer catalogue had, and an older one has not, is kept: it
// is there again with the catalogue.
func TestUnknownPreferenceIsKept(t *testing.T) {
	d := newDesk(t)
	link(d)
	d.prefer(cardea.ChannelPortal, cardea.Scope{}, "news_topics", `["sport"]`)
	newer, _ := d.ledger.Catalogue.Current()
	older := *newer
	older.Preferences = older.Preferences[:1]
	d.ledger.Catalogue.Replace(&older)
	if p, there := d.told("news_topics"); there {
		t.Errorf("told %+v", p)
	}
	d.ledger.Catalogue.Replace(newer)
	if p, _ := d.told("news_topics"); p.Value != `["sport"]` {
		t.Errorf("told %+v", p)
	}
}

// An identifier of a partner is a preference under the facet that names the
// partner: it is on a device while that is given, and in no statement after.
func TestPartnerIdentifier(t *testing.T) {
	d := newDesk(t)
	link(d)
	cat, _ := d.ledger.Catalogue.Current()
	next := *cat
	next.Preferences = append(next.Preferences[:len(next.Preferences):len(next.Preferences)], cardea.PreferenceDef{
		Key: "music_service.member", Type: cardea.TypeString, Default: `""`, Purpose: "recommendations", Facet: cardea.FacetThirdParty,
		Devices: []cardea.DeviceKind{"speaker"}, Titles: map[string]string{"en": "Your number at the music service"},
	})
	d.ledger.Catalogue.Replace(&next)
	d.prefer(cardea.ChannelPortal, cardea.Scope{}, "music_service.member", `"M-1234"`)
	d.take(cardea.ChannelPortal, cardea.Scope{}, d.grant("recommendations/use"))
	if p, there := d.told("music_service.member"); there {
		t.Errorf("without the partner's facet a device is told %+v", p)
	}
	if c := d.choice("music_service.member"); !c.Idle {
		t.Error("the page does not say that it is nowhere in force")
	}
	d.take(cardea.ChannelPortal, cardea.Scope{}, d.grant("recommendations/third_party"))
	if p, _ := d.told("music_service.member"); p.Value != `"M-1234"` || p.Under != "recommendations/third_party" || p.Source != cardea.ChannelPortal {
		t.Errorf("told %+v", p)
	}
	d.take(cardea.ChannelPortal, cardea.Scope{}, cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActDeny, Key: "recommendations/third_party"})
	if p, there := d.told("music_service.member"); there {
		t.Errorf("after the no a device is told %+v", p)
	}
}

// The brand reads by purpose: what its consent is not given for is absent.
func TestPreferencesForTheBrand(t *testing.T) {
	d := newDesk(t)
	read := func(purpose cardea.PurposeID) []cardea.Preference {
		t.Helper()
		list, err := d.ledger.Preferences(t.Context(), d.account.Subject, purpose)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	for _, p := range read("") {
		if p.Under != "" {
			t.Errorf("without a purpose: %+v", p)
		}
	}
	if got := read("offers"); len(got) != 0 {
		t.Errorf("before the consent: %+v", got)
	}
	d.take(cardea.ChannelPortal, cardea.Scope{}, d.grant("offers/use"))
	d.prefer(cardea.ChannelPortal, cardea.Scope{}, "ads_personalised", "true")
	if got := read("offers"); len(got) != 1 || got[0].Value != "true" || got[0].Under != "offers/use" || got[0].Source != cardea.ChannelPortal || got[0].Since == 0 {
		t.Errorf("with the consent: %+v", got)
	}
	d.take(cardea.ChannelPortal, cardea.Scope{}, cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActDeny, Key: "offers/use"})
	if got := read("offers"); len(got) != 0 {
		t.Errorf("after it was taken back: %+v", got)
	}
	if _, err := d.ledger.Preferences(t.Context(), "nobody", ""); !errors.Is(err, accountdb.ErrNotFound) {
		t.Errorf("of nobody: %v", err)
	}
}
