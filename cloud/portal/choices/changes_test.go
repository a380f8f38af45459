package choices_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/portal/portaltest"
)

var newRecipient = []string{
	"{name: Tonic Analytics,", "{name: Second Opinion, relation: processor, country: FR}\n      - {name: Tonic Analytics,",
	"countries: [DE, IE, US]", "countries: [DE, FR, IE, US]",
	"13 months, then deleted.", "14 months, then deleted.",
	"songs you play", "songs you play, your_age",
}

func TestMaterialChangeIsAskedAnew(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	account := b.Register()
	b.Tap(b.Get("/consents"), recommendations, "", "Allow")
	h.Raise(t, "change: material\n    reconsent_by: 2099-03-01", newRecipient...)

	d := b.Get("/consents")
	d.MustSay(
		"This has changed since you said yes. A second company helps us now.",
		"New data: your age", "New, gets it: Second Opinion (France, works for us)", "New, kept in: France", "Kept now: 14 months, then deleted.",
		"Your yes to what was asked before counts until 1 Mar 2099, for that alone.", "What you said yes to", "13 months, then deleted.",
		"Allowed as asked before, until",
	)
	for in := range d.All("input") {
		if portaltest.Attr(in, "type") != "hidden" && strings.Contains(portaltest.Attr(in, "name"), "decision") {
			t.Errorf("a decision that is filled in: %s", portaltest.Attr(in, "name"))
		}
	}
	if s := h.Standing(t, account, recommendations); !s.Given() || s.Version != 1 {
		t.Errorf("before the owner decides: %+v", s)
	}
	d = b.Tap(d, recommendations, "", "Allow")
	if s := h.Standing(t, account, recommendations); !s.Given() || s.Version != 2 {
		t.Errorf("asked anew: %+v", s)
	}
	if strings.Contains(d.Text, "This has changed since") {
		t.Error("it is still said to have changed")
	}
}

func TestMaterialChangeThatIsOver(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	b.Register()
	b.Tap(b.Get("/consents"), recommendations, "", "Allow")
	h.Raise(t, "change: material\n    reconsent_by: 2020-03-01", newRecipient...)
	d := b.Get("/consents")
	d.MustSay("Off. Your yes ended on 1 Mar 2020", "ended on 1 Mar 2020. It is off unless you allow it as it is now.")
	b.Tap(d, recommendations, "", "Don’t allow")
}

func TestEndOfADayIsShownToTheMinute(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	b.Register()
	b.Tap(b.Get("/consents"), recommendations, "", "Allow")
	h.Raise(t, "change: material\n    reconsent_by: "+time.Now().Add(time.Hour).UTC().Format(time.RFC3339), newRecipient...)
	d := b.Get("/consents")
	if said := regexp.MustCompile(`counts until \d\d:\d\d UTC( on \d+ \w+( \d{4})?)?, for that alone\.`); !said.MatchString(portaltest.TextOf(d.Root)) {
		t.Errorf("no end to the minute: %s", portaltest.TextOf(d.Root))
	}
}

func TestWordsThatChanged(t *testing.T) {
	for change, want := range map[string]string{"notify": "You need to do nothing: your yes goes on.", "editorial": "your yes goes on."} {
		h := portaltest.Open(t)
		b := h.Browser(t)
		account := b.Register()
		b.Tap(b.Get("/consents"), recommendations, "", "Allow")
		h.Raise(t, "change: "+change)
		d := b.Get("/consents")
		d.MustSay(want, "Allowed until")
		if strings.Contains(d.Text, "Allowed as asked before") || strings.Contains(d.Text, "New, ") {
			t.Errorf("%s: more is said than has changed", change)
		}
		b.Tap(d, recommendations, "", "Don’t allow")
		if s := h.Standing(t, account, recommendations); s.Reason != cardea.ReasonWithdrawn {
			t.Errorf("%s: after a no: %+v", change, s)
		}
	}
}

// TestNoYesNoChange: who never said yes is asked, and not told of a change.
func TestNoYesNoChange(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	b.Register()
	h.Raise(t, "change: material\n    reconsent_by: 2099-03-01", newRecipient...)
	if d := b.Get("/consents"); strings.Contains(d.Text, "has changed") {
		t.Errorf("told of a change: %s", d.Text)
	}
}
