package portal_test

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
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
)

func TestOpeningALinkApprovesNothing(t *testing.T) {
	h := open(t)
	code := h.aSpeaker()
	b := h.browser(t)
	b.register()
	for _, query := range []string{
		"", "&answer=approve", "&answer=approve&name=Kitchen", "&approve=1", "&confirm=yes", "&form=" + b.get("/pair?code="+string(code)).form("Approve").fields.Get("form"),
	} {
		for _, site := range []string{"none", "cross-site"} {
			b.site = site
			d := b.get("/pair?code=" + string(code) + query)
			d.mustSay("Is this your speaker?")
		}
	}
	b.get("/pair/approved?grant=the-grant")
	b.get("/pair/declined")
	if got := h.pairings.answered(code); got != "" {
		t.Errorf("a page that was only opened %s", got)
	}
}

func TestPairPage(t *testing.T) {
	h := open(t)
	code := h.aSpeaker()
	b := h.browser(t)
	b.register()
	d := b.get("/pair?code=wdjb+mjht")
	d.mustSay("Is this your speaker?", "Hearth Mini", "Serial number ends in 4F2A", "12 seconds ago", "on your network", string(code))
	if v := attr(d.find("name"), "value"); v != "Kitchen speaker" {
		t.Errorf("suggests %q", v)
	}
	approve, decline := d.form("Approve"), d.form("Decline")
	approve.fields.Del("answer")
	decline.fields.Del("answer")
	if approve.action != decline.action || approve.fields.Encode() != decline.fields.Encode() {
		t.Error("Approve and Decline are sent in different ways")
	}
	// Enter in the name field presses the first button, which must do nothing.
	for f := range d.all("form") {
		if attr(f, "action") == "/pair" {
			for first := range within(f, "button") {
				if !hasAttr(first, "disabled") {
					t.Errorf("Enter in the name field presses %q", textOf(first))
				}
				break
			}
		}
	}
}

func TestApprove(t *testing.T) {
	h := open(t)
	code := h.aSpeaker()
	b := h.browser(t)
	account := b.register()
	d := b.press(b.get("/pair?code="+string(code)), "Approve", "name", "  Küche \t oben ")
	if got := h.pairings.answered(code); got != "approved Küche oben" {
		t.Fatalf("the code was %q", got)
	}
	joined := hubDevice("Küche oben")
	joined.Grant = "the-grant"
	h.link(t, account, joined)
	done := b.follow(d)
	done.mustSay("Küche oben is yours", "may do nothing yet")
	for a := range done.all("a") {
		if textOf(a) == "Decide what it may do" {
			b.get(attr(a, "href")).mustSay("Your choices")
			return
		}
	}
	t.Error("the page leads to no choices")
}

// The page after approving waits a moment for the device, but not for ever.
func TestApprovedWaitsForTheDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		b := h.browser(t)
		account := b.register()
		start := time.Now()
		b.get("/pair/approved?grant=the-grant").mustSay("Approved", "takes over in a moment")
		if waited := time.Since(start); waited > time.Second {
			t.Errorf("waited %s", waited)
		}
		go func() {
			time.Sleep(50 * time.Millisecond)
			d := hubDevice("Kitchen speaker")
			d.Grant = "the-grant"
			h.link(t, account, d)
		}()
		b.get("/pair/approved?grant=the-grant").mustSay("Kitchen speaker is yours")
		b.get("/pair/approved").mustSay("takes over in a moment")
	})
}

func TestDecline(t *testing.T) {
	h := open(t)
	code := h.aSpeaker()
	b := h.browser(t)
	b.register()
	page := b.get("/pair?code=" + string(code))
	b.follow(b.press(page, "Decline", "name", "")).mustSay("Declined", "It knows nothing about you")
	if got := h.pairings.answered(code); got != "declined" {
		t.Errorf("the code was %q", got)
	}
	b.press(page, "Approve").mustSay("This code was used already")
}

func TestPairProblems(t *testing.T) {
	h := open(t)
	code := h.aSpeaker()
	b := h.browser(t)
	b.register()
	page := b.get("/pair?code=" + string(code))
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
		h.pairings.err = c.err
		for _, d := range []*document{b.get("/pair?code=" + string(code)), b.press(page, "Approve"), b.press(page, "Decline")} {
			if d.Status != c.status {
				t.Errorf("%v: status %d, want %d", c.err, d.Status, c.status)
			}
			d.mustSay(c.says...)
			checkInert(d)
		}
	}
	h.pairings.err = nil
	for _, typed := range []string{"hello", "WDJB", "WDJB-MJHT-X", "12345678", strings.Repeat("B", 1000), "<script>", "\xff\xfe"} {
		d := b.get("/pair?" + url.Values{"code": {typed}}.Encode())
		if d.Status != http.StatusUnprocessableEntity {
			t.Errorf("%.20q: status %d", typed, d.Status)
		}
		d.mustSay("This is not a whole code", "eight letters")
		checkInert(d)
	}
	if d := b.press(page, "Approve", "answer", "perhaps"); d.Status != http.StatusUnprocessableEntity {
		t.Errorf("no answer: status %d", d.Status)
	}
	b.press(page, "Approve", "code", "WDJB").mustSay("This is not a whole code")
	if got := h.pairings.answered(code); got != "" {
		t.Errorf("on the way the code was %s", got)
	}
}

func TestTypedCode(t *testing.T) {
	h := open(t)
	code := h.aSpeaker()
	b := h.browser(t)
	b.register()
	b.press(b.get("/pair"), "Continue", "code", " wdjb mjht ").mustSay("Is this your speaker?", string(code))
	wrong := b.press(b.get("/pair"), "Continue", "code", "wdjb mjhx")
	if v := attr(wrong.find("code"), "value"); v != "wdjb mjhx" {
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
	h := open(t)
	code := h.aSpeaker()
	b := h.browser(t)
	account := b.register()
	page := b.get("/pair?code=" + string(code))
	for _, name := range names {
		delete(h.pairings.answers, code)
		if d := b.press(page, "Approve", "name", name); d.Status != http.StatusSeeOther {
			t.Errorf("%q: status %d", name, d.Status)
		}
		if got := h.pairings.answered(code); got != "approved "+name {
			t.Errorf("%q became %q", name, got)
		}
		d := hubDevice(name)
		d.State, d.Online, d.StopsBy = hub.StateStops, false, time.Now().Add(time.Hour)
		d.Model, d.Serial, d.Grant = name, name, name
		d.Stops = map[cardea.Key]time.Time{"recommendations/use": time.Now().Add(time.Hour)}
		d = h.link(t, account, d)
		h.decide(t, account, "voice_clips/use", cardea.ActDeny, d.Device, cardea.Position{})
		for _, path := range []string{
			"/devices", "/consents", "/devices/unlink?link=" + d.Link.String(), "/pair/approved?" + url.Values{"grant": {name}}.Encode(),
		} {
			doc := b.get(path)
			doc.mustSay(name)
			checkInert(doc)
			checkFrame(doc)
			checkNames(doc)
		}
		h.devices.set()
	}
}

// A device says of itself what it likes.
func TestDeviceCanNotWriteThePage(t *testing.T) {
	h := open(t)
	code := h.aSpeaker()
	b := h.browser(t)
	b.register()
	for _, said := range names {
		h.pairings.asks.Device = pairing.Device{Kind: said, Model: said, Serial: said}
		d := b.get("/pair?code=" + string(code))
		d.mustSay("Is this your device?", said)
		checkInert(d)
		checkFrame(d)
	}
}

func TestNamesThatAreRefused(t *testing.T) {
	h := open(t)
	code := h.aSpeaker()
	b := h.browser(t)
	b.register()
	page := b.get("/pair?code=" + string(code))
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
		d := b.press(page, "Approve", "name", name)
		if d.Status != http.StatusUnprocessableEntity || len(d.Text) > 8<<10 {
			t.Errorf("%.20q: status %d, page of %d bytes", name, d.Status, len(d.Text))
		}
		d.mustSay("Is this your speaker?", says)
	}
	if got := h.pairings.answered(code); got != "" {
		t.Errorf("on the way the code was %s", got)
	}
}

func TestSuggestedNamesAreNew(t *testing.T) {
	h := open(t)
	code := h.aSpeaker()
	b := h.browser(t)
	account := b.register()
	for _, want := range []string{"Kitchen speaker", "Kitchen speaker 2", "Kitchen speaker 3"} {
		if got := attr(b.get("/pair?code="+string(code)).find("name"), "value"); got != want {
			t.Errorf("suggests %q, want %q", got, want)
		}
		h.link(t, account, hubDevice(strings.ToUpper(want)))
	}
}

// The address in a small QR code is all capitals; people who type it use none.
func TestShortAddress(t *testing.T) {
	h := open(t)
	code := h.aSpeaker()
	b := h.browser(t)
	b.register()
	bare := strings.ReplaceAll(string(code), "-", "")
	for _, path := range []string{"/P/" + bare, "/p/" + bare, "/p/" + strings.ToLower(bare), "/P/" + string(code)} {
		b.follow(b.get(path)).mustSay("Is this your speaker?")
	}
	b.follow(b.get("/p/" + url.PathEscape("<b>&x=1"))).mustSay("This is not a whole code")
	// Whoever is not signed in comes back to it.
	stranger := h.browser(t)
	d := stranger.follow(stranger.get("/P/" + bare))
	if next := d.Header.Get("Location"); !strings.Contains(next, "code%3D"+bare) {
		t.Errorf("a stranger is sent to %q", next)
	}
	if got := h.pairings.answered(code); got != "" {
		t.Errorf("a page that was only opened %s", got)
	}
}
