package syncer

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/store/devicedb"
)

const (
	// listMargin is how long before its end a list is replaced.
	listMargin = 60 * 24 * time.Hour
	// maxKeysPause is how rarely a list is asked for that does not come.
	maxKeysPause = time.Hour
	keysTimeout  = 20 * time.Second
	keysPath     = "/v1/keys"
)

// Why a list is fetched, beside wire.ErrUnknownKey.
var (
	errExpired = fmt.Errorf("%w: the key list has expired", wire.ErrSignature)
	errEnding  = errors.New("the key list will expire")
	errVouch   = errors.New("nobody vouches for the server")
)

// Why a fetched list is not taken.
var (
	errNotNewer = errors.New("it is not newer than the one held")
	errOver     = errors.New("it has expired")
	errPin      = errors.New("the root is not the one pinned in the configuration")
)

// A keyring is what a link trusts: the root that was pinned, and the newest list
// it is known to have signed. trust is nil while there is none.
type keyring struct {
	root  *ecdsa.PublicKey
	list  wire.KeyList
	trust wire.Trust

	fetching bool
	needed   bool          // nothing is believed without a newer one
	earliest time.Duration // when it may be fetched again, on the boot clock
	tries    int           // since the last newer list
}

func (s *Syncer) ringOf(root, list []byte) (r keyring, err error) {
	if r.root, err = jose.ParseJWK(root); err != nil {
		return keyring{}, fmt.Errorf("root key: %w", err)
	}
	if s.cfg.RootPin != "" && jose.Thumbprint(r.root) != s.cfg.RootPin {
		return keyring{}, fmt.Errorf("root key: %w", errPin)
	}
	if r.list, err = wire.OpenKeyList(list, r.root); err != nil {
		return keyring{}, err
	}
	r.trust = r.list.Trust()
	return r, nil
}

// expired reports whether the list has ended by an instant.
func (r *keyring) expired(at cardea.Millis) bool { return at > r.list.NotAfter }

// knownTime is the latest instant that is known to have come, on a link.
func (s *Syncer) knownTime(id cardea.LinkID) cardea.Millis {
	if now := s.cfg.Gate.KnownOf(id); now.Synced {
		return now.Time
	}
	if s.cfg.Passed != nil {
		return cardea.MillisOf(s.cfg.Passed())
	}
	return 0
}

// wantKeys has the newest list fetched if that may be the cure of why. s.mu is
// held.
func (s *Syncer) wantKeys(r *keyring, id cardea.LinkID, issuer string, why error) {
	needed := errors.Is(why, wire.ErrUnknownKey) || errors.Is(why, errExpired)
	if !needed && !errors.Is(why, errEnding) && !errors.Is(why, errVouch) {
		return
	}
	r.needed = r.needed || needed
	now := s.cfg.Gate.Boot()
	if r.trust == nil || r.fetching || now < r.earliest || s.cfg.Keys == nil || s.ctx == nil {
		return
	}
	pause := maxKeysPause
	if r.tries < 12 {
		pause = min(minRepeat<<r.tries, maxKeysPause)
	}
	r.fetching, r.earliest, r.tries = true, now+jitter(pause), r.tries+1
	ctx, url := s.ctx, strings.TrimRight(issuer, "/")+keysPath
	s.wg.Go(func() {
		list, err := s.fetchKeys(ctx, url)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.takeKeys(id, list, err)
		s.poke()
	})
}

// notVouched looks for new anchors when nobody vouches for the server any more.
// s.mu is held.
func (s *Syncer) notVouched(id cardea.LinkID, err error) {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
		return
	}
	if l := s.links[id]; l != nil {
		s.wantKeys(&l.keyring, id, l.Issuer, errVouch)
	}
	if f := s.farewells[id]; f != nil {
		s.wantKeys(&f.keyring, id, f.Issuer, errVouch)
	}
}

// Unvouched has new anchors looked for, because nobody vouches for a server of the
// issuer's: its broker, or whatever else was connected to. It never waits.
func (s *Syncer) Unvouched(issuer string) {
	select {
	case s.vouch <- issuer:
	default: // somebody has said so already
	}
}

func (s *Syncer) findAnchors(issuer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, l := range s.links {
		if l.Issuer == issuer {
			s.wantKeys(&l.keyring, id, issuer, errVouch)
		}
	}
	for id, f := range s.farewells {
		if f.Issuer == issuer {
			s.wantKeys(&f.keyring, id, issuer, errVouch)
		}
	}
}

func (s *Syncer) fetchKeys(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, keysTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := s.cfg.Keys.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != mediaCOSE {
		return nil, fmt.Errorf("answered %d %q", res.StatusCode, res.Header.Get("Content-Type"))
	}
	return io.ReadAll(io.LimitReader(res.Body, wire.MaxKeyListBytes+1))
}

// takeKeys takes a list that was fetched, if it counts, and asks the cloud again
// what could not be verified. s.mu is held.
func (s *Syncer) takeKeys(id cardea.LinkID, signed []byte, err error) {
	now := s.cfg.Gate.Boot()
	l, f := s.links[id], s.farewells[id]
	switch {
	case l != nil:
		l.fetching = false
		if err == nil {
			err = s.renewKeys(l, signed)
		}
		l.askAgain(&l.outbox, now, err)
	case f != nil: // kept in memory alone: the next start fetches it again
		f.fetching = false
		if err == nil {
			err = f.take(signed, s.knownTime(id))
		}
		f.askAgain(&f.outbox, now, err)
	}
	if err != nil {
		s.cfg.Log.Warn("no newer key list", "link", id, "err", err)
	}
}

// askAgain sends the report whose answer could not be verified: now, or if no
// list came, when one may be fetched again.
func (r *keyring) askAgain(o *outbox, now time.Duration, err error) {
	switch {
	case err == nil:
		o.hurry(now)
	case r.needed && o.due != never:
		o.due = min(o.due, max(now, r.earliest))
	}
}

// renewKeys puts a newer list on the disk and in force.
func (s *Syncer) renewKeys(l *link, signed []byte) error {
	next := l.keyring
	if err := next.take(signed, s.knownTime(l.ID)); err != nil {
		return err
	}
	if err := s.commit(l, func(x *devicedb.Link) { x.KeyList = signed }); err != nil {
		return err
	}
	l.keyring = next
	s.anchor()
	s.enforce(l)
	s.cfg.Log.Info("key list renewed", "link", l.ID, "version", next.list.Version)
	return nil
}

// take is the rule: signed by the pinned root, above the version held, and not
// over. Every list has the same root, so one step leads from any to the newest.
func (r *keyring) take(signed []byte, known cardea.Millis) error {
	list, err := wire.OpenKeyList(signed, r.root)
	switch {
	case err != nil:
		return err
	case list.Version <= r.list.Version:
		return fmt.Errorf("%w: version %d", errNotNewer, list.Version)
	case known > list.NotAfter:
		return errOver
	}
	r.list, r.trust, r.needed, r.tries, r.earliest = list, list.Trust(), false, 0, 0
	return nil
}

// anchor notes which certificates the lists name. s.mu is held.
func (s *Syncer) anchor() {
	anchors := map[string][]*x509.Certificate{}
	for _, l := range s.links {
		for _, der := range l.list.Anchors {
			if cert, err := x509.ParseCertificate(der); err == nil {
				anchors[l.Issuer] = append(anchors[l.Issuer], cert)
			}
		}
	}
	s.anchors.Store(&anchors)
}

// Anchors are the certificates that may vouch for an issuer's servers, beside
// those known from elsewhere, by the key lists of its links. It never waits.
func (s *Syncer) Anchors(issuer string) []*x509.Certificate {
	if anchors := s.anchors.Load(); anchors != nil {
		return (*anchors)[issuer]
	}
	return nil
}
