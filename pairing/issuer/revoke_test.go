package issuer_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
)

func (d *device) revoke(token pairing.Secret) answer {
	d.t.Helper()
	return d.post(issuer.PathRevocation, url.Values{"token": {token.Reveal()}})
}

// revoked demands that the grant has ended, and its tokens with it.
func revoked(t *testing.T, d *device, id pairing.GrantID, newest pairing.Secret) {
	t.Helper()
	if g := d.grant(id); g.State != pairing.GrantRevoked {
		t.Errorf("the grant is %s", g.State)
	}
	want(t, d.refresh(newest), pairing.InvalidGrant)
}

// The newest refresh token of a grant ends it, and so does any older one that is
// remembered, with and without a key.
func TestRevocation(t *testing.T) {
	for name, who := range map[string]func(*world) *device{"with a key": (*world).keyed, "a bearer": (*world).bearer} {
		for _, older := range []int{0, 1, 2} {
			w := newWorld(t)
			d := who(w)
			tokens, id := d.pair()
			given := []pairing.Secret{tokens.RefreshToken}
			for range 2 {
				given = append(given, d.refresh(given[len(given)-1]).tokens(t).RefreshToken)
			}
			newest := given[len(given)-1]
			want(t, d.revoke(given[len(given)-1-older]), "")
			if g := w.grant(id); g.State != pairing.GrantRevoked || w.heard(pairing.NoteRevoked) != 1 {
				t.Fatalf("%s, %d older: %s", name, older, g.State)
			}
			revoked(t, d, id, newest)
			want(t, d.revoke(newest), "") // twice is no error
		}
	}
}

// Whoever has the token and not its key ends nothing, and is counted.
func TestRevocationNeedsTheKey(t *testing.T) {
	w := newWorld(t, func(c *issuer.Config) {
		c.Clients = append(c.Clients, issuer.Client{ID: "either", Scopes: []string{"profile"}})
	})
	d := w.keyed()
	d.client = "either" // it may do without proofs, and did not
	tokens, id := d.pair()
	thief := w.keyed()
	thief.client = "either"
	want(t, thief.revoke(tokens.RefreshToken), pairing.InvalidGrant)
	bare := w.bearer()
	bare.client = "either"
	want(t, bare.revoke(tokens.RefreshToken), pairing.InvalidGrant)
	if g := w.grant(id); g.State != pairing.GrantActive || g.WrongKeys != 2 || w.heard(pairing.NoteWrongKey) != 2 {
		t.Errorf("%s, %d wrong keys", g.State, g.WrongKeys)
	}
	bound := w.keyed()
	mine, own := bound.pair()
	naked := w.bearer()
	naked.client = agent
	want(t, naked.revoke(mine.RefreshToken), pairing.InvalidDPoPProof)
	if g := w.grant(own); g.State != pairing.GrantActive {
		t.Errorf("without a proof: %s", g.State)
	}
	next := d.refresh(tokens.RefreshToken).tokens(t)
	want(t, d.revoke(next.RefreshToken), "")
	revoked(t, d, id, next.RefreshToken)
	if g := w.grant(own); g.State != pairing.GrantActive {
		t.Error("another grant ended with it")
	}
}

func TestRevocationRefuses(t *testing.T) {
	w := newWorld(t)
	d := w.bearer()
	tokens, id := d.pair()
	want(t, d.post(issuer.PathRevocation, url.Values{}), pairing.InvalidRequest)
	want(t, d.post(issuer.PathRevocation, url.Values{"token": {"made up"}, "token_type_hint": {"refresh_token"}}), "")
	want(t, d.post(issuer.PathRevocation, url.Values{"token": {"made up"}, "token_type_hint": {"no such type"}}), "")
	want(t, d.revoke(tokens.AccessToken), pairing.UnsupportedTokenType)
	stranger := w.bearer()
	stranger.client = "stranger"
	want(t, stranger.revoke(tokens.RefreshToken), pairing.InvalidClient)
	other := w.keyed()
	want(t, other.revoke(tokens.RefreshToken), pairing.InvalidGrant)
	if g := w.grant(id); g.State != pairing.GrantActive || g.WrongKeys != 0 {
		t.Errorf("%s, %d wrong keys", g.State, g.WrongKeys)
	}
	// A hint that is wrong does not keep the token from being found.
	form := url.Values{"token": {tokens.RefreshToken.Reveal()}, "token_type_hint": {"access_token"}}
	want(t, d.post(issuer.PathRevocation, form), "")
	revoked(t, d, id, tokens.RefreshToken)
}

// A client that gives up takes its code back: a poll that is held hears it at
// once, and an approval that nobody redeemed gives nothing any more.
func TestRevokingACode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := w.keyed()
		a := d.start()
		heard := make(chan answer)
		waiting := w.keyed()
		waiting.key, waiting.nonce = d.key, d.nonce
		go func() { heard <- waiting.poll(a.DeviceCode) }()
		synctest.Wait()
		want(t, d.revoke(a.DeviceCode), "")
		want(t, <-heard, pairing.AccessDenied)
		if _, err := w.Approve(t.Context(), w.owner.ID, pairing.UserCode(a.UserCode), "Kitchen"); !errors.Is(err, issuer.ErrUsed) {
			t.Errorf("approved all the same: %v", err)
		}

		b := d.start()
		id := d.approve(b)
		thief := w.keyed()
		want(t, thief.revoke(b.DeviceCode), pairing.InvalidGrant)
		want(t, d.revoke(b.DeviceCode), "")
		if g := w.grant(id); g.State != pairing.GrantDenied || w.heard(pairing.NoteCancelled) != 2 {
			t.Errorf("approved and not redeemed: %s", g.State)
		}
		want(t, d.poll(b.DeviceCode), pairing.AccessDenied)
	})
}

// A grant in use ends with all that was made of it. If that can not be done, the
// client hears a fault, comes again, and nothing is half done.
func TestRevocationEndsWhatWasMade(t *testing.T) {
	var left []pairing.GrantID
	fault := errors.New("the disk is full")
	var w *world
	w = newWorld(t, func(c *issuer.Config) {
		c.Leave = func(ctx context.Context, account cardea.AccountID, grant pairing.GrantID) error {
			if account != w.owner.ID {
				t.Errorf("left for account %v", account)
			}
			if fault != nil {
				return fault
			}
			left = append(left, grant)
			return w.Revoke(ctx, account, grant)
		}
	})
	d := w.keyed()
	tokens, id := d.pair()
	thief := w.keyed()
	want(t, thief.revoke(tokens.RefreshToken), pairing.InvalidGrant)
	if got := d.revoke(tokens.RefreshToken); got.status != http.StatusInternalServerError || got.code() != pairing.ServerError {
		t.Errorf("%d %s", got.status, got.body)
	}
	if g := w.grant(id); g.State != pairing.GrantActive || len(left) != 0 {
		t.Fatalf("half done: %s, %v", g.State, left)
	}
	fault = nil
	want(t, d.revoke(tokens.RefreshToken), "")
	revoked(t, d, id, tokens.RefreshToken)
	if len(left) != 1 || left[0] != id || w.heard(pairing.NoteRevoked) == 0 {
		t.Errorf("left %v", left)
	}
	w.storage.fail = errors.New("the disk is full")
	if got := d.revoke(tokens.RefreshToken); got.code() != pairing.ServerError {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// The rule alone, in every state and with every key.
func TestLeave(t *testing.T) {
	key := jose.Thumbprint(jose.GenerateKey().Public())
	for _, test := range []struct {
		state  pairing.GrantState
		jkt    string
		with   string
		after  pairing.GrantState
		note   pairing.Note
		refuse bool
	}{
		{pairing.GrantPending, "", "", pairing.GrantDenied, pairing.NoteCancelled, false},
		{pairing.GrantPending, "", key, pairing.GrantDenied, pairing.NoteCancelled, false},
		{pairing.GrantPending, key, "", pairing.GrantPending, pairing.NoteWrongKey, true},
		{pairing.GrantApproved, key, key, pairing.GrantDenied, pairing.NoteCancelled, false},
		{pairing.GrantApproved, key, "other", pairing.GrantApproved, pairing.NoteWrongKey, true},
		{pairing.GrantActive, key, key, pairing.GrantRevoked, pairing.NoteRevoked, false},
		{pairing.GrantActive, key, "", pairing.GrantActive, pairing.NoteWrongKey, true},
		{pairing.GrantActive, "", key, pairing.GrantActive, pairing.NoteWrongKey, true},
		{pairing.GrantActive, "", "", pairing.GrantRevoked, pairing.NoteRevoked, false},
		{pairing.GrantRevoked, key, key, pairing.GrantRevoked, "", false},
		{pairing.GrantDenied, "", "", pairing.GrantDenied, "", false},
	} {
		g := pairing.Grant{State: test.state, JKT: test.jkt}
		note, err := g.Leave(pairing.Use{JKT: test.with}, 7)
		if g.State != test.after || note != test.note || (err != nil) != test.refuse || (g.WrongKeys == 1) != test.refuse {
			t.Errorf("%+v: %s, %q, %v", test, g.State, note, err)
		}
	}
}
