package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/cardea-id/cardea/agent/gate"
	"github.com/cardea-id/cardea/agent/tlsclock"
)

// Times of the way to the issuer.
const (
	dialTimeout = 10 * time.Second
	callTimeout = 45 * time.Second // longer than the longest held poll
)

// authorities reads who may vouch for the issuer and the broker; a nil pool is
// the system's.
func authorities(file string) (*x509.CertPool, []*x509.Certificate, error) {
	if file == "" {
		return nil, nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, fmt.Errorf("ca_file: %w", err)
	}
	pool, list := x509.NewCertPool(), []*x509.Certificate(nil)
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: ca_file: %s: %w", ErrConfig, file, err)
		}
		pool.AddCert(cert)
		list = append(list, cert)
	}
	if len(list) == 0 {
		return nil, nil, fmt.Errorf("%w: ca_file: no certificate in %s", ErrConfig, file)
	}
	return pool, list, nil
}

// tlsClock judges the certificates of the issuer and the broker, by the time of
// the links this issuer made.
func (a *agent) tlsClock(log *slog.Logger) (*tlsclock.Clock, error) {
	c := a.Config
	pool, list, err := authorities(c.CAFile)
	if err != nil {
		return nil, err
	}
	return tlsclock.New(tlsclock.Config{
		Now: a.now, Boot: gate.BootTime, Path: filepath.Join(c.StateDir, goodFile),
		Roots: pool, Authorities: list, Anchors: a.anchors, Unvouched: a.unvouched, Log: log,
	}), nil
}

// httpClient speaks to the issuer, at ConnectTo if that is set.
func (c Config) httpClient(trust *tlsclock.Clock) *http.Client {
	return c.client(trust.TLS(hostName(c.Issuer)))
}

func (c Config) client(protect *tls.Config) *http.Client {
	dialer := &net.Dialer{Timeout: dialTimeout}
	t := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
		TLSClientConfig:     protect,
		TLSHandshakeTimeout: dialTimeout,
		IdleConnTimeout:     time.Minute,
		MaxIdleConnsPerHost: 2,
	}
	if c.ConnectTo != "" {
		issuer := hostPort(c.Issuer)
		t.Proxy = nil
		t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr == issuer {
				addr = c.ConnectTo
			}
			return dialer.DialContext(ctx, network, addr)
		}
	}
	return &http.Client{Transport: t, Timeout: callTimeout}
}

// anyServer speaks to the issuer, whoever vouches for it, to fetch what proves
// itself.
func (c Config) anyServer() *http.Client {
	web := c.client(&tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true})
	web.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return web
}

// hostName is whom the server of a URL must prove to be.
func hostName(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// hostPort is the address net/http connects to for a URL.
func hostPort(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return net.JoinHostPort(u.Hostname(), port)
}
