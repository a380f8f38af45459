// Package pairingtest is a server of RFC 8628 for tests of the device's side: in
// memory and without a socket, so that it runs in a testing/synctest bubble, and
// with faults on demand. It keeps the rules a real server keeps, and knows what
// it was asked.
package pairingtest

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/pairing"
)

// Issuer is the server's identifier.
const Issuer = "https://login.example"

// A Server answers the requests of one or more clients. Set its fields before
// the first of them.
type Server struct {
	Life     time.Duration // of a code, 10 min by default
	Interval time.Duration // 5 s by default; polls that come sooner get slow_down
	Token    time.Duration // life of an access token, 10 min by default
	Hold     bool          // holds polls as long as the request prefers
	DPoP     bool          // takes proofs, and wants its nonce in them
	Plain    bool          // publishes no metadata
	Presses  int           // of the device's button after the owner's yes; 0: none are wanted
	Keep     bool          // does not rotate refresh tokens

	mu      sync.Mutex
	changed chan struct{}
	grants  []*grant
	nonces  []string // the last ones given
	other   map[string]http.HandlerFunc
	fault   func(*http.Request) Fault
	log     []Request
}

// A Request is what a client sent, and when.
type Request struct {
	At   time.Time
	Path string
	Form url.Values
	Head http.Header
}

type grant struct {
	device, user string
	end          time.Time
	polled       time.Time
	interval     time.Duration
	state        string // "", approved, denied, revoked
	jkt          string
	used         bool            // the tokens given for the code
	refresh      string          // in force
	before       string          // its predecessor, good until it is used
	access       map[string]bool // every access token given
}

// Client is a client of this server: with its transport and, where the server
// publishes nothing, its endpoints.
func (s *Server) Client() *pairing.Client {
	c := &pairing.Client{Issuer: Issuer, ClientID: "speaker", Scope: "profile", HTTP: s.HTTP()}
	if s.Plain {
		c.Endpoints = &pairing.Metadata{DeviceAuthorizationEndpoint: Issuer + "/device", TokenEndpoint: Issuer + "/token"}
	}
	return c
}

// Break has f asked about every request before it is served. Nil mends all.
func (s *Server) Break(f func(*http.Request) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Handle answers a path with h.
func (s *Server) Handle(path string, h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.other == nil {
		s.other = map[string]http.HandlerFunc{}
	}
	s.other[path] = h
}

// Decide is the owner's answer to the code shown.
func (s *Server) Decide(userCode string, yes bool) {
	s.change(func() {
		for _, g := range s.grants {
			if g.user == userCode && g.state == "" && time.Now().Before(g.end) {
				g.state = map[bool]string{true: "approved", false: "denied"}[yes]
			}
		}
	})
}

// Revoke ends every grant.
func (s *Server) Revoke() {
	s.change(func() {
		for _, g := range s.grants {
			g.state = "revoked"
		}
	})
}

// Requests lists what was asked at a path, all if it is empty.
func (s *Server) Requests(path string) []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.log), func(r Request) bool { return path != "" && r.Path != path })
}

// Authorized reports whether the request carries an access token in force, and
// marks it as used.
func (s *Server) Authorized(r *http.Request) bool {
	_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.grants {
		if g.access[token] && g.state == "approved" {
			g.used, g.before = true, ""
			return true
		}
	}
	return false
}

// change wakes the polls that are held.
func (s *Server) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	if s.changed != nil {
		close(s.changed)
	}
	s.changed = make(chan struct{})
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	other := s.other[r.URL.Path]
	s.mu.Unlock()
	if other != nil {
		other(w, r)
		return
	}
	switch r.URL.Path {
	case pairing.WellKnownOAuth:
		s.metadata(w)
	case "/device":
		s.deviceAuthorization(w, r)
	case "/token":
		s.token(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (s *Server) metadata(w http.ResponseWriter) {
	if s.Plain {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	m := pairing.Metadata{
		Issuer: Issuer, DeviceAuthorizationEndpoint: Issuer + "/device", TokenEndpoint: Issuer + "/token",
		ResponseTypesSupported: []string{},
	}
	if s.DPoP {
		m.DPoPAlgs = []string{"ES256"}
	}
	answer(w, http.StatusOK, m)
}

func (s *Server) deviceAuthorization(w http.ResponseWriter, r *http.Request) {
	jkt, err := s.proof(w, r)
	if err != nil {
		fail(w, err.Error())
		return
	}
	if r.PostFormValue("client_id") == "" {
		fail(w, pairing.InvalidClient)
		return
	}
	g := &grant{
		device: rand.Text(), user: string(pairing.NewUserCode()), jkt: jkt,
		end: time.Now().Add(or(s.Life, 10*time.Minute)), interval: or(s.Interval, pairing.DefaultInterval),
		access: map[string]bool{},
	}
	s.change(func() { s.grants = append(s.grants, g) })
	answer(w, http.StatusOK, pairing.Authorization{
		DeviceCode: pairing.Secret(g.device), UserCode: g.user,
		VerificationURI: Issuer + "/pair", VerificationURIComplete: Issuer + "/pair?code=" + g.user,
		ExpiresIn: int(time.Until(g.end).Seconds()), Interval: int(g.interval.Seconds()),
	})
}

// token answers the token endpoint.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	jkt, err := s.proof(w, r)
	if err != nil {
		fail(w, err.Error())
		return
	}
	switch r.PostFormValue("grant_type") {
	case pairing.GrantDeviceCode:
		s.poll(w, r, jkt)
	case pairing.GrantRefreshToken:
		s.refresh(w, r, jkt)
	case pairing.GrantClientCredentials:
		s.device(w, r, jkt)
	default:
		fail(w, pairing.UnsupportedGrantType)
	}
}

func (s *Server) poll(w http.ResponseWriter, r *http.Request, jkt string) {
	until := time.Now()
	if s.Hold && strings.HasPrefix(r.Header.Get("Prefer"), "wait=") {
		until = until.Add(pairing.MaxHold)
	}
	presses, _ := strconv.Atoi(r.PostFormValue("device_presses"))
	for first := true; ; first = false {
		code, tokens, changed := s.look(r.PostFormValue("device_code"), jkt, first, presses)
		switch {
		case tokens != nil:
			answer(w, http.StatusOK, tokens)
			return
		case code != pairing.AuthorizationPending || !time.Now().Before(until):
			fail(w, code)
			return
		}
		select {
		case <-changed:
		case <-time.After(time.Until(until)):
		case <-r.Context().Done():
			return
		}
	}
}

// look is one look at a code: tokens, or an error and when to look again.
func (s *Server) look(device, jkt string, first bool, presses int) (code string, tokens *pairing.Tokens, changed chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	i := slices.IndexFunc(s.grants, func(g *grant) bool { return g.device == device && g.jkt == jkt })
	if i < 0 {
		return pairing.InvalidGrant, nil, nil
	}
	g, now := s.grants[i], time.Now()
	since := now.Sub(g.polled)
	if first {
		g.polled = now
	}
	switch {
	case g.state == "denied":
		return pairing.AccessDenied, nil, nil
	case g.state == "revoked" || g.used:
		return pairing.InvalidGrant, nil, nil
	case g.state == "approved" && s.Presses != 0 && presses == 0:
		return pairing.PressRequired, nil, nil
	case g.state == "approved" && presses != s.Presses:
		g.state = "denied"
		return pairing.AccessDenied, nil, nil
	case g.state == "approved":
		return "", s.mint(g, jkt, ""), nil
	case !now.Before(g.end):
		return pairing.ExpiredToken, nil, nil
	case first && since < g.interval-time.Second:
		g.interval += pairing.SlowDownStep
		return pairing.SlowDown, nil, nil
	}
	return pairing.AuthorizationPending, nil, s.changed
}

func (s *Server) refresh(w http.ResponseWriter, r *http.Request, jkt string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	token := r.PostFormValue("refresh_token")
	for _, g := range s.grants {
		if g.state != "approved" || g.jkt != jkt || token != g.refresh && token != g.before {
			continue
		}
		g.used = true
		if !s.Keep {
			g.before = token
		}
		answer(w, http.StatusOK, s.mint(g, jkt, r.PostFormValue("resource")))
		return
	}
	fail(w, pairing.InvalidGrant)
}

// device answers with the device's own token.
func (s *Server) device(w http.ResponseWriter, r *http.Request, jkt string) {
	var claims pairing.Assertion
	pub, err := jose.VerifyEmbedded(r.PostFormValue("client_assertion"), "JWT", &claims)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil || jose.Thumbprint(pub) != jkt || claims.Subject != jkt || claims.Issuer != jkt ||
		claims.Audience != Issuer || claims.ID == "" || r.PostFormValue("client_id") != jkt || r.PostFormValue("scope") != pairing.ScopeMQTT {
		fail(w, pairing.InvalidClient)
		return
	}
	if !slices.Contains(s.nonces, claims.Nonce) {
		fail(w, pairing.UseDPoPNonce)
		return
	}
	if !slices.ContainsFunc(s.grants, func(g *grant) bool { return g.jkt == jkt && g.state == "approved" }) {
		fail(w, pairing.InvalidGrant)
		return
	}
	answer(w, http.StatusOK, pairing.Tokens{AccessToken: jwt(pairing.AudienceMQTT), TokenType: pairing.TypeDPoP, ExpiresIn: 3600})
}

func (s *Server) mint(g *grant, jkt, audience string) *pairing.Tokens {
	if g.refresh == "" || !s.Keep {
		g.refresh = rand.Text()
	}
	t := &pairing.Tokens{
		AccessToken: jwt(or(audience, Issuer)), TokenType: pairing.TypeBearer,
		ExpiresIn: int(or(s.Token, 10*time.Minute).Seconds()), RefreshToken: pairing.Secret(g.refresh),
	}
	if jkt != "" {
		t.TokenType = pairing.TypeDPoP
	}
	g.access[t.AccessToken.Reveal()] = true
	return t
}

// jwt is an access token whose audience can be read; nobody here checks more.
func jwt(audience string) pairing.Secret {
	claims, _ := json.Marshal(map[string]string{"aud": audience, "jti": rand.Text()})
	enc := base64.RawURLEncoding
	return pairing.Secret(enc.EncodeToString([]byte(`{"alg":"none"}`)) + "." + enc.EncodeToString(claims) + ".")
}

// proof checks a DPoP proof and hands out the next nonce. Without a proof the
// thumbprint is empty: a bearer client.
func (s *Server) proof(w http.ResponseWriter, r *http.Request) (jkt string, err error) {
	proof := r.Header.Get("DPoP")
	if proof == "" || !s.DPoP {
		return "", nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	nonce := rand.Text()
	w.Header().Set("DPoP-Nonce", nonce)
	known := s.nonces
	s.nonces = append(slices.Clone(known[max(len(known)-8, 0):]), nonce)
	p, err := jose.VerifyProof(proof, r.Method, Issuer+r.URL.Path, "")
	if err != nil {
		return "", fmt.Errorf("%s", pairing.InvalidDPoPProof)
	}
	if !slices.Contains(known, p.Nonce) {
		return "", fmt.Errorf("%s", pairing.UseDPoPNonce)
	}
	return p.JKT, nil
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

func fail(w http.ResponseWriter, code string) {
	answer(w, http.StatusBadRequest, pairing.Error{Code: code})
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
