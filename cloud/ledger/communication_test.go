package ledger_test

import (
	"errors"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/store/accountdb"
)

func (d *desk) maySend(q ledger.SendQuestion) (cardea.Sending, cardea.Frequency) {
	d.Helper()
	s, f, err := d.ledger.MaySend(d.Context(), d.account.Subject, q)
	if err != nil {
		d.Fatal(err)
	}
	return s, f
}

// A wish is no consent, a consent is no wish, and what changed counts at the next
// message.
func TestEffectiveAtTheNextSend(t *testing.T) {
	d := newDesk(t)
	offers := ledger.SendQuestion{Medium: "email", Topic: "offers"}
	want := func(when string, q ledger.SendQuestion, reason cardea.SendReason) {
		t.Helper()
		if s, _ := d.maySend(q); s.Reason != reason || s.Send != (reason == cardea.SendWanted) {
			t.Errorf("%s: %+v, want %s", when, s, reason)
		}
	}
	want("at first", offers, cardea.SendNoConsent)
	d.prefer(cardea.ChannelPortal, cardea.Scope{}, "comm.email.offers", `"weekly"`)
	want("wanted without the consent", offers, cardea.SendNoConsent)
	d.take(cardea.ChannelPortal, cardea.Scope{}, d.grant("offers/use"))
	want("with another facet's", offers, cardea.SendNoConsent)
	d.take(cardea.ChannelPortal, cardea.Scope{}, d.grant("offers/marketing"))
	want("with the consent", offers, cardea.SendWanted)
	want("of another topic", ledger.SendQuestion{Medium: "email", Topic: "events"}, cardea.SendOff)
	if _, f := d.maySend(offers); f != cardea.Weekly {
		t.Errorf("at most %s", f)
	}
	d.prefer(cardea.ChannelBrand, cardea.Scope{}, "comm.email.offers", `"off"`)
	want("unsubscribed", offers, cardea.SendOff)
	d.prefer(cardea.ChannelPortal, cardea.Scope{}, "comm.email.offers", "")
	want("the default again", offers, cardea.SendWanted)
	d.take(cardea.ChannelPortal, cardea.Scope{}, cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActDeny, Key: "offers/marketing"})
	want("the consent taken back", offers, cardea.SendNoConsent)
}

func TestQuietHoursOfTheCustomer(t *testing.T) {
	d := newDesk(t)
	d.take(cardea.ChannelPortal, cardea.Scope{}, d.grant("offers/marketing"))
	d.prefer(cardea.ChannelPortal, cardea.Scope{}, "comm.push.events", `"each"`)
	tomorrow := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 1)
	at := func(hour int) ledger.SendQuestion {
		return ledger.SendQuestion{Medium: "push", Topic: "events", At: cardea.MillisOf(tomorrow.Add(time.Duration(hour) * time.Hour))}
	}
	d.prefer(cardea.ChannelPortal, cardea.Scope{}, cardea.QuietZone, `"Asia/Seoul"`) // nine hours ahead
	for hour, quiet := range map[int]bool{11: false, 12: true, 22: true, 23: false} {
		s, _ := d.maySend(at(hour))
		if s.Send == quiet {
			t.Errorf("at %d UTC in Seoul: %+v", hour, s)
		}
		if quiet && !s.NotBefore.Equal(tomorrow.Add(23*time.Hour)) {
			t.Errorf("not before %s", s.NotBefore.UTC())
		}
	}
	if s, _ := d.maySend(ledger.SendQuestion{Medium: "email", Topic: "offers", At: at(13).At}); !s.Send {
		t.Errorf("what wakes nobody: %+v", s)
	}
	d.prefer(cardea.ChannelPortal, cardea.Scope{}, cardea.QuietHours, `""`)
	if s, _ := d.maySend(at(13)); !s.Send {
		t.Errorf("without quiet hours: %+v", s)
	}
	if r := d.prefer(cardea.ChannelBrand, cardea.Scope{}, cardea.QuietHours, `"01:00-02:00"`); r != cardea.RejectedConfirm {
		t.Errorf("the brand shortens the night: %q", r)
	}
	d.prefer(cardea.ChannelBrand, cardea.Scope{}, cardea.QuietHours, `"00:00-24:00"`)
	if s, _ := d.maySend(at(3)); s.Send || !s.NotBefore.IsZero() {
		t.Errorf("all day: %+v", s)
	}
}

// Of what was sent last the next must wait, and what has passed is now.
func TestHowOften(t *testing.T) {
	d := newDesk(t)
	d.take(cardea.ChannelPortal, cardea.Scope{}, d.grant("offers/marketing"))
	now := cardea.MillisOf(time.Now())
	s, f := d.maySend(ledger.SendQuestion{Medium: "email", Topic: "offers", Last: now - 1000})
	if s.Reason != cardea.SendTooSoon || f != cardea.Monthly || cardea.MillisOf(s.NotBefore) != (now-1000).Add(30*24*time.Hour) {
		t.Errorf("%+v, %s", s, f)
	}
	if s, _ := d.maySend(ledger.SendQuestion{Medium: "email", Topic: "offers", Last: now.Add(-31 * 24 * time.Hour), At: 1}); !s.Send {
		t.Errorf("%+v", s)
	}
}

func TestWhatCanNotBeSent(t *testing.T) {
	d := newDesk(t)
	for _, c := range []struct {
		q    ledger.SendQuestion
		who  string
		want error
	}{
		{ledger.SendQuestion{Medium: "pigeon", Topic: "offers"}, d.account.Subject, ledger.ErrNoMedium},
		{ledger.SendQuestion{Medium: "email", Topic: "weather"}, d.account.Subject, ledger.ErrNoTopic},
		{ledger.SendQuestion{Medium: "email", Topic: "offers"}, "nobody", accountdb.ErrNotFound},
	} {
		if _, _, err := d.ledger.MaySend(t.Context(), c.who, c.q); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v, want %v", c.q, err, c.want)
		}
	}
}

// A wish is the account's and in its ledger like any decision; a device says none
// for itself, and can only stop.
func TestWishesAreTheAccounts(t *testing.T) {
	d := newDesk(t)
	link(d)
	for _, c := range []struct {
		channel cardea.Channel
		scope   cardea.Scope
		value   cardea.Value
		want    cardea.Rejected
	}{
		{cardea.ChannelPortal, kitchen, `"off"`, cardea.RejectedUnknown},
		{cardea.ChannelDevice, kitchen, `"off"`, cardea.RejectedUnknown},
		{cardea.ChannelDevice, cardea.Scope{}, `"weekly"`, cardea.RejectedConfirm},
		{cardea.ChannelDevice, cardea.Scope{}, `"off"`, ""},
		{cardea.ChannelPortal, cardea.Scope{}, `"hourly"`, cardea.RejectedValue},
		{cardea.ChannelPortal, cardea.Scope{}, `"weekly"`, ""},
	} {
		if r := d.prefer(c.channel, c.scope, "comm.email.offers", c.value); r != c.want {
			t.Errorf("through %s, %s: %q, want %q", c.channel, c.value, r, c.want)
		}
	}
	if p, there := d.told("comm.email.offers"); there {
		t.Errorf("a device is told %+v", p)
	}
	past, _, err := d.ledger.History(t.Context(), d.account.ID, "en", 0, 1)
	if err != nil || past[0].Entry.Preference != "comm.email.offers" || past[0].Title == "" {
		t.Errorf("%+v, %v", past, err)
	}
}

func TestCommunicationPage(t *testing.T) {
	d := newDesk(t)
	d.prefer(cardea.ChannelPortal, cardea.Scope{}, "comm.push.events", `"monthly"`)
	page, err := d.ledger.Communication(t.Context(), d.account.ID, "xx") // in the first language instead
	if err != nil {
		t.Fatal(err)
	}
	if page.Head != d.page().Head || len(page.Topics) != 2 || page.Quiet.Value != `"21:00-08:00"` || page.Zone.Value != `"Europe/Stockholm"` {
		t.Errorf("%+v", page)
	}
	for _, topic := range page.Topics {
		if topic.Title == "" || topic.Purpose == "" || topic.Question == "" || topic.Standing.Reason != cardea.ReasonNotAsked || len(topic.Wishes) != 3 {
			t.Errorf("%+v", topic)
		}
		for _, w := range topic.Wishes {
			if w.Title == "" || topic.Topic.Key == "events" && w.Medium.Key == "push" != (w.Value == `"monthly"`) {
				t.Errorf("%s by %s: %s", topic.Topic.Key, w.Medium.Key, w.Value)
			}
		}
	}
	cat, _ := d.ledger.Catalogue.Current()
	silent := *cat
	silent.Communication = cardea.Communication{}
	d.ledger.Catalogue.Replace(&silent)
	if page, err := d.ledger.Communication(t.Context(), d.account.ID, "en"); err != nil || len(page.Topics) != 0 {
		t.Errorf("who writes to nobody: %+v, %v", page, err)
	}
}
