package devices_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/portal/portaltest"
)

func TestDevices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := portaltest.Open(t)
		b := h.Browser(t)
		account := b.Register()
		time.Sleep(12 * time.Hour)
		now := time.Now()
		stops := now.Add(14*time.Minute + 7*time.Second + 89*time.Millisecond)
		for _, d := range []hub.Device{
			{Name: "Speaker", Kind: "speaker", Model: "Mini", Serial: "4F2A", Online: true, State: hub.StateApplied, AppliedAt: now.Add(-time.Hour), LastSeen: now},
			{Name: "Car", Kind: "car", State: hub.StateStops, StopsBy: stops, LastSeen: now.Add(-3 * time.Hour)},
			{Name: "Late car", Kind: "car", State: hub.StateStops, StopsBy: now.Add(-13 * time.Hour), LastSeen: now.AddDate(0, 0, -3)},
			{Name: "New", Kind: "tv", State: hub.StateWaiting},
			{Name: "Kept", Kind: "car", State: hub.StateWaiting, Kept: []cardea.Kept{{Key: "offers/use", Deleted: 1, Held: 3}, {Key: "recommendations/use", Deleted: 11, Dropped: 5}}},
			{Name: "Shared car", Kind: "car", State: hub.StateApplied, ByDay: true, AppliedAt: now.AddDate(0, 0, -1).Truncate(24 * time.Hour), LastSeen: now.Truncate(24 * time.Hour)},
			{Name: "Going", Kind: "tv", State: hub.StateLeaving, StopsBy: stops},
			{Name: "Lost", Kind: "tv", State: hub.StateStops, StopsBy: stops, Missing: true},
		} {
			h.Link(t, account, d)
		}
		d := b.Get("/devices")
		for name, want := range map[string]string{
			"Speaker":    "Speaker Speaker, Mini Serial number ends in 4F2A Last seen Connected now In step Your choices are applied since 11:00 UTC. Manage Unlink",
			"Car":        "Car Car Last seen 3 hours ago Not in step What you took back stops by 12:15 UTC (in 15 minutes), even if it stays out of reach. Manage Unlink",
			"Late car":   "Late car Car Last seen on 29 Dec 1999 Not in step What you took back has stopped by itself at 23:00 UTC on 31 Dec 1999. It has not confirmed that yet. It follows when it connects. Manage Unlink",
			"New":        "New TV Last seen Not yet Not in step It follows when it connects. Manage Unlink",
			"Shared car": "Shared car Car Last seen today In step Your choices are applied since yesterday. Manage Unlink",
			"Lost":       "Lost TV Last seen Not yet Not paired This device says that it does not have your pairing any more. Pair it again, or unlink it. Manage Unlink",
			"Kept":       "Kept Car Last seen Not yet Not in step It follows when it connects. Not sent 12 items that were not sent were deleted there. Manage Unlink",
			"Going":      "Going TV Last seen Not yet Leaving Unlinked. It forgets you when it next connects, and stops by 12:15 UTC (in 15 minutes).",
		} {
			if got := portaltest.TextOf(d.Card(name)); got != want {
				t.Errorf("%s:\n got %s\nwant %s", name, got, want)
			}
		}
		for n := range portaltest.Within(d.Card("Car"), "time") {
			if portaltest.TextOf(n) == "12:15 UTC" && portaltest.Attr(n, "datetime") != "2000-01-01T12:14:07.089Z" {
				t.Errorf("stops by %s", portaltest.Attr(n, "datetime"))
			}
		}
	})
}

func TestUnlink(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	account := b.Register()
	device := h.Link(t, account, portaltest.HubDevice("Kitchen speaker"))
	var ask string
	for a := range portaltest.Within(b.Get("/devices").Card("Kitchen speaker"), "a") {
		ask = portaltest.Attr(a, "href")
	}
	d := b.Get(ask)
	d.MustSay("Unlink Kitchen speaker?", "Keep it")
	if len(h.Devices.Unlinked) != 0 {
		t.Fatal("unlinked by opening a page")
	}
	b.Follow(b.Press(d, "Unlink")).MustSay("Your devices")
	if len(h.Devices.Unlinked) != 1 || h.Devices.Unlinked[0] != device.Link {
		t.Errorf("unlinked %v", h.Devices.Unlinked)
	}
}

func TestLinksOfOthers(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	account := b.Register()
	h.Link(t, account, portaltest.HubDevice("Kitchen speaker"))
	foreign := cardea.NewID[cardea.LinkID]().String()
	form := b.Get("/devices/unlink?link=" + h.Devices.Get()[0].Link.String()).Form("Unlink")
	for _, link := range []string{foreign, "", "x", "%00"} {
		form.Fields.Set("link", link)
		for _, d := range []*portaltest.Document{
			b.Get("/devices/unlink?" + url.Values{"link": {link}}.Encode()), b.Post("/devices/unlink", form.Fields), b.Post("/devices/confirm", form.Fields),
		} {
			if d.Status != http.StatusNotFound {
				t.Errorf("link %q: status %d", link, d.Status)
			}
			d.MustSay("This device is not among yours")
		}
	}
}

func TestForkedDevice(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	account := b.Register()
	d := portaltest.HubDevice("Kitchen speaker")
	d.Forked = true
	d = h.Link(t, account, d)
	page := b.Get("/devices")
	page.MustSay("Two devices speak with this one’s key", "unlink it and pair it anew")
	b.Follow(b.Send(portaltest.First(portaltest.Within(page.Card("Kitchen speaker"), "form")), "This is the right one"))
	if len(h.Devices.Confirmed) != 1 || h.Devices.Confirmed[0] != d.Link {
		t.Errorf("confirmed %v", h.Devices.Confirmed)
	}
}

// What a device that has lost something may do again is asked with nothing
// ticked; only what is ticked is, and only for the loss the page spoke of.
func TestLostDevice(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	account := b.Register()
	d := portaltest.HubDevice("Kitchen speaker")
	d.Forked, d.Lost = true, true
	d = h.Link(t, account, d)
	loss := hub.Loss{ID: cardea.NewID[cardea.LossID](), Device: d, Given: []cardea.Key{"recommendations/use", "voice_clips/use"}}
	h.Devices.Losses = map[cardea.LinkID]hub.Loss{d.Link: loss}
	card := b.Get("/devices").Card("Kitchen speaker")
	if says := portaltest.TextOf(card); !strings.Contains(says, "It has lost what was last said on it") || strings.Contains(says, "Two devices") {
		t.Errorf("the card says %q", says)
	}
	var ask string
	for a := range portaltest.Within(card, "a") {
		if strings.HasPrefix(portaltest.Attr(a, "href"), "/devices/lost") {
			ask = portaltest.Attr(a, "href")
		}
	}
	page := b.Get(ask)
	page.MustSay("What may Kitchen speaker do again?", "The rest stays off on this device")
	form := page.Form("Confirm")
	if len(form.Fields["again"]) != 0 {
		t.Fatalf("ticked before anybody did: %v", form.Fields["again"])
	}
	form.Fields.Set("loss", cardea.NewID[cardea.LossID]().String()) // another one since
	form.Fields.Set("again", "recommendations/use")
	b.Follow(b.Post("/devices/lost", form.Fields)).MustSay("Your devices")
	if len(h.Devices.Losses) != 1 {
		t.Fatal("confirmed by the page of another loss")
	}
	form.Fields.Set("loss", loss.ID.String())
	b.Follow(b.Post("/devices/lost", form.Fields)).MustSay("Your devices")
	if len(h.Devices.Losses) != 0 || len(h.Devices.Again) != 1 || h.Devices.Again[0] != "recommendations/use" {
		t.Errorf("again %v", h.Devices.Again)
	}
	b.Follow(b.Get(ask)).MustSay("Your devices")
	form.Fields.Set("again", "everything")
	if d := b.Post("/devices/lost", form.Fields); d.Status != http.StatusForbidden {
		t.Errorf("no key: status %d", d.Status)
	}
}
