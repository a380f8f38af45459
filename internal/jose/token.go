package jose

import (
	"crypto"
	"crypto/ecdsa"
	stdjson "encoding/json"
	"fmt"
	"strings"

	gojose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/cryptosigner"
	"github.com/go-jose/go-jose/v4/json"
)

// Sign makes a compact JWS of claims, signed ES256. header gives further
// protected members, such as "typ", "kid" or "jwk"; "alg" is not the caller's.
func Sign(s crypto.Signer, header map[string]any, claims any) (string, error) {
	if pub, ok := s.Public().(*ecdsa.PublicKey); !ok || pub == nil {
		return "", fmt.Errorf("sign token: %w: want an ECDSA signer", ErrKey)
	}
	payload, err := stdjson.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	opts := new(gojose.SignerOptions)
	for name, value := range header {
		if name != "alg" {
			opts.WithHeader(gojose.HeaderKey(name), value)
		}
	}
	signer, err := gojose.NewSigner(gojose.SigningKey{Algorithm: gojose.ES256, Key: cryptosigner.Opaque(s)}, opts)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return signed.CompactSerialize()
}

// Verify checks a compact JWS and decodes its payload into claims. typ must
// match the token's (RFC 8725, Section 3.11); key finds the public key for the
// token's "kid" and its error is returned as it is. Whatever else is wrong is
// ErrToken. Claims that are not in the Go value are ignored.
func Verify(token, typ string, key func(kid string) (*ecdsa.PublicKey, error), claims any) error {
	sig, err := parse(token, typ)
	if err != nil {
		return err
	}
	pub, err := key(sig.Signatures[0].Protected.KeyID)
	if err != nil {
		return err
	}
	return open(sig, pub, claims)
}

// VerifyEmbedded checks a token against the key in its own "jwk" header and
// returns that key. It proves that the sender holds the key and nothing about
// who that is.
func VerifyEmbedded(token, typ string, claims any) (*ecdsa.PublicKey, error) {
	sig, err := parse(token, typ)
	if err != nil {
		return nil, err
	}
	header := sig.Signatures[0].Protected.JSONWebKey
	if header == nil {
		return nil, fmt.Errorf("%w: no jwk in the header", ErrToken)
	}
	pub, err := publicP256(header)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	return pub, open(sig, pub, claims)
}

func parse(token, typ string) (*gojose.JSONWebSignature, error) {
	if len(token) > MaxToken {
		return nil, fmt.Errorf("%w: over %d bytes", ErrToken, MaxToken)
	}
	sig, err := gojose.ParseSignedCompact(token, []gojose.SignatureAlgorithm{gojose.ES256})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	got, _ := sig.Signatures[0].Protected.ExtraHeaders[gojose.HeaderType].(string)
	// RFC 7515, Section 4.1.9: a media type without its "application/".
	if !strings.EqualFold(strings.TrimPrefix(got, "application/"), typ) {
		return nil, fmt.Errorf("%w: type %q, want %q", ErrToken, got, typ)
	}
	return sig, nil
}

func open(sig *gojose.JSONWebSignature, pub *ecdsa.PublicKey, claims any) error {
	payload, err := sig.Verify(pub)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrToken, err)
	}
	if err := json.Unmarshal(payload, claims); err != nil {
		return fmt.Errorf("%w: %w", ErrToken, err)
	}
	return nil
}
