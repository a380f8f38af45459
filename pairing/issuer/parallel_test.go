package issuer_test

import (
	"net/http"
	"sync"
	"testing"

	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
)

const (
	rounds = 1000
	polls  = 16
)

// Of sixteen polls sent side by side after the owner's yes exactly one gets
// tokens, a thousand times over HTTP, with and without keys. The others hear
// invalid_grant. One that a busy machine delivers more than a second after the
// winner is not side by side, and hears slow_down.
func TestParallelRedemption(t *testing.T) {
	for name, kind := range map[string]func(*world) *device{"bearer": (*world).bearer, "keyed": (*world).keyed} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			manyRedemptions(t, kind)
		})
	}
}

// manyRedemptions is half of the rounds.
func manyRedemptions(t *testing.T, kind func(*world) *device) {
	w := newServer(t)
	var lost, late int
	for round := range rounds / 2 {
		d := kind(w)
		a := d.start()
		id := d.approve(a)
		heard := redeem(t, d, a)
		lost, late = lost+heard[pairing.InvalidGrant], late+heard[pairing.SlowDown]
		if heard[""] != 1 || heard[pairing.InvalidGrant]+heard[pairing.SlowDown] != polls-1 {
			t.Fatalf("round %d: %v", round, heard)
		}
		if g := w.grant(id); g.Set != 1 {
			t.Fatalf("round %d: %d sets of tokens", round, g.Set)
		}
	}
	t.Logf("%d rounds of %d polls: %d winners, %d invalid_grant, %d late, nothing else", rounds/2, polls, rounds/2, lost, late)
}

// redeem polls side by side and counts what was heard.
func redeem(t *testing.T, d *device, a pairing.Authorization) map[string]int {
	answers := make([]answer, polls)
	var all sync.WaitGroup
	for i := range polls {
		one := *d // each with its own nonce and proofs
		all.Go(func() {
			var err error
			if answers[i], err = one.try(t.Context(), issuer.PathToken, pollForm(a.DeviceCode)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	heard := map[string]int{}
	for _, got := range answers {
		if got.status >= http.StatusInternalServerError {
			t.Errorf("got %d %s", got.status, got.body)
		}
		heard[got.code()]++
	}
	return heard
}

// Sixteen polls that are there when the owner answers: one is held, which wins.
func TestParallelHolds(t *testing.T) {
	w := newServer(t)
	d := w.bearer()
	a := d.start()
	codes := make(chan string, polls)
	for range polls {
		one := *d
		go func() {
			got, err := one.try(t.Context(), issuer.PathToken, pollForm(a.DeviceCode))
			if err != nil {
				t.Error(err)
			}
			codes <- got.code()
		}()
	}
	for range polls - 1 {
		if code := <-codes; code != pairing.AuthorizationPending {
			t.Errorf("released with %q", code)
		}
	}
	w.approve(a)
	if code := <-codes; code != "" {
		t.Errorf("the held poll got %q", code)
	}
}

// Fifty devices of one owner: one is revoked, the others refresh.
func TestFiftyDevices(t *testing.T) {
	w := newServer(t)
	const n = 50
	devices, refresh, grants := make([]*device, n), make([]pairing.Secret, n), make([]pairing.GrantID, n)
	for i := range n {
		devices[i] = w.keyed()
		tokens, id := devices[i].pair()
		refresh[i], grants[i] = tokens.RefreshToken, id
	}
	if err := w.Revoke(t.Context(), w.owner.ID, grants[17]); err != nil {
		t.Fatal(err)
	}
	for i, d := range devices {
		got := d.refresh(refresh[i])
		if i == 17 {
			want(t, got, pairing.InvalidGrant)
			continue
		}
		got.tokens(t)
	}
	left, err := w.Grants(t.Context(), w.owner.ID)
	if err != nil || len(left) != n-1 {
		t.Fatalf("%d grants left: %v", len(left), err)
	}
	if left[0].Name != "Kitchen" || !left[0].Redeemed || left[0].Device.Model != "Hall One" {
		t.Errorf("%+v", left[0])
	}
}

// The same device paired twice has two grants, of which one can go.
func TestPairingAgainTouchesNothing(t *testing.T) {
	w := newWorld(t)
	d := w.keyed()
	first, _ := d.pair()
	second, id := d.pair()
	if err := w.Revoke(t.Context(), w.owner.ID, id); err != nil {
		t.Fatal(err)
	}
	want(t, d.refresh(second.RefreshToken), pairing.InvalidGrant)
	d.refresh(first.RefreshToken).tokens(t)
}
