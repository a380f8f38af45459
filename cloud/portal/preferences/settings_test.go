package preferences_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/portal/portaltest"
)

// Every look of a setting takes what is offered, by one press.
func TestSettings(t *testing.T) {
	h := newHome(t)
	for _, c := range []struct {
		key   cardea.PreferenceKey
		words string
		typed []string
		want  cardea.Value
	}{
		{"volume", "Save", []string{"value", " 7 "}, "7"},
		{"units", "Imperial", nil, `"imperial"`},
		{"greeting", "Save", []string{"value", `Hi "you" <b>`}, `"Hi \"you\" <b>"`},
		{"microphone", "No", nil, "false"},
		{"microphone", "Yes", nil, "true"},
		{"genres", "Rock", nil, `["jazz","rock"]`},
		{"genres", "Jazz", nil, `["rock"]`},
		{"genres", "Folk music", nil, `["folk","rock"]`},
		{"night", "Save", []string{"from", "22:30", "to", "06:00"}, `"22:30-06:00"`},
		{"night", "All day", nil, `"00:00-24:00"`},
		{"night", "Never", nil, `""`},
		{"language", "Save", []string{"value", "ko"}, `"ko"`},
	} {
		d := h.Follow(h.press("/preferences", "p-"+string(c.key), c.words, c.typed...))
		d.Check()
		if got := h.choice(c.key); got.Value != c.want || got.Source != cardea.ChannelPortal {
			t.Errorf("%s after %q is %s from %q, want %s", c.key, c.words, got.Value, got.Source, c.want)
		}
	}
	d := h.Get("/preferences")
	if v := portaltest.Attr(d.Find("p-greeting-value"), "value"); v != `Hi "you" <b>` {
		t.Errorf("the greeting is shown as %q", v)
	}
	pressed := map[string]string{}
	for b := range portaltest.Within(h.within(d, "p-genres"), "button") {
		pressed[portaltest.TextOf(b)] = portaltest.Attr(b, "aria-pressed")
	}
	if pressed["Jazz"] != "false" || pressed["Rock"] != "true" || pressed["Folk music"] != "true" {
		t.Errorf("the set is shown as %v", pressed)
	}
}

// What does not fit is refused with what to do, and nothing is set.
func TestBadSettings(t *testing.T) {
	h := newHome(t)
	head := h.house.Head(t, h.account)
	for _, c := range []struct{ id, words, field, value string }{
		{"p-volume", "Save", "value", "11"}, {"p-volume", "Save", "value", "loud"}, {"p-volume", "Save", "value", ""}, {"p-volume", "Save", "value", "1e999"},
		{"p-volume", "Save", "value", `5,"x":1`}, {"p-volume", "Save", "value", "null"}, {"p-units", "Imperial", "value", "leagues"},
		{"p-greeting", "Save", "value", strings.Repeat("x", 10<<10)}, {"p-genres", "Rock", "value", `["rock","rock"]`}, {"p-genres", "Rock", "value", `["polka"]`},
		{"p-genres", "Rock", "value", `"rock"`}, {"p-genres", "Rock", "value", `["` + strings.Repeat("x", 10<<10) + `"]`},
		{"p-night", "Save", "from", "late"}, {"p-night", "Save", "to", "21:00"}, {"p-night", "Never", "value", "24:00-01:00"}, {"p-party", "Yes", "value", "1"},
	} {
		d := h.press("/preferences", c.id, c.words, c.field, c.value)
		if d.Status != http.StatusUnprocessableEntity {
			t.Errorf("%s %s = %.20q: status %d", c.id, c.field, c.value, d.Status)
		}
	}
	d := h.press("/preferences", "p-volume", "Save", "preference", "no_such")
	if d.Status != http.StatusNotFound {
		t.Errorf("what is not there: status %d", d.Status)
	}
	d = h.press("/preferences", "p-volume", "Save", "device", strings.Repeat("x", 43))
	if d.Status != http.StatusNotFound {
		t.Errorf("on somebody else's device: status %d", d.Status)
	}
	d = h.press("/preferences", "p-volume", "Save", "base", "x")
	if d.Status != http.StatusForbidden {
		t.Errorf("from no page: status %d", d.Status)
	}
	if now := h.house.Head(t, h.account); now != head {
		t.Errorf("%d decisions were taken", now.Seq-head.Seq)
	}
}

// Of two tabs the first counts and the second is told; so of a tab and a device.
func TestTwoTabs(t *testing.T) {
	h := newHome(t)
	action, old := h.form(h.within(h.Get("/preferences"), "p-genres"), "Rock")
	h.Follow(h.press("/preferences", "p-genres", "Folk music"))
	d := h.Post(action, old)
	if d.Status != http.StatusConflict || h.choice("genres").Value != `["folk","jazz"]` {
		t.Errorf("status %d, %s", d.Status, h.choice("genres").Value)
	}
	d.MustSay("Somebody else changed this")

	action, old = h.form(h.within(h.Get("/preferences"), h.apart("volume")), "Save")
	_, err := h.house.Ledger.Decide(t.Context(), h.account, cardea.ChannelDevice, cardea.Scope{Device: h.kitchen.Device}, cardea.Decision{
		Event: cardea.NewID[cardea.EventID](), Act: cardea.ActPrefer, Preference: "volume", Value: "9",
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := h.Post(action, old); d.Status != http.StatusConflict || h.on("volume").Value != "9" {
		t.Errorf("after the device's own change: status %d, %s", d.Status, h.on("volume").Value)
	}
}

// One device alone is no exception from anything.
func TestOneDeviceIsNoException(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	h.Link(t, b.Register(), portaltest.HubDevice("Kitchen"))
	for range b.Get("/preferences").All("details") {
		t.Error("something can be set for one device apart")
	}
}

// A device is made an exception, and goes back to what holds everywhere.
func TestOneDeviceApart(t *testing.T) {
	h := newHome(t)
	d := h.Get("/preferences")
	if text := portaltest.TextOf(h.within(d, "p-volume")); !strings.Contains(text, "Kitchen") || strings.Contains(text, "Car") || !strings.Contains(text, "Same as everywhere else.") {
		t.Errorf("the volume can be set on: %s", text)
	}
	d = h.Follow(h.press("/preferences", h.apart("volume"), "Save", "value", "2"))
	d.Check()
	if c, on := h.choice("volume"), h.on("volume"); c.Value != "5" || on.Value != "2" || !on.Apart {
		t.Errorf("%+v", c)
	}
	if text := portaltest.TextOf(h.within(d, h.apart("volume"))); !strings.Contains(text, "Set for this device alone.") {
		t.Errorf("the page says %s", text)
	}
	h.Follow(h.press("/preferences", h.apart("volume"), "Same as everywhere else"))
	if on := h.on("volume"); on.Value != "5" || on.Apart {
		t.Errorf("%+v", on)
	}
}

// What protects more holds on every device, and the page says that a device's own
// value does not count.
func TestProtectionIsShown(t *testing.T) {
	h := newHome(t)
	h.Follow(h.press("/preferences", h.apart("microphone"), "Yes"))
	h.Follow(h.press("/preferences", "p-microphone", "No"))
	d := h.Get("/preferences")
	d.Check()
	if on := h.on("microphone"); on.Value != "false" || !on.Held {
		t.Errorf("%+v", on)
	}
	if text := portaltest.TextOf(h.within(d, h.apart("microphone"))); !strings.Contains(text, "it does not count") {
		t.Errorf("the page says %s", text)
	}
}

// Who signed in a moment ago, with all they have, is asked for no more: neither to
// protect more nor less.
func TestProtectingIsNotHeldUp(t *testing.T) {
	h := newHome(t)
	h.house.Devices.Set(hub.Device{Device: h.kitchen.Device, Kind: "speaker", Created: h.kitchen.LastSeen.AddDate(-1, 0, 0)})
	for _, words := range []string{"No", "Yes", "No"} {
		if d := h.press("/preferences", "p-microphone", words); d.Status != http.StatusSeeOther || !strings.HasPrefix(d.Header.Get("Location"), "/preferences") {
			t.Errorf("%s: status %d to %s", words, d.Status, d.Header.Get("Location"))
		}
	}
}

// Each value says where it comes from; what is under a consent says that it is
// not in force, and what ends says when.
func TestSettingsSayWhereFrom(t *testing.T) {
	h := newHome(t)
	h.Follow(h.press("/preferences", "p-party", "Yes"))
	d := h.Get("/preferences")
	for id, want := range map[string]string{
		"p-microphone": "This is how it comes.", "p-party": "Set on these pages on", "p-choosy": "Not in use, because you have not allowed Offers.",
	} {
		if text := portaltest.TextOf(h.within(d, id)); !strings.Contains(text, want) {
			t.Errorf("%s does not say %q: %s", id, want, text)
		}
	}
	if text := portaltest.TextOf(h.within(d, "p-party")); !strings.Contains(text, "It ends by") {
		t.Errorf("party mode does not say when it ends: %s", text)
	}
}

// The choices lead to the settings, and nothing is set by looking.
func TestTheWayThere(t *testing.T) {
	h := newHome(t)
	head := h.house.Head(t, h.account)
	found := map[string]bool{}
	for a := range h.Get("/consents").All("a") {
		found[portaltest.Attr(a, "href")] = true
	}
	if !found["/preferences"] || !found["/communication"] {
		t.Errorf("the choices lead to %v", found)
	}
	for _, page := range []string{"/preferences", "/communication"} {
		d := h.Get(page)
		d.Check()
		if d.Status != http.StatusOK {
			t.Errorf("%s: status %d", page, d.Status)
		}
	}
	if now := h.house.Head(t, h.account); now != head {
		t.Error("looking has set something")
	}
	if d := h.house.Browser(t).Get("/communication"); d.Status != http.StatusSeeOther || d.Header.Get("Location") != "/signin?next=%2Fcommunication" {
		t.Errorf("who is not signed in: %d to %s", d.Status, d.Header.Get("Location"))
	}
}
