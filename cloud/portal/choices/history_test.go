package choices_test

import (
	"strings"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/portal/portaltest"
)

func TestHistory(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	account := b.Register()
	b.Get("/history").MustSay("You have decided nothing yet")
	speaker := h.Link(t, account, portaltest.HubDevice("Kitchen"))
	h.Decide(t, account, "recommendations/use", cardea.ActGrant, "", h.Head(t, account))
	h.Decide(t, account, "recommendations/use", cardea.ActDeny, speaker.Device, h.Head(t, account))
	h.Decide(t, account, "recommendations/use", cardea.ActDeny, "", h.Head(t, account))
	page := b.Get("/history")
	cat, _ := h.Ledger.Catalogue.Current()
	purpose, _ := cat.Purpose("recommendations")
	text := purpose.Texts["en"]
	for i, want := range [][]string{
		{"You said no: " + text.Title, "On all your devices, said on these pages"},
		{"You said no: " + text.Title, "On Kitchen only"},
		{"You said yes: " + text.Title, text.Facets["use"], "What you read", text.Why, text.Benefit, text.Refusal},
	} {
		for _, words := range want {
			if got := portaltest.Items(page)[i]; !strings.Contains(got, words) {
				t.Errorf("%d: %q is not in %q", i, words, got)
			}
		}
	}
}

// A yes keeps the words it was given for, and a no those it was said to, whatever
// the notice says today.
func TestHistoryKeepsTheWords(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	account := b.Register()
	cat, _ := h.Ledger.Catalogue.Current()
	purpose, _ := cat.Purpose("recommendations")
	before := purpose.Texts["en"].Why
	h.Decide(t, account, "recommendations/use", cardea.ActGrant, "", h.Head(t, account))
	b.Tap(b.Get("/consents"), "recommendations/third_party", "", "Don’t allow")

	next := *cat
	next.Purposes = append([]cardea.Purpose(nil), cat.Purposes...)
	for i := range next.Purposes {
		if p := &next.Purposes[i]; p.ID == "recommendations" {
			next.Former = append(next.Former, *p)
			words := p.Texts["en"]
			words.Why = "For something else altogether."
			p.Version, p.Change, p.Texts = p.Version+1, cardea.ChangeNotify, map[string]cardea.Text{"en": words}
		}
	}
	h.Ledger.Catalogue.Replace(&next)
	got := portaltest.Items(b.Get("/history"))
	if len(got) != 2 {
		t.Fatalf("the history says %q", got)
	}
	for _, said := range got {
		if !strings.Contains(said, before) || strings.Contains(said, "something else") {
			t.Errorf("the history says %q, want %q in it", said, before)
		}
	}
}

// Long histories come in pages, each decision once.
func TestHistoryInPages(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	account := b.Register()
	for range 120 {
		h.Decide(t, account, "recommendations/use", cardea.ActDeny, "", cardea.Position{})
	}
	seen, path := 0, "/history"
	for pages := 0; path != "" && pages < 10; pages++ {
		d := b.Get(path)
		seen, path = seen+len(portaltest.Items(d)), ""
		for a := range d.All("a") {
			if portaltest.TextOf(a) == "Older" {
				path = portaltest.Attr(a, "href")
			}
		}
	}
	if seen != 120 {
		t.Errorf("saw %d of 120", seen)
	}
	for _, bad := range []string{"-1", "x", "99999999999999999999", "1"} {
		if d := b.Get("/history?below=" + bad); d.Status != 200 {
			t.Errorf("below=%s: status %d", bad, d.Status)
		}
	}
	other := h.Browser(t)
	d := other.Press(other.Get("/register"), "Create account", "email", "eve@example.com", "password", portaltest.Password)
	if d.Status != 303 || len(portaltest.Items(other.Get("/history?below=100"))) != 0 {
		t.Error("somebody else sees it")
	}
}
