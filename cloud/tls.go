package cloud

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/cardea-id/cardea/cloud/certificate"
	"github.com/cardea-id/cardea/internal/web"
)

// certificates are where the servers' certificate comes from: files, or an ACME
// authority.
type certificates interface {
	// Get is for tls.Config. It must not wait for the network.
	Get(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Challenges answers what an authority asks over plain HTTP.
	Challenges(next http.Handler) http.Handler
	// Run keeps the certificate new until ctx ends.
	Run(ctx context.Context)
}

// hsts has browsers come by TLS alone for a year (RFC 6797).
const hsts = "max-age=31536000"

var errPlain = web.Errorf(http.StatusForbidden, "tls_required", "this is answered by https only, and what was sent may have been read on the way")

func (c Config) hasTLS() bool { return c.TLSCert != "" || c.TLSKey != "" || c.ACME != nil }

// checkTLS refuses what would send passwords and tokens over a network in clear.
func (c Config) checkTLS(issuer *url.URL) error {
	switch {
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return errors.New("tls_cert, tls_key: name both files, or none")
	case c.TLSCert != "" && c.ACME != nil:
		return errors.New("acme: the certificate comes from there or from tls_cert, not from both")
	case c.ACME != nil && !c.ACME.AcceptTerms:
		return errors.New("acme: read the authority's terms and set accept_terms = true")
	case c.hasTLS() && issuer.Scheme != "https":
		return fmt.Errorf("issuer: there is a certificate, so it must begin with https, not %q", c.Issuer)
	case c.RedirectListen != "" && !c.hasTLS():
		return errors.New("redirect_listen: there is no TLS here to send anybody to: set tls_cert and tls_key, or let your proxy do it")
	case c.BehindProxy && len(c.TrustedProxies) == 0:
		return errors.New("behind_proxy: name the proxies in trusted_proxies, or everybody seems to come from one address")
	}
	if err := c.checkMQTTURL(issuer); err != nil || c.hasTLS() || c.BehindProxy {
		return err
	}
	for field, address := range map[string]string{"listen": c.Listen, "mqtt_listen": c.MQTTListen} {
		if host, _, err := net.SplitHostPort(address); err == nil && !loopback(host) {
			return fmt.Errorf("%s: at %q passwords and tokens would cross a network in clear: set tls_cert and tls_key, or acme, or behind_proxy = true if a proxy of yours ends TLS before it", field, address)
		}
	}
	return nil
}

// checkMQTTURL refuses an address that agents would refuse.
func (c Config) checkMQTTURL(issuer *url.URL) error {
	if c.MQTTURL == "" {
		return nil
	}
	u, err := url.Parse(c.MQTTURL)
	switch {
	case err != nil || u.Hostname() == "" || u.Port() == "" || u.Scheme != "tls" && u.Scheme != "tcp":
		return fmt.Errorf("mqtt_url: want an address such as \"tls://id.example.com:8883\", got %q", c.MQTTURL)
	case u.Scheme == "tls":
		return nil
	case c.hasTLS():
		return fmt.Errorf("mqtt_url: there is a certificate, so it must begin with tls, not %q", c.MQTTURL)
	case issuer.Scheme == "https" && !loopback(u.Hostname()):
		return fmt.Errorf("mqtt_url: devices send their tokens to no broker elsewhere without TLS: make it tls, not %q", c.MQTTURL)
	}
	return nil
}

// loopback reports whether nobody but this machine reaches a host. Any name but
// one is taken for another machine's.
func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// hosts are whom the certificate must be for.
func (c Config) hosts() (names []string) {
	for _, address := range []string{c.Issuer, c.MQTTURL} {
		if u, err := url.Parse(address); err == nil && u.Hostname() != "" && !slices.Contains(names, u.Hostname()) {
			names = append(names, u.Hostname())
		}
	}
	return names
}

// mqttURL is what devices are told if nothing else is configured.
func (c Config) mqttURL(at net.Addr) string {
	if !c.hasTLS() {
		return "tcp://" + at.String()
	}
	_, port, err := net.SplitHostPort(at.String())
	if err != nil {
		return ""
	}
	return "tls://" + net.JoinHostPort(c.hosts()[0], port)
}

func (c *cloud) openCertificates(context.Context) (err error) {
	switch {
	case c.config.ACME != nil:
		if err := c.config.makeDataDir(); err != nil {
			return err
		}
		c.certificates, err = certificate.New(certificate.Settings{
			Directory: c.config.ACME.Directory, Email: c.config.ACME.Email, CAFile: c.config.ACME.CAFile,
			Folder: c.config.inData("acme"), Names: c.config.hosts(),
		}, c.log)
		if err != nil {
			return fmt.Errorf("acme: %w", err)
		}
	case c.config.hasTLS():
		c.certificates, err = certificate.Open(c.config.TLSCert, c.config.TLSKey, c.config.hosts(), c.log)
		if err != nil {
			return fmt.Errorf("tls_cert, tls_key: %w", err)
		}
	case !loopback(c.config.hosts()[0]) && strings.HasPrefix(c.config.Issuer, "http:"):
		c.log.Warn("the issuer's address is plain http: what owners and devices send can be read on the way", "issuer", c.config.Issuer)
	}
	return nil
}

// mqttTLS is how the door of the broker speaks TLS; nil if it does not.
func (c *cloud) mqttTLS() *tls.Config {
	if c.certificates == nil {
		return nil
	}
	return certificate.Config(c.certificates.Get, "mqtt")
}

// protectHTTP puts TLS before the pages and the API, and listens for those who
// come without.
func (c *cloud) protectHTTP(ctx context.Context) (err error) {
	if c.certificates == nil {
		return nil
	}
	protocols := []string{"h2", "http/1.1"}
	if c.config.ACME != nil {
		protocols = append(protocols, certificate.ChallengeProtocol)
	}
	c.listen = tls.NewListener(c.listen, certificate.Config(c.certificates.Get, protocols...))
	if c.config.RedirectListen == "" {
		return nil
	}
	if c.plain, err = listen(ctx, c.config.RedirectListen); err != nil {
		return fmt.Errorf("redirect_listen: %w: free the port or set another address", err)
	}
	return nil
}

// runTLS keeps the certificate new and sends people to TLS, until ctx ends.
func (c *cloud) runTLS(ctx context.Context) {
	if c.certificates == nil {
		return
	}
	var parts sync.WaitGroup
	defer parts.Wait()
	if c.plain != nil {
		s, served := c.server(web.Secure(c.certificates.Challenges(http.HandlerFunc(c.toTLS)))), make(chan struct{})
		parts.Go(func() {
			defer close(served)
			if err := s.Serve(c.plain); !errors.Is(err, net.ErrClosed) {
				c.log.ErrorContext(ctx, "nobody is sent to TLS any more", "err", err)
			}
		})
		defer c.shut(c.plain, s, served)
	}
	c.certificates.Run(ctx)
	<-ctx.Done()
}

// toTLS sends a browser to the same page of the issuer, whatever host it named. A
// request that carries something is refused, so that its sender is mended.
func (c *cloud) toTLS(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Connection", "close")
		web.Fail(w, r, c.log, errPlain)
		return
	}
	to := url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	http.Redirect(w, r, c.config.Issuer+"/"+strings.TrimLeft(to.RequestURI(), "/"), http.StatusPermanentRedirect)
}

// onlyTLS has those who come to a proxy of ours without TLS sent to it, and tells
// browsers to stay with it. A proxy that does not say is taken to have TLS, as
// the issuer's address does; what others say is nothing.
func (c *cloud) onlyTLS(next http.Handler) http.Handler {
	if !strings.HasPrefix(c.config.Issuer, "https:") {
		return next
	}
	local := loopback(c.config.hosts()[0]) // a browser would apply it to every program of its machine
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, scheme := c.proxies.origin(r); scheme == "http" {
			c.toTLS(w, r)
			return
		}
		if !local {
			w.Header().Set("Strict-Transport-Security", hsts)
		}
		next.ServeHTTP(w, r)
	})
}
