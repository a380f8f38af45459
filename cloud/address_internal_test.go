package cloud

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// origin asks where a request from remote comes from, with these lines of header.
func origin(t *testing.T, proxies, name, remote string, protect bool, lines ...string) (string, string) {
	t.Helper()
	f, err := Config{TrustedProxies: strings.Fields(proxies), ForwardedHeader: name}.forwarding()
	if err != nil {
		t.Fatal(err)
	}
	r := &http.Request{RemoteAddr: remote, Header: http.Header{}}
	if protect {
		r.TLS = new(tls.ConnectionState)
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	from, scheme := f.origin(r)
	if !from.IsValid() {
		return "", scheme
	}
	return from.String(), scheme
}

func TestOriginByForwardedFor(t *testing.T) {
	const proxies, proxy = "10.0.0.0/8 2001:db8:1::/48 ::ffff:192.0.2.1", "10.0.0.1:80"
	for _, test := range []struct {
		remote       string
		lines        string
		from, scheme string
	}{
		{"198.51.100.1:1", "", "198.51.100.1", ""},
		{"198.51.100.1:1", "X-Forwarded-For: 203.0.113.9|X-Forwarded-Proto: https", "198.51.100.1", ""},
		{"[::ffff:198.51.100.1]:1", "", "198.51.100.1", ""},
		{"[fe80::1%eth0]:1", "", "fe80::1", ""},
		{proxy, "X-Forwarded-For: 203.0.113.9|X-Forwarded-Proto: https", "203.0.113.9", "https"},
		{proxy, "X-Forwarded-For: 203.0.113.9:4711|X-Forwarded-Proto: HTTP", "203.0.113.9", "http"},
		{proxy, "X-Forwarded-For: 203.0.113.9|X-Forwarded-Proto: gopher", "203.0.113.9", ""},
		{proxy, "X-Forwarded-For: 6.6.6.6, 203.0.113.9|X-Forwarded-Proto: http, https", "203.0.113.9", "https"},
		{proxy, "X-Forwarded-For: 6.6.6.6|X-Forwarded-For: 203.0.113.9", "203.0.113.9", ""},
		{proxy, "X-Forwarded-For: 6.6.6.6, 203.0.113.9, 10.9.9.9, 2001:db8:1::5, 192.0.2.1", "203.0.113.9", ""},
		{proxy, "X-Forwarded-For: 10.0.0.9", "10.0.0.9", ""}, // one of ours asks
		{proxy, "X-Forwarded-For: 6.6.6.6, unknown", "", ""},
		{proxy, "X-Forwarded-For: 6.6.6.6, ", "", ""},
		{proxy, "", "", ""},
		{proxy, "Forwarded: for=6.6.6.6", "", ""}, // the header that it does not write
		{"[2001:db8:1::9]:443", "X-Forwarded-For: [2001:db8::7]:1", "2001:db8::7", ""},
	} {
		from, scheme := origin(t, proxies, "x-forwarded-for", test.remote, false, strings.Split(test.lines, "|")...)
		if from != test.from || scheme != test.scheme {
			t.Errorf("%s %q: %s by %s, want %s by %s", test.remote, test.lines, from, scheme, test.from, test.scheme)
		}
	}
}

func TestOriginByForwarded(t *testing.T) {
	for _, test := range []struct{ value, from, scheme string }{
		// The examples of RFC 7239, Section 4.
		{`for="_gazonk"`, "", ""},
		{`For="[2001:db8:cafe::17]:4711"`, "2001:db8:cafe::17", ""},
		{`for=192.0.2.60;proto=http;by=203.0.113.43`, "192.0.2.60", "http"},
		{`for=192.0.2.43, for=198.51.100.17`, "198.51.100.17", ""},
		// Others.
		{`for=6.6.6.6;proto=http, for=192.0.2.43; Proto="HTTPS", for=10.1.1.1;proto=http`, "192.0.2.43", "https"},
		{`for=6.6.6.6, for="_x,for=7.7.7.7"`, "", ""},
		{`for=6.6.6.6, proto=https`, "", "https"},
		{`for=6.6.6.6;x=", for=192.0.2.43`, "", ""},
		{`for=6.6.6.6;x="\`, "", ""},
		{`for=6.6.6.6;x="\", for="[2001:db8::7]"`, "", ""},
		{`for=[2001:db8::7]`, "2001:db8::7", ""},
		{``, "", ""},
		{`,,`, "", ""},
	} {
		from, scheme := origin(t, "10.0.0.0/8", "forwarded", "10.0.0.1:80", true, "Forwarded: "+test.value)
		if from != test.from || scheme != test.scheme {
			t.Errorf("%s: %s by %s, want %s by %s", test.value, from, scheme, test.from, test.scheme)
		}
	}
}

// Whatever a client sends before it, what the proxy adds is what counts, or
// nothing does.
func FuzzForwarded(f *testing.F) {
	for _, seed := range []string{"", "for=6.6.6.6", `for="6.6.6.6`, `for=6.6.6.6;x="\`, `"`, `\"`, "6.6.6.6,", ";", "=", `for="[::1]:1";proto=http`} {
		f.Add(seed)
	}
	proxy := netip.MustParsePrefix("10.0.0.0/8")
	f.Fuzz(func(t *testing.T, sent string) {
		for header, adds := range map[string]string{
			forwardedFor: ", 203.0.113.9", forwarded: `, for=203.0.113.9;proto=https`, "quoted": `, for="203.0.113.9:80";proto="https"`,
		} {
			name := header
			if header == "quoted" {
				name = forwarded
			}
			r := &http.Request{RemoteAddr: "10.0.0.1:1", Header: http.Header{name: {sent + adds}}}
			from, _ := forwarding{[]netip.Prefix{proxy}, name}.origin(r)
			if from.IsValid() && from.String() != "203.0.113.9" {
				t.Errorf("%q: from %s", sent+adds, from)
			}
		}
	})
}
