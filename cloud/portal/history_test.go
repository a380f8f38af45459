package portal_test

import (
	"strings"
	"testing"

	"github.com/cardea-id/cardea"
)

// items are the decisions on a page, as they are read.
func items(d *document) (all []string) {
	for li := range d.all("li") {
		if li.Parent.Data == "ol" {
			all = append(all, textOf(li))
		}
	}
	return all
}

func TestHistory(t *testing.T) {
	h := open(t)
	b := h.browser(t)
	account := b.register()
	b.get("/history").mustSay("You have decided nothing yet")
	speaker := h.link(t, account, hubDevice("Kitchen"))
	h.decide(t, account, "recommendations/use", cardea.ActGrant, "", h.head(t, account))
	h.decide(t, account, "recommendations/use", cardea.ActDeny, speaker.Device, h.head(t, account))
	h.decide(t, account, "recommendations/use", cardea.ActDeny, "", h.head(t, account))
	page := b.get("/history")
	cat, _ := h.ledger.Catalogue.Current()
	purpose, _ := cat.Purpose("recommendations")
	text := purpose.Texts["en"]
	for i, want := range [][]string{
		{"You said no: " + text.Title, "On all your devices, said on these pages"},
		{"You said no: " + text.Title, "On Kitchen only"},
		{"You said yes: " + text.Title, text.Facets["use"], "What you read", text.Why, text.Benefit, text.Refusal},
	} {
		for _, words := range want {
			if got := items(page)[i]; !strings.Contains(got, words) {
				t.Errorf("%d: %q is not in %q", i, words, got)
			}
		}
	}
}

// A yes keeps the words it was given for, whatever the notice says today.
func TestHistoryKeepsTheWords(t *testing.T) {
	h := open(t)
	b := h.browser(t)
	account := b.register()
	cat, _ := h.ledger.Catalogue.Current()
	purpose, _ := cat.Purpose("recommendations")
	before := purpose.Texts["en"].Why
	h.decide(t, account, "recommendations/use", cardea.ActGrant, "", h.head(t, account))

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
	h.ledger.Catalogue.Replace(&next)
	got := items(b.get("/history"))
	if len(got) != 1 || !strings.Contains(got[0], before) || strings.Contains(got[0], "something else") {
		t.Errorf("the history says %q, want %q in it", got, before)
	}
}

// Long histories come in pages, each decision once.
func TestHistoryInPages(t *testing.T) {
	h := open(t)
	b := h.browser(t)
	account := b.register()
	for range 120 {
		h.decide(t, account, "recommendations/use", cardea.ActDeny, "", cardea.Position{})
	}
	seen, path := 0, "/history"
	for pages := 0; path != "" && pages < 10; pages++ {
		d := b.get(path)
		seen, path = seen+len(items(d)), ""
		for a := range d.all("a") {
			if textOf(a) == "Older" {
				path = attr(a, "href")
			}
		}
	}
	if seen != 120 {
		t.Errorf("saw %d of 120", seen)
	}
	for _, bad := range []string{"-1", "x", "99999999999999999999", "1"} {
		if d := b.get("/history?below=" + bad); d.Status != 200 {
			t.Errorf("below=%s: status %d", bad, d.Status)
		}
	}
	other := h.browser(t)
	d := other.press(other.get("/register"), "Create account", "email", "eve@example.com", "password", testPassword)
	if d.Status != 303 || len(items(other.get("/history?below=100"))) != 0 {
		t.Error("somebody else sees it")
	}
}
