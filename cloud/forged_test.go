package cloud_test

import (
	"fmt"
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
	most  = 22
)

// A forgery is what a stranger sends, at best through a proxy that adds the truth.
type forgery struct {
	proxies []string
	header  string
	sends   func(n int) map[string]string
	// victim is what the proxy says of an owner at home; nothing without a proxy.
	victim map[string]string
	// guesses has passwords tried, which takes its time.
	guesses bool
}

// everything is in the headers of a liar who speaks to no proxy.
func everything(n int) map[string]string {
	return map[string]string{
		"X-Forwarded-For": invented(n), "Forwarded": "for=" + invented(n) + ";proto=http", "X-Forwarded-Proto": "http",
		"X-Real-IP": invented(n), "True-Client-IP": invented(n), "X-Forwarded-Host": "evil.example",
	}
}

// through is what is left of it behind a proxy that adds this.
func throughProxy(added map[string]string) func(int) map[string]string {
	return func(n int) map[string]string {
		all := everything(n)
		for name, value := range added {
			all[name] = fmt.Sprintf(value, invented(n))
		}
		return all
	}
}

// real is where the stranger truly is, home where his victim is.
const real, home = "203.0.113.9", "198.51.1.2"

var forgeries = map[string]forgery{
	"no proxy":       {nil, "", everything, nil, true},
	"past the proxy": {[]string{"192.0.2.1"}, "Forwarded", everything, nil, false},
	"through the proxy": {
		[]string{"127.0.0.1"}, "", throughProxy(map[string]string{"X-Forwarded-For": "%s, " + real, "X-Forwarded-Proto": "https"}),
		map[string]string{"X-Forwarded-For": home, "X-Forwarded-Proto": "https"}, true,
	},
	"through two": {
		[]string{"127.0.0.1", "192.0.2.0/24"}, "", throughProxy(map[string]string{"X-Forwarded-For": "192.0.2.7, %s," + real + ",192.0.2.1", "X-Forwarded-Proto": "https"}),
		map[string]string{"X-Forwarded-For": home + ", 192.0.2.1"}, false,
	},
	"through one that speaks RFC 7239": {
		[]string{"127.0.0.1"}, "Forwarded", throughProxy(map[string]string{"Forwarded": "for=%s;proto=http, for=" + real + ";proto=https"}),
		map[string]string{"Forwarded": "for=" + home + ";proto=https"}, false,
	},
	"a quote that swallows the proxy's word": {
		[]string{"127.0.0.1"}, "Forwarded", throughProxy(map[string]string{"Forwarded": `for=%s;x=", for=` + real + ";proto=https"}),
		map[string]string{"Forwarded": "for=" + home + ";proto=https"}, true,
	},
}

// TestForgedForwardedFor: what a stranger writes into the headers of proxies
// changes neither how often he may guess, nor whose network he seems to be on, nor
// whether the connection counts as protected.
func TestForgedForwardedFor(t *testing.T) {
	for what, test := range forgeries {
		t.Run(what, func(t *testing.T) {
			p := newProtected(t)
			p.Clients = []cloud.Client{{ID: "tv", Bearer: true}}
			p.TrustedProxies, p.ForwardedHeader = test.proxies, test.header
			start(t, p.Config)
			l := &liar{RoundTripper: p.web.Transport, headers: test.sends}
			checkScheme(t, p, l)
			if test.guesses {
				if n := tries(t, p.Config, l, most); n != burst {
					t.Errorf("he can try %d passwords at once, want %d", n, burst)
				}
			}
			// He asks for a code and sends the link to somebody at home.
			atHome := &liar{RoundTripper: p.web.Transport, headers: func(int) map[string]string { return test.victim }}
			l.headers = func(int) map[string]string { return test.sends(1) }
			text := shown(t, p.Config, l, atHome)
			if test.victim != nil && (strings.Contains(text, "on your network") || !strings.Contains(text, "from another network")) {
				t.Errorf("the victim reads: %s", text)
			}
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
	p := newProtected(t)
	p.TrustedProxies = []string{"127.0.0.1"}
	start(t, p.Config)
	honest := &liar{RoundTripper: p.web.Transport, headers: func(n int) map[string]string {
		return map[string]string{"X-Forwarded-For": invented(n)}
	}}
	if n := tries(t, p.Config, honest, most); n != most {
		t.Errorf("people from %d addresses share one limit of %d", most, n)
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
