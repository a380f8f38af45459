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
// tokens, the others invalid_grant, a thousand times over HTTP, with and without
// keys.
func TestParallelRedemption(t *testing.T) {
	w := newServer(t)
	errors := 0
	for round := range rounds {
		d := w.bearer()
		if round%2 == 1 {
			d = w.keyed()
		}
		a := d.start()
		id := d.approve(a)
		won, lost := redeem(t, d, a)
		if won != 1 || lost != polls-1 {
			t.Fatalf("round %d: %d won, %d heard invalid_grant", round, won, lost)
		}
		if g := w.grant(id); g.Set != 1 {
			t.Fatalf("round %d: %d sets of tokens", round, g.Set)
		}
		errors += lost
	}
	t.Logf("%d rounds of %d polls: %d winners, %d invalid_grant, nothing else", rounds, polls, rounds, errors)
}

func redeem(t *testing.T, d *device, a pairing.Authorization) (won, lost int) {
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
	for _, got := range answers {
		switch {
		case got.status == http.StatusOK:
			won++
		case got.status == http.StatusBadRequest && got.code() == pairing.InvalidGrant:
			lost++
		default:
			t.Errorf("got %d %s", got.status, got.body)
		}
	}
	return won, lost
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
