package token_test

import (
	"bytes"
	"crypto/ecdsa"
	"net/http"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

// What one process rotates the other verifies and shows when it has followed.
func TestFollow(t *testing.T) {
	a, b := accountdbtest.Two(t)
	here, there := open(t, a), open(t, b)
	if err := here.Publish(t.Context(), nil, time.Now()); err != nil {
		t.Fatal(err)
	}
	before := mint(t, here, someone, time.Now())
	if err := here.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := here.RotateStatement(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	after := mint(t, here, someone, time.Now())
	if _, err := access(there, after, nil); err == nil {
		t.Error("a token of a key that it does not know")
	}
	if err := there.Follow(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{before, after} {
		if _, err := access(there, text, nil); err != nil {
			t.Error(err)
		}
	}
	if !bytes.Equal(here.KeyList(), there.KeyList()) || !here.Statement().Public().(*ecdsa.PublicKey).Equal(there.Statement().Public()) {
		t.Error("another key list, or another key for statements")
	}
}

// A proof that was used at one process is refused by the other.
func TestProofIsUsedOnceByTwo(t *testing.T) {
	a, b := accountdbtest.Two(t)
	here, there := open(t, a), open(t, b)
	here.RememberIn(a.Grants())
	there.RememberIn(b.Grants())
	key := jose.GenerateKey()
	bound := someone
	bound.JKT = jose.Thumbprint(key.Public())
	text := mint(t, here, bound, time.Now())
	proof, err := jose.NewProof(key.Signer(), http.MethodPost, base+"/v1/links", here.Nonce(time.Now()), text, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	show := func(r *http.Request) {
		r.Header.Set("Authorization", "DPoP "+text)
		r.Header.Set("DPoP", proof)
	}
	if _, err := access(here, text, show); err != nil {
		t.Error(err)
	}
	if _, err := access(there, text, show); err == nil {
		t.Error("a proof was used twice")
	}
}
