package preferences_test

import (
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/catalogue"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/cloud/portal/portaltest"
)

// more is what the tests of the room ask beyond what all tests do.
const more = `
  - id: offers
    version: 1
    devices: [speaker]
    class: B
    validity: 8760h
    legal_basis: consent
    data: [e-mail address]
    recipients: []
    retention: 1 year
    countries: []
    facets: [use, marketing]
    texts:
      en:
        title: Offers
        what: Your address.
        why: To tell you what is new.
        benefit: You hear of it.
        refusal: You hear nothing.
        facets:
          use: May we choose offers for you?
          marketing: May we send you offers?
preferences:
  - {key: genres, type: set, choices: [jazz, rock, folk], default: [jazz], devices: [speaker], titles: {en: Music you like}, words: {en: {folk: Folk music}}}
  - {key: night, type: hours, default: "", devices: [speaker], titles: {en: Quiet at night}}
  - {key: language, type: enum, choices: [en, de, ko, fr, nl, sv], default: en, devices: [speaker], titles: {en: Language}}
  - {key: party, type: bool, default: false, devices: [speaker], validity: 24h, titles: {en: Party mode}}
  - {key: choosy, type: bool, default: false, devices: [speaker], purpose: offers, titles: {en: Choose offers to fit}}
`

const communication = `
communication:
  channels:
    - {key: email, any_hour: true, titles: {en: E-mail}}
    - {key: push, titles: {en: On your phone}}
  topics:
    - {key: news, consent: offers/marketing, often: [weekly, each], defaults: {email: weekly}, titles: {en: News}}
  quiet: {hours: "21:00-08:00", zones: [Europe/Berlin, America/New_York], titles: {en: Quiet hours}, zone_titles: {en: Your time zone}}
`

// A home is an owner's browser in a house that asks more, with two speakers
// and a car.
type home struct {
	*portaltest.Browser
	t       *testing.T
	house   *portaltest.House
	account cardea.AccountID
	kitchen hub.Device
}

func newHome(t *testing.T) *home {
	h := portaltest.Open(t)
	cat, err := catalogue.Parse([]byte(strings.Replace(portaltest.Catalogue, "\npreferences:\n", more, 1) + communication))
	if err != nil {
		t.Fatal(err)
	}
	h.Ledger.Catalogue.Replace(cat)
	b := h.Browser(t)
	home := &home{Browser: b, t: t, house: h, account: b.Register()}
	home.kitchen = h.Link(t, home.account, portaltest.HubDevice("Kitchen"))
	h.Link(t, home.account, portaltest.HubDevice("Bedroom"))
	car := portaltest.HubDevice("Car")
	car.Kind = "car"
	h.Link(t, home.account, car)
	return home
}

// choice is what stands of a preference.
func (h *home) choice(key cardea.PreferenceKey) ledger.PreferenceChoice {
	h.t.Helper()
	page, err := h.house.Ledger.Page(h.t.Context(), h.account, "en")
	if err != nil {
		h.t.Fatal(err)
	}
	written, err := h.house.Ledger.Communication(h.t.Context(), h.account, "en")
	if err != nil {
		h.t.Fatal(err)
	}
	all := append(page.Preferences, written.Quiet, written.Zone)
	for _, topic := range written.Topics {
		for _, w := range topic.Wishes {
			all = append(all, w.PreferenceChoice)
		}
	}
	for _, c := range all {
		if c.Def.Key == key {
			return c
		}
	}
	h.t.Fatalf("there is no %s", key)
	return ledger.PreferenceChoice{}
}

// on is what stands of a preference in the kitchen.
func (h *home) on(key cardea.PreferenceKey) ledger.PlaceChoice {
	h.t.Helper()
	for _, on := range h.choice(key).On {
		if on.Device == h.kitchen.Device {
			return on
		}
	}
	h.t.Fatalf("the kitchen has no %s", key)
	return ledger.PlaceChoice{}
}

// within is what a page shows of a preference, everywhere or on a device.
func (h *home) within(d *portaltest.Document, id string) *html.Node {
	h.t.Helper()
	n := d.Find(id)
	if n == nil {
		h.t.Fatalf("the page has no %s:\n%s", id, d.Text)
	}
	return n
}

// form is the fields of the form with a button, and where it goes. Of several
// the first.
func (h *home) form(n *html.Node, words string) (action string, fields url.Values) {
	h.t.Helper()
	for f := range portaltest.Within(n, "form") {
		for b := range portaltest.Within(f, "button") {
			if portaltest.TextOf(b) != words {
				continue
			}
			fields = url.Values{}
			for in := range portaltest.Within(f, "input") {
				fields.Set(portaltest.Attr(in, "name"), portaltest.Attr(in, "value"))
			}
			if name := portaltest.Attr(b, "name"); name != "" {
				fields.Set(name, portaltest.Attr(b, "value"))
			}
			return portaltest.Attr(f, "action"), fields
		}
	}
	h.t.Fatalf("no button %q in %s", words, portaltest.TextOf(n))
	return "", nil
}

// press opens a page, types into one setting and presses a button of it.
func (h *home) press(page, id, words string, typed ...string) *portaltest.Document {
	h.t.Helper()
	action, fields := h.form(h.within(h.Get(page), id), words)
	for i := 0; i+1 < len(typed); i += 2 {
		fields.Set(typed[i], typed[i+1])
	}
	return h.Post(action, fields)
}

// apart is the id of a setting on the kitchen's device.
func (h *home) apart(key string) string { return "p-" + key + "-" + string(h.kitchen.Device)[:8] }
