package devices_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/portal/portaltest"
)

func at(page string, link cardea.LinkID) string { return page + "?link=" + link.String() }

// Any script makes a name; what is too long, or can not be seen, is refused with
// what was typed, and markup is a name like any other.
func TestRename(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	device := h.Link(t, b.Register(), portaltest.HubDevice("Kitchen"))
	page := b.Get(at("/devices/device", device.Link))
	for _, name := range []string{"客厅的音箱", "مكبر المطبخ", "부엌 스피커", "ลำโพงครัว", "Küche 🎶", `<script>alert("x")</script>`, "O’Brien & Söhne"} {
		done := b.Press(page, "Save the name", "name", "  "+name+" ")
		if done.Header.Get("Location") != "/devices" {
			t.Fatalf("%s: %d\n%s", name, done.Status, done.Text)
		}
		d := b.Follow(done)
		d.Check()
		if d.Card(name) == nil {
			t.Errorf("no card %q", name)
		}
	}
	before := h.Devices.Get()[0].Name
	for name, why := range map[string]string{
		strings.Repeat("x", 10<<10): "too long", strings.Repeat("นี", 1<<10): "too long", "": "Give the device a name", " \t": "Give the device a name",
		"Kitchen\u202e": "cannot be seen", "\u200d\u200d": "cannot be seen", "\xff": "no text",
	} {
		d := b.Press(page, "Save the name", "name", name)
		d.Check()
		d.MustSay(why)
		if d.Status != http.StatusUnprocessableEntity || len(d.Text) > 64<<10 {
			t.Errorf("%.20q: %d, %d bytes", name, d.Status, len(d.Text))
		}
	}
	if now := h.Devices.Get()[0].Name; now != before {
		t.Errorf("it is called %q", now)
	}
}

// Each of the things that can be done with a device is a press of its own, asked
// for once more where it ends something.
func TestOneDevice(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	device := h.Link(t, b.Register(), portaltest.HubDevice("Kitchen"))
	page := b.Get(at("/devices/device", device.Link))
	shown := b.Follow(b.Press(page, "Show me"))
	shown.Check()
	shown.MustSay("It was asked to show itself")
	b.Press(b.Get(at("/devices/missed", device.Link)), "Stop everything")
	b.Press(b.Get(at("/devices/given", device.Link)), "It is theirs")
	for _, what := range []string{"identify", "missed", "given"} {
		if !slices.Equal(h.Devices.Did[what], []cardea.LinkID{device.Link}) {
			t.Errorf("%s was done to %v", what, h.Devices.Did[what])
		}
	}
}

// What a device may do is given back by a press, if the session is older than the
// pairing or has just shown who it is of.
func TestRecovered(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	lost := portaltest.HubDevice("Kitchen")
	lost.Missed, lost.Created = time.Now(), time.Now().Add(time.Hour)
	device := h.Link(t, b.Register(), lost)
	d := b.Get("/devices")
	d.MustSay("You said at", "that it is lost")
	if b.Press(d, "I have it again").Header.Get("Location") != "/devices" || !slices.Equal(h.Devices.Did["recovered"], []cardea.LinkID{device.Link}) {
		t.Errorf("recovered: %v", h.Devices.Did)
	}
}

// A form for a device of somebody else, or of none, changes nothing; nor does one
// from another visit.
func TestForeignDeviceForms(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	device := h.Link(t, b.Register(), portaltest.HubDevice("Kitchen"))
	page := b.Get(at("/devices/device", device.Link))
	form := page.Form("Save the name").Fields
	for _, path := range []string{"/devices/rename", "/devices/identify", "/devices/missed", "/devices/recovered", "/devices/given"} {
		for _, link := range []string{"", "x", cardea.NewID[cardea.LinkID]().String()} {
			fields := url.Values{"form": form["form"], "link": {link}, "name": {"Mine"}}
			if d := b.Post(path, fields); d.Status != http.StatusNotFound {
				t.Errorf("%s for the link %q: %d", path, link, d.Status)
			}
		}
		other := h.Browser(t)
		other.RegisterAs("eve" + strings.ReplaceAll(path, "/", "") + "@example.com")
		if d := other.Post(path, url.Values{"form": form["form"], "link": {device.Link.String()}, "name": {"Mine"}}); d.Status != http.StatusForbidden {
			t.Errorf("%s with another visit's form: %d", path, d.Status)
		}
		if d := h.Browser(t).Post(path, url.Values{"link": {device.Link.String()}}); d.Status != http.StatusForbidden {
			t.Errorf("%s by nobody: %d", path, d.Status)
		}
	}
	if len(h.Devices.Did["rename"])+len(h.Devices.Did["given"])+len(h.Devices.Did["missed"]) != 0 {
		t.Errorf("done: %v", h.Devices.Did)
	}
}

// Two tabs: the device was unlinked in one while the other renames it.
func TestRenameAfterUnlink(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	device := h.Link(t, b.Register(), portaltest.HubDevice("Kitchen"))
	page := b.Get(at("/devices/device", device.Link))
	h.Devices.Set()
	d := b.Press(page, "Save the name", "name", "Hall")
	d.Check()
	if d.Status != http.StatusNotFound {
		t.Errorf("renamed: %d", d.Status)
	}
	d.MustSay("not among yours")
}
