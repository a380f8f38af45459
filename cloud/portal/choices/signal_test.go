package choices_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/portal/portaltest"
)

// look opens a page as a browser that sends these fields.
func look(b *portaltest.Browser, path string, signal ...string) *portaltest.Document {
	b.T.Helper()
	r := httptest.NewRequest("GET", "http://cardea.test"+path, nil)
	for _, value := range signal {
		r.Header.Add("Sec-GPC", value)
	}
	return b.Do(r)
}

const passOn cardea.Key = "recommendations/third_party" // whose recipient pays

// TestBrowserThatAsksNotToSell: the signal stops selling and nothing else, is told
// once it is heard, and is answered only by a yes on a page that told of it.
func TestBrowserThatAsksNotToSell(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	account := b.Register()
	for _, key := range []cardea.Key{recommendations, passOn} {
		b.Tap(b.Get("/consents"), key, "", "Allow")
	}
	given := func(key cardea.Key) bool { t.Helper(); return h.Standing(t, account, key).Given() }

	d := look(b, "/devices", "1") // wherever it comes first
	d.Check()
	if given(passOn) || !given(recommendations) {
		t.Fatalf("after the signal: passing on %v, use %v", given(passOn), given(recommendations))
	}
	d = look(b, "/consents", "1")
	d.Check()
	d.MustSay("We honour this opt-out", "Off because your browser asks us not to sell or share. A yes here counts all the same.")
	if portaltest.Value(d.Facet(passOn, ""), "signal") == "" || portaltest.Value(d.Facet(recommendations, ""), "signal") != "" {
		t.Error("a form does not say what its page told of the signal")
	}
	before := len(portaltest.Items(b.Get("/history")))
	look(b, "/consents", "1")
	if n := len(portaltest.Items(b.Get("/history"))); n != before {
		t.Errorf("heard again it is recorded again: %d entries, before %d", n, before)
	}

	b.Follow(b.Send(d.Facet(passOn, ""), "Allow"))
	look(b, "/consents", "1").MustSay("You allowed it though your browser asks us not to.")
	if !given(passOn) {
		t.Error("a yes in spite of the signal does not stand")
	}
	b.Tap(b.Get("/consents"), passOn, "", "Don’t allow")
	b.Tap(b.Get("/consents"), passOn, "", "Allow") // the page said nothing of a signal
	if look(b, "/consents", "1"); given(passOn) {
		t.Error("a yes that was not asked about the signal stands against it")
	}
	b.Get("/history").MustSay("said by your browser, which asks not to sell or share")
}

// TestSignalsThatAreNone: only the one value, once, counts, and only of an owner
// who is signed in.
func TestSignalsThatAreNone(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	account := b.Register()
	b.Tap(b.Get("/consents"), passOn, "", "Allow")
	for _, fields := range [][]string{nil, {""}, {"0"}, {"true"}, {"1, 1"}, {"1", "1"}, {"1", "0"}, {" 1x"}} {
		if d := look(b, "/consents", fields...); strings.Contains(d.Text, "opt-out") || !h.Standing(t, account, passOn).Given() {
			t.Fatalf("heard %q", fields)
		}
	}
	look(h.Browser(t), "/signin", "1")
	if !h.Standing(t, account, passOn).Given() {
		t.Error("a stranger's browser stopped something")
	}
	look(b, "/consents", "1")
	if h.Standing(t, account, passOn).Given() {
		t.Error("the signal itself is not heard")
	}
}
