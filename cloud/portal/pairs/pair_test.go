package pairs_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/portal/portaltest"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
)

// asked is an owner whose speaker asks to be paired.
func asked(t *testing.T) (h *portaltest.House, b *portaltest.Browser, code pairing.UserCode) {
	t.Helper()
	h = portaltest.Open(t)
	b = h.Browser(t)
	b.Register()
	return h, b, h.ASpeaker()
}

func TestOpeningALinkApprovesNothing(t *testing.T) {
	h, b, code := asked(t)
	for _, query := range []string{
		"", "&answer=approve", "&answer=approve&name=Kitchen", "&approve=1", "&confirm=yes", "&form=" + b.Get("/pair?code="+string(code)).Form("Approve").Fields.Get("form"),
	} {
		for _, site := range []string{"none", "cross-site"} {
			b.Site = site
			d := b.Get("/pair?code=" + string(code) + query)
			d.MustSay("Is this your speaker?")
		}
	}
	b.Get("/pair/approved?grant=the-grant")
	b.Get("/pair/declined")
	if got := h.Pairings.Answered(code); got != "" {
		t.Errorf("a page that was only opened %s", got)
	}
}

func TestPairPage(t *testing.T) {
	_, b, code := asked(t)
	d := b.Get("/pair?code=wdjb+mjht")
	d.MustSay("Is this your speaker?", "Hearth Mini", "Serial number ends in 4F2A", "12 seconds ago", "on your network", string(code))
	if v := portaltest.Attr(d.Find("name"), "value"); v != "Kitchen speaker" {
		t.Errorf("suggests %q", v)
	}
	approve, decline := d.Form("Approve"), d.Form("Decline")
	approve.Fields.Del("answer")
	decline.Fields.Del("answer")
	if approve.Action != decline.Action || approve.Fields.Encode() != decline.Fields.Encode() {
		t.Error("Approve and Decline are sent in different ways")
	}
	// Enter in the name field presses the first button, which must do nothing.
	for f := range d.All("form") {
		if portaltest.Attr(f, "action") == "/pair" {
			for first := range portaltest.Within(f, "button") {
				if !portaltest.HasAttr(first, "disabled") {
					t.Errorf("Enter in the name field presses %q", portaltest.TextOf(first))
				}
				break
			}
		}
	}
}

func TestApprove(t *testing.T) {
	h, b, code := asked(t)
	account := b.Who()
	d := b.Press(b.Get("/pair?code="+string(code)), "Approve", "name", "  Küche \t oben ")
	if got := h.Pairings.Answered(code); got != "approved Küche oben" {
		t.Fatalf("the code was %q", got)
	}
	joined := portaltest.HubDevice("Küche oben")
	joined.Grant = "the-grant"
	h.Link(t, account, joined)
	done := b.Follow(d)
	done.MustSay("Küche oben is yours", "may do nothing yet")
	for a := range done.All("a") {
		if portaltest.TextOf(a) == "Decide what it may do" {
			b.Get(portaltest.Attr(a, "href")).MustSay("Your choices")
			return
		}
	}
	t.Error("the page leads to no choices")
}

// The page after approving waits a moment for the device, but not for ever.
func TestApprovedWaitsForTheDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := portaltest.Open(t)
		b := h.Browser(t)
		account := b.Register()
		start := time.Now()
		b.Get("/pair/approved?grant=the-grant").MustSay("Approved", "takes over in a moment")
		if waited := time.Since(start); waited > time.Second {
			t.Errorf("waited %s", waited)
		}
		go func() {
			time.Sleep(50 * time.Millisecond)
			d := portaltest.HubDevice("Kitchen speaker")
			d.Grant = "the-grant"
			h.Link(t, account, d)
		}()
		b.Get("/pair/approved?grant=the-grant").MustSay("Kitchen speaker is yours")
		b.Get("/pair/approved").MustSay("takes over in a moment")
	})
}

func TestDecline(t *testing.T) {
	h, b, code := asked(t)
	page := b.Get("/pair?code=" + string(code))
	b.Follow(b.Press(page, "Decline", "name", "")).MustSay("Declined", "It knows nothing about you")
	if got := h.Pairings.Answered(code); got != "declined" {
		t.Errorf("the code was %q", got)
	}
	b.Press(page, "Approve").MustSay("This code was used already")
}

func TestPairProblems(t *testing.T) {
	h, b, code := asked(t)
	page := b.Get("/pair?code=" + string(code))
	for _, c := range []struct {
		err    error
		status int
		says   []string
	}{
		{issuer.ErrWrongCode, 404, []string{"We do not know this code", "letter by letter", "Code on the device"}},
		{issuer.ErrExpired, 410, []string{"expired", "Start again on the device", "Code on the device"}},
		{issuer.ErrUsed, 409, []string{"used already", "start again on it", "Code on the device"}},
		{issuer.ErrTooManyGuesses{RetryAfter: 95 * time.Second}, 429, []string{"Too many wrong codes", "Wait 95 seconds", "Try again"}},
		{issuer.ErrInactive, 403, []string{"switched off"}},
		{errors.New("disk 7 burns"), 500, []string{"Something failed here"}},
	} {
		h.Pairings.Err = c.err
		for _, d := range []*portaltest.Document{b.Get("/pair?code=" + string(code)), b.Press(page, "Approve"), b.Press(page, "Decline")} {
			if d.Status != c.status {
				t.Errorf("%v: status %d, want %d", c.err, d.Status, c.status)
			}
			d.MustSay(c.says...)
			d.Check()
		}
	}
	h.Pairings.Err = nil
	for _, typed := range []string{"hello", "WDJB", "WDJB-MJHT-X", "12345678", strings.Repeat("B", 1000), "<script>", "\xff\xfe"} {
		d := b.Get("/pair?" + url.Values{"code": {typed}}.Encode())
		if d.Status != http.StatusUnprocessableEntity {
			t.Errorf("%.20q: status %d", typed, d.Status)
		}
		d.MustSay("This is not a whole code", "eight letters")
		d.Check()
	}
	if d := b.Press(page, "Approve", "answer", "perhaps"); d.Status != http.StatusUnprocessableEntity {
		t.Errorf("no answer: status %d", d.Status)
	}
	b.Press(page, "Approve", "code", "WDJB").MustSay("This is not a whole code")
	if got := h.Pairings.Answered(code); got != "" {
		t.Errorf("on the way the code was %s", got)
	}
}

func TestTypedCode(t *testing.T) {
	_, b, code := asked(t)
	b.Press(b.Get("/pair"), "Continue", "code", " wdjb mjht ").MustSay("Is this your speaker?", string(code))
	wrong := b.Press(b.Get("/pair"), "Continue", "code", "wdjb mjhx")
	if v := portaltest.Attr(wrong.Find("code"), "value"); v != "wdjb mjhx" {
		t.Errorf("what was typed is gone: %q", v)
	}
}

// Names go through approving and come back on the pages as they were typed.
var names = []string{
	"Kitchen", "Küche", "キッチンのスピーカー", "부엌 스피커", "厨房音箱", "ลำโพงในครัว", "مكبر صوت المطبخ", "רמקול במטבח",
	"रसोई स्पीकर", "Спальня", "Κουζίνα", "👩‍🍳 kitchen", "O'Neill & Søn \"best\"", "<script>alert(1)</script>",
	`"><img src=x onerror=alert(1)>`, "{{.Form}}", "</title><script>", "a\u200db", "%s%n", "../../etc/passwd",
}

func TestNames(t *testing.T) {
	h, b, code := asked(t)
	account := b.Who()
	page := b.Get("/pair?code=" + string(code))
	for _, name := range names {
		delete(h.Pairings.Answers, code)
		if d := b.Press(page, "Approve", "name", name); d.Status != http.StatusSeeOther {
			t.Errorf("%q: status %d", name, d.Status)
		}
		if got := h.Pairings.Answered(code); got != "approved "+name {
			t.Errorf("%q became %q", name, got)
		}
		d := portaltest.HubDevice(name)
		d.State, d.Online, d.StopsBy = hub.StateStops, false, time.Now().Add(time.Hour)
		d.Model, d.Serial, d.Grant = name, name, name
		d.Stops = map[cardea.Key]time.Time{"recommendations/use": time.Now().Add(time.Hour)}
		d = h.Link(t, account, d)
		h.Decide(t, account, "voice_clips/use", cardea.ActDeny, d.Device, cardea.Position{})
		for _, path := range []string{
			"/devices", "/consents", "/devices/unlink?link=" + d.Link.String(), "/pair/approved?" + url.Values{"grant": {name}}.Encode(),
		} {
			doc := b.Get(path)
			doc.MustSay(name)
			doc.Check()
		}
		h.Devices.Set()
	}
}

// A device says of itself what it likes.
func TestDeviceCanNotWriteThePage(t *testing.T) {
	h, b, code := asked(t)
	for _, said := range names {
		h.Pairings.Asks.Device = pairing.Device{Kind: said, Model: said, Serial: said}
		d := b.Get("/pair?code=" + string(code))
		d.MustSay("Is this your device?", said)
		d.Check()
	}
}

func TestNamesThatAreRefused(t *testing.T) {
	h, b, code := asked(t)
	page := b.Get("/pair?code=" + string(code))
	for name, says := range map[string]string{
		"":                                  "Give the device a name",
		" \t\u00a0 ":                        "Give the device a name",
		strings.Repeat("x", 10<<10):         "too long",
		strings.Repeat("x", 61):             "too long",
		strings.Repeat("e\u0301\u0301", 60): "too long",
		"Kitchen\u202eretsam":               "cannot be seen",
		"Kitchen\x00":                       "cannot be seen",
		"\u200b\u200d \u00ad":               "cannot be seen",
		"\xff\xfe":                          "no text",
	} {
		d := b.Press(page, "Approve", "name", name)
		if d.Status != http.StatusUnprocessableEntity || len(d.Text) > 8<<10 {
			t.Errorf("%.20q: status %d, page of %d bytes", name, d.Status, len(d.Text))
		}
		d.MustSay("Is this your speaker?", says)
	}
	if got := h.Pairings.Answered(code); got != "" {
		t.Errorf("on the way the code was %s", got)
	}
}

func TestSuggestedNamesAreNew(t *testing.T) {
	h, b, code := asked(t)
	account := b.Who()
	for _, want := range []string{"Kitchen speaker", "Kitchen speaker 2", "Kitchen speaker 3"} {
		if got := portaltest.Attr(b.Get("/pair?code="+string(code)).Find("name"), "value"); got != want {
			t.Errorf("suggests %q, want %q", got, want)
		}
		h.Link(t, account, portaltest.HubDevice(strings.ToUpper(want)))
	}
}

// The address in a small QR code is all capitals; people who type it use none.
func TestShortAddress(t *testing.T) {
	h, b, code := asked(t)
	bare := strings.ReplaceAll(string(code), "-", "")
	for _, path := range []string{"/P/" + bare, "/p/" + bare, "/p/" + strings.ToLower(bare), "/P/" + string(code)} {
		b.Follow(b.Get(path)).MustSay("Is this your speaker?")
	}
	b.Follow(b.Get("/p/" + url.PathEscape("<b>&x=1"))).MustSay("This is not a whole code")
	// Whoever is not signed in comes back to it.
	stranger := h.Browser(t)
	d := stranger.Follow(stranger.Get("/P/" + bare))
	if next := d.Header.Get("Location"); !strings.Contains(next, "code%3D"+bare) {
		t.Errorf("a stranger is sent to %q", next)
	}
	if got := h.Pairings.Answered(code); got != "" {
		t.Errorf("a page that was only opened %s", got)
	}
}
