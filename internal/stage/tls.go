package stage

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/cardea-id/cardea/internal/authority"
)

// certLife is how long a server's certificate on a stage counts.
const certLife = 24 * time.Hour

// NewAuthority makes an authority that may vouch for this stage's host.
func (s *Stage) NewAuthority() (*authority.Authority, error) {
	return authority.New("Cardea, for this run only", time.Now(), s.Host)
}

// Certify has the cloud show a certificate by an authority from now on, also
// while it runs. The device's list of authorities stays as it is.
func (s *Stage) Certify(by *authority.Authority) error {
	now := time.Now()
	cert, key, err := by.Issue(now.Add(-time.Minute), now.Add(certLife), s.Host, "127.0.0.1")
	if err != nil {
		return err
	}
	return errors.Join(s.put("cert.pem", cert), s.put("key.pem", key))
}

// protect makes the stage's own authority and the cloud's first certificate.
func (s *Stage) protect() (err error) {
	if err := os.MkdirAll(s.tlsFile(""), 0o755); err != nil {
		return fmt.Errorf("folder for certificates: %w", err)
	}
	if s.Authority, err = s.NewAuthority(); err != nil {
		return err
	}
	s.CAFile = s.tlsFile("ca.pem")
	return errors.Join(s.put("ca.pem", s.Authority.PEM()), s.Certify(s.Authority))
}

// put replaces a file whole.
func (s *Stage) put(name string, text []byte) error {
	path := s.tlsFile(name)
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return fmt.Errorf("write certificate: %w", err)
	}
	return os.Rename(path+".new", path)
}

func (s *Stage) tlsFile(name string) string { return filepath.Join(s.Dir, "tls", name) }

// Transport is how a phone or program reaches the cloud: on a stage with TLS it
// trusts the stage's authority and nobody else.
func (s *Stage) Transport() http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	if s.Authority != nil {
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: s.Authority.Pool()}
	}
	return t
}
