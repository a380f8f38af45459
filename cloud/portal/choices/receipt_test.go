package choices_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/cloud/portal/portaltest"
	"github.com/cardea-id/cardea/cloud/receipt"
)

// receipts are the links to receipts on the history, the newest first.
func receipts(b *portaltest.Browser) (links []string) {
	b.T.Helper()
	for a := range b.Get("/history").All("a") {
		if portaltest.TextOf(a) == "Receipt" {
			links = append(links, portaltest.Attr(a, "href"))
		}
	}
	return links
}

// TestReceiptOfEachDecision: a page and a file for a yes and for a no, with what
// was read, for their owner alone.
func TestReceiptOfEachDecision(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	b.Register()
	b.Tap(b.Get("/consents"), passOn, "", "Allow")
	b.Tap(b.Get("/consents"), recommendations, "", "Don’t allow")
	links := receipts(b)
	if len(links) != 2 {
		t.Fatalf("%d receipts: %q", len(links), links)
	}
	yes := b.Get(links[1])
	yes.Check()
	yes.MustSay("You said yes", "May Broadside Media get your listening profile?", "or until you take it back", "On all your devices",
		"Hearth Audio GmbH", "Am Ofen 1, Berlin", "Complaints to Datenschutz Berlin Contact: not stated", "This is what you read: version 1, English.", "Songs you play, time of day")
	b.Get(links[0]).MustSay("You said no", "May we use what you play to suggest music?")

	file := b.Get(strings.Replace(links[1], "/receipt?", "/receipt.json?", 1))
	if !strings.HasPrefix(file.Header.Get("Content-Disposition"), "attachment") || file.Header.Get("Content-Type") != "application/json" {
		t.Errorf("the file is no file: %v", file.Header)
	}
	var r receipt.Receipt
	if err := json.Unmarshal([]byte(file.Text), &r); err != nil || r.JWS == "" || r.Record.Events[0].State != "https://w3id.org/dpv#ConsentGiven" {
		t.Errorf("%v in %s", err, file.Text)
	}
	notice, err := url.Parse(r.Record.Processing.PrivacyNotice)
	if err != nil {
		t.Fatal(err)
	}
	shown := h.Browser(t).Get(notice.Path) // whoever is given the receipt
	shown.Check()
	shown.MustSay("May Broadside Media get your listening profile?", r.Proof.Notice.String())

	eve := h.Browser(t)
	eve.RegisterAs("eve@example.com")
	for _, b := range []*portaltest.Browser{eve, h.Browser(t)} {
		for _, link := range []string{links[0], strings.Replace(links[0], "/receipt?", "/receipt.json?", 1)} {
			if d := b.Get(link); d.Status == http.StatusOK || strings.Contains(d.Text, "consent_record") {
				t.Errorf("somebody else got %s: %d", link, d.Status)
			}
		}
	}
	for _, bad := range []string{"", "x", "0", "99", "-1", "99999999999999999999"} {
		d := b.Get("/history/receipt?entry=" + bad)
		d.Check()
		if d.Status != http.StatusNotFound {
			t.Errorf("of %q: %d", bad, d.Status)
		}
	}
}
