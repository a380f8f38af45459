package issuer_test

import (
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
	"github.com/cardea-id/cardea/store/accountdb"
)

// Every rule of a lost answer, for devices with a key and for bearers.

func both(t *testing.T, f func(t *testing.T, w *world, d *device)) {
	t.Helper()
	for name, newDevice := range map[string]func(*world) *device{"key": (*world).keyed, "bearer": (*world).bearer} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				f(t, w, newDevice(w))
			})
		})
	}
}

// lost redeems a code and forgets the answer.
func (d *device) lost() (pairing.Authorization, pairing.GrantID) {
	d.t.Helper()
	a := d.start()
	id := d.approve(a)
	d.poll(a.DeviceCode).tokens(d.t)
	time.Sleep(5 * time.Second)
	return a, id
}

func TestCodeAgainUntilItsTokensAreUsed(t *testing.T) {
	both(t, func(t *testing.T, w *world, d *device) {
		a, id := d.lost()
		lost := d.poll(a.DeviceCode).tokens(t)
		time.Sleep(5 * time.Second)
		last := d.poll(a.DeviceCode).tokens(t)
		if w.heard(pairing.NoteRepeated) != 2 || w.heard(pairing.NoteRedeemed) != 1 {
			t.Errorf("heard %v", w.events)
		}
		next := d.refresh(last.RefreshToken).tokens(t)
		time.Sleep(5 * time.Second)
		want(t, d.poll(a.DeviceCode), pairing.InvalidGrant)
		if w.heard(pairing.NoteReused) != 1 || w.grant(id).State != pairing.GrantActive {
			t.Error("a used code was not reported, or ended the grant")
		}
		next = d.refresh(next.RefreshToken).tokens(t)
		if d.key != nil {
			want(t, d.refresh(lost.RefreshToken), pairing.InvalidGrant) // it was replaced
			d.refresh(next.RefreshToken).tokens(t)
		}
	})
}

func TestCodeAgainUntilItsAccessTokenIsUsed(t *testing.T) {
	both(t, func(t *testing.T, w *world, d *device) {
		a, id := d.lost()
		if err := w.Used(t.Context(), id, 0); err != nil { // another set's
			t.Fatal(err)
		}
		d.poll(a.DeviceCode).tokens(t)
		time.Sleep(5 * time.Second)
		if err := w.Used(t.Context(), id, 2); err != nil {
			t.Fatal(err)
		}
		writes := w.written()
		if err := w.Used(t.Context(), id, 2); err != nil || w.written() != writes {
			t.Errorf("noted twice: %v", err)
		}
		want(t, d.poll(a.DeviceCode), pairing.InvalidGrant)
	})
}

func TestCodeAgainNotAfterItsEnd(t *testing.T) {
	both(t, func(t *testing.T, w *world, d *device) {
		a, _ := d.lost()
		time.Sleep(10 * time.Minute)
		want(t, d.poll(a.DeviceCode), pairing.ExpiredToken)
		time.Sleep(2 * time.Hour)
		d.start() // which forgets what is long over
		want(t, d.poll(a.DeviceCode), pairing.InvalidGrant)
	})
}

// A repeated poll that comes too soon is told to slow down, not refused: its
// device may have lost the answer.
func TestCodeAgainTooSoon(t *testing.T) {
	both(t, func(t *testing.T, w *world, d *device) {
		a := d.start()
		w.approve(a)
		d.poll(a.DeviceCode).tokens(t)
		time.Sleep(500 * time.Millisecond)
		want(t, d.poll(a.DeviceCode), pairing.InvalidGrant) // no client that keeps an interval
		time.Sleep(2 * time.Second)
		want(t, d.poll(a.DeviceCode), pairing.SlowDown)
		time.Sleep(10 * time.Second)
		d.poll(a.DeviceCode).tokens(t)
	})
}

func TestRefreshRotates(t *testing.T) {
	both(t, func(t *testing.T, w *world, d *device) {
		tokens, id := d.pair()
		for range 70 { // more than are remembered
			next := d.refresh(tokens.RefreshToken).tokens(t)
			if next.RefreshToken == tokens.RefreshToken || next.AccessToken == tokens.AccessToken || next.Scope != tokens.Scope {
				t.Fatal("not rotated")
			}
			tokens = next
		}
		if g := w.grant(id); g.Set != 71 || w.heard(pairing.NoteReused) != 0 {
			t.Errorf("%d sets", g.Set)
		}
	})
}

// Answers are lost again and again, and the device comes back with the only
// token it knows, even after a day: C8 of the attacks on the design.
func TestRefreshPredecessorOfAKeyHasNoLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := w.keyed()
		known, _ := d.pair()
		known = d.refresh(known.RefreshToken).tokens(t)
		for range 5 {
			d.refresh(known.RefreshToken).tokens(t) // lost
			time.Sleep(25 * time.Hour)
		}
		known = d.refresh(known.RefreshToken).tokens(t)
		d.refresh(known.RefreshToken).tokens(t)
		if w.heard(pairing.NoteReused) != 0 {
			t.Error("the owner was alarmed")
		}
	})
}

func TestRefreshPredecessorOfABearerLastsAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := w.bearer()
		known, id := d.pair()
		d.refresh(known.RefreshToken).tokens(t) // lost
		time.Sleep(40 * time.Second)
		d.refresh(known.RefreshToken).tokens(t) // lost again
		time.Sleep(20 * time.Second)
		last := d.refresh(known.RefreshToken).tokens(t)
		time.Sleep(time.Second) // 61 s after the first use, however often it was repeated
		want(t, d.refresh(known.RefreshToken), pairing.InvalidGrant)
		// Which of the two is the thief nobody knows: RFC 9700, Section 4.14.2.
		if w.grant(id).State != pairing.GrantRevoked || w.heard(pairing.NoteReused) != 1 {
			t.Error("the family lives on")
		}
		want(t, d.refresh(last.RefreshToken), pairing.InvalidGrant)
	})
}

func TestOutdatedTokenOfAKeyIsReportedAndNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := w.keyed()
		first, id := d.pair()
		second := d.refresh(first.RefreshToken).tokens(t)
		third := d.refresh(second.RefreshToken).tokens(t)
		want(t, d.refresh(first.RefreshToken), pairing.InvalidGrant)
		if w.heard(pairing.NoteReused) != 1 || w.grant(id).Reused == 0 {
			t.Error("not reported")
		}
		// The predecessor was superseded by its own use, the newest stays good.
		fourth := d.refresh(third.RefreshToken).tokens(t)
		want(t, d.refresh(second.RefreshToken), pairing.InvalidGrant)
		d.refresh(fourth.RefreshToken).tokens(t)
	})
}

func TestAWrongKeyRevokesNothingAndIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d, thief := w.keyed(), w.keyed()
		a := d.start()
		want(t, thief.poll(a.DeviceCode), pairing.InvalidGrant) // while pending
		id := d.approve(a)
		want(t, thief.poll(a.DeviceCode), pairing.InvalidGrant)
		time.Sleep(10 * time.Second)
		tokens := d.poll(a.DeviceCode).tokens(t)
		time.Sleep(5 * time.Second)
		want(t, thief.poll(a.DeviceCode), pairing.InvalidGrant)
		want(t, thief.refresh(tokens.RefreshToken), pairing.InvalidGrant)
		if g := w.grant(id); g.WrongKeys != 4 || g.State != pairing.GrantActive || w.heard(pairing.NoteWrongKey) != 4 {
			t.Errorf("%d counted, %s", g.WrongKeys, g.State)
		}
		d.refresh(tokens.RefreshToken).tokens(t)
	})
}

// A code that was asked for without a proof is bound by the first redemption.
func TestTheFirstRedemptionBinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := w.bearer()
		a := d.start()
		id := d.approve(a)
		key := jose.GenerateKey()
		d.key = &key
		tokens := d.poll(a.DeviceCode).tokens(t)
		if tokens.TokenType != pairing.TypeDPoP || w.grant(id).JKT != jose.Thumbprint(key.Public()) {
			t.Fatal("not bound")
		}
		d.key = nil
		want(t, d.refresh(tokens.RefreshToken), pairing.InvalidGrant)
		d.key = &key
		d.refresh(tokens.RefreshToken).tokens(t)
	})
}

func TestABearersTokenTakesNoKey(t *testing.T) {
	w := newWorld(t)
	d := w.bearer()
	tokens, _ := d.pair()
	key := jose.GenerateKey()
	d.key = &key
	want(t, d.refresh(tokens.RefreshToken), pairing.InvalidGrant)
	d.key = nil
	d.refresh(tokens.RefreshToken).tokens(t)
}

func TestScopeMayNarrowAndNotGrow(t *testing.T) {
	w := newWorld(t)
	d := w.keyed()
	tokens, _ := d.pair()
	if tokens.Scope != "consent profile" {
		t.Fatalf("scope %q", tokens.Scope)
	}
	form := refreshForm(tokens.RefreshToken)
	form.Set("scope", "profile")
	narrow := d.post(issuer.PathToken, form).tokens(t)
	if narrow.Scope != "profile" {
		t.Errorf("scope %q", narrow.Scope)
	}
	form = refreshForm(narrow.RefreshToken)
	form.Set("scope", "profile admin")
	want(t, d.post(issuer.PathToken, form), pairing.InvalidScope)
	if all := d.refresh(narrow.RefreshToken).tokens(t); all.Scope != "consent profile" {
		t.Errorf("scope %q: the grant itself was narrowed", all.Scope)
	}
}

func TestADisabledAccountGetsNothing(t *testing.T) {
	both(t, func(t *testing.T, w *world, d *device) {
		disable := func(v bool) {
			t.Helper()
			err := w.db.Update(t.Context(), func(tx *accountdb.Tx) error { return tx.Disable(w.owner.ID, v) })
			if err != nil {
				t.Fatal(err)
			}
		}
		tokens, _ := d.pair()
		waits, approved := d.start(), d.start()
		w.approve(approved)
		disable(true)
		want(t, d.refresh(tokens.RefreshToken), pairing.InvalidGrant)
		want(t, d.poll(approved.DeviceCode), pairing.AccessDenied)
		if _, err := w.Approve(t.Context(), w.owner.ID, pairing.UserCode(waits.UserCode), ""); err == nil {
			t.Error("a disabled account approved")
		}
		disable(false)
		// What was cancelled stays cancelled, what was in use goes on.
		want(t, d.poll(approved.DeviceCode), pairing.AccessDenied)
		d.refresh(tokens.RefreshToken).tokens(t)
	})
}

func TestRevokingCancelsWhatIsNotRedeemed(t *testing.T) {
	w := newWorld(t)
	d := w.keyed()
	a, b, c := d.start(), d.start(), d.start()
	id := w.approve(a)
	if err := w.Revoke(t.Context(), w.owner.ID, id); err != nil {
		t.Fatal(err)
	}
	want(t, d.poll(a.DeviceCode), pairing.AccessDenied)
	w.approve(b)
	w.approve(c)
	inUse := d.poll(c.DeviceCode).tokens(t)
	if err := w.Suspend(t.Context(), w.owner.ID); err != nil {
		t.Fatal(err)
	}
	want(t, d.poll(b.DeviceCode), pairing.AccessDenied)
	d.refresh(inUse.RefreshToken).tokens(t)
}

func TestARevokedGrantStaysRevoked(t *testing.T) {
	w := newWorld(t)
	d := w.keyed()
	tokens, id := d.pair()
	for range 2 {
		if err := w.Revoke(t.Context(), w.owner.ID, id); err != nil {
			t.Fatal(err)
		}
	}
	want(t, d.refresh(tokens.RefreshToken), pairing.InvalidGrant)
	if w.heard(pairing.NoteRevoked) != 1 {
		t.Error("told more than once, or never")
	}
}

func TestRefreshThatMakesNoSense(t *testing.T) {
	w := newWorld(t)
	d := w.bearer()
	want(t, d.refresh("no-such-token"), pairing.InvalidGrant)
	want(t, d.post(issuer.PathToken, url.Values{"grant_type": {"refresh_token"}}), pairing.InvalidRequest)
	keyed := w.keyed()
	tokens, _ := keyed.pair()
	want(t, d.refresh(tokens.RefreshToken), pairing.InvalidGrant) // another client's
	keyed.refresh(tokens.RefreshToken).tokens(t)
}
