package issuer_test

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

func TestLookup(t *testing.T) {
	w := newWorld(t)
	d := w.bearer()
	a := d.start()
	code := pairing.UserCode(a.UserCode)
	got, err := w.Lookup(t.Context(), w.owner.ID, code, home)
	if err != nil {
		t.Fatal(err)
	}
	if got.Code != code || got.Client != plain || got.Scope != "profile" || !got.SameNetwork ||
		got.Device != (pairing.Device{Kind: "speaker", Model: "Hall One", Serial: "1234"}) ||
		time.Since(got.Requested) > time.Minute || got.Expires.Sub(got.Requested) < 9*time.Minute {
		t.Errorf("%+v", got)
	}
	elsewhere, err := w.Lookup(t.Context(), w.owner.ID, code, netip.MustParseAddr("192.0.2.1"))
	if err != nil || elsewhere.SameNetwork {
		t.Error("another network passed for the same", err)
	}
	if unknown, err := w.Lookup(t.Context(), w.owner.ID, code, netip.Addr{}); err != nil || unknown.SameNetwork {
		t.Error("an unknown network passed for the same", err)
	}
	d.prefer = "wait=0"
	want(t, d.poll(a.DeviceCode), pairing.AuthorizationPending) // looking approves nothing
}

func TestSameNetworkOverIPv6IsOneSlash64(t *testing.T) {
	w := newWorld(t)
	d := w.bearer()
	d.addr = "[2001:db8:1:2:aaaa::1]:99"
	code := pairing.UserCode(d.start().UserCode)
	for addr, same := range map[string]bool{"2001:db8:1:2:bbbb::2": true, "2001:db8:1:3::1": false} {
		got, err := w.Lookup(t.Context(), w.owner.ID, code, netip.MustParseAddr(addr))
		if err != nil || got.SameNetwork != same {
			t.Errorf("%s: %v, %v", addr, got.SameNetwork, err)
		}
	}
}

func TestWhatBecameOfACode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := w.bearer()
		try := func(code pairing.UserCode, wanted error) {
			t.Helper()
			if _, err := w.Lookup(t.Context(), w.owner.ID, code, home); !errors.Is(err, wanted) {
				t.Errorf("look up: %v, want %v", err, wanted)
			}
			if _, err := w.Approve(t.Context(), w.owner.ID, code, "x"); !errors.Is(err, wanted) {
				t.Errorf("approve: %v, want %v", err, wanted)
			}
			if err := w.Deny(t.Context(), w.owner.ID, code); !errors.Is(err, wanted) {
				t.Errorf("deny: %v, want %v", err, wanted)
			}
		}
		try("BBBB-BBBB", issuer.ErrWrongCode)
		approved, denied, late := d.start(), d.start(), d.start()
		w.approve(approved)
		try(pairing.UserCode(approved.UserCode), issuer.ErrUsed)
		if err := w.Deny(t.Context(), w.owner.ID, pairing.UserCode(denied.UserCode)); err != nil {
			t.Fatal(err)
		}
		try(pairing.UserCode(denied.UserCode), issuer.ErrUsed)
		d.poll(approved.DeviceCode).tokens(t)
		try(pairing.UserCode(approved.UserCode), issuer.ErrUsed)
		time.Sleep(10 * time.Minute)
		try(pairing.UserCode(late.UserCode), issuer.ErrExpired)
		want(t, d.poll(late.DeviceCode), pairing.ExpiredToken)
		time.Sleep(2 * time.Hour)
		d.start()
		try(pairing.UserCode(late.UserCode), issuer.ErrWrongCode) // forgotten
	})
}

func TestGuessesOfAnAccountAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := w.bearer()
		right := pairing.UserCode(d.start().UserCode)
		guess := func() error {
			_, err := w.Lookup(t.Context(), w.owner.ID, "BBBB-BBBB", netip.Addr{})
			return err
		}
		for range 5 {
			if err := guess(); !errors.Is(err, issuer.ErrWrongCode) {
				t.Fatal(err)
			}
		}
		var waits []time.Duration
		for range 9 {
			tooMany, ok := errors.AsType[issuer.ErrTooManyGuesses](guess())
			if !ok {
				t.Fatal("guessed on")
			}
			waits = append(waits, tooMany.RetryAfter)
			// The right code is not tried either, or it would answer guesses.
			if _, err := w.Lookup(t.Context(), w.owner.ID, right, netip.Addr{}); !errors.As(err, new(issuer.ErrTooManyGuesses)) {
				t.Fatal(err)
			}
			if err := w.Deny(t.Context(), w.owner.ID, right); !errors.As(err, new(issuer.ErrTooManyGuesses)) {
				t.Fatal(err)
			}
			time.Sleep(tooMany.RetryAfter)
			if err := guess(); !errors.Is(err, issuer.ErrWrongCode) {
				t.Fatal(err)
			}
		}
		for i, wait := range waits {
			if i > 0 && wait < waits[i-1] || wait > 15*time.Minute {
				t.Fatalf("delays %v do not grow to a bound", waits)
			}
		}
		// The household's device polls on, and another account is not touched.
		if _, err := w.Lookup(t.Context(), accountdbtest.Account(t, w.db).ID, "CCCC-CCCC", home); !errors.Is(err, issuer.ErrWrongCode) {
			t.Error(err)
		}
		time.Sleep(2 * time.Hour)
		if err := guess(); !errors.Is(err, issuer.ErrWrongCode) {
			t.Error("never forgiven:", err)
		}
	})
}

func TestRightCodesAreNoGuesses(t *testing.T) {
	w := newWorld(t)
	d := w.bearer()
	code := pairing.UserCode(d.start().UserCode)
	for range 100 {
		if _, err := w.Lookup(t.Context(), w.owner.ID, code, home); err != nil {
			t.Fatal(err)
		}
	}
	for range 50 {
		w.approve(d.start())
	}
}

// Who has typed wrong codes and waited is not made to wait again for the right
// one: it is looked up and answered in one go.
func TestARightCodeAfterWrongOnesIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a := w.bearer().start()
		guess := func(code pairing.UserCode) error {
			_, err := w.Lookup(t.Context(), w.owner.ID, code, home)
			return err
		}
		for range 8 {
			if tooMany, ok := errors.AsType[issuer.ErrTooManyGuesses](guess("BBBB-BBBB")); ok {
				time.Sleep(tooMany.RetryAfter)
				guess("BBBB-BBBB")
			}
		}
		tooMany, ok := errors.AsType[issuer.ErrTooManyGuesses](guess("BBBB-BBBB"))
		if !ok {
			t.Fatal("guessed on")
		}
		time.Sleep(tooMany.RetryAfter)
		for range 2 {
			if err := guess(pairing.UserCode(a.UserCode)); err != nil {
				t.Fatal("looked up:", err)
			}
		}
		w.approve(a)
		// What was wrong stays counted: the next slip waits as long as before.
		if err := guess("BBBB-BBBB"); !errors.Is(err, issuer.ErrWrongCode) {
			t.Error(err)
		}
		if again, ok := errors.AsType[issuer.ErrTooManyGuesses](guess("BBBB-BBBB")); !ok || again.RetryAfter <= tooMany.RetryAfter {
			t.Errorf("after a right code %v, before it %v", again.RetryAfter, tooMany.RetryAfter)
		}
	})
}

func TestGuessesOfANetworkAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var err error
		n := 0
		for ; err == nil || errors.Is(err, issuer.ErrWrongCode); n++ {
			// Many accounts behind one address block.
			_, err = w.Lookup(t.Context(), cardea.NewID[cardea.AccountID](), "BBBB-BBBB", netip.MustParseAddr("2001:db8:7::1"))
		}
		if n != 21 || !errors.As(err, new(issuer.ErrTooManyGuesses)) {
			t.Errorf("%d guesses, then %v", n, err)
		}
		// A device of that household waits for its answer all the same.
		d := w.bearer()
		d.addr = "[2001:db8:7::1]:1"
		a := d.start()
		w.approve(a)
		d.poll(a.DeviceCode).tokens(t)
	})
}

// Whoever brings a proxy to say nothing of him has no more guesses for it.
func TestTheUnknownAreOneNetwork(t *testing.T) {
	w := newWorld(t)
	var err error
	n := 0
	for ; err == nil || errors.Is(err, issuer.ErrWrongCode); n++ {
		_, err = w.Lookup(t.Context(), cardea.NewID[cardea.AccountID](), "BBBB-BBBB", netip.Addr{})
	}
	if n != 21 || !errors.As(err, new(issuer.ErrTooManyGuesses)) {
		t.Errorf("%d guesses, then %v", n, err)
	}
}

func TestTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		from := netip.MustParseAddr("192.0.2.0")
		guess := func() error {
			from = from.Next()
			_, err := w.Lookup(t.Context(), cardea.NewID[cardea.AccountID](), "BBBB-BBBB", from)
			return err
		}
		for range 1000 {
			if err := guess(); !errors.Is(err, issuer.ErrWrongCode) {
				t.Fatal(err)
			}
		}
		tooMany, ok := errors.AsType[issuer.ErrTooManyGuesses](guess())
		if !ok || tooMany.RetryAfter > time.Minute {
			t.Fatal("the breaker did not trip")
		}
		time.Sleep(tooMany.RetryAfter)
		if err := guess(); !errors.Is(err, issuer.ErrWrongCode) {
			t.Fatal(err)
		}
	})
}

func TestOnlyTheOwnerRevokes(t *testing.T) {
	w := newWorld(t)
	d := w.keyed()
	tokens, id := d.pair()
	stranger := accountdbtest.Account(t, w.db)
	if err := w.Revoke(t.Context(), stranger.ID, id); !errors.Is(err, issuer.ErrNoGrant) {
		t.Errorf("a stranger: %v", err)
	}
	if err := w.Revoke(t.Context(), w.owner.ID, "none"); !errors.Is(err, issuer.ErrNoGrant) {
		t.Errorf("no grant: %v", err)
	}
	if all, err := w.Grants(t.Context(), stranger.ID); err != nil || len(all) != 0 {
		t.Errorf("a stranger sees %v, %v", all, err)
	}
	d.refresh(tokens.RefreshToken).tokens(t)
}

func TestEventsNameTheAccount(t *testing.T) {
	w := newWorld(t)
	_, id := w.keyed().pair()
	asked := w.events[0].Requested
	want := []issuer.Event{
		{Note: issuer.NoteStarted, Grant: id, Requested: asked},
		{Note: pairing.NoteApproved, Grant: id, Account: w.owner.ID, Requested: asked},
		{Note: pairing.NoteRedeemed, Grant: id, Account: w.owner.ID, Requested: asked},
	}
	if !slices.Equal(w.events, want) || asked == 0 {
		t.Errorf("%v", w.events)
	}
}

// The choices of a code stand in no telling order and stay the same.
func TestChoices(t *testing.T) {
	w := newWorld(t)
	at := [3]int{}
	for range 60 {
		code := pairing.UserCode(w.keyed().start().UserCode)
		r, err := w.Lookup(t.Context(), w.owner.ID, code, home)
		if err != nil {
			t.Fatal(err)
		}
		again, err := w.Lookup(t.Context(), w.owner.ID, code, home)
		if err != nil || !slices.Equal(r.Choices, again.Choices) {
			t.Fatalf("asked again: %v, then %v (%v)", r.Choices, again.Choices, err)
		}
		i := slices.Index(r.Choices, code)
		if i < 0 || len(slices.Compact(slices.Clone(r.Choices))) != 3 {
			t.Fatalf("choices %v of %v", r.Choices, code)
		}
		for _, c := range r.Choices {
			if parsed, err := pairing.ParseUserCode(string(c)); err != nil || parsed != c {
				t.Errorf("choice %q: %v", c, err)
			}
		}
		at[i]++
	}
	// By chance one place has fewer than 3 of 60 once in twenty million runs.
	if min(at[0], at[1], at[2]) < 3 {
		t.Errorf("the code stood at %v", at)
	}
}
