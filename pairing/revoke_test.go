package pairing_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/pairing"
)

// revoking is a server that answers a revocation so, and what it was sent.
func revoking(t *testing.T, status int, body string) (c *pairing.Client, sent *http.Request) {
	t.Helper()
	sent = new(http.Request)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		*sent = *r
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return &pairing.Client{ClientID: "tv", Endpoints: &pairing.Metadata{TokenEndpoint: s.URL, RevocationEndpoint: s.URL + "/revoke", DPoPAlgs: []string{"ES256"}}}, sent
}

func TestRevoke(t *testing.T) {
	c, sent := revoking(t, http.StatusOK, "whatever it says")
	c.Signer = jose.GenerateKey().Signer()
	if err := c.Revoke(t.Context(), "hush"); err != nil {
		t.Fatal(err)
	}
	if sent.URL.Path != "/revoke" || sent.PostForm.Encode() != "client_id=tv&token=hush" {
		t.Errorf("sent %s %v", sent.URL, sent.PostForm)
	}
	if proof, err := jose.VerifyProof(sent.Header.Get("DPoP"), http.MethodPost, c.Endpoints.RevocationEndpoint, ""); err != nil || proof.JKT == "" {
		t.Errorf("the proof: %v", err)
	}
	c.Signer = nil
	if err := c.Revoke(t.Context(), "hush"); err != nil || sent.Header.Get("DPoP") != "" {
		t.Errorf("a bearer: %v, proof %q", err, sent.Header.Get("DPoP"))
	}
}

func TestRevokeFails(t *testing.T) {
	c, _ := revoking(t, http.StatusBadRequest, `{"error":"unsupported_token_type"}`)
	if err := c.Revoke(t.Context(), "hush"); !pairing.HasCode(err, pairing.UnsupportedTokenType) {
		t.Errorf("refused: %v", err)
	}
	c, _ = revoking(t, http.StatusServiceUnavailable, "") // RFC 7009, Section 2.2.1: the token still counts
	refusal, ok := errors.AsType[*pairing.Error](c.Revoke(t.Context(), "hush"))
	if !ok || !refusal.Transient() {
		t.Errorf("busy: %v", refusal)
	}
	c.Endpoints.RevocationEndpoint = ""
	if err := c.Revoke(t.Context(), "hush"); !errors.Is(err, pairing.ErrNoRevocation) {
		t.Errorf("without an endpoint: %v", err)
	}
}

func TestRevokeOnlyByHTTPS(t *testing.T) {
	c, sent := revoking(t, http.StatusOK, "")
	c.Issuer = "https://id.example.com"
	if err := c.Revoke(t.Context(), "hush"); !errors.Is(err, pairing.ErrMalformed) || sent.URL != nil {
		t.Errorf("%v, sent %v", err, sent.URL)
	}
}
