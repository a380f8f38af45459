package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

// Times of the way to the issuer.
const (
	dialTimeout = 10 * time.Second
	callTimeout = 45 * time.Second // longer than the longest held poll
)

// authorities is the TLS configuration for the issuer and the broker.
func authorities(file string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if file == "" {
		return c, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%w: ca_file: no certificate in %s", ErrConfig, file)
	}
	return c, nil
}

// httpClient speaks to the issuer, at ConnectTo if that is set.
func (c Config) httpClient(trust *tls.Config) *http.Client {
	dialer := &net.Dialer{Timeout: dialTimeout}
	t := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
		TLSClientConfig:     trust,
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
