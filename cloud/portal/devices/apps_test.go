package devices_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/cloud/portal/portaltest"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
)

func TestApps(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	account := b.Register()
	speaker := portaltest.HubDevice("Kitchen speaker")
	speaker.Grant = "of-the-speaker"
	h.Link(t, account, speaker)
	h.App(account, issuer.Grant{ID: "of-the-speaker", Name: "Kitchen speaker", Redeemed: true})
	h.App(account, issuer.Grant{ID: "of-the-tv", Name: "Bedroom <TV>", Device: pairing.Device{Kind: "tv", Model: "Panel 7"}, Redeemed: true})
	h.App(account, issuer.Grant{ID: "on-its-way", Name: "Tablet"})

	d := b.Get("/devices")
	const want = "Bedroom <TV> TV, Panel 7 Signed in 2 hours ago. It knows who you are and is not told of your choices. Unlink"
	if got := portaltest.TextOf(d.Card("Bedroom <TV>")); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	cards := 0
	for range d.All("article") {
		cards++
	}
	if cards != 2 {
		t.Errorf("a device's own grant, or one that was not redeemed, is among the apps: %s", d.Text)
	}

	var ask string
	for a := range portaltest.Within(d.Card("Bedroom <TV>"), "a") {
		ask = portaltest.Attr(a, "href")
	}
	d = b.Get(ask)
	d.MustSay("Unlink Bedroom <TV>?", "Keep it", "signed out at once")
	if len(h.Pairings.Revoked) != 0 {
		t.Fatal("unlinked by opening a page")
	}
	b.Follow(b.Press(d, "Unlink")).MustSay("Your devices")
	if len(h.Pairings.Revoked) != 1 || h.Pairings.Revoked[0] != "of-the-tv" {
		t.Errorf("revoked %v", h.Pairings.Revoked)
	}
}

// An owner whose only pairing is an app is not told that there are none.
func TestOnlyAnApp(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	h.App(b.Register(), issuer.Grant{ID: "of-the-tv", Name: "Bedroom TV", Redeemed: true})
	d := b.Get("/devices")
	d.Card("Bedroom TV")
	if strings.Contains(d.Text, "None yet") {
		t.Error(d.Text)
	}
}

func TestAppsOfOthers(t *testing.T) {
	h := portaltest.Open(t)
	h.App(h.Browser(t).Register(), issuer.Grant{ID: "mine", Name: "Bedroom TV", Redeemed: true})
	stranger := h.Browser(t)
	eve := stranger.RegisterAs("eve@example.com")
	h.App(eve, issuer.Grant{ID: "hers", Name: "Her TV", Redeemed: true})
	// Nor is a device unlinked by its grant alone.
	speaker := portaltest.HubDevice("Kitchen speaker")
	speaker.Grant = "of-the-speaker"
	h.Devices.Set(speaker)
	h.App(eve, issuer.Grant{ID: "of-the-speaker", Name: "Kitchen speaker", Redeemed: true})
	form := stranger.Get("/devices/unlink?grant=hers").Form("Unlink")
	for _, grant := range []string{"mine", "of-the-speaker", "x"} {
		form.Fields.Set("grant", grant)
		for _, d := range []*portaltest.Document{stranger.Get("/devices/unlink?grant=" + grant), stranger.Post("/devices/unlink", form.Fields)} {
			if d.Status != http.StatusNotFound {
				t.Errorf("%s: status %d", grant, d.Status)
			}
			d.MustSay("This device is not among yours")
		}
	}
	if len(h.Pairings.Revoked) != 0 {
		t.Errorf("revoked %v", h.Pairings.Revoked)
	}
}
