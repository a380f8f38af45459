package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

const proofType = "dpop+jwt"

// maxFuture keeps "iat" inside what a float64 and time.Time hold exactly.
const maxFuture = 1 << 40

// ErrProof is returned for a DPoP proof that does not prove this request; the
// answer to it is "invalid_dpop_proof" (RFC 9449, Section 5).
var ErrProof = errors.New("invalid DPoP proof")

// A Proof is what a DPoP proof said. Its signature, method, address and, where
// one was given, access token were checked. IssuedAt is what the sender's clock
// said, which on a device may be 1970: freshness comes from Nonce.
type Proof struct {
	JKT      string // thumbprint of Key
	JTI      string
	Nonce    string // empty when the sender has none yet
	IssuedAt time.Time
	Key      *ecdsa.PublicKey
}

type proofClaims struct {
	JTI   string   `json:"jti"`
	HTM   string   `json:"htm"`
	HTU   string   `json:"htu"`
	IAT   *float64 `json:"iat"`
	ATH   string   `json:"ath,omitempty"`
	Nonce string   `json:"nonce,omitempty"`
}

// NewProof makes a proof for one request (RFC 9449, Section 4.2). nonce is the
// server's last one, accessToken the token sent with it; either may be empty.
func NewProof(s crypto.Signer, method, address, nonce, accessToken string, now time.Time) (string, error) {
	pub, ok := s.Public().(*ecdsa.PublicKey)
	if !ok {
		return "", fmt.Errorf("make proof: %w: want an ECDSA signer", ErrKey)
	}
	htu, err := normalise(address)
	if err != nil {
		return "", fmt.Errorf("make proof: %w", err)
	}
	claims := proofClaims{JTI: rand.Text(), HTM: method, HTU: htu, IAT: new(float64(now.Unix())), Nonce: nonce}
	if accessToken != "" {
		claims.ATH = hashToken(accessToken)
	}
	return Sign(s, map[string]any{"typ": proofType, "jwk": JWK(pub)}, claims)
}

// VerifyProof checks a proof against the request it came with: RFC 9449,
// Section 4.3, numbers 2 to 9 and 12. With an accessToken the proof must name
// it. Freshness and replay (10 and 11) are the caller's: see Proof.Nonce and
// Proof.JTI. Every failure is ErrProof.
func VerifyProof(proof, method, address, accessToken string) (Proof, error) {
	var claims proofClaims
	key, err := VerifyEmbedded(proof, proofType, &claims)
	if err != nil {
		return Proof{}, fmt.Errorf("%w: %w", ErrProof, err)
	}
	if err := claims.check(method, address, accessToken); err != nil {
		return Proof{}, fmt.Errorf("%w: %w", ErrProof, err)
	}
	return Proof{
		JKT: Thumbprint(key), JTI: claims.JTI, Nonce: claims.Nonce,
		IssuedAt: time.Unix(int64(*claims.IAT), 0).UTC(), Key: key,
	}, nil
}

func (c *proofClaims) check(method, address, accessToken string) error {
	switch {
	case c.JTI == "" || c.IAT == nil:
		return errors.New("jti and iat are required")
	case *c.IAT < -maxFuture || *c.IAT > maxFuture:
		return errors.New("iat is no time")
	case c.HTM != method:
		return errors.New("htm is another method")
	case accessToken != "" && subtle.ConstantTimeCompare([]byte(c.ATH), []byte(hashToken(accessToken))) == 0:
		return errors.New("ath is another access token")
	}
	want, err := normalise(address)
	if err != nil {
		return err
	}
	if got, err := normalise(c.HTU); err != nil || got != want {
		return errors.New("htu is another address")
	}
	return nil
}

func hashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Origin is the scheme and authority of an address, as proofs compare them: two
// addresses of one origin differ in their path only.
func Origin(address string) (string, error) {
	whole, err := normalise(address)
	if err != nil {
		return "", err
	}
	scheme, rest, _ := strings.Cut(whole, "://")
	host, _, _ := strings.Cut(rest, "/")
	return scheme + "://" + host, nil
}

// normalise brings an address to the form in which two are compared: without
// query and fragment, scheme and host in lower case, no default port (RFC 9449,
// Section 4.3: syntax-based and scheme-based normalisation of RFC 3986).
func normalise(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Opaque != "" {
		return "", errors.New("want an absolute http or https address")
	}
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	switch scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	default:
		return "", errors.New("want an absolute http or https address")
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	return scheme + "://" + host + path, nil
}
