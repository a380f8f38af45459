package cloud_test

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/cloud"
	"github.com/cardea-id/cardea/internal/owner"
)

// A through is a browser or a device behind a proxy: what it invents stands
// before what the proxy adds.
type through struct{ forwarded string }

func (p through) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Forwarded-For", p.forwarded)
	return http.DefaultTransport.RoundTrip(r)
}

// shown is what the owner reads of a device that asks, each by a way of its own.
func shown(t *testing.T, c cloud.Config, device, browser http.RoundTripper) string {
	t.Helper()
	answer, err := (&http.Client{Transport: device}).PostForm(c.Issuer+"/oauth/device_authorization", url.Values{"client_id": {"tv"}})
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var a struct {
		URI string `json:"verification_uri_complete"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&a); err != nil {
		t.Fatal(err)
	}
	o := owner.New(browser)
	if err := o.Open(t.Context(), c.Issuer+"/register"); err != nil {
		t.Fatal(err)
	}
	o.Fill("email", strings.ToLower(rand.Text())+"@example.com")
	o.Fill("password", "correct horse battery")
	if err := o.Press(t.Context(), "Create account", ""); err != nil {
		t.Fatal(err)
	}
	if err := o.Open(t.Context(), a.URI); err != nil {
		t.Fatal(err)
	}
	return o.Text()
}

// Behind a proxy owners are told of a device on another network.
func TestAddressesBehindAProxy(t *testing.T) {
	c := config(t)
	c.Clients = []cloud.Client{{ID: "tv", Bearer: true}}
	c.TrustedProxies = []string{"127.0.0.0/8", "::1", "192.0.2.1"}
	start(t, c)
	for _, test := range []struct {
		device, browser string
		same            bool
	}{
		{"198.51.100.1", "198.51.100.1", true},
		{"198.51.100.1", "203.0.113.9", false},
		{"203.0.113.9, 198.51.100.1", "203.0.113.9", false}, // invented by the device
		{"198.51.100.1, 192.0.2.1", "198.51.100.1", true},   // two proxies
		{"2001:db8::1", "2001:db8::2", true},
		{"2001:db8::1", "2001:db8:0:1::2", false},
		{"unknown", "unknown", false},
	} {
		text := shown(t, c, through{test.device}, through{test.browser})
		if same := strings.Contains(text, "on your network"); same != test.same || !same && !strings.Contains(text, "from another network") {
			t.Errorf("asked from %q, shown to %q: %s", test.device, test.browser, text)
		}
	}
}

// Where no proxy is named nobody can invent an address.
func TestAnInventedAddress(t *testing.T) {
	c := config(t)
	c.Clients = []cloud.Client{{ID: "tv", Bearer: true}}
	start(t, c)
	if text := shown(t, c, through{"198.51.100.1"}, through{"203.0.113.9"}); !strings.Contains(text, "on your network") {
		t.Errorf("a header was believed: %s", text)
	}
}
