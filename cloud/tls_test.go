package cloud_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/cloud"
	"github.com/cardea-id/cardea/internal/authority"
)

// dialing reaches the cloud of a configuration, whatever its name.
func dialing(c cloud.Config, protect *tls.Config) *http.Transport {
	at := c.Listen
	if at == "" {
		at = c.Issuer[strings.LastIndex(c.Issuer, "/")+1:]
	}
	return &http.Transport{
		TLSClientConfig: protect, ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, at)
		},
	}
}

// A protected cloud has a name and a certificate by an authority of its own.
type protected struct {
	cloud.Config
	authority *authority.Authority
	web       *http.Client // does not follow redirects
}

func newProtected(t *testing.T) protected {
	t.Helper()
	const name = "id.example.com"
	c := config(t)
	c.Listen = strings.TrimPrefix(c.Issuer, "http://")
	_, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		t.Fatal(err)
	}
	c.Issuer = "https://" + net.JoinHostPort(name, port)
	dir := t.TempDir()
	c.TLSCert, c.TLSKey = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	p := protected{Config: c}
	if p.authority, err = authority.New("test", time.Now(), name); err != nil {
		t.Fatal(err)
	}
	p.web = &http.Client{
		Transport:     dialing(c, &tls.Config{RootCAs: p.authority.Pool()}),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(p.web.CloseIdleConnections)
	p.renew(t, name)
	return p
}

// renew writes a new certificate and returns its serial number.
func (p protected) renew(t *testing.T, names ...string) string {
	t.Helper()
	cert, key, err := p.authority.Issue(time.Now().Add(-time.Minute), time.Now().Add(24*time.Hour), names...)
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string][]byte{p.TLSCert: cert, p.TLSKey: key} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf.SerialNumber.String()
}

// shows is the serial number of the certificate a server shows.
func (p protected) shows(t *testing.T, address string, protocols ...string) string {
	t.Helper()
	c, err := tls.Dial("tcp", address, &tls.Config{RootCAs: p.authority.Pool(), ServerName: "id.example.com", NextProtos: protocols})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// free is an address of this machine nobody listens at.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// HTTP and MQTT show one certificate, and the new one when there is one.
func TestTLS(t *testing.T) {
	p := newProtected(t)
	p.MQTTListen = free(t)
	first := p.renew(t, "id.example.com")
	start(t, p.Config)
	answer, err := p.web.Get(p.Issuer + "/signin")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK || answer.ProtoMajor != 2 {
		t.Errorf("%s by %s", answer.Status, answer.Proto)
	}
	if web, mqtt := p.shows(t, p.Listen), p.shows(t, p.MQTTListen, "mqtt"); web != first || mqtt != first {
		t.Errorf("shown are %s and %s, want %s", web, mqtt, first)
	}
	if c, err := tls.Dial("tcp", p.Listen, &tls.Config{RootCAs: p.authority.Pool(), ServerName: "id.example.com", MaxVersion: tls.VersionTLS11}); err == nil {
		c.Close()
		t.Error("TLS 1.1 is spoken")
	}
	if c, err := tls.Dial("tcp", p.MQTTListen, &tls.Config{RootCAs: p.authority.Pool(), ServerName: "id.example.com", NextProtos: []string{"http/1.1"}}); err == nil {
		c.Close()
		t.Error("a browser can speak to the broker")
	}
	second := p.renew(t, "id.example.com")
	for end := time.Now().Add(20 * time.Second); p.shows(t, p.Listen) != second; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the new certificate is not shown")
		}
	}
	if mqtt := p.shows(t, p.MQTTListen, "mqtt"); mqtt != second {
		t.Errorf("the broker shows %s, want %s", mqtt, second)
	}
}

// Browsers that come without TLS are sent to it, and to nobody else.
func TestRedirect(t *testing.T) {
	p := newProtected(t)
	p.RedirectListen = free(t)
	start(t, p.Config)
	for _, test := range []struct {
		line   string
		status string
		to     string
	}{
		{"GET /pair?code=WDJB-MJHT HTTP/1.1\r\nHost: id.example.com", "308", p.Issuer + "/pair?code=WDJB-MJHT"},
		{"HEAD / HTTP/1.1\r\nHost: evil.example", "308", p.Issuer + "/"},
		{"GET //evil.example/x HTTP/1.1\r\nHost: a", "308", p.Issuer + "/evil.example/x"},
		{"GET http://evil.example/x HTTP/1.1\r\nHost: a", "308", p.Issuer + "/x"},
		{"GET x:.evil.example HTTP/1.1\r\nHost: a", "308", p.Issuer + "/"},
		{"POST /signin HTTP/1.1\r\nHost: a\r\nContent-Length: 0", "403", ""},
		{"GET /.well-known/acme-challenge/x HTTP/1.1\r\nHost: id.example.com", "308", p.Issuer + "/.well-known/acme-challenge/x"},
	} {
		conn, err := net.Dial("tcp", p.RedirectListen)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "%s\r\nConnection: close\r\n\r\n", test.line)
		text, _ := io.ReadAll(conn)
		conn.Close()
		if !strings.HasPrefix(string(text), "HTTP/1.1 "+test.status) || test.to != "" && !strings.Contains(string(text), "\r\nLocation: "+test.to+"\r\n") {
			t.Errorf("%q: %s", test.line, text)
		}
		if strings.Contains(string(text), "Strict-Transport") {
			t.Errorf("%q: HSTS over plain HTTP is nothing (RFC 6797, Section 7.2)", test.line)
		}
	}
}

func TestTLSRefuses(t *testing.T) {
	accepted := &cloud.ACME{AcceptTerms: true}
	for what, test := range map[string]struct {
		change func(*cloud.Config)
		want   string
	}{
		"a key alone":        {func(c *cloud.Config) { c.TLSCert = "" }, "name both files"},
		"two sources":        {func(c *cloud.Config) { c.ACME = accepted }, "not from both"},
		"terms not accepted": {func(c *cloud.Config) { c.TLSCert, c.TLSKey, c.ACME = "", "", new(cloud.ACME) }, "accept_terms"},
		"no authority's server": {func(c *cloud.Config) {
			c.TLSCert, c.TLSKey, c.ACME = "", "", &cloud.ACME{AcceptTerms: true, CAFile: "nowhere.pem"}
		}, "nowhere.pem"},
		"a plain issuer":         {func(c *cloud.Config) { c.Issuer = "http://id.example.com" }, "must begin with https"},
		"a plain broker":         {func(c *cloud.Config) { c.MQTTURL = "tcp://id.example.com:1883" }, "must begin with tls"},
		"a broker without port":  {func(c *cloud.Config) { c.MQTTURL = "tls://id.example.com" }, "want an address such as"},
		"another broker's name":  {func(c *cloud.Config) { c.MQTTURL = "tls://mqtt.example.com:8883" }, "for each host in issuer and mqtt_url"},
		"no files":               {func(c *cloud.Config) { c.TLSCert = "nowhere.pem" }, "readable"},
		"plain for a network":    {func(c *cloud.Config) { c.TLSCert, c.TLSKey, c.Listen = "", "", ":0" }, "would cross a network in clear"},
		"plain by name":          {func(c *cloud.Config) { c.TLSCert, c.TLSKey, c.Listen = "", "", "id.example.com:80" }, "would cross a network in clear"},
		"plain MQTT":             {func(c *cloud.Config) { c.TLSCert, c.TLSKey, c.MQTTListen = "", "", "0.0.0.0:0" }, "mqtt_listen"},
		"agents would refuse":    {func(c *cloud.Config) { c.TLSCert, c.TLSKey, c.MQTTURL = "", "", "tcp://id.example.com:1883" }, "make it tls"},
		"nowhere to send to":     {func(c *cloud.Config) { c.TLSCert, c.TLSKey, c.RedirectListen = "", "", ":80" }, "no TLS here"},
		"a proxy nobody knows":   {func(c *cloud.Config) { c.BehindProxy = true }, "trusted_proxies"},
		"a header nobody writes": {func(c *cloud.Config) { c.ForwardedHeader = "X-Real-IP" }, "forwarded_header"},
		"the port is taken":      {func(c *cloud.Config) { c.RedirectListen = c.Listen }, "redirect_listen"},
	} {
		p := newProtected(t)
		test.change(&p.Config)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		err := cloud.Run(ctx, p.Config, quiet())
		cancel()
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q in it", what, err, test.want)
		}
	}
}

// Behind a proxy that is named a cloud may be open to the network without TLS.
func TestBehindAProxy(t *testing.T) {
	p := newProtected(t)
	_, port, err := net.SplitHostPort(p.Listen)
	if err != nil {
		t.Fatal(err)
	}
	p.TLSCert, p.TLSKey, p.Listen = "", "", ":"+port
	p.BehindProxy, p.TrustedProxies = true, []string{"127.0.0.1"}
	p.Issuer = "http://127.0.0.1:" + port
	start(t, p.Config)
	answer, err := http.Get(p.Issuer + "/signin")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Error(answer.Status)
	}
}

// held asks for a code and then polls, and returns how the poll ended.
func held(t *testing.T, p protected) (string, time.Duration) {
	t.Helper()
	ask := func(path string, form url.Values, wait string) string {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.Issuer+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Prefer", wait)
		answer, err := p.web.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	code := ask("/oauth/device_authorization", url.Values{"client_id": {"tv"}}, "")
	_, code, _ = strings.Cut(code, `"device_code":"`)
	code, _, _ = strings.Cut(code, `"`)
	began := time.Now()
	answer := ask("/oauth/token", url.Values{
		"client_id": {"tv"}, "device_code": {code}, "grant_type": {"urn:ietf:params:oauth:grant-type:device_code"},
	}, "wait=3")
	return answer, time.Since(began)
}

// A poll is held over TLS and HTTP/2 as it is without.
func TestHeldPollOverTLS(t *testing.T) {
	p := newProtected(t)
	p.Clients = []cloud.Client{{ID: "tv", Bearer: true}}
	start(t, p.Config)
	if answer, took := held(t, p); !strings.Contains(answer, "authorization_pending") || took < 2*time.Second {
		t.Errorf("after %s: %s", took, answer)
	}
}
