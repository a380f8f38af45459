package portal_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/html"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/ledger"
)

const recommendations cardea.Key = "recommendations/use"

// facet is what the page shows and offers for a key, at one device or everywhere.
func (d *document) facet(key cardea.Key, device cardea.DeviceID) (form *html.Node) {
	for f := range d.all("form") {
		if strings.Contains(attr(f, "class"), "facet") || attr(f, "class") == "place" {
			if value(f, "key") == string(key) && value(f, "device") == string(device) {
				return f
			}
		}
	}
	d.t.Fatalf("%s is not asked on %q:\n%s", key, device, d.Text)
	return nil
}

func value(form *html.Node, name string) string {
	for in := range within(form, "input") {
		if attr(in, "name") == name {
			return attr(in, "value")
		}
	}
	return ""
}

// tap presses a button of one facet and opens what follows.
func (b *browser) tap(d *document, key cardea.Key, device cardea.DeviceID, words string) *document {
	b.t.Helper()
	return b.follow(b.send(d.facet(key, device), words))
}

// send submits a form with one of its buttons.
func (b *browser) send(f *html.Node, words string) *document {
	b.t.Helper()
	fields := url.Values{}
	for in := range within(f, "input") {
		fields.Set(attr(in, "name"), attr(in, "value"))
	}
	for button := range within(f, "button") {
		if textOf(button) == words {
			fields.Set(attr(button, "name"), attr(button, "value"))
			return b.post(attr(f, "action"), fields)
		}
	}
	b.t.Fatalf("no button %q in %s", words, textOf(f))
	return nil
}

func (h *house) standing(t *testing.T, account cardea.AccountID, key cardea.Key) cardea.Consent {
	t.Helper()
	page, err := h.ledger.Page(t.Context(), account, "en")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range page.Choices {
		for _, f := range c.Facets {
			if f.Key == key {
				return f.Standing
			}
		}
	}
	t.Fatalf("%s is not asked", key)
	return cardea.Consent{}
}

func TestEachPurposeSaysWhatIsAsked(t *testing.T) {
	h := open(t)
	b := h.browser(t)
	b.register()
	d := b.get("/consents")
	d.mustSay(
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
		f := d.facet(key, "")
		if !strings.Contains(textOf(f), "Not asked yet") {
			t.Errorf("%s: %s", key, textOf(f))
		}
	}
	for f := range d.all("form") {
		if value(f, "key") == "updates/use" {
			t.Error("what is necessary is asked")
		}
	}
}

// Giving and taking back: one tap each, from the same page, for each facet apart.
func TestTakingBackTakesAsManyTapsAsGiving(t *testing.T) {
	h := open(t)
	b := h.browser(t)
	account := b.register()
	taps := func(words string, done func() bool) (n int) {
		for !done() && n < 10 {
			b.tap(b.get("/consents"), recommendations, "", words)
			n++
		}
		return n
	}
	given := func() bool { return h.standing(t, account, recommendations).Given() }
	give := taps("Allow", given)
	if other := h.standing(t, account, "recommendations/third_party"); other.Reason != cardea.ReasonNotAsked {
		t.Errorf("allowing one facet made the other %s", other.Reason)
	}
	back := taps("Don’t allow", func() bool { return !given() })
	if give != 1 || back > give {
		t.Errorf("%d taps to give, %d to take back", give, back)
	}
	if got := h.standing(t, account, recommendations).Reason; got != cardea.ReasonWithdrawn {
		t.Errorf("taken back is %s", got)
	}
}

func TestStatesInWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		b := h.browser(t)
		b.register()
		d := b.tap(b.get("/consents"), recommendations, "", "Allow")
		f := d.facet(recommendations, "")
		if !strings.Contains(textOf(f), "Allowed until 31 Dec 2001") { // the bubble begins in 2000
			t.Errorf("given: %s", textOf(f))
		}
		time.Sleep(25 * 24 * time.Hour)
		b.tap(b.get("/consents"), "voice_clips/use", "", "Don’t allow")
		time.Sleep(2 * 365 * 24 * time.Hour)
		b.press(b.get("/signin"), "Sign in", "email", testEmail, "password", testPassword)
		d = b.get("/consents")
		if f := d.facet(recommendations, ""); !strings.Contains(textOf(f), "Off. Your yes ended on 31 Dec 2001") {
			t.Errorf("ended: %s", textOf(f))
		}
		if f := d.facet("voice_clips/use", ""); !strings.Contains(textOf(f), " Off ") {
			t.Errorf("refused: %s", textOf(f))
		}
	})
}

func TestStoppedOnOneDevice(t *testing.T) {
	h := open(t)
	b := h.browser(t)
	account := b.register()
	speaker := h.link(t, account, hubDevice("Kitchen speaker"))
	b.tap(b.get("/consents"), recommendations, "", "Allow")
	h.decide(t, account, recommendations, cardea.ActDeny, speaker.Device, h.head(t, account))

	d := b.get("/consents")
	if all := textOf(d.facet(recommendations, "")); !strings.Contains(all, "Allowed until") {
		t.Errorf("everywhere: %s", all)
	}
	if there := textOf(d.facet(recommendations, speaker.Device)); !strings.Contains(there, "Off on Kitchen speaker: stopped there") {
		t.Errorf("there: %s", there)
	}
	d = b.tap(d, recommendations, speaker.Device, "Allow on this device")
	for f := range d.all("form") {
		if value(f, "device") != "" {
			t.Errorf("still apart: %s", textOf(f))
		}
	}
}

func TestAllowedOnOneDeviceOnly(t *testing.T) {
	h := open(t)
	b := h.browser(t)
	account := b.register()
	speaker := h.link(t, account, hubDevice("Kitchen speaker"))
	h.decide(t, account, recommendations, cardea.ActGrant, speaker.Device, h.head(t, account))
	d := b.get("/consents")
	if there := textOf(d.facet(recommendations, speaker.Device)); !strings.Contains(there, "Allowed on Kitchen speaker only, until") {
		t.Errorf("there: %s", there)
	}
	d = b.tap(d, recommendations, speaker.Device, "Stop on this device")
	if there := textOf(d.facet(recommendations, speaker.Device)); !strings.Contains(there, "Off on Kitchen speaker") {
		t.Errorf("there, after one tap: %s", there)
	}
}

// A yes from a page that was opened before a no does not undo the no.
func TestOldPageDoesNotUndoANo(t *testing.T) {
	h := open(t)
	b := h.browser(t)
	account := b.register()
	old := b.get("/consents")
	b.tap(b.get("/consents"), recommendations, "", "Don’t allow")
	d := b.tap(old, recommendations, "", "Allow")
	if h.standing(t, account, recommendations).Given() {
		t.Fatal("it is given")
	}
	d.mustSay("Off. A no and a yes crossed", "Recommendations is off", "We took the no")

	d = b.follow(b.press(d, "Allow again"))
	if !h.standing(t, account, recommendations).Given() || strings.Contains(d.Text, "crossed") {
		t.Errorf("after allowing again: %+v", h.standing(t, account, recommendations))
	}
}

// A no from an old page is taken each time it is sent.
func TestOldPageCanAlwaysSayNo(t *testing.T) {
	h := open(t)
	b := h.browser(t)
	account := b.register()
	old := b.get("/consents")
	for range 3 {
		b.tap(b.get("/consents"), recommendations, "", "Allow")
		b.tap(old, recommendations, "", "Don’t allow")
		if h.standing(t, account, recommendations).Given() {
			t.Fatal("the no was lost")
		}
		b.tap(b.get("/consents"), recommendations, "", "Don’t allow")
	}
}

func TestConflictOnADevice(t *testing.T) {
	h := open(t)
	b := h.browser(t)
	account := b.register()
	speaker := h.link(t, account, hubDevice("Kitchen speaker"))
	for _, c := range []struct {
		press string
		given bool
	}{{"Leave off", false}, {"Allow again", true}} {
		before := h.head(t, account)
		h.decide(t, account, "voice_clips/use", cardea.ActDeny, speaker.Device, before)
		h.decide(t, account, "voice_clips/use", cardea.ActGrant, speaker.Device, before)
		d := b.get("/consents")
		d.mustSay("Better understanding is off on Kitchen speaker")
		d = b.follow(b.press(d, c.press))
		if strings.Contains(d.Text, "We took the no") {
			t.Errorf("%s: still asked", c.press)
		}
		page, err := h.ledger.Page(t.Context(), account, "en")
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
		h := open(t)
		b := h.browser(t)
		account := b.register()
		speaker := h.link(t, account, hubDevice("Kitchen speaker"))
		car := h.link(t, account, hub.Device{Name: "Car", Kind: "car", State: hub.StateApplied, AppliedAt: time.Now()})
		d := b.tap(b.get("/consents"), recommendations, "", "Allow")
		d.mustSay("In force on all 2 devices.", "In force on 2 of 2.")

		stops := time.Now().Add(19*time.Minute + 123*time.Millisecond)
		speaker.State, speaker.StopsBy = hub.StateStops, stops
		car.State, car.StopsBy, car.Stops = hub.StateStops, stops, map[cardea.Key]time.Time{recommendations: stops}
		h.devices.set(speaker, car)
		go func() { // the speaker confirms
			time.Sleep(15 * time.Millisecond)
			speaker.State, speaker.StopsBy = hub.StateApplied, time.Time{}
			h.devices.set(speaker, car)
		}()
		start := time.Now()
		d = b.tap(d, recommendations, "", "Don’t allow")
		if waited := time.Since(start); waited > 50*time.Millisecond {
			t.Errorf("waited %s for a device that is out of reach", waited)
		}
		d.mustSay("In force on 1 of 2 devices.", "Car is out of reach. It stops by 00:20 UTC (in 20 minutes).", "Stopped on 1 of 2. Car stops by 00:20 UTC")
		f := d.facet(recommendations, "")
		var bound string
		for n := range within(f, "time") {
			bound = attr(n, "datetime")
		}
		if want := stops.UTC().Format("2006-01-02T15:04:05.000Z"); bound != want {
			t.Errorf("stops by %q, want %q", bound, want)
		}
		time.Sleep(20 * time.Minute)
		b.get("/consents").mustSay("Stopped on 2 of 2.")
	})
}

func TestDecisionsThatAreRefused(t *testing.T) {
	h := open(t)
	b := h.browser(t)
	account := b.register()
	fields := func(over url.Values) url.Values {
		f := url.Values{}
		for in := range within(b.get("/consents").facet(recommendations, ""), "input") {
			f.Set(attr(in, "name"), attr(in, "value"))
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
		d := b.post("/consents", fields(c.over))
		if d.Status != c.status {
			t.Errorf("%s: status %d, want %d", c.what, d.Status, c.status)
		}
		d.mustSay(c.says)
	}
	if seq := h.head(t, account).Seq; seq != 0 {
		t.Errorf("%d entries in the ledger", seq)
	}
}

func TestPreferences(t *testing.T) {
	h := open(t)
	b := h.browser(t)
	account := b.register()
	set := func(key, words, v string) *document {
		d := b.get("/consents")
		f := d.find("p-" + key)
		fields := url.Values{"value": {v}}
		for in := range within(f, "input") {
			if attr(in, "type") == "hidden" {
				fields.Set(attr(in, "name"), attr(in, "value"))
			}
		}
		for button := range within(f, "button") {
			if textOf(button) == words && attr(button, "name") != "" {
				fields.Set(attr(button, "name"), attr(button, "value"))
			}
		}
		return b.post(attr(f, "action"), fields)
	}
	for _, c := range []struct{ key, words, value, want string }{
		{"volume", "Save", " 7 ", "7"}, {"units", "Save", "imperial", `"imperial"`},
		{"greeting", "Save", `Hi "you" <b>`, `"Hi \"you\" <b>"`}, {"microphone", "No", "", "false"}, {"microphone", "Yes", "", "true"},
	} {
		d := b.follow(set(c.key, c.words, c.value))
		checkInert(d)
		page, err := h.ledger.Page(t.Context(), account, "en")
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page.Preferences {
			if string(p.Def.Key) == c.key && string(p.Value) != c.want {
				t.Errorf("%s is %s, want %s", c.key, p.Value, c.want)
			}
		}
	}
	d := b.get("/consents")
	if v := attr(d.find("p-greeting-value"), "value"); v != `Hi "you" <b>` {
		t.Errorf("the greeting is shown as %q", v)
	}
	for _, c := range []struct {
		key, value string
		status     int
	}{
		{"volume", "11", 422}, {"volume", "loud", 422}, {"volume", "1e999", 422}, {"units", "leagues", 422}, {"greeting", strings.Repeat("x", 10<<10), 422},
		{"volume", `5,"x":1`, 422},
	} {
		if d := set(c.key, "Save", c.value); d.Status != c.status {
			t.Errorf("%s = %.20q: status %d, want %d", c.key, c.value, d.Status, c.status)
		}
	}
}

func TestPreferenceSomebodyElseChanged(t *testing.T) {
	h := open(t)
	b := h.browser(t)
	b.register()
	old := b.get("/consents").find("p-volume")
	b.follow(b.send(b.get("/consents").find("p-volume"), "Save"))
	d := b.send(old, "Save")
	if d.Status != http.StatusConflict {
		t.Errorf("status %d", d.Status)
	}
	d.mustSay("Somebody else changed this")
}

func TestNoDevicesYet(t *testing.T) {
	h := open(t)
	b := h.browser(t)
	b.register()
	b.get("/consents").mustSay("No device is linked yet")
	b.get("/devices").mustSay("None yet")
}
