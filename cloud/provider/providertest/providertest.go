// Package providertest is an OpenID provider for tests, which answers over real
// HTTP and lies as it is told.
package providertest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/jose"
)

// A Provider has one user, who always agrees. Set what it gets wrong before it
// is asked.
type Provider struct {
	Issuer   string
	ClientID string

	// Subject and Claims are of the user. Claims go over the honest ones; a nil
	// value leaves a claim out.
	Subject string
	Claims  map[string]any

	// Metadata goes over the honest metadata, Answer over what the browser is
	// sent back with.
	Metadata map[string]any
	Answer   url.Values

	// Sign makes the ID token; nil signs with the provider's key.
	Sign func(claims map[string]any) string
	// Serve answers instead of the provider, if it returns true.
	Serve func(w http.ResponseWriter, r *http.Request) bool

	key jose.PrivateKey
	mux *http.ServeMux

	mu    sync.Mutex
	codes map[string]url.Values // what each code was asked with
}

// New starts an honest provider that knows one client.
func New(t testing.TB, clientID string) *Provider {
	t.Helper()
	p := &Provider{ClientID: clientID, Subject: "user-1", key: jose.GenerateKey(), mux: http.NewServeMux(), codes: map[string]url.Values{}}
	p.mux.HandleFunc("GET /.well-known/openid-configuration", p.metadata)
	p.mux.HandleFunc("GET /authorize", p.authorize)
	p.mux.HandleFunc("POST /token", p.token)
	p.mux.HandleFunc("GET /keys", p.keys)
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.Issuer = server.URL
	return p
}

func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p.Serve == nil || !p.Serve(w, r) {
		p.mux.ServeHTTP(w, r)
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // the client is gone if this fails
}

func (p *Provider) metadata(w http.ResponseWriter, _ *http.Request) {
	m := map[string]any{
		"issuer": p.Issuer, "authorization_endpoint": p.Issuer + "/authorize", "token_endpoint": p.Issuer + "/token",
		"jwks_uri": p.Issuer + "/keys", "id_token_signing_alg_values_supported": []string{"ES256"},
		"authorization_response_iss_parameter_supported": true,
	}
	maps.Copy(m, p.Metadata)
	answer(w, http.StatusOK, m)
}

// authorize sends the browser back at once.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	asked := r.URL.Query()
	if asked.Get("client_id") != p.ClientID || asked.Get("code_challenge_method") != "S256" {
		http.Error(w, "unknown client, or no PKCE", http.StatusBadRequest)
		return
	}
	code := jose.Thumbprint(jose.GenerateKey().Public())
	p.mu.Lock()
	p.codes[code] = asked
	p.mu.Unlock()
	back := url.Values{"code": {code}, "state": {asked.Get("state")}, "iss": {p.Issuer}}
	for name, values := range p.Answer {
		if back[name] = values; values == nil {
			delete(back, name)
		}
	}
	http.Redirect(w, r, asked.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

// token takes a code once, with the verifier that belongs to its challenge.
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	asked, ok := p.codes[r.PostFormValue("code")]
	delete(p.codes, r.PostFormValue("code"))
	p.mu.Unlock()
	challenge := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !ok || asked.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(challenge[:]) ||
		r.PostFormValue("redirect_uri") != asked.Get("redirect_uri") {
		answer(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
		return
	}
	answer(w, http.StatusOK, map[string]any{"access_token": "not used", "token_type": "Bearer", "id_token": p.sign(p.claims(asked))})
}

func (p *Provider) claims(asked url.Values) map[string]any {
	now := time.Now()
	claims := map[string]any{
		"iss": p.Issuer, "sub": p.Subject, "aud": p.ClientID, "nonce": asked.Get("nonce"),
		"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	}
	if asked.Has("max_age") { // OpenID Connect Core, Section 2
		claims["auth_time"] = now.Unix()
	}
	maps.Copy(claims, p.Claims)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}

func (p *Provider) sign(claims map[string]any) string {
	if p.Sign != nil {
		return p.Sign(claims)
	}
	return SignWith(p.key, claims)
}

// SignWith makes an ID token with any key.
func SignWith(key jose.PrivateKey, claims map[string]any) string {
	token, err := jose.Sign(key.Signer(), map[string]any{"typ": "JWT", "kid": "1"}, claims)
	if err != nil {
		panic(err) // a map of plain values
	}
	return token
}

func (p *Provider) keys(w http.ResponseWriter, _ *http.Request) {
	var key map[string]any
	if err := json.Unmarshal(jose.JWK(p.key.Public()), &key); err != nil {
		panic(err) // it was just made
	}
	key["kid"], key["use"], key["alg"] = "1", "sig", "ES256"
	answer(w, http.StatusOK, map[string]any{"keys": []any{key}})
}
