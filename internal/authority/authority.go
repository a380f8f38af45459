// Package authority is a private certificate authority that lives for one run: a
// demonstration's or a test's. Its key is in memory only.
//
// Somebody may be asked to trust it on his own phone, so it can vouch for
// nothing but the hosts it was made for and this machine's loopback: the
// restriction stands in its certificate (RFC 5280, Section 4.2.1.10).
package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"strings"
	"time"
)

// life is how long an authority and what it issues may be used.
const life = 7 * 24 * time.Hour

// An Authority issues certificates for its hosts.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// New makes an authority that may vouch for hosts, names or addresses, from a
// minute before now on for a week.
func New(name string, now time.Time, hosts ...string) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make an authority: %w", err)
	}
	names, addresses := sorted(append([]string{"localhost", "127.0.0.1", "::1"}, hosts...))
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Minute), NotAfter: now.Add(life),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
		PermittedDNSDomainsCritical: true, PermittedDNSDomains: names,
	}
	for _, ip := range addresses {
		bits := 8 * len(ip)
		template.PermittedIPRanges = append(template.PermittedIPRanges, &net.IPNet{IP: ip, Mask: net.CIDRMask(bits, bits)})
	}
	a := &Authority{key: key}
	a.cert, err = a.sign(template, template, &key.PublicKey)
	return a, err
}

// Issue makes a server's certificate for hosts, and its key, both PEM.
func (a *Authority) Issue(from, to time.Time, hosts ...string) (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("issue a certificate: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, fmt.Errorf("issue a certificate: %w", err)
	}
	names, addresses := sorted(hosts)
	leaf, err := a.sign(&x509.Certificate{
		NotBefore: from, NotAfter: to, DNSNames: names, IPAddresses: addresses,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, a.cert, &private.PublicKey)
	if err != nil {
		return nil, nil, err
	}
	return text("CERTIFICATE", leaf.Raw), text("PRIVATE KEY", der), nil
}

func (a *Authority) sign(template, parent *x509.Certificate, public *ecdsa.PublicKey) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("sign a certificate: %w", err)
	}
	template.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, a.key)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

// PEM is the authority's own certificate.
func (a *Authority) PEM() []byte { return text("CERTIFICATE", a.cert.Raw) }

// DER is the authority's own certificate, as phones want to be given it.
func (a *Authority) DER() []byte { return a.cert.Raw }

// Pool holds this authority alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// Fingerprint is the SHA-256 of the authority's certificate, as phones show it.
func (a *Authority) Fingerprint() string {
	sum := sha256.Sum256(a.cert.Raw)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum), " ", ":")
}

// sorted tells names from addresses, which are as short as can be.
func sorted(hosts []string) (names []string, addresses []net.IP) {
	for _, host := range hosts {
		ip := net.ParseIP(host)
		if short := ip.To4(); short != nil {
			ip = short
		}
		if ip == nil {
			names = append(names, host)
		} else {
			addresses = append(addresses, ip)
		}
	}
	return names, addresses
}

func text(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
