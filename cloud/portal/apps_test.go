package portal_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
)

// app puts a grant of a client that is no device into what the issuer answers.
func (h *house) app(account cardea.AccountID, g issuer.Grant) {
	g.Client, g.Approved = "tv-app", time.Now().Add(-2*time.Hour)
	if h.pairings.grants == nil {
		h.pairings.grants = map[cardea.AccountID][]issuer.Grant{}
	}
	h.pairings.grants[account] = append(h.pairings.grants[account], g)
}

func TestApps(t *testing.T) {
	h := open(t)
	b := h.browser(t)
	account := b.register()
	speaker := hubDevice("Kitchen speaker")
	speaker.Grant = "of-the-speaker"
	h.link(t, account, speaker)
	h.app(account, issuer.Grant{ID: "of-the-speaker", Name: "Kitchen speaker", Redeemed: true})
	h.app(account, issuer.Grant{ID: "of-the-tv", Name: "Bedroom <TV>", Device: pairing.Device{Kind: "tv", Model: "Panel 7"}, Redeemed: true})
	h.app(account, issuer.Grant{ID: "on-its-way", Name: "Tablet"})

	d := b.get("/devices")
	const want = "Bedroom <TV> TV, Panel 7 Signed in 2 hours ago. It knows who you are and is not told of your choices. Unlink"
	if got := textOf(d.card("Bedroom <TV>")); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	cards := 0
	for range d.all("article") {
		cards++
	}
	if cards != 2 {
		t.Errorf("a device's own grant, or one that was not redeemed, is among the apps: %s", d.Text)
	}

	var ask string
	for a := range within(d.card("Bedroom <TV>"), "a") {
		ask = attr(a, "href")
	}
	d = b.get(ask)
	d.mustSay("Unlink Bedroom <TV>?", "Keep it", "signed out at once")
	if len(h.pairings.revoked) != 0 {
		t.Fatal("unlinked by opening a page")
	}
	b.follow(b.press(d, "Unlink")).mustSay("Your devices")
	if len(h.pairings.revoked) != 1 || h.pairings.revoked[0] != "of-the-tv" {
		t.Errorf("revoked %v", h.pairings.revoked)
	}
}

// An owner whose only pairing is an app is not told that there are none.
func TestOnlyAnApp(t *testing.T) {
	h := open(t)
	b := h.browser(t)
	h.app(b.register(), issuer.Grant{ID: "of-the-tv", Name: "Bedroom TV", Redeemed: true})
	d := b.get("/devices")
	d.card("Bedroom TV")
	if strings.Contains(d.Text, "None yet") {
		t.Error(d.Text)
	}
}

func TestAppsOfOthers(t *testing.T) {
	h := open(t)
	h.app(h.browser(t).register(), issuer.Grant{ID: "mine", Name: "Bedroom TV", Redeemed: true})
	stranger := h.browser(t)
	eve := stranger.registerAs("eve@example.com")
	h.app(eve, issuer.Grant{ID: "hers", Name: "Her TV", Redeemed: true})
	// Nor is a device unlinked by its grant alone.
	speaker := hubDevice("Kitchen speaker")
	speaker.Grant = "of-the-speaker"
	h.devices.set(speaker)
	h.app(eve, issuer.Grant{ID: "of-the-speaker", Name: "Kitchen speaker", Redeemed: true})
	form := stranger.get("/devices/unlink?grant=hers").form("Unlink")
	for _, grant := range []string{"mine", "of-the-speaker", "x"} {
		form.fields.Set("grant", grant)
		for _, d := range []*document{stranger.get("/devices/unlink?grant=" + grant), stranger.post("/devices/unlink", form.fields)} {
			if d.Status != http.StatusNotFound {
				t.Errorf("%s: status %d", grant, d.Status)
			}
			d.mustSay("This device is not among yours")
		}
	}
	if len(h.pairings.revoked) != 0 {
		t.Errorf("revoked %v", h.pairings.revoked)
	}
}
