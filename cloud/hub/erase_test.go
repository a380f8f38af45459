package hub_test

import (
	"errors"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/store/accountdb"
)

func (h *house) erase() hub.ProofSecret {
	h.t.Helper()
	_, secret, err := h.hub.Erase(h.t.Context(), h.account.ID, cardea.ChannelPortal, "owner")
	h.must(err)
	return secret
}

func (h *house) erasure(secret hub.ProofSecret) (accountdb.Erasure, time.Time) {
	h.t.Helper()
	e, now, err := h.hub.Erasure(h.t.Context(), secret)
	h.must(err)
	return e, now
}

// One device proves at once that it is erased, of another the date is told by
// which it erases itself. What is said by either of them is nobody's word any
// more, and the ledger verifies.
func TestErase(t *testing.T) {
	h := newHouse(t)
	near, away := h.pair("g1"), h.pair("g2")
	h.decide(cardea.ActGrant, recommend, cardea.Scope{})
	h.decide(cardea.ActGrant, presence, cardea.Scope{Device: away.id})
	near.sync()
	away.sync()
	begun := time.Now()
	secret := h.erase()

	near.sync()
	order := near.ordered(cardea.OrderErase)
	if order.IsZero() || near.ordered(cardea.OrderUnlink).IsZero() || len(near.body.Consents) != 0 || near.body.Identity.Subject != "" {
		t.Fatalf("it is told %+v", near.body)
	}
	near.done, near.log.Entries = []cardea.OrderID{order}, nil
	for range 2 {
		if down := near.sync(); !down.Closed {
			t.Error("the proof is not answered as closed")
		}
	}
	e, now := h.erasure(secret)
	if len(e.Links) != 2 || e.Links[0].Erased == 0 || e.Links[1].Erased != 0 || e.Subject != h.account.Subject || e.Channel != cardea.ChannelPortal {
		t.Fatalf("%+v", e)
	}
	bound := e.Links[1].Bound.Time()
	if least := begun.Add(cardea.MaxOfflineRetention); bound.Before(least) || bound.After(least.Add(49*time.Hour)) {
		t.Errorf("the device that is away erases itself by %v", bound)
	}
	if done := e.Completed(); done != e.Links[1].Bound || !done.Time().After(now) {
		t.Errorf("it is completed at %v", done.Time())
	}

	// Back, it tells what was decided on it meanwhile, as an older agent does.
	away.say(cardea.LogEntry{Act: cardea.ActPrefer, Preference: "voice_speed", Value: "120"})
	away.say(cardea.LogEntry{Act: cardea.ActDeny, Key: recommend, Reach: cardea.ReachEverywhere})
	away.sync()
	away.say(cardea.LogEntry{Act: cardea.ActUnlink})
	if down := away.sync(); !down.Closed {
		t.Error("the last report is not answered as closed")
	}
	if e, _ := h.erasure(secret); e.Links[1].Erased == 0 || e.Completed() > cardea.MillisOf(time.Now()) {
		t.Errorf("not completed: %+v", e.Links)
	}
	h.verifies()
}

// verifies checks the chain, in which every yes was taken back and nothing
// follows the end but the devices' own.
func (h *house) verifies() {
	h.t.Helper()
	h.must(h.db.View(h.t.Context(), func(tx *accountdb.Tx) error {
		entries, err := tx.Entries(h.account.ID, 0)
		if err != nil {
			return err
		}
		if _, err := cardea.VerifyChain(cardea.Position{}, entries); err != nil {
			return err
		}
		given, erased := map[cardea.Key]bool{}, false
		for _, e := range entries {
			switch e.Act {
			case cardea.ActGrant:
				given[e.Key] = true
			case cardea.ActDeny:
				delete(given, e.Key)
			case cardea.ActErase:
				erased = true
				continue
			}
			if erased && e.Act != cardea.ActUnlink {
				h.t.Errorf("after the end there is %s", e.Act)
			}
		}
		if len(given) != 0 || !erased {
			h.t.Errorf("given: %v, erased: %t", given, erased)
		}
		_, err = tx.SealFor(h.account.ID, "x", nil)
		if !errors.Is(err, accountdb.ErrErased) {
			h.t.Errorf("the account's key: %v", err)
		}
		return nil
	}))
}

// Asked twice, as by two tabs, the account is erased once and one secret is told.
func TestEraseTwice(t *testing.T) {
	h := newHouse(t)
	h.pair("g1")
	first := h.erase()
	if second := h.erase(); second != "" || first == "" {
		t.Errorf("secrets %q and %q", first.Reveal(), second.Reveal())
	}
	if e, _ := h.erasure(first); len(e.Links) != 1 {
		t.Errorf("%+v", e)
	}
	if _, _, err := h.hub.Erasure(t.Context(), "guessed"); !errors.Is(err, accountdb.ErrNotFound) {
		t.Errorf("a guess: %v", err)
	}
	devices, err := h.hub.Devices(t.Context(), h.account.ID)
	if err != nil || len(devices) != 1 || devices[0].State != hub.StateLeaving || devices[0].Name != "" {
		t.Errorf("devices %+v, %v", devices, err)
	}
}

// A device that was missed, or is said to be gone afterwards, is not waited for;
// only the account's own are.
func TestEraseWithADeviceGone(t *testing.T) {
	h := newHouse(t)
	before, after := h.pair("g1"), h.pair("g2")
	h.must(h.hub.ReportMissed(t.Context(), h.account.ID, before.link))
	secret := h.erase()
	if err := h.hub.ErasedMissed(t.Context(), secret, cardea.NewID[cardea.LinkID]()); !errors.Is(err, accountdb.ErrNotFound) {
		t.Errorf("a foreign device: %v", err)
	}
	for range 2 {
		h.must(h.hub.ErasedMissed(t.Context(), secret, after.link))
	}
	e, now := h.erasure(secret)
	if e.Links[0].Missed == 0 || e.Links[1].Missed == 0 || e.Completed().Time().After(now) {
		t.Errorf("%+v", e)
	}
	after.sync()
	if after.ordered(cardea.OrderErase).IsZero() {
		t.Error("a device that comes back after all is not told")
	}
}

// Who is being paired when the account is erased gets no link, however far it
// has come.
func TestEraseWhilePairing(t *testing.T) {
	h := newHouse(t)
	h.erase()
	key := newKey(t)
	_, err := h.hub.Join(t.Context(), hub.Joining{
		Account: h.account.ID, Grant: "in flight", Thumbprint: jose.Thumbprint(&key.PublicKey), PublicKey: jose.JWK(&key.PublicKey),
		Name: "Too late", Kind: "speaker",
	})
	if !errors.Is(err, hub.ErrEnded) {
		t.Errorf("joined: %v", err)
	}
}

// What the law calls a month.
func TestDueBy(t *testing.T) {
	for received, due := range map[string]string{
		"2026-11-22": "2026-12-22", "2027-01-31": "2027-02-28", "2028-01-30": "2028-02-29", "2026-12-31": "2027-01-31", "2026-10-31": "2026-11-30",
	} {
		at, err := time.Parse(time.DateOnly, received)
		if err != nil {
			t.Fatal(err)
		}
		if got := hub.DueBy(at).Format(time.DateOnly); got != due {
			t.Errorf("received on %s it is due on %s, want %s", received, got, due)
		}
	}
}
