package issuer_test

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
	"github.com/cardea-id/cardea/store/accountdb"
)

func (d *device) id() string { return jose.Thumbprint(d.key.Public()) }

// proof makes a proof for a path with a fresh nonce.
func (d *device) proof(path string) string {
	d.t.Helper()
	proof, err := jose.NewProof(d.key.Signer(), http.MethodPost, d.base+path, d.keys.Nonce(time.Now()), "", time.Unix(0, 0))
	if err != nil {
		d.t.Fatal(err)
	}
	return proof
}

// assertion is what the device says of itself, signed by signer.
func (d *device) assertion(signer *jose.PrivateKey, adjust func(*pairing.Assertion)) string {
	d.t.Helper()
	a := pairing.Assertion{Issuer: d.id(), Subject: d.id(), Audience: d.base, ID: rand.Text(), Nonce: d.keys.Nonce(time.Now())}
	if adjust != nil {
		adjust(&a)
	}
	text, err := jose.Sign(signer.Signer(), map[string]any{"typ": "JWT", "jwk": jose.JWK(signer.Public())}, a)
	if err != nil {
		d.t.Fatal(err)
	}
	return text
}

func (d *device) credentials(assertion string) url.Values {
	return url.Values{
		"grant_type": {pairing.GrantClientCredentials}, "scope": {"mqtt"}, "client_id": {d.id()},
		"client_assertion_type": {pairing.AssertionJWT}, "client_assertion": {assertion},
	}
}

func TestDeviceToken(t *testing.T) {
	w := newWorld(t)
	d := w.keyed()
	ask := func() answer { return d.post(issuer.PathToken, d.credentials(d.assertion(d.key, nil))) }
	want(t, ask(), pairing.InvalidGrant) // no link
	id := link(t, w.db, w.owner, d.id())
	for _, state := range []accountdb.LinkState{accountdb.LinkLive, accountdb.LinkClosing} {
		setState(t, w.db, id, state)
		got := ask().tokens(t)
		if got.TokenType != pairing.TypeDPoP || got.Scope != "mqtt" || got.RefreshToken != "" ||
			got.ExpiresIn < 12*3600 || got.ExpiresIn > 24*3600 {
			t.Errorf("%s, scope %q, %d s", got.TokenType, got.Scope, got.ExpiresIn)
		}
		device, until, err := w.keys.VerifyDevice(got.AccessToken.Reveal())
		if err != nil || string(device) != d.id() || time.Until(until) > 24*time.Hour {
			t.Error(device, until, err)
		}
	}
	setState(t, w.db, id, accountdb.LinkClosed)
	want(t, ask(), pairing.InvalidGrant)
}

func setState(t *testing.T, db *accountdb.DB, id cardea.LinkID, state accountdb.LinkState) {
	t.Helper()
	err := db.Update(t.Context(), func(tx *accountdb.Tx) error { return tx.SetState(id, state, cardea.OrderID{}) })
	if err != nil {
		t.Fatal(err)
	}
}

func TestDeviceTokenRefuses(t *testing.T) {
	w := newWorld(t)
	d, other := w.keyed(), w.keyed()
	link(t, w.db, w.owner, d.id())
	link(t, w.db, w.owner, other.id())
	bad := func(why, code string, form url.Values) {
		t.Helper()
		if got := d.post(issuer.PathToken, form); got.code() != code {
			t.Errorf("%s: %d %s, want %s", why, got.status, got.body, code)
		}
	}
	with := func(f func(*pairing.Assertion)) url.Values { return d.credentials(d.assertion(d.key, f)) }
	bad("another server", pairing.InvalidClient, with(func(a *pairing.Assertion) { a.Audience = "https://evil.example" }))
	bad("another's name", pairing.InvalidClient, with(func(a *pairing.Assertion) { a.Subject = other.id() }))
	bad("another issuer", pairing.InvalidClient, with(func(a *pairing.Assertion) { a.Issuer = "x" }))
	bad("no jti", pairing.InvalidClient, with(func(a *pairing.Assertion) { a.ID = "" }))
	old, err := d.once(t.Context(), issuer.PathToken, with(func(a *pairing.Assertion) { a.Nonce = "old" }))
	if err != nil || old.code() != pairing.UseDPoPNonce {
		t.Errorf("an old nonce: %d %s, %v", old.status, old.body, err)
	}
	bad("another key's signature", pairing.InvalidClient, d.credentials(d.assertion(other.key, nil)))
	bad("another's assertion with our proof", pairing.InvalidClient, d.credentials(other.assertion(other.key, nil)))
	bad("garbage", pairing.InvalidClient, d.credentials("a.b.c"))
	foreign := with(nil)
	foreign.Set("client_id", other.id())
	bad("another's client_id", pairing.InvalidClient, foreign)
	wide := with(nil)
	wide.Set("scope", "mqtt profile")
	bad("more scope", pairing.InvalidScope, wide)

	once := with(nil)
	if got := d.post(issuer.PathToken, once); got.code() != "" {
		t.Fatalf("%d %s", got.status, got.body)
	}
	bad("the same assertion again", pairing.InvalidDPoPProof, once)
	d.key, once = nil, with(nil)
	bad("no proof", pairing.InvalidDPoPProof, once)
}
