package cloud_test

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/cloud"
	"github.com/cardea-id/cardea/internal/owner"
)

// A liar's requests bear headers of his own making, another one each time.
type liar struct {
	http.RoundTripper
	headers func(n int) map[string]string
	n       int
}

func (l *liar) RoundTrip(r *http.Request) (*http.Response, error) {
	l.n++
	r = r.Clone(r.Context())
	for name, value := range l.headers(l.n) {
		r.Header.Set(name, value)
	}
	return l.RoundTripper.RoundTrip(r)
}

// invented is an address nobody else has used.
func invented(n int) string { return fmt.Sprintf("198.51.%d.%d", 1+n/250, 1+n%250) }

// tries is how many passwords can be tried, with an account of its own each, until
// the address is told to wait; at most so many.
func tries(t *testing.T, c cloud.Config, browser http.RoundTripper, most int) int {
	t.Helper()
	o := owner.New(browser)
	for n := range most {
		if err := o.Open(t.Context(), c.Issuer+"/signin"); err != nil {
			t.Fatal(err)
		}
		o.Fill("email", fmt.Sprintf("victim%d@example.com", n))
		o.Fill("password", "a guess of mine")
		if err := o.Press(t.Context(), "Sign in", ""); err != nil {
			t.Fatal(err)
		}
		if o.Status() == http.StatusTooManyRequests {
			return n
		}
	}
	return most
}

const (
	burst = 20 // passwords that one address may try at once
	most  = 24
)

// TestForgedForwardedFor: what a stranger writes into the headers of proxies
// changes neither how often he may guess, nor whose network he seems to be on, nor
// whether the connection counts as protected.
func TestForgedForwardedFor(t *testing.T) {
	headers := func(extra map[string]string) func(int) map[string]string {
		return func(n int) map[string]string {
			all := map[string]string{
				"X-Forwarded-For": invented(n), "Forwarded": "for=" + invented(n) + ";proto=http", "X-Forwarded-Proto": "http",
				"X-Real-IP": invented(n), "True-Client-IP": invented(n), "X-Forwarded-Host": "evil.example",
			}
			maps.Copy(all, extra)
			return all
		}
	}
	// What the proxy adds, or passes on, is not the sender's to choose.
	const real = "203.0.113.9"
	for what, test := range map[string]struct {
		proxies []string
		header  string
		sends   func(int) map[string]string
	}{
		"no proxy":                      {nil, "", headers(nil)},
		"past the proxy":                {[]string{"192.0.2.1"}, "", headers(nil)},
		"past one that speaks RFC 7239": {[]string{"192.0.2.1"}, "Forwarded", headers(nil)},
		"through the proxy": {[]string{"127.0.0.1"}, "", func(n int) map[string]string {
			return headers(map[string]string{"X-Forwarded-For": invented(n) + ", " + real, "X-Forwarded-Proto": "https"})(n)
		}},
		"through two": {[]string{"127.0.0.1", "192.0.2.0/24"}, "", func(n int) map[string]string {
			return headers(map[string]string{"X-Forwarded-For": "192.0.2.7, " + invented(n) + "," + real + ",192.0.2.1", "X-Forwarded-Proto": "https"})(n)
		}},
		"through one that speaks RFC 7239": {[]string{"127.0.0.1"}, "Forwarded", func(n int) map[string]string {
			return headers(map[string]string{"Forwarded": "for=" + invented(n) + ";proto=http, for=" + real + ";proto=https"})(n)
		}},
		"a quote that swallows the proxy's word": {[]string{"127.0.0.1"}, "Forwarded", func(n int) map[string]string {
			return headers(map[string]string{"Forwarded": "for=" + invented(n) + `;x=", for=` + real + ";proto=https"})(n)
		}},
	} {
		t.Run(what, func(t *testing.T) {
			p := newProtected(t)
			p.Clients = []cloud.Client{{ID: "tv", Bearer: true}}
			p.TrustedProxies, p.ForwardedHeader = test.proxies, test.header
			start(t, p.Config)
			l := &liar{RoundTripper: p.web.Transport, headers: test.sends}
			if n := tries(t, p.Config, l, most); n != burst {
				t.Errorf("he can try %d passwords at once, want %d", n, burst)
			}
			checkScheme(t, p, l)
		})
	}
}

// checkScheme: the page is shown, by TLS, as it would be without the headers.
func checkScheme(t *testing.T, p protected, browser http.RoundTripper) {
	t.Helper()
	answer, err := (&http.Client{Transport: browser}).Get(p.Issuer + "/signin")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Strict-Transport-Security") == "" || strings.Contains(fmt.Sprint(answer.Header), "evil") {
		t.Errorf("%s, %v", answer.Status, answer.Header)
	}
	for _, c := range answer.Cookies() {
		if !c.Secure {
			t.Errorf("a cookie that is sent without TLS: %v", c)
		}
	}
}

// The other way round: behind a proxy that is named its word does count, or the
// test above would pass where nothing is read at all.
func TestForwardedForCounts(t *testing.T) {
	for _, header := range []string{"X-Forwarded-For", "Forwarded"} {
		p := newProtected(t)
		p.TrustedProxies, p.ForwardedHeader = []string{"127.0.0.1"}, header
		start(t, p.Config)
		honest := &liar{RoundTripper: p.web.Transport, headers: func(n int) map[string]string {
			return map[string]string{header: map[bool]string{true: "for=", false: ""}[header == "Forwarded"] + invented(n)}
		}}
		if n := tries(t, p.Config, honest, most); n != most {
			t.Errorf("%s: people from %d addresses share one limit of %d", header, most, n)
		}
	}
}

// Who comes to the proxy without TLS is sent to it, on the proxy's word alone.
func TestForwardedScheme(t *testing.T) {
	for _, test := range []struct {
		proxies []string
		header  string
		value   map[string]string
		status  int
	}{
		{[]string{"127.0.0.1"}, "", map[string]string{"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http"}, 308},
		{[]string{"127.0.0.1"}, "", map[string]string{"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}, 200},
		{[]string{"127.0.0.1"}, "", map[string]string{"X-Forwarded-For": "203.0.113.9"}, 200},
		{[]string{"127.0.0.1"}, "Forwarded", map[string]string{"Forwarded": `for="[2001:db8::7]:4711";proto=http`}, 308},
		{[]string{"127.0.0.1"}, "Forwarded", map[string]string{"Forwarded": `for="[2001:db8::7]:4711"; PROTO="HTTPS"`}, 200},
		{[]string{"192.0.2.1"}, "", map[string]string{"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http"}, 200},
		{nil, "Forwarded", map[string]string{"Forwarded": "proto=http"}, 200},
	} {
		p := newProtected(t)
		p.TLSCert, p.TLSKey = "", "" // the proxy has them
		p.TrustedProxies, p.ForwardedHeader = test.proxies, test.header
		start(t, p.Config)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.Listen+"/signin", nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range test.value {
			r.Header.Set(name, value)
		}
		answer, err := (&http.Client{CheckRedirect: p.web.CheckRedirect}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != test.status || test.status == 308 && answer.Header.Get("Location") != p.Issuer+"/signin" {
			t.Errorf("%v from %v: %s, to %q", test.value, test.proxies, answer.Status, answer.Header.Get("Location"))
		}
	}
}
