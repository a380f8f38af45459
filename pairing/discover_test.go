package pairing_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/pairing"
)

// serve is a real server, because redirects and hosts are the point here.
func serve(t *testing.T, routes map[string]http.HandlerFunc) (*pairing.Client, string) {
	t.Helper()
	mux := http.NewServeMux()
	for path, h := range routes {
		mux.HandleFunc(path, h)
	}
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return &pairing.Client{Issuer: srv.URL, ClientID: "speaker"}, srv.URL
}

func metadata(issuer, endpoints string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		self := "http://" + r.Host
		if issuer == "" {
			issuer = self
		}
		if endpoints == "" {
			endpoints = self
		}
		reply(w, http.StatusOK, `{"issuer":"`+issuer+`","token_endpoint":"`+endpoints+`/t","device_authorization_endpoint":"`+endpoints+`/d"}`)
	}
}

func TestDiscoverLooksAtBothPlaces(t *testing.T) {
	for _, place := range []string{pairing.WellKnownOAuth, pairing.WellKnownOIDC} {
		c, url := serve(t, map[string]http.HandlerFunc{place: metadata("", "")})
		m, err := c.Discover(t.Context())
		if err != nil || m.TokenEndpoint != url+"/t" {
			t.Errorf("%s: %+v, %v", place, m, err)
		}
	}
}

func TestDiscoverWithAPath(t *testing.T) {
	for _, place := range []string{pairing.WellKnownOAuth + "/brand", "/brand" + pairing.WellKnownOIDC} {
		c, url := serve(t, nil)
		c2, url2 := serve(t, map[string]http.HandlerFunc{place: func(w http.ResponseWriter, r *http.Request) {
			metadata("http://"+r.Host+"/brand", "")(w, r)
		}})
		c2.Issuer = url2 + "/brand"
		if _, err := c2.Discover(t.Context()); err != nil {
			t.Errorf("%s: %v", place, err)
		}
		c.Issuer = url + "/brand"
		if _, err := c.Discover(t.Context()); !errors.Is(err, pairing.ErrUnsupported) {
			t.Errorf("nothing there: %v", err)
		}
	}
}

func TestDiscoverRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   error
	}{
		"another issuer":  {metadata("https://evil.example", ""), pairing.ErrIssuer},
		"its own slash":   {func(w http.ResponseWriter, r *http.Request) { metadata("http://"+r.Host+"/", "")(w, r) }, pairing.ErrIssuer},
		"no device grant": {func(w http.ResponseWriter, r *http.Request) { reply(w, 200, `{"issuer":"http://`+r.Host+`"}`) }, pairing.ErrUnsupported},
		"no address":      {metadata("", "javascript:alert(1)//"), pairing.ErrMalformed},
		"a password":      {metadata("", "https://me:secret@host"), pairing.ErrMalformed},
		"no JSON":         {func(w http.ResponseWriter, r *http.Request) { reply(w, 200, `<html>`) }, pairing.ErrMalformed},
		"too big":         {func(w http.ResponseWriter, r *http.Request) { reply(w, 200, strings.Repeat(" ", 65<<10)) }, pairing.ErrMalformed},
		"redirected there": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://evil.example/", http.StatusFound)
		}, pairing.ErrRedirect},
	} {
		client, _ := serve(t, map[string]http.HandlerFunc{pairing.WellKnownOAuth: c.answer})
		if _, err := client.Discover(t.Context()); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	for _, issuer := range []string{"", "login.example", "ftp://login.example", "https://login.example?x=1", "https://login.example#x", "https://"} {
		if _, err := (&pairing.Client{Issuer: issuer}).Discover(t.Context()); !errors.Is(err, pairing.ErrMalformed) {
			t.Errorf("issuer %q: %v", issuer, err)
		}
	}
}

func TestDiscoverFollowsWithinItsOrigin(t *testing.T) {
	c, _ := serve(t, map[string]http.HandlerFunc{
		pairing.WellKnownOAuth: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"/elsewhere":           metadata("", ""),
	})
	if _, err := c.Discover(t.Context()); err != nil {
		t.Error(err)
	}
}

// A server that fails is asked again; only its own word is kept.
func TestDiscoverIsTriedAgain(t *testing.T) {
	n := 0
	c, _ := serve(t, map[string]http.HandlerFunc{pairing.WellKnownOAuth: func(w http.ResponseWriter, r *http.Request) {
		if n++; n == 1 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		metadata("", "")(w, r)
	}})
	if _, err := c.Discover(t.Context()); err == nil {
		t.Fatal("a 502 is taken for metadata")
	}
	for range 3 {
		if _, err := c.Discover(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n != 2 {
		t.Errorf("asked %d times", n)
	}
}

// A form holds a code or a refresh token: it is sent nowhere else, not even on
// the same server.
func TestAFormIsNeverRedirected(t *testing.T) {
	leaked := false
	other, url := serve(t, map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		leaked = leaked || len(body) > 0
	}})
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, to := range []string{url + "/", "/elsewhere"} {
			c, _ := serve(t, map[string]http.HandlerFunc{
				pairing.WellKnownOAuth: metadata("", ""),
				"/t":                   func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, status) },
				"/elsewhere":           func(http.ResponseWriter, *http.Request) { leaked = true },
			})
			if _, err := c.Refresh(t.Context(), "secret"); !errors.Is(err, pairing.ErrRedirect) {
				t.Errorf("%d to %s: %v", status, to, err)
			}
		}
	}
	if leaked {
		t.Error("a form was sent on")
	}
	_ = other
}

func TestAnHTTPSIssuerHasHTTPSEndpoints(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		metadata("https://"+r.Host, "http://"+r.Host)(w, r)
	}))
	defer srv.Close()
	c := &pairing.Client{Issuer: srv.URL, HTTP: srv.Client()}
	if _, err := c.Discover(t.Context()); !errors.Is(err, pairing.ErrMalformed) {
		t.Errorf("got %v", err)
	}
}
