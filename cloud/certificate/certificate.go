// Package certificate holds the certificate that the cloud's HTTP and MQTT
// servers show: from files that somebody else renews ([Open]), or from an
// authority that speaks ACME (RFC 8555, [New]).
//
// A server never has to be restarted for a new certificate, and never goes over
// to one that it can not use: until a new pair of files is whole, belongs
// together, is for the right names and counts, the one before is shown, and the
// log says what to do.
package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Why a pair of files can not be used.
var (
	ErrPair = errors.New("the key does not belong to the certificate: write both anew, the server's own certificate first and then those between it and its authority")
	ErrName = errors.New("the certificate is for other names: have one made for each host in issuer and mqtt_url")
	ErrTime = errors.New("the certificate does not count now: renew it, or correct this machine's clock")
)

// soon is how long before its end a certificate is complained about. Whoever
// renews automatically has done so by then.
const soon = 14 * 24 * time.Hour

// Config is how a server speaks TLS with the certificates of get: 1.2 at least,
// with the cipher suites and curves that Go's authors take for safe. protocols
// are those it speaks within (RFC 7301); a client that wants only others is sent
// away, so that what a browser says never reaches a broker.
func Config(get func(*tls.ClientHelloInfo) (*tls.Certificate, error), protocols ...string) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: get, NextProtos: protocols}
}

// parse reads a pair of PEM texts and checks that it is for the names.
func parse(cert, key []byte, names []string) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPair, err)
	}
	for _, name := range names {
		if err := pair.Leaf.VerifyHostname(name); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrName, err)
		}
	}
	return &pair, nil
}

// counts says whether a certificate counts at an instant.
func counts(c *x509.Certificate, now time.Time) error {
	if now.Before(c.NotBefore) || now.After(c.NotAfter) {
		return fmt.Errorf("%w: it counts from %s to %s", ErrTime, c.NotBefore.Format(time.RFC3339), c.NotAfter.Format(time.RFC3339))
	}
	return nil
}
