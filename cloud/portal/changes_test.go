package portal_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/catalogue"
)

// raise puts another version of "recommendations" in force: what is replaced in
// the catalogue of the tests, with the lines that say the change.
func (h *house) raise(t *testing.T, lines string, replace ...string) {
	t.Helper()
	replace = append([]string{
		"id: recommendations\n    version: 1", "id: recommendations\n    version: 2\n    " + lines,
		"title: Recommendations", "title: Recommendations\n        changed: A second company helps us now",
	}, replace...)
	next, err := catalogue.Parse([]byte(strings.NewReplacer(replace...).Replace(testCatalogue)))
	if err != nil {
		t.Fatal(err)
	}
	now, _ := h.ledger.Catalogue.Current()
	next.Former = now.Purposes[:1:1]
	if err := catalogue.Follows(now, next); err != nil {
		t.Fatal(err)
	}
	h.ledger.Catalogue.Replace(next)
}

var newRecipient = []string{
	"{name: Tonic Analytics,", "{name: Second Opinion, relation: processor, country: FR}\n      - {name: Tonic Analytics,",
	"countries: [DE, IE, US]", "countries: [DE, FR, IE, US]",
	"13 months, then deleted.", "14 months, then deleted.",
	"songs you play", "songs you play, your_age",
}

func TestMaterialChangeIsAskedAnew(t *testing.T) {
	h := open(t)
	b := h.browser(t)
	account := b.register()
	b.tap(b.get("/consents"), recommendations, "", "Allow")
	h.raise(t, "change: material\n    reconsent_by: 2099-03-01", newRecipient...)

	d := b.get("/consents")
	d.mustSay(
		"This has changed since you said yes. A second company helps us now.",
		"New data: your age", "New, gets it: Second Opinion (France, works for us)", "New, kept in: France", "Kept now: 14 months, then deleted.",
		"Your yes to what was asked before counts until 1 Mar 2099, for that alone.", "What you said yes to", "13 months, then deleted.",
		"Allowed as asked before, until",
	)
	for in := range d.all("input") {
		if attr(in, "type") != "hidden" && strings.Contains(attr(in, "name"), "decision") {
			t.Errorf("a decision that is filled in: %s", attr(in, "name"))
		}
	}
	if s := h.standing(t, account, recommendations); !s.Given() || s.Version != 1 {
		t.Errorf("before the owner decides: %+v", s)
	}
	d = b.tap(d, recommendations, "", "Allow")
	if s := h.standing(t, account, recommendations); !s.Given() || s.Version != 2 {
		t.Errorf("asked anew: %+v", s)
	}
	if strings.Contains(d.Text, "This has changed since") {
		t.Error("it is still said to have changed")
	}
}

func TestMaterialChangeThatIsOver(t *testing.T) {
	h := open(t)
	b := h.browser(t)
	b.register()
	b.tap(b.get("/consents"), recommendations, "", "Allow")
	h.raise(t, "change: material\n    reconsent_by: 2020-03-01", newRecipient...)
	d := b.get("/consents")
	d.mustSay("Off. Your yes ended on 1 Mar 2020", "ended on 1 Mar 2020. It is off unless you allow it as it is now.")
	b.tap(d, recommendations, "", "Don’t allow")
}

func TestEndOfADayIsShownToTheMinute(t *testing.T) {
	h := open(t)
	b := h.browser(t)
	b.register()
	b.tap(b.get("/consents"), recommendations, "", "Allow")
	h.raise(t, "change: material\n    reconsent_by: "+time.Now().Add(time.Hour).UTC().Format(time.RFC3339), newRecipient...)
	b.get("/consents").mustSay("UTC, for that alone.")
}

func TestWordsThatChanged(t *testing.T) {
	for change, want := range map[string]string{"notify": "You need to do nothing: your yes goes on.", "editorial": "your yes goes on."} {
		h := open(t)
		b := h.browser(t)
		account := b.register()
		b.tap(b.get("/consents"), recommendations, "", "Allow")
		h.raise(t, "change: "+change)
		d := b.get("/consents")
		d.mustSay(want, "Allowed until")
		if strings.Contains(d.Text, "Allowed as asked before") || strings.Contains(d.Text, "New, ") {
			t.Errorf("%s: more is said than has changed", change)
		}
		b.tap(d, recommendations, "", "Don’t allow")
		if s := h.standing(t, account, recommendations); s.Reason != cardea.ReasonWithdrawn {
			t.Errorf("%s: after a no: %+v", change, s)
		}
	}
}

// TestNoYesNoChange: who never said yes is asked, and not told of a change.
func TestNoYesNoChange(t *testing.T) {
	h := open(t)
	b := h.browser(t)
	b.register()
	h.raise(t, "change: material\n    reconsent_by: 2099-03-01", newRecipient...)
	if d := b.get("/consents"); strings.Contains(d.Text, "has changed") {
		t.Errorf("told of a change: %s", d.Text)
	}
}
