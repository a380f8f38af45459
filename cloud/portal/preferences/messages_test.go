package preferences_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/portal/portaltest"
)

// What is wanted is set topic by topic and medium by medium, with what counts
// until then marked.
func TestMessages(t *testing.T) {
	h := newHome(t)
	d := h.Get("/communication")
	d.MustSay("News", "E-mail", "On your phone", "Quiet hours", "Your time zone", "21:00 – 08:00", "Berlin")
	chosen := func(d *portaltest.Document, id string) (words string) {
		for b := range portaltest.Within(h.within(d, id), "button") {
			if portaltest.HasAttr(b, "aria-current") {
				words += portaltest.TextOf(b)
			}
		}
		return words
	}
	if got := chosen(d, "p-comm.email.news") + ", " + chosen(d, "p-comm.push.news"); got != "At most weekly, Never" {
		t.Errorf("at first: %s", got)
	}
	for _, c := range []struct {
		key   cardea.PreferenceKey
		words string
		typed []string
		want  cardea.Value
	}{
		{"comm.push.news", "Always", nil, `"each"`},
		{"comm.email.news", "Never", nil, `"off"`},
		{cardea.QuietHours, "Save", []string{"from", "22:00", "to", "07:00"}, `"22:00-07:00"`},
		{cardea.QuietHours, "All day", nil, `"00:00-24:00"`},
		{cardea.QuietZone, "New York", nil, `"America/New_York"`},
	} {
		d := h.Follow(h.press("/communication", "p-"+string(c.key), c.words, c.typed...))
		d.Check()
		if got := h.choice(c.key); got.Value != c.want || got.Source != cardea.ChannelPortal {
			t.Errorf("%s after %q: %s", c.key, c.words, got.Value)
		}
	}
	if got := chosen(h.Get("/communication"), "p-comm.push.news"); got != "Always" {
		t.Errorf("chosen, and shown as %q", got)
	}
}

// The page says whether the consent is given without which nothing is sent, and
// leads to where it is decided; a wish changes nothing about it.
func TestWishIsNoConsent(t *testing.T) {
	h := newHome(t)
	h.Follow(h.press("/communication", "p-comm.push.news", "Always"))
	d := h.Get("/communication")
	d.MustSay("You have not allowed this, so we send nothing", "May we send you offers?")
	leads := false
	for a := range portaltest.Within(h.within(d, "t-news"), "a") {
		leads = leads || portaltest.Attr(a, "href") == "/consents#c-offers-marketing"
	}
	if !leads || h.house.Standing(t, h.account, "offers/marketing").Given() {
		t.Error("the topic does not lead to its consent, or a wish has given it")
	}
	h.house.Decide(t, h.account, "offers/marketing", cardea.ActGrant, "", h.house.Head(t, h.account))
	h.Get("/communication").MustSay("You have allowed this")
}

func TestBadMessages(t *testing.T) {
	h := newHome(t)
	for _, c := range []struct {
		words, field, value string
		status              int
	}{
		{"Always", "value", "hourly", http.StatusUnprocessableEntity},
		{"Always", "value", strings.Repeat("x", 10<<10), http.StatusUnprocessableEntity},
		{"Always", "preference", "comm.pigeon.news", http.StatusNotFound},
		{"Always", "preference", "volume", http.StatusNotFound},
		{"Always", "preference", "", http.StatusNotFound},
		{"Always", "base", "", http.StatusForbidden},
	} {
		if d := h.press("/communication", "p-comm.push.news", c.words, c.field, c.value); d.Status != c.status {
			t.Errorf("%s = %.20q: status %d, want %d", c.field, c.value, d.Status, c.status)
		}
	}
	action, old := h.form(h.within(h.Get("/communication"), "p-comm.push.news"), "Always")
	h.Follow(h.press("/communication", "p-comm.push.news", "Never"))
	if d := h.Post(action, old); d.Status != http.StatusConflict || h.choice("comm.push.news").Value != `"off"` {
		t.Errorf("a wish that crossed a no: status %d, %s", d.Status, h.choice("comm.push.news").Value)
	}
}

// A brand that writes to nobody asks nothing.
func TestNothingToChoose(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	b.Register()
	b.Get("/communication").MustSay("We do not write to customers")
	if d := b.Post("/communication", b.Get("/preferences").Form("Save").Fields); d.Status != http.StatusNotFound {
		t.Errorf("status %d", d.Status)
	}
	h.Ledger.Catalogue.Replace(&cardea.Catalogue{Languages: []string{"en"}})
	b.Get("/preferences").MustSay("There is nothing to set")
}
