package portal_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/html"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
)

// card is what the page shows of a device.
func (d *document) card(name string) *html.Node {
	d.t.Helper()
	for n := range d.all("article") {
		for h := range within(n, "h2") {
			if textOf(h) == name {
				return n
			}
		}
	}
	d.t.Fatalf("no device %q:\n%s", name, d.Text)
	return nil
}

func TestDevices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		b := h.browser(t)
		account := b.register()
		time.Sleep(12 * time.Hour)
		now := time.Now()
		stops := now.Add(14*time.Minute + 7*time.Second + 89*time.Millisecond)
		for _, d := range []hub.Device{
			{Name: "Speaker", Kind: "speaker", Model: "Mini", Serial: "4F2A", Online: true, State: hub.StateApplied, AppliedAt: now.Add(-time.Hour), LastSeen: now},
			{Name: "Car", Kind: "car", State: hub.StateStops, StopsBy: stops, LastSeen: now.Add(-3 * time.Hour)},
			{Name: "Late car", Kind: "car", State: hub.StateStops, StopsBy: now.Add(-13 * time.Hour), LastSeen: now.AddDate(0, 0, -3)},
			{Name: "New", Kind: "tv", State: hub.StateWaiting},
			{Name: "Shared car", Kind: "car", State: hub.StateApplied, ByDay: true, AppliedAt: now.AddDate(0, 0, -1).Truncate(24 * time.Hour), LastSeen: now.Truncate(24 * time.Hour)},
			{Name: "Going", Kind: "tv", State: hub.StateLeaving, StopsBy: stops},
			{Name: "Lost", Kind: "tv", State: hub.StateStops, StopsBy: stops, Missing: true},
		} {
			h.link(t, account, d)
		}
		d := b.get("/devices")
		for name, want := range map[string]string{
			"Speaker":    "Speaker Speaker, Mini, serial number ends in 4F2A Last seen Connected now In step Your choices are applied since 11:00 UTC. Unlink",
			"Car":        "Car Car Last seen 3 hours ago Not in step What you took back stops by 12:15 UTC (in 15 minutes), even if it stays out of reach. Unlink",
			"Late car":   "Late car Car Last seen on 29 Dec 1999 Not in step What you took back has stopped by itself at 31 Dec 1999, 23:00 UTC. It follows when it connects. Unlink",
			"New":        "New TV Last seen Not yet Not in step It follows when it connects. Unlink",
			"Shared car": "Shared car Car Last seen today In step Your choices are applied since yesterday. Unlink",
			"Lost":       "Lost TV Last seen Not yet Not paired This device says that it does not have your pairing any more. Pair it again, or unlink it. Unlink",
			"Going":      "Going TV Last seen Not yet Leaving Unlinked. It forgets you when it next connects, and stops by 12:15 UTC (in 15 minutes).",
		} {
			if got := textOf(d.card(name)); got != want {
				t.Errorf("%s:\n got %s\nwant %s", name, got, want)
			}
		}
		for n := range within(d.card("Car"), "time") {
			if textOf(n) == "12:15 UTC" && attr(n, "datetime") != "2000-01-01T12:14:07.089Z" {
				t.Errorf("stops by %s", attr(n, "datetime"))
			}
		}
	})
}

func TestUnlink(t *testing.T) {
	h := open(t)
	b := h.browser(t)
	account := b.register()
	device := h.link(t, account, hubDevice("Kitchen speaker"))
	var ask string
	for a := range within(b.get("/devices").card("Kitchen speaker"), "a") {
		ask = attr(a, "href")
	}
	d := b.get(ask)
	d.mustSay("Unlink Kitchen speaker?", "Keep it")
	if len(h.devices.unlinked) != 0 {
		t.Fatal("unlinked by opening a page")
	}
	b.follow(b.press(d, "Unlink")).mustSay("Your devices")
	if len(h.devices.unlinked) != 1 || h.devices.unlinked[0] != device.Link {
		t.Errorf("unlinked %v", h.devices.unlinked)
	}
}

func TestLinksOfOthers(t *testing.T) {
	h := open(t)
	b := h.browser(t)
	account := b.register()
	h.link(t, account, hubDevice("Kitchen speaker"))
	foreign := cardea.NewID[cardea.LinkID]().String()
	form := b.get("/devices/unlink?link=" + h.devices.get()[0].Link.String()).form("Unlink")
	for _, link := range []string{foreign, "", "x", "%00"} {
		form.fields.Set("link", link)
		for _, d := range []*document{
			b.get("/devices/unlink?" + url.Values{"link": {link}}.Encode()), b.post("/devices/unlink", form.fields), b.post("/devices/confirm", form.fields),
		} {
			if d.Status != http.StatusNotFound {
				t.Errorf("link %q: status %d", link, d.Status)
			}
			d.mustSay("This device is not among yours")
		}
	}
}

func TestForkedDevice(t *testing.T) {
	h := open(t)
	b := h.browser(t)
	account := b.register()
	d := hubDevice("Kitchen speaker")
	d.Forked = true
	d = h.link(t, account, d)
	page := b.get("/devices")
	page.mustSay("Two devices speak with this one’s key", "unlink it and pair it anew")
	b.follow(b.send(first(within(page.card("Kitchen speaker"), "form")), "This is the right one"))
	if len(h.devices.confirmed) != 1 || h.devices.confirmed[0] != d.Link {
		t.Errorf("confirmed %v", h.devices.confirmed)
	}
}

// What a device that has lost something may do again is asked with nothing
// ticked; only what is ticked is, and only for the loss the page spoke of.
func TestLostDevice(t *testing.T) {
	h := open(t)
	b := h.browser(t)
	account := b.register()
	d := hubDevice("Kitchen speaker")
	d.Forked, d.Lost = true, true
	d = h.link(t, account, d)
	loss := hub.Loss{ID: cardea.NewID[cardea.LossID](), Device: d, Given: []cardea.Key{"recommendations/use", "voice_clips/use"}}
	h.devices.losses = map[cardea.LinkID]hub.Loss{d.Link: loss}
	card := b.get("/devices").card("Kitchen speaker")
	if says := textOf(card); !strings.Contains(says, "It has lost what was last said on it") || strings.Contains(says, "Two devices") {
		t.Errorf("the card says %q", says)
	}
	var ask string
	for a := range within(card, "a") {
		if strings.HasPrefix(attr(a, "href"), "/devices/lost") {
			ask = attr(a, "href")
		}
	}
	page := b.get(ask)
	page.mustSay("What may Kitchen speaker do again?", "The rest stays off on this device")
	form := page.form("Confirm")
	if len(form.fields["again"]) != 0 {
		t.Fatalf("ticked before anybody did: %v", form.fields["again"])
	}
	form.fields.Set("loss", cardea.NewID[cardea.LossID]().String()) // another one since
	form.fields.Set("again", "recommendations/use")
	b.follow(b.post("/devices/lost", form.fields)).mustSay("Your devices")
	if len(h.devices.losses) != 1 {
		t.Fatal("confirmed by the page of another loss")
	}
	form.fields.Set("loss", loss.ID.String())
	b.follow(b.post("/devices/lost", form.fields)).mustSay("Your devices")
	if len(h.devices.losses) != 0 || len(h.devices.again) != 1 || h.devices.again[0] != "recommendations/use" {
		t.Errorf("again %v", h.devices.again)
	}
	b.follow(b.get(ask)).mustSay("Your devices")
	form.fields.Set("again", "everything")
	if d := b.post("/devices/lost", form.fields); d.Status != http.StatusForbidden {
		t.Errorf("no key: status %d", d.Status)
	}
}

func first(seq func(func(*html.Node) bool)) (out *html.Node) {
	for n := range seq {
		return n
	}
	return nil
}
