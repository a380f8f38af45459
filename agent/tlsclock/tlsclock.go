// Package tlsclock tells at which instant a server's certificates are judged, on
// a device that may not know the time.
//
// While the time is known, it is that time. While it is not, a chain is judged
// at the first instant, from the last-known-good time on, at which all of it has
// begun: only what ended before the last-known-good time is refused. So a device
// that believes it is 1970 can speak to a server whose certificate is newer than
// the device's software, and hear the time from it.
//
// The last-known-good time is when the program was built, or the last time a
// cloud answered, which may also lower it, though never below the first. It is
// written to the disk only when it has moved by more than a day.
//
// In return an answer's time is believed only if the chain of the connection it
// came by is valid at that time, and a time more than a day ahead of what is
// known only if it comes again over another connection ([Clock.Believe]). One
// wrong second of a cloud therefore can not make all its certificates look
// expired for ever: whatever is believed is a time at which the cloud can still
// be reached.
package tlsclock

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/cardea-id/cardea"
)

// Config is what a clock works with.
type Config struct {
	// Now is what is known of the time. Nil: nothing ever.
	Now func() cardea.Now

	// Boot is a clock that never steps. Required.
	Boot func() time.Duration

	// Built is when the program was built: it can not be earlier now. By
	// default what the program's own build information says.
	Built time.Time

	// Path is the file that keeps the last-known-good time over a reboot. Empty:
	// it begins anew with Built.
	Path string

	// Roots may vouch for servers; nil are the system's. Those listed in
	// Authorities as well may have begun later than the certificates they signed.
	Roots       *x509.CertPool
	Authorities []*x509.Certificate

	// Anchors may vouch for servers beside Roots: who they are may change while
	// the clock is used. Nil: nobody. It must not wait.
	Anchors func() []*x509.Certificate

	// Unvouched is called when nobody vouches for a server: new Anchors may be the
	// cure, for the next connection. It must not wait. Nil: nobody is told.
	Unvouched func()

	// Log gets times that are not believed; by default nothing is logged.
	Log *slog.Logger
}

// Why a time is not believed.
var (
	// ErrOutside: the certificates of the connection it came by are not valid then.
	ErrOutside = errors.New("the certificates the answer came with are not valid at its time")
	// ErrAhead: it is far ahead of what is known, and came for the first time.
	ErrAhead = errors.New("the answer's time is more than a day ahead: it must come again over another connection")
)

const (
	// farAhead is how far ahead of what is known one answer may be alone.
	farAhead = 24 * time.Hour
	// agree is how much two answers that are far ahead may differ.
	agree = time.Hour
)

// A Clock is safe for concurrent use.
type Clock struct {
	cfg Config

	mu      sync.Mutex
	good    time.Time // last known
	saved   time.Time // as it stands on the disk
	suspect *suspect
}

// A suspect time came once.
type suspect struct {
	time cardea.Millis
	boot time.Duration
	conn *tls.ConnectionState
}

// New reads the last-known-good time.
func New(cfg Config) *Clock {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = func() cardea.Now { return cardea.Now{} }
	}
	if cfg.Built.IsZero() {
		cfg.Built = Built()
	}
	c := &Clock{cfg: cfg, good: cfg.Built, saved: cfg.Built}
	c.load()
	return c
}

// LastKnownGood is an instant that has passed, as far as is known.
func (c *Clock) LastKnownGood() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.good
}

// TLS is the configuration for connections to host, which is only needed for an
// address without a name: names are taken from the connection.
func (c *Clock) TLS(host string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		RootCAs:    c.cfg.Roots,
		// Verified below, as the library would but for the time.
		InsecureSkipVerify: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			name := s.ServerName
			if name == "" { // an IP address stands in no handshake
				name = host
			}
			if name == "" {
				return errors.New("verify server: it has no name")
			}
			return c.verify(s.PeerCertificates, name)
		},
	}
}

// verify tries the instants at which a chain may be judged, earliest first.
func (c *Clock) verify(chain []*x509.Certificate, name string) error {
	if len(chain) == 0 {
		return errors.New("verify server: it has no certificate")
	}
	var err error
	for _, at := range c.instants(chain) {
		if err = c.verifyAt(chain, name, at); err == nil {
			return nil
		}
	}
	return &tls.CertificateVerificationError{UnverifiedCertificates: chain, Err: c.advise(err)}
}

// advise tells who can do something about a chain that is not taken, and adds what
// to do.
func (c *Clock) advise(err error) error {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		if c.cfg.Unvouched != nil {
			c.cfg.Unvouched()
		}
		if c.cfg.Roots == nil {
			return fmt.Errorf("%w: if it is a private one, name its PEM file in ca_file", err)
		}
		return fmt.Errorf("%w: add the one that signed the server's certificate to ca_file, where others do not count", err)
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Errorf("%w: set issuer to the server's name, or have its certificate made for this one", err)
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return fmt.Errorf("%w: renew the server's certificate, or correct its clock", err)
	}
	return err
}

// instants are when a chain may be judged: now, or while that is not known the
// last-known-good time and every later beginning of a certificate.
func (c *Clock) instants(chain []*x509.Certificate) []time.Time {
	if now := c.cfg.Now(); now.Synced {
		return []time.Time{now.Time.Time()}
	}
	good := c.LastKnownGood()
	var later []uint64 // in seconds, as certificates tell them; after good they are above 0
	for _, cert := range slices.Concat(chain[:min(len(chain), maxChain)], c.cfg.Authorities, c.anchors()) {
		if cert.NotBefore.After(good) {
			later = append(later, uint64(cert.NotBefore.Unix()))
		}
	}
	slices.Sort(later)
	out := []time.Time{good}
	for _, second := range slices.Compact(later) {
		out = append(out, time.Unix(int64(second), 0))
	}
	return out
}

// maxChain bounds the work a server can cause.
const maxChain = 6

// verifyAt judges a chain at an instant; without a name only the chain.
func (c *Clock) verifyAt(chain []*x509.Certificate, name string, at time.Time) error {
	o := x509.VerifyOptions{Roots: c.cfg.Roots, Intermediates: x509.NewCertPool(), DNSName: name, CurrentTime: at}
	for _, cert := range chain[1:] {
		o.Intermediates.AddCert(cert)
	}
	_, err := chain[0].Verify(o)
	anchors := c.anchors()
	if err == nil || len(anchors) == 0 {
		return err
	}
	o.Roots = x509.NewCertPool()
	for _, cert := range anchors {
		o.Roots.AddCert(cert)
	}
	if _, again := chain[0].Verify(o); again == nil {
		return nil
	}
	return err
}

func (c *Clock) anchors() []*x509.Certificate {
	if c.cfg.Anchors == nil {
		return nil
	}
	return c.cfg.Anchors()
}

// An Answer is a cloud's answer to a nonce.
type Answer struct {
	Time cardea.Millis
	Sent time.Duration // the nonce, on the boot clock
	// Known is what was known of that cloud's time before.
	Known cardea.Now
	// TLS is the connection it came by, the same pointer for the same
	// connection; nil if it was not protected.
	TLS *tls.ConnectionState
	// Other is for a cloud that is not the one whose time decides about
	// certificates: its answers leave the last-known-good time alone.
	Other bool
}

// Believe says whether an answer's time may be used, and takes it for the
// last-known-good. After an error the connection must not be used any more.
func (c *Clock) Believe(a Answer) error {
	if err := c.within(a); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.plausible(a); err != nil {
		return err
	}
	if a.Other {
		return nil
	}
	c.good = a.Time.Time()
	if c.good.Before(c.cfg.Built) {
		c.good = c.cfg.Built
	}
	c.save()
	return nil
}

// within: the chain that was taken for valid is so at the time it brought.
func (c *Clock) within(a Answer) error {
	if a.TLS == nil || len(a.TLS.PeerCertificates) == 0 {
		return nil
	}
	if err := c.verifyAt(a.TLS.PeerCertificates, "", a.Time.Time()); err != nil {
		return fmt.Errorf("%w: %w", ErrOutside, err)
	}
	return nil
}

// plausible: it is not far ahead, or not for the first time. c.mu is held.
func (c *Clock) plausible(a Answer) error {
	boot := c.cfg.Boot()
	now := a.Time.Add(boot - a.Sent)
	if !a.Known.Synced || now.Sub(a.Known.Time) <= farAhead {
		c.suspect = nil
		return nil
	}
	if s := c.suspect; s != nil && (a.TLS == nil || s.conn != a.TLS) &&
		now.Sub(s.time.Add(boot-s.boot)).Abs() <= agree {
		c.suspect = nil
		return nil
	}
	if c.suspect == nil || c.suspect.conn != a.TLS {
		c.suspect = &suspect{time: now, boot: boot, conn: a.TLS}
	}
	return ErrAhead
}
