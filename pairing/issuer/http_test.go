package issuer_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
)

func (w *world) get(path string) (int, []byte) {
	w.t.Helper()
	r := httptest.NewRequest(http.MethodGet, w.base+path, nil)
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	return rec.Code, rec.Body.Bytes()
}

func TestMetadata(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{pairing.WellKnownOAuth, pairing.WellKnownOIDC} {
		status, body := w.get(path)
		if status != http.StatusOK {
			t.Fatalf("%s: %d", path, status)
		}
		m, err := pairing.ParseMetadata(body, base)
		if err != nil {
			t.Fatal(err)
		}
		if !m.DPoP() || m.TokenEndpoint != base+"/oauth/token" || m.JWKSURI != base+"/oauth/jwks" ||
			strings.Join(m.ScopesSupported, " ") != "consent profile" {
			t.Errorf("%+v", m)
		}
		var members map[string]any
		if err := json.Unmarshal(body, &members); err != nil {
			t.Fatal(err)
		}
		// RFC 8414, Section 2 and OpenID Connect Discovery 1.0, Section 3.
		for _, name := range []string{"issuer", "token_endpoint", "jwks_uri", "response_types_supported", "grant_types_supported",
			"subject_types_supported", "id_token_signing_alg_values_supported", "device_authorization_endpoint",
			"token_endpoint_auth_signing_alg_values_supported"} {
			if members[name] == nil {
				t.Errorf("%s: %s is missing", path, name)
			}
		}
	}
	status, body := w.get(issuer.PathJWKS)
	if status != http.StatusOK || !bytes.Equal(bytes.TrimSpace(body), w.keys.JWKS()) {
		t.Errorf("%d %s", status, body)
	}
}

func TestAuthorization(t *testing.T) {
	w := newWorld(t)
	a := w.bearer().start()
	if a.Interval != 5 || a.ExpiresIn != 600 || a.VerificationURI != base+"/pair" ||
		a.VerificationURIComplete != base+"/pair?code="+a.UserCode {
		t.Errorf("%+v", a)
	}
	if code, err := pairing.ParseUserCode(a.UserCode); err != nil || string(code) != a.UserCode {
		t.Errorf("%q: %v", a.UserCode, err)
	}
}

// What a client may do to say who it is, and what not.
func TestClients(t *testing.T) {
	w := newWorld(t)
	try := func(why, code string, form url.Values, adjust func(*http.Request)) {
		t.Helper()
		r := httptest.NewRequest(http.MethodPost, base+issuer.PathDeviceAuthorization, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if adjust != nil {
			adjust(r)
		}
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, r)
		got := answer{rec.Code, rec.Header(), rec.Body.Bytes()}
		if got.code() != code {
			t.Errorf("%s: %d %s, want %q", why, rec.Code, rec.Body, code)
		}
		challenged := rec.Code == http.StatusUnauthorized && rec.Header().Get("WWW-Authenticate") != ""
		plain := rec.Code == http.StatusBadRequest && rec.Header().Get("WWW-Authenticate") == ""
		if header := r.Header.Get("Authorization") != ""; code == pairing.InvalidClient && (header && !challenged || !header && !plain) {
			t.Errorf("%s: %d, challenge %q", why, rec.Code, rec.Header().Get("WWW-Authenticate"))
		}
	}
	basic := func(user, password string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(user, password) }
	}
	id := url.Values{"client_id": {plain}}
	try("client_id", "", id, nil)
	try("Basic with an empty secret", "", url.Values{}, basic(plain, ""))
	try("Basic, escaped", "", url.Values{}, basic("%70lain", ""))
	try("both, alike", "", id, basic(plain, ""))
	try("an empty secret", "", url.Values{"client_id": {plain}, "client_secret": {""}}, nil)
	try("both, different", pairing.InvalidRequest, id, basic(agent, ""))
	try("nobody", pairing.InvalidRequest, url.Values{}, nil)
	try("a stranger", pairing.InvalidClient, url.Values{"client_id": {"stranger"}}, nil)
	try("a stranger with Basic", pairing.InvalidClient, url.Values{}, basic("stranger", ""))
	try("a secret", pairing.InvalidClient, url.Values{"client_id": {plain}, "client_secret": {"x"}}, nil)
	try("a secret with Basic", pairing.InvalidClient, url.Values{}, basic(plain, "x"))
	try("Bearer", pairing.InvalidClient, id, func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") })
	try("two headers", pairing.InvalidClient, id, func(r *http.Request) {
		r.SetBasicAuth(plain, "")
		r.Header.Add("Authorization", r.Header.Get("Authorization"))
	})
	try("bad escaping", pairing.InvalidClient, url.Values{}, basic("%zz", ""))

	try("a scope", "", url.Values{"client_id": {agent}, "scope": {"profile"}}, nil)
	try("a scope that is not the client's", pairing.InvalidScope, url.Values{"client_id": {plain}, "scope": {"consent"}}, nil)
	try("words of OpenID Connect", "", url.Values{"client_id": {plain}, "scope": {"profile openid offline_access"}}, nil)
	try("nothing but words of OpenID Connect", pairing.InvalidScope, url.Values{"client_id": {plain}, "scope": {"openid"}}, nil)
	try("a parameter twice", pairing.InvalidRequest, url.Values{"client_id": {plain, plain}}, nil)
	try("an unknown parameter", "", url.Values{"client_id": {plain}, "x": {"y"}}, nil)
	try("JSON", pairing.InvalidRequest, id, func(r *http.Request) { r.Header.Set("Content-Type", "application/json") })
	try("no content type", pairing.InvalidRequest, id, func(r *http.Request) { r.Header.Del("Content-Type") })
	try("a parameter in the URL", pairing.InvalidRequest, url.Values{}, func(r *http.Request) { r.URL.RawQuery = id.Encode() })
	try("too big", pairing.InvalidRequest, url.Values{"client_id": {strings.Repeat("x", web.MaxBody)}}, nil)
}

func TestWhatTheTokenEndpointRefuses(t *testing.T) {
	w := newWorld(t)
	d := w.bearer()
	want(t, d.post(issuer.PathToken, url.Values{}), pairing.InvalidRequest)
	want(t, d.post(issuer.PathToken, url.Values{"grant_type": {"password"}}), pairing.UnsupportedGrantType)
	want(t, d.post(issuer.PathToken, url.Values{"grant_type": {pairing.GrantClientCredentials}}), pairing.UnauthorizedClient)
	for _, path := range []string{issuer.PathToken, issuer.PathDeviceAuthorization, issuer.PathRevocation, issuer.PathIntrospection} {
		if status, body := w.get(path); status != http.StatusMethodNotAllowed || pairing.ParseError(status, body).Code != "method_not_allowed" {
			t.Errorf("GET %s: %d %s", path, status, body)
		}
	}
	for _, path := range []string{"/oauth/other", "/.well-known/other", "/other"} {
		if status, body := w.get(path); status != http.StatusNotFound || pairing.ParseError(status, body).Code != "not_found" {
			t.Errorf("GET %s: %d %s", path, status, body)
		}
	}
}

// nqchar is what a nonce may be made of, and we need no more than base64url.
const nqchar = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~"

func TestNonces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := w.keyed()
		once := func(path string, form url.Values) answer {
			t.Helper()
			form.Set("client_id", d.client)
			a, err := d.once(t.Context(), path, form)
			if err != nil {
				t.Fatal(err)
			}
			if nonces := a.header.Values("DPoP-Nonce"); len(nonces) != 1 || nonces[0] == "" || strings.Trim(nonces[0], nqchar) != "" {
				t.Errorf("nonces %q", nonces) // RFC 9449, Sections 8 and 8.1
			}
			return a
		}
		got := once(issuer.PathDeviceAuthorization, url.Values{})
		want(t, got, pairing.UseDPoPNonce)
		if got.status != http.StatusBadRequest {
			t.Errorf("status %d", got.status)
		}
		d.nonce = "made up"
		want(t, once(issuer.PathDeviceAuthorization, url.Values{}), pairing.UseDPoPNonce)
		d.nonce = got.header.Get("DPoP-Nonce")
		want(t, once(issuer.PathDeviceAuthorization, url.Values{}), "")
		time.Sleep(5 * time.Minute)
		want(t, once(issuer.PathDeviceAuthorization, url.Values{}), "") // for five minutes at least
		time.Sleep(5 * time.Minute)
		want(t, once(issuer.PathDeviceAuthorization, url.Values{}), pairing.UseDPoPNonce)
	})
}

func TestProofs(t *testing.T) {
	w := newWorld(t)
	d := w.keyed()
	a := d.start()
	w.approve(a)
	send := func(proofs ...string) answer {
		form := pollForm(a.DeviceCode)
		form.Set("client_id", agent)
		r := httptest.NewRequest(http.MethodPost, base+issuer.PathToken, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header["Dpop"] = proofs
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, r)
		return answer{rec.Code, rec.Header(), rec.Body.Bytes()}
	}
	good := d.proof(issuer.PathToken)
	want(t, send(), pairing.InvalidDPoPProof)
	want(t, send("garbage"), pairing.InvalidDPoPProof)
	want(t, send(good, good), pairing.InvalidDPoPProof)
	want(t, send(d.proof(issuer.PathDeviceAuthorization)), pairing.InvalidDPoPProof)
	want(t, send(good), "")
}

// A proof that bought tokens buys none again, wherever it is replayed.
func TestAProofIsUsedOnce(t *testing.T) {
	w := newWorld(t)
	d := w.keyed()
	tokens, id := d.pair()
	proof := d.proof(issuer.PathToken)
	send := func(token pairing.Secret) answer {
		form := refreshForm(token)
		form.Set("client_id", agent)
		r := httptest.NewRequest(http.MethodPost, base+issuer.PathToken, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("DPoP", proof)
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, r)
		return answer{rec.Code, rec.Header(), rec.Body.Bytes()}
	}
	next := send(tokens.RefreshToken).tokens(t)
	want(t, send(tokens.RefreshToken), pairing.InvalidDPoPProof)
	want(t, send(next.RefreshToken), pairing.InvalidDPoPProof)
	if w.grant(id).Set != 2 {
		t.Error("the replay changed something")
	}
	d.refresh(next.RefreshToken).tokens(t)
}

func TestFaultsOfTheStorage(t *testing.T) {
	var log strings.Builder
	w := newWorld(t, func(c *issuer.Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	d := w.keyed()
	a := d.start()
	w.approve(a)
	w.storage.fail = errors.New("disk full at sector 7")
	got := d.poll(a.DeviceCode)
	want(t, got, pairing.ServerError)
	if got.status != http.StatusInternalServerError || strings.Contains(string(got.body), "sector") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if !strings.Contains(log.String(), "sector 7") || strings.Contains(log.String(), a.DeviceCode.Reveal()) || strings.Contains(log.String(), a.UserCode) {
		t.Errorf("log %q", log.String())
	}
	w.storage.fail = nil
	d.poll(a.DeviceCode).tokens(t) // a fault is no refusal
}

func TestTakenCodesAreMadeAgain(t *testing.T) {
	w := newWorld(t)
	w.storage.fail = pairing.ErrTaken
	got := w.bearer().post(issuer.PathDeviceAuthorization, url.Values{})
	want(t, got, pairing.ServerError)
	if w.written() != 5 {
		t.Errorf("%d tries", w.written())
	}
}

func TestStartsOfANetworkAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *issuer.Config) { c.StartsPerAddress = 3 })
		d := w.bearer()
		for range 3 {
			d.start()
		}
		got := d.post(issuer.PathDeviceAuthorization, url.Values{})
		want(t, got, pairing.TemporarilyBusy)
		if got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") != "600" {
			t.Errorf("%d, Retry-After %q", got.status, got.header.Get("Retry-After"))
		}
		other := w.bearer()
		other.addr = "192.0.2.1:1"
		other.start()
		time.Sleep(10 * time.Minute)
		d.start()
	})
}

// A hold outlives the deadlines of a server with short ones.
func TestHoldsOutliveTheServersDeadlines(t *testing.T) {
	w := newWorld(t)
	server := httptest.NewUnstartedServer(w)
	server.Config.ReadTimeout, server.Config.WriteTimeout = 100*time.Millisecond, 100*time.Millisecond
	server.Start()
	defer server.Close()
	d := w.bearer()
	a := d.start()
	form := pollForm(a.DeviceCode)
	form.Set("client_id", plain)
	answered := make(chan string, 1)
	go func() {
		resp, err := http.Post(server.URL+issuer.PathToken, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
		if err != nil {
			answered <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		answered <- resp.Status + " " + string(body)
	}()
	time.Sleep(300 * time.Millisecond) // past the deadlines
	w.approve(a)
	if got := <-answered; !strings.HasPrefix(got, "200 OK") || !strings.Contains(got, "refresh_token") {
		t.Error(got)
	}
}

func TestConfigIsChecked(t *testing.T) {
	w := newWorld(t)
	good := issuer.Config{Issuer: base, Storage: w.storage, Tokens: w.keys, Secret: make([]byte, 32)}
	if _, err := issuer.New(good); err != nil {
		t.Fatal(err)
	}
	bad := func(why string, adjust func(*issuer.Config)) {
		t.Helper()
		c := good
		adjust(&c)
		if _, err := issuer.New(c); err == nil {
			t.Errorf("%s: accepted", why)
		}
	}
	bad("no issuer", func(c *issuer.Config) { c.Issuer = "" })
	bad("a path", func(c *issuer.Config) { c.Issuer = base + "/x" })
	bad("a slash", func(c *issuer.Config) { c.Issuer = base + "/" })
	bad("another scheme", func(c *issuer.Config) { c.Issuer = "ftp://id.example.com" })
	bad("no storage", func(c *issuer.Config) { c.Storage = nil })
	bad("no tokens", func(c *issuer.Config) { c.Tokens = nil })
	bad("a short secret", func(c *issuer.Config) { c.Secret = []byte("x") })
	bad("a client without a name", func(c *issuer.Config) { c.Clients = []issuer.Client{{}} })
	bad("a scope of two words", func(c *issuer.Config) { c.Clients = []issuer.Client{{ID: "a", Scopes: []string{"a b"}}} })
}

func FuzzForm(f *testing.F) {
	w := newWorld(f)
	d := w.keyed()
	a := d.start()
	tokens, _ := w.bearer().pair()
	f.Add(pollForm(a.DeviceCode).Encode(), "Basic cGxhaW46", "")
	f.Add(refreshForm(tokens.RefreshToken).Encode()+"&client_id=plain", "", "")
	f.Add("grant_type=client_credentials&client_assertion=a.b.c&client_assertion_type="+url.QueryEscape(pairing.AssertionJWT), "", d.proof(issuer.PathToken))
	f.Add("client_id=plain&client_id=plain", "Basic !", "x")
	f.Add("a=%zz&;&=&scope=%00", "", "")
	f.Fuzz(func(t *testing.T, body, authorization, proof string) {
		for _, path := range []string{issuer.PathToken, issuer.PathDeviceAuthorization} {
			r := httptest.NewRequest(http.MethodPost, base+path, strings.NewReader(body))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Prefer", "wait=0")
			if authorization != "" {
				r.Header["Authorization"] = []string{authorization}
			}
			if proof != "" {
				r.Header["Dpop"] = []string{proof}
			}
			rec := httptest.NewRecorder()
			w.ServeHTTP(rec, r)
			if rec.Code >= 500 || !json.Valid(rec.Body.Bytes()) {
				t.Fatalf("%s: %d %s", path, rec.Code, rec.Body)
			}
		}
	})
}

func FuzzPrefer(f *testing.F) {
	for _, s := range []string{"wait=20", "wait=\"3\"; a, b", "respond-async", "wait", "wait=-1", ",,=;", "WAIT=65536"} {
		f.Add(s)
	}
	w := newWorld(f)
	w.Close() // nobody is held
	d := w.bearer()
	a := d.start()
	f.Fuzz(func(t *testing.T, prefer string) {
		form := pollForm(a.DeviceCode)
		form.Set("client_id", plain)
		r := httptest.NewRequest(http.MethodPost, base+issuer.PathToken, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header["Prefer"] = []string{prefer}
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, r)
		if rec.Code != http.StatusBadRequest {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
	})
}

// The short address is there where it is the same page in every case and packs.
func TestShortAddress(t *testing.T) {
	for issuerURL, want := range map[string]string{
		base:                    "HTTPS://ID.EXAMPLE.COM/P/",
		"http://127.0.0.1:8080": "HTTP://127.0.0.1:8080/P/",
		"http://[::1]:8080":     "", // brackets do not pack
	} {
		a := newWorld(t, func(c *issuer.Config) { c.Issuer = issuerURL }).bearer().start()
		if want != "" {
			want += strings.ReplaceAll(a.UserCode, "-", "")
		}
		if a.VerificationURIShort != want {
			t.Errorf("%s: %q, want %q", issuerURL, a.VerificationURIShort, want)
		}
	}
}
