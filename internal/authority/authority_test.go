package authority_test

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/authority"
)

// leaf issues a certificate for hosts and reads it back.
func leaf(t *testing.T, a *authority.Authority, hosts ...string) *x509.Certificate {
	t.Helper()
	cert, key, err := a.Issue(time.Now().Add(-time.Hour), time.Now().Add(time.Hour), hosts...)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf
}

// It vouches for what it was made for, and whoever trusts it trusts it with
// nothing else.
func TestVouchesForItsHostsOnly(t *testing.T) {
	a, err := authority.New("test", time.Now(), "192.168.1.20", "id.example.com")
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]bool{
		"192.168.1.20": true, "id.example.com": true, "127.0.0.1": true, "::1": true, "localhost": true,
		"192.168.1.21": false, "bank.example": false, "example.com": false, "2001:db8::1": false,
	} {
		_, err := leaf(t, a, host).Verify(x509.VerifyOptions{Roots: a.Pool(), DNSName: host})
		if (err == nil) != want {
			t.Errorf("%s: %v, want it vouched for: %v", host, err, want)
		}
	}
}

func TestStrangersDoNotCount(t *testing.T) {
	a, err := authority.New("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	other, err := authority.New("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leaf(t, a, "localhost").Verify(x509.VerifyOptions{Roots: other.Pool(), DNSName: "localhost"}); err == nil {
		t.Error("another authority of the same name vouches")
	}
	if a.Fingerprint() == other.Fingerprint() || strings.Count(a.Fingerprint(), ":") != 31 {
		t.Errorf("fingerprint %s", a.Fingerprint())
	}
	if !x509.NewCertPool().AppendCertsFromPEM(a.PEM()) {
		t.Error("its certificate can not be read")
	}
	if cert, err := x509.ParseCertificate(a.DER()); err != nil || !cert.IsCA {
		t.Errorf("%v, %v", cert, err)
	}
}
