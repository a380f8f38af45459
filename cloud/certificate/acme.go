package certificate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// ChallengeProtocol is what an ACME authority speaks within TLS to see that a
// name is ours (RFC 8737). The HTTPS server must offer it.
const ChallengeProtocol = acme.ALPNProto

// ErrNone: the authority has not issued a certificate yet.
var ErrNone = errors.New("there is no certificate yet: the log says why")

// How often the authority is asked again. Public ones allow five failures an
// hour and name.
const (
	firstWait = 2 * time.Minute
	lastWait  = time.Hour
)

// Settings say from which ACME authority certificates come.
type Settings struct {
	// Directory is the authority's directory; by default Let's Encrypt's.
	Directory string
	// Email is told by the authority when something is wrong. It may be empty.
	Email string
	// CAFile names the PEM certificates that vouch for the authority's own
	// server; by default the system's.
	CAFile string
	// Folder keeps the account's key, the certificates and their keys. It is
	// made for this user alone.
	Folder string
	// Names are what certificates are for, the first is shown to who names none.
	Names []string
}

// An ACME gets and renews certificates. Strangers' handshakes never cause an
// order. It is safe for concurrent use.
type ACME struct {
	names   []string
	manager *autocert.Manager
	log     *slog.Logger

	mu   sync.Mutex
	have map[string]bool // names there is a certificate for
}

// New prepares what Run does. The caller has accepted the authority's terms.
func New(s Settings, log *slog.Logger) (*ACME, error) {
	client, err := s.client()
	if err != nil {
		return nil, err
	}
	return &ACME{
		names: s.Names, log: log, have: map[string]bool{},
		manager: &autocert.Manager{
			Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(s.Folder), Email: s.Email,
			HostPolicy: autocert.HostWhitelist(s.Names...), Client: client,
		},
	}, nil
}

func (s Settings) client() (*acme.Client, error) {
	c := &acme.Client{DirectoryURL: s.Directory, UserAgent: "cardea-cloud", HTTPClient: &http.Client{Timeout: 30 * time.Second}}
	if c.DirectoryURL == "" {
		c.DirectoryURL = autocert.DefaultACMEDirectory
	}
	if s.CAFile == "" {
		return c, nil
	}
	text, err := os.ReadFile(s.CAFile)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("ca_file: no certificate in %s", s.CAFile)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	c.HTTPClient.Transport = transport
	return c, nil
}

// Get is what tls.Config.GetCertificate wants. It also answers the authority,
// which asks over TLS whether the name is ours.
func (a *ACME) Get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if slices.Equal(hello.SupportedProtos, []string{ChallengeProtocol}) {
		return a.manager.GetCertificate(hello)
	}
	name := hello.ServerName
	if !slices.Contains(a.names, name) {
		name = a.names[0]
	}
	a.mu.Lock()
	have := a.have[name]
	a.mu.Unlock()
	if !have {
		return nil, ErrNone
	}
	return a.certificate(name)
}

// certificate is the one held, or a new one. All have ECDSA keys: a client that
// can not verify those is older than TLS 1.2.
func (a *ACME) certificate(name string) (*tls.Certificate, error) {
	return a.manager.GetCertificate(&tls.ClientHelloInfo{
		ServerName: name, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
	})
}

// Challenges answers the authority where it asks over plain HTTP, on port 80;
// next answers everybody else.
func (a *ACME) Challenges(next http.Handler) http.Handler {
	answer := a.manager.HTTPHandler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host, _, err := net.SplitHostPort(r.Host); err == nil {
			r.Host = host // a port before which something passes on to ours
		}
		answer.ServeHTTP(w, r)
	})
}

// watch tells once a day that a certificate was not renewed. The library does
// that when a third of its life is left, tries again every hour, and says nothing.
func (a *ACME) watch(ctx context.Context, name string) {
	tick := time.NewTicker(24 * time.Hour)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			cert, err := a.await(ctx, name)
			if err != nil {
				a.log.ErrorContext(ctx, "no certificate any more", "name", name, "err", err)
			} else if left := cert.Leaf.NotAfter.Sub(now); left < cert.Leaf.NotAfter.Sub(cert.Leaf.NotBefore)/4 {
				a.log.ErrorContext(ctx, "the certificate was not renewed: "+reachable, "name", name, "ends", cert.Leaf.NotAfter)
			}
		}
	}
}

// reachable is what an authority needs.
const reachable = "its name must lead here, and port 443, or port 80 and redirect_listen, must reach this process"

// Run gets a certificate for each name, and keeps at it, until ctx ends. What is
// held is renewed in time by itself.
func (a *ACME) Run(ctx context.Context) {
	var names sync.WaitGroup
	for _, name := range a.names {
		names.Go(func() { a.obtain(ctx, name) })
	}
	names.Wait()
}

// await is certificate, but ends with ctx: an order that is under way then is left
// to itself, because the library would wait for it for minutes.
func (a *ACME) await(ctx context.Context, name string) (*tls.Certificate, error) {
	type answer struct {
		cert *tls.Certificate
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		cert, err := a.certificate(name)
		done <- answer{cert, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case got := <-done:
		return got.cert, got.err
	}
}

func (a *ACME) obtain(ctx context.Context, name string) {
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		cert, err := a.await(ctx, name)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			a.mu.Lock()
			a.have[name] = true
			a.mu.Unlock()
			a.log.InfoContext(ctx, "certificate", "name", name, "ends", cert.Leaf.NotAfter)
			a.watch(ctx, name)
			return
		}
		a.log.ErrorContext(ctx, "no certificate from the ACME authority: "+reachable, "name", name, "err", err, "again_in", wait)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}
