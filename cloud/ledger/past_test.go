package ledger_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/catalogue"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

// stored is a desk whose catalogue is in the database, as a cloud's is.
func stored(t *testing.T, text string) *desk {
	t.Helper()
	db := accountdbtest.Open(t)
	held, err := catalogue.Open(t.Context(), db, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return &desk{T: t, account: accountdbtest.Account(t, db), ledger: &ledger.Ledger{DB: db, Catalogue: held}}
}

func shippedText(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "testdata", "catalogue.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (d *desk) say(channel cardea.Channel, scope cardea.Scope, act cardea.Act, key cardea.Key) cardea.Entry {
	d.Helper()
	decision := d.grant(key)
	decision.Act = act
	if act == cardea.ActDeny {
		decision.Version, decision.Notice = 0, cardea.Hash{}
	}
	e, err := d.ledger.Decide(d.Context(), d.account.ID, channel, scope, decision)
	if err != nil {
		d.Fatal(err)
	}
	tick(d.T, e)
	return e
}

// tick waits until the clock has left the millisecond of an entry.
func tick(t *testing.T, e cardea.Entry) {
	t.Helper()
	for cardea.MillisOf(time.Now()) <= e.Recorded {
		time.Sleep(time.Millisecond / 4)
	}
}

func (d *desk) at(device cardea.DeviceID, instant cardea.Millis, key cardea.Key) (cardea.Consent, cardea.Position) {
	d.Helper()
	state, err := d.ledger.At(d.Context(), d.account.Subject, device, instant)
	if err != nil {
		d.Fatal(err)
	}
	for _, c := range state.Consents {
		if c.Key == key {
			return c, state.Head
		}
	}
	return cardea.Consent{Reason: cardea.ReasonUnknown}, state.Head
}

// TestStateOfAnyPastInstant: what stood then is known at any later time, under
// what was asked then.
func TestStateOfAnyPastInstant(t *testing.T) {
	d := stored(t, shippedText(t))
	const key = cardea.Key("recommendations/use")
	here := cardea.DeviceID(strings.Repeat("A", 43))
	tick(t, cardea.Entry{Recorded: cardea.MillisOf(time.Now())}) // the catalogue is in force
	yes := d.say(cardea.ChannelPortal, cardea.Scope{}, cardea.ActGrant, key)
	stop := d.say(cardea.ChannelDevice, cardea.Scope{Device: here}, cardea.ActDeny, key)
	no := d.say(cardea.ChannelPortal, cardea.Scope{}, cardea.ActDeny, key)
	next := strings.Replace(shippedText(t), "  - id: recommendations\n    version: 1", "  - id: recommendations\n    version: 2", 1)
	if err := d.ledger.Catalogue.Put(t.Context(), d.ledger.DB, []byte(next), "brand test"); err != nil {
		t.Fatal(err)
	}
	again := d.say(cardea.ChannelPortal, cardea.Scope{}, cardea.ActGrant, key)

	for _, c := range []struct {
		when    string
		at      cardea.Millis
		device  cardea.DeviceID
		reason  cardea.Reason
		version uint32
		seq     uint64
	}{
		{"before there was a cloud", 1, "", cardea.ReasonUnknown, 0, 0},
		{"before the first word", yes.Recorded - 1, "", cardea.ReasonNotAsked, 1, 0},
		{"at the yes", yes.Recorded, "", cardea.ReasonGranted, 1, 1},
		{"after the stop", stop.Recorded, "", cardea.ReasonGranted, 1, 2},
		{"after the stop, there", stop.Recorded, here, cardea.ReasonWithdrawn, 1, 2},
		{"just before the no", no.Recorded - 1, "", cardea.ReasonGranted, 1, 2},
		{"at the no", no.Recorded, "", cardea.ReasonWithdrawn, 1, 3},
		{"at the new yes", again.Recorded, "", cardea.ReasonGranted, 2, 4},
		{"when it has ended", again.Recorded.Add(2 * 365 * 24 * time.Hour), "", cardea.ReasonExpired, 2, 4},
	} {
		got, head := d.at(c.device, c.at, key)
		if got.Reason != c.reason || got.Version != c.version || head.Seq != c.seq {
			t.Errorf("%s: %s of version %d at %d, want %s of %d at %d", c.when, got.Reason, got.Version, head.Seq, c.reason, c.version, c.seq)
		}
	}
	if _, err := d.ledger.At(t.Context(), "nobody", "", no.Recorded); !errors.Is(err, accountdb.ErrNotFound) {
		t.Errorf("of nobody: %v", err)
	}
}
