package pairing_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/pairing"
)

// A request to a resource has the token and a proof that names it, and goes again
// with the nonce that the refusal hands out, whatever else stands in the
// challenge (RFC 9449, Sections 7, 7.1 and 9).
func TestResourceRequest(t *testing.T) {
	key := jose.GenerateKey()
	var asked int
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		proof, err := jose.VerifyProof(r.Header.Get("DPoP"), r.Method, "http://"+r.Host+r.URL.Path, "the-token")
		if err != nil || proof.JKT != jose.Thumbprint(key.Public()) || len(r.Header.Values("DPoP")) != 1 {
			t.Errorf("request %d: %+v, %v", asked, proof, err)
		}
		if r.Header.Get("Authorization") != "DPoP the-token" || r.Header.Get("Proxy-Authorization") != "" {
			t.Errorf("request %d: %q, %q", asked, r.Header.Get("Authorization"), r.Header.Get("Proxy-Authorization"))
		}
		if proof.Nonce != "n-1" {
			w.Header().Set("DPoP-Nonce", "n-1")
			w.Header().Add("WWW-Authenticate", `Bearer realm="songs", colour="blue"`)
			w.Header().Add("WWW-Authenticate", `DPoP realm="songs", colour="blue", error="use_dpop_nonce", algs="ES256 PS256"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer s.Close()
	c := &pairing.Client{Issuer: s.URL, ClientID: "tv", Signer: key.Signer()}
	tokens := pairing.Tokens{AccessToken: "the-token", TokenType: pairing.TypeDPoP}
	for range 2 {
		status, _, err := c.Call(t.Context(), tokens, http.MethodGet, s.URL+"/songs", "", nil)
		if err != nil || status != http.StatusNoContent {
			t.Fatalf("%d, %v", status, err)
		}
	}
	if asked != 3 { // the second request knew the nonce
		t.Errorf("%d requests", asked)
	}
	c.Signer = nil
	if _, _, err := c.Call(t.Context(), tokens, http.MethodGet, s.URL+"/songs", "", nil); err == nil {
		t.Error("a bound token was sent without a proof")
	}
}
