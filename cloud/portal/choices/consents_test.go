package choices_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/cloud/portal/portaltest"
)

const recommendations cardea.Key = "recommendations/use"

func TestEachPurposeSaysWhatIsAsked(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	b.Register()
	d := b.Get("/consents")
	d.MustSay(
		"Recommendations", "We look at what you play and when.", "To suggest music and stations you may like.",
		"Suggestions that fit, on each of your devices.", "You get the charts instead.", "Songs you play, time of day",
		"Tonic Analytics, Ireland: works for us", "Broadside Media, United States: another company, for its own ends. We are paid for it",
		"13 months, then deleted.", "A yes counts for 2 years. Then we ask again.", "Germany, Ireland, United States",
		"If the speaker or the car cannot reach us, it stops there within 3 days.",
		"If the speaker cannot reach us, it stops there within 30 seconds.",
		"It stays on the device. If the car cannot reach us, it stops there within 30 days. Restarted meanwhile, it goes on until it has reached us.",
		"May we use what you play to suggest music?", "May Broadside Media get your listening profile?",
		"It needs no consent. Security.",
	)
	for _, key := range []cardea.Key{recommendations, "recommendations/third_party", "voice_clips/use", "routes/use"} {
		f := d.Facet(key, "")
		if !strings.Contains(portaltest.TextOf(f), "Not asked yet") {
			t.Errorf("%s: %s", key, portaltest.TextOf(f))
		}
	}
	for f := range d.All("form") {
		if portaltest.Value(f, "key") == "updates/use" {
			t.Error("what is necessary is asked")
		}
	}
}

// Giving and taking back: one tap each, from the same page, for each facet apart.
func TestTakingBackTakesAsManyTapsAsGiving(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	account := b.Register()
	taps := func(words string, done func() bool) (n int) {
		for !done() && n < 10 {
			b.Tap(b.Get("/consents"), recommendations, "", words)
			n++
		}
		return n
	}
	given := func() bool { return h.Standing(t, account, recommendations).Given() }
	give := taps("Allow", given)
	if other := h.Standing(t, account, "recommendations/third_party"); other.Reason != cardea.ReasonNotAsked {
		t.Errorf("allowing one facet made the other %s", other.Reason)
	}
	back := taps("Don’t allow", func() bool { return !given() })
	if give != 1 || back > give {
		t.Errorf("%d taps to give, %d to take back", give, back)
	}
	if got := h.Standing(t, account, recommendations).Reason; got != cardea.ReasonWithdrawn {
		t.Errorf("taken back is %s", got)
	}
}

func TestStatesInWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := portaltest.Open(t)
		b := h.Browser(t)
		b.Register()
		d := b.Tap(b.Get("/consents"), recommendations, "", "Allow")
		f := d.Facet(recommendations, "")
		if !strings.Contains(portaltest.TextOf(f), "Allowed until 31 Dec 2001") { // the bubble begins in 2000
			t.Errorf("given: %s", portaltest.TextOf(f))
		}
		time.Sleep(25 * 24 * time.Hour)
		b.Tap(b.Get("/consents"), "voice_clips/use", "", "Don’t allow")
		time.Sleep(2 * 365 * 24 * time.Hour)
		b.Press(b.Get("/signin"), "Sign in", "email", portaltest.Email, "password", portaltest.Password)
		d = b.Get("/consents")
		if f := d.Facet(recommendations, ""); !strings.Contains(portaltest.TextOf(f), "Off. Your yes ended on 31 Dec 2001") {
			t.Errorf("ended: %s", portaltest.TextOf(f))
		}
		if f := d.Facet("voice_clips/use", ""); !strings.Contains(portaltest.TextOf(f), " Off ") {
			t.Errorf("refused: %s", portaltest.TextOf(f))
		}
	})
}

func TestStoppedOnOneDevice(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	account := b.Register()
	speaker := h.Link(t, account, portaltest.HubDevice("Kitchen speaker"))
	b.Tap(b.Get("/consents"), recommendations, "", "Allow")
	h.Decide(t, account, recommendations, cardea.ActDeny, speaker.Device, h.Head(t, account))

	d := b.Get("/consents")
	if all := portaltest.TextOf(d.Facet(recommendations, "")); !strings.Contains(all, "Allowed until") {
		t.Errorf("everywhere: %s", all)
	}
	if there := portaltest.TextOf(d.Facet(recommendations, speaker.Device)); !strings.Contains(there, "Off on Kitchen speaker: stopped there") {
		t.Errorf("there: %s", there)
	}
	d = b.Tap(d, recommendations, speaker.Device, "Allow on this device")
	for f := range d.All("form") {
		if portaltest.Value(f, "device") != "" {
			t.Errorf("still apart: %s", portaltest.TextOf(f))
		}
	}
}

func TestAllowedOnOneDeviceOnly(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	account := b.Register()
	speaker := h.Link(t, account, portaltest.HubDevice("Kitchen speaker"))
	h.Decide(t, account, recommendations, cardea.ActGrant, speaker.Device, h.Head(t, account))
	d := b.Get("/consents")
	if there := portaltest.TextOf(d.Facet(recommendations, speaker.Device)); !strings.Contains(there, "Allowed on Kitchen speaker only, until") {
		t.Errorf("there: %s", there)
	}
	d = b.Tap(d, recommendations, speaker.Device, "Stop on this device")
	if there := portaltest.TextOf(d.Facet(recommendations, speaker.Device)); !strings.Contains(there, "Off on Kitchen speaker") {
		t.Errorf("there, after one tap: %s", there)
	}
}

// A yes from a page that was opened before a no does not undo the no.
func TestOldPageDoesNotUndoANo(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	account := b.Register()
	old := b.Get("/consents")
	b.Tap(b.Get("/consents"), recommendations, "", "Don’t allow")
	d := b.Tap(old, recommendations, "", "Allow")
	if h.Standing(t, account, recommendations).Given() {
		t.Fatal("it is given")
	}
	d.MustSay("Off. A no and a yes crossed", "Recommendations is off", "We took the no")

	d = b.Follow(b.Press(d, "Allow again"))
	if !h.Standing(t, account, recommendations).Given() || strings.Contains(d.Text, "crossed") {
		t.Errorf("after allowing again: %+v", h.Standing(t, account, recommendations))
	}
}

// A no from an old page is taken each time it is sent.
func TestOldPageCanAlwaysSayNo(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	account := b.Register()
	old := b.Get("/consents")
	for range 3 {
		b.Tap(b.Get("/consents"), recommendations, "", "Allow")
		b.Tap(old, recommendations, "", "Don’t allow")
		if h.Standing(t, account, recommendations).Given() {
			t.Fatal("the no was lost")
		}
		b.Tap(b.Get("/consents"), recommendations, "", "Don’t allow")
	}
}

func TestConflictOnADevice(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	account := b.Register()
	speaker := h.Link(t, account, portaltest.HubDevice("Kitchen speaker"))
	for _, c := range []struct {
		press string
		given bool
	}{{"Leave off", false}, {"Allow again", true}} {
		before := h.Head(t, account)
		h.Decide(t, account, "voice_clips/use", cardea.ActDeny, speaker.Device, before)
		h.Decide(t, account, "voice_clips/use", cardea.ActGrant, speaker.Device, before)
		d := b.Get("/consents")
		d.MustSay("Better understanding is off on Kitchen speaker")
		d = b.Follow(b.Press(d, c.press))
		if strings.Contains(d.Text, "We took the no") {
			t.Errorf("%s: still asked", c.press)
		}
		page, err := h.Ledger.Page(t.Context(), account, "en")
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(page.Choices, func(c ledger.Choice) bool { return c.Purpose.ID == "voice_clips" })
		if f := page.Choices[i].Facets[0]; len(f.OnlyOn) == 1 != c.given {
			t.Errorf("%s: %+v", c.press, f)
		}
	}
}

// The page after a decision says what devices have done, without being reloaded.
func TestPageSaysWhatDevicesDid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := portaltest.Open(t)
		b := h.Browser(t)
		account := b.Register()
		speaker := h.Link(t, account, portaltest.HubDevice("Kitchen speaker"))
		car := h.Link(t, account, hub.Device{Name: "Car", Kind: "car", State: hub.StateApplied, AppliedAt: time.Now()})
		d := b.Tap(b.Get("/consents"), recommendations, "", "Allow")
		d.MustSay("In force on all 2 devices.", "In force on 2 of 2.")

		stops := time.Now().Add(19*time.Minute + 123*time.Millisecond)
		speaker.State, speaker.StopsBy = hub.StateStops, stops
		car.State, car.StopsBy, car.Stops = hub.StateStops, stops, map[cardea.Key]time.Time{recommendations: stops}
		h.Devices.Set(speaker, car)
		go func() { // the speaker confirms
			time.Sleep(15 * time.Millisecond)
			speaker.State, speaker.StopsBy = hub.StateApplied, time.Time{}
			h.Devices.Set(speaker, car)
		}()
		start := time.Now()
		d = b.Tap(d, recommendations, "", "Don’t allow")
		if waited := time.Since(start); waited > 50*time.Millisecond {
			t.Errorf("waited %s for a device that is out of reach", waited)
		}
		d.MustSay("In force on 1 of 2 devices.", "Car is out of reach. It stops by 00:20 UTC (in 20 minutes).", "Stopped on 1 of 2. Car stops by 00:20 UTC")
		f := d.Facet(recommendations, "")
		var bound string
		for n := range portaltest.Within(f, "time") {
			bound = portaltest.Attr(n, "datetime")
		}
		if want := stops.UTC().Format("2006-01-02T15:04:05.000Z"); bound != want {
			t.Errorf("stops by %q, want %q", bound, want)
		}
		time.Sleep(20 * time.Minute)
		b.Get("/consents").MustSay("Stopped on 2 of 2.")
	})
}

func TestDecisionsThatAreRefused(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	account := b.Register()
	fields := func(over url.Values) url.Values {
		f := url.Values{}
		for in := range portaltest.Within(b.Get("/consents").Facet(recommendations, ""), "input") {
			f.Set(portaltest.Attr(in, "name"), portaltest.Attr(in, "value"))
		}
		f.Set("decision", "allow")
		for name := range over {
			f.Set(name, over.Get(name))
		}
		return f
	}
	for _, c := range []struct {
		what   string
		over   url.Values
		status int
		says   string
	}{
		{"another version", url.Values{"version": {"2"}}, 409, "This has changed meanwhile"},
		{"another notice", url.Values{"notice": {strings.Repeat("ab", 32)}}, 409, "This has changed meanwhile"},
		{"a base ahead", url.Values{"base": {"1.99." + strings.Repeat("ab", 32)}}, 409, "This has changed meanwhile"},
		{"no such purpose", url.Values{"key": {"ads/use"}}, 404, "This is not asked any more"},
		{"what needs no consent", url.Values{"key": {"updates/use"}}, 404, "This is not asked any more"},
		{"no answer", url.Values{"decision": {""}}, 403, "nothing was changed"},
		{"no base", url.Values{"base": {"x"}}, 403, "nothing was changed"},
		{"no key", url.Values{"key": {"x"}}, 403, "nothing was changed"},
		{"no device", url.Values{"device": {"x"}}, 403, "nothing was changed"},
		{"no version", url.Values{"version": {"-1"}}, 403, "nothing was changed"},
		{"no notice", url.Values{"notice": {"x"}}, 403, "nothing was changed"},
	} {
		d := b.Post("/consents", fields(c.over))
		if d.Status != c.status {
			t.Errorf("%s: status %d, want %d", c.what, d.Status, c.status)
		}
		d.MustSay(c.says)
	}
	if seq := h.Head(t, account).Seq; seq != 0 {
		t.Errorf("%d entries in the ledger", seq)
	}
}

func TestNoDevicesYet(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	b.Register()
	b.Get("/consents").MustSay("No device is linked yet")
	b.Get("/devices").MustSay("None yet")
}

// An owner whose devices are of no kind that is asked anything is told so, and not
// left with an empty page.
func TestNothingIsAsked(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	plain := portaltest.HubDevice("Lamp")
	plain.Kind = ""
	h.Link(t, b.Register(), plain)
	d := b.Get("/consents")
	d.Check()
	d.MustSay("Nothing to decide", "may do nothing that does")
	if strings.Contains(d.Text, "Everything is off until") {
		t.Error(d.Text)
	}
}
