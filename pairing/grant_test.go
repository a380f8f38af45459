package pairing_test

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/pairing"
)

var (
	owner    = pairing.Owner{Account: cardea.NewID[cardea.AccountID](), Subject: "s", Active: true}
	inactive = pairing.Owner{Account: owner.Account, Subject: "s"}
)

const asked = cardea.Millis(1_000_000)

func pendingGrant() pairing.Grant {
	return pairing.Grant{ID: pairing.NewGrantID(), State: pairing.GrantPending, Client: "agent",
		Code: pairing.NewSecret().Hash(), Requested: asked, Expires: asked.Add(10 * time.Minute)}
}

func useOf(g pairing.Grant, token cardea.Hash, at cardea.Millis) pairing.Use {
	return pairing.Use{Token: token, JKT: g.JKT, Next: pairing.NewSecret().Hash(), Arrived: at}
}

func TestWhatAPollHears(t *testing.T) {
	for _, test := range []struct {
		state pairing.GrantState
		after time.Duration
		code  string
	}{
		{pairing.GrantPending, 0, pairing.AuthorizationPending},
		{pairing.GrantPending, 10*time.Minute - 1, pairing.AuthorizationPending},
		{pairing.GrantPending, 10 * time.Minute, pairing.ExpiredToken},
		{pairing.GrantApproved, 0, ""},
		{pairing.GrantApproved, 10 * time.Minute, pairing.ExpiredToken},
		{pairing.GrantActive, 0, ""},
		{pairing.GrantActive, 10 * time.Minute, pairing.ExpiredToken},
		{pairing.GrantDenied, 0, pairing.AccessDenied},
		{pairing.GrantDenied, 10 * time.Minute, pairing.AccessDenied},
		{pairing.GrantRevoked, 0, pairing.InvalidGrant},
	} {
		g := pendingGrant()
		g.State = test.state
		err := g.Answer(asked.Add(test.after))
		if test.code == "" && err != nil || test.code != "" && !pairing.HasCode(err, test.code) {
			t.Errorf("%s after %v: %v, want %q", test.state, test.after, err, test.code)
		}
	}
}

func TestOnlyAPendingGrantIsAnswered(t *testing.T) {
	for _, state := range []pairing.GrantState{pairing.GrantApproved, pairing.GrantActive, pairing.GrantDenied, pairing.GrantRevoked} {
		g := pendingGrant()
		g.State = state
		before := g
		if _, err := g.Approve(owner, "x", asked); !errors.Is(err, pairing.ErrUsed) {
			t.Errorf("approve %s: %v", state, err)
		}
		if _, err := g.Deny(asked); !errors.Is(err, pairing.ErrUsed) {
			t.Errorf("deny %s: %v", state, err)
		}
		if g != before {
			t.Errorf("%s was changed", state)
		}
	}
	g := pendingGrant()
	if _, err := g.Approve(inactive, "x", asked); !errors.Is(err, pairing.ErrInactive) || g.State != pairing.GrantPending {
		t.Error(err)
	}
	if _, err := g.Approve(owner, "x", g.Expires); !errors.Is(err, pairing.ErrExpired) {
		t.Error(err)
	}
	if _, err := g.Deny(g.Expires); !errors.Is(err, pairing.ErrExpired) {
		t.Error(err)
	}
}

func TestIdentifiersAndSecrets(t *testing.T) {
	if id := pairing.NewGrantID(); len(id) != 22 || id == pairing.NewGrantID() {
		t.Errorf("id %q", id)
	}
	s := pairing.NewSecret()
	if len(s.Reveal()) != 43 || s == pairing.NewSecret() || s.Hash() == pairing.NewSecret().Hash() {
		t.Error("a poor secret")
	}
}

// model is what a grant's tokens are worth, told apart by what was done with
// them and not by hashes.
type model struct {
	newest, before cardea.Hash // before is what newest was given for
	old            []cardea.Hash
}

// Random histories of one device with a key: whatever is presented in whatever
// order, the newest token works, the one before until the newest was used, no
// other, and nothing but the owner ends the grant.
func TestRandomHistoriesOfAFamily(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		g := pendingGrant()
		g.JKT = "key"
		now := asked
		if _, err := g.Approve(owner, "x", now); err != nil {
			t.Fatal(err)
		}
		u := useOf(g, g.Code, now)
		if _, err := g.Redeem(u, owner, now); err != nil {
			t.Fatal(err)
		}
		m := model{newest: u.Next, before: g.Code}
		for range 60 {
			now = now.Add(time.Duration(r.IntN(72)) * time.Hour)
			step(t, r, &g, &m, now)
		}
	}
}

func step(t *testing.T, r *rand.Rand, g *pairing.Grant, m *model, now cardea.Millis) {
	t.Helper()
	token, works := m.newest, true
	switch r.IntN(4) {
	case 0:
		if m.before != (cardea.Hash{}) && m.before != g.Code {
			token = m.before
		}
	case 1:
		if len(m.old) > 0 {
			token, works = m.old[r.IntN(len(m.old))], false
		}
	}
	u := useOf(*g, token, now)
	if r.IntN(8) == 0 {
		u.JKT, works = "thief", false
	}
	before := *g
	_, err := g.Refresh(u, owner, now)
	if works != (err == nil) || err != nil && !pairing.HasCode(err, pairing.InvalidGrant) {
		t.Fatalf("presenting %s: %v", token, err)
	}
	if g.State != pairing.GrantActive || g.JKT != "key" {
		t.Fatal("the grant ended, or changed its key")
	}
	if !works {
		if g.Successor != before.Successor || g.Predecessor != before.Predecessor {
			t.Fatal("a refused token changed the family")
		}
		return
	}
	if token == m.newest {
		m.old = append(m.old, m.before)
	} else {
		m.old = append(m.old, m.newest) // replaced before it was used
	}
	m.before, m.newest = token, u.Next
	m.old = without(m.old, cardea.Hash{}, g.Code)
}

func without(all []cardea.Hash, drop ...cardea.Hash) []cardea.Hash {
	var kept []cardea.Hash
	for _, h := range all {
		if h != drop[0] && h != drop[1] {
			kept = append(kept, h)
		}
	}
	return kept
}

func TestUsedClosesTheWayBack(t *testing.T) {
	g := pendingGrant()
	if _, err := g.Approve(owner, "x", asked); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Redeem(useOf(g, g.Code, asked), owner, asked); err != nil {
		t.Fatal(err)
	}
	g.Used(7)
	if g.Predecessor.IsZero() {
		t.Fatal("another set's use counted")
	}
	g.Used(1)
	later := asked.Add(time.Minute)
	if _, err := g.Redeem(useOf(g, g.Code, later), owner, later); !pairing.HasCode(err, pairing.InvalidGrant) {
		t.Fatal(err)
	}
}

func TestRevokeAndCancel(t *testing.T) {
	g := pendingGrant()
	if note := g.Revoke(asked); note != "" || g.State != pairing.GrantPending {
		t.Error("a pending grant has no owner who could revoke it")
	}
	if _, err := g.Approve(owner, "x", asked); err != nil {
		t.Fatal(err)
	}
	cancelled := g
	if note := cancelled.Revoke(asked); note != pairing.NoteCancelled || cancelled.State != pairing.GrantDenied {
		t.Errorf("%s, %s", note, cancelled.State)
	}
	closed := g
	if note, err := closed.Redeem(useOf(g, g.Code, asked), inactive, asked); note != pairing.NoteCancelled || !pairing.HasCode(err, pairing.AccessDenied) {
		t.Errorf("%s, %v", note, err)
	}
	if _, err := g.Redeem(useOf(g, g.Code, asked), owner, asked); err != nil {
		t.Fatal(err)
	}
	if note := g.Revoke(asked); note != pairing.NoteRevoked || g.Revoke(asked) != "" {
		t.Error("not revoked once")
	}
}
