package session_test

import (
	"errors"
	"testing"

	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/agent/session"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/pairingtest"
)

const music = "https://music.example"

// A proof counts for the request, the token and the device's key.
func TestProve(t *testing.T) {
	in(t, holding(), func(h *house) {
		token, err := h.session.Token(h.Context(), h.pair(), music, "", 0)
		if err != nil {
			h.Fatal(err)
		}
		proof, err := h.session.Prove(h.Context(), token, music, client.Request{Method: "PUT", URL: music + "/songs?of=ada", Nonce: "n-1"})
		if err != nil {
			h.Fatal(err)
		}
		said, err := jose.VerifyProof(proof.Reveal(), "PUT", music+"/songs", token.AccessToken.Reveal())
		if err != nil || said.JKT != jose.Thumbprint(h.key.Public()) || said.Nonce != "n-1" {
			h.Errorf("%+v, %v", said, err)
		}
		for _, other := range [][3]string{
			{"GET", music + "/songs", token.AccessToken.Reveal()},
			{"PUT", music + "/people", token.AccessToken.Reveal()},
			{"PUT", music + "/songs", "another token"},
		} {
			if _, err := jose.VerifyProof(proof.Reveal(), other[0], other[1], other[2]); err == nil {
				h.Errorf("it counts for %q too", other)
			}
		}
	})
}

// No program gets a proof for the server, which would take it for the agent, or
// for an API that is not the audience.
func TestProveRefuses(t *testing.T) {
	in(t, holding(), func(h *house) {
		token := h.token(h.pair(), 0)
		for _, test := range []struct {
			audience, url string
			good          bool
		}{
			{music, music, true},
			{music, "HTTPS://Music.Example:443/songs", true},
			{music, "https://music.example.evil.example/", false},
			{music, "https://bank.example/", false},
			{music, "http://music.example/", false},
			{music, "https://music.example:8443/", false},
			{music, "https://user@music.example/", false},
			{music, "//music.example/", false},
			{music, "songs", false},
			{"urn:music", "https://music.example/", true},
			{"music", "https://music.example/", true},
			{pairingtest.Issuer, "https://music.example/", true},
			{pairingtest.Issuer, pairingtest.Issuer + "/v1/links", false},
			{pairingtest.Issuer, pairingtest.Issuer, false},
			{pairingtest.Issuer + "/", pairingtest.Issuer + "/oauth/token", false},
			{"music", pairingtest.Issuer + ":443/oauth/token", false},
		} {
			_, err := h.session.Prove(h.Context(), token, test.audience, client.Request{Method: "GET", URL: test.url})
			if (err == nil) != test.good || err != nil && !errors.Is(err, session.ErrRequest) {
				h.Errorf("%s at %s: %v", test.audience, test.url, err)
			}
		}
		token.TokenType = pairing.TypeBearer
		if proof, err := h.session.Prove(h.Context(), token, music, client.Request{Method: "GET", URL: music}); proof != "" || err != nil {
			h.Errorf("for a bearer's token: %v", err)
		}
	})
}
