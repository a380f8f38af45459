package jose_test

import (
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/jose"
)

type claims struct {
	Sub string `json:"sub"`
}

func known(key jose.PrivateKey) func(string) (*ecdsa.PublicKey, error) {
	return func(string) (*ecdsa.PublicKey, error) { return key.Public(), nil }
}

func sign(t *testing.T, key jose.PrivateKey, header map[string]any, v any) string {
	t.Helper()
	token, err := jose.Sign(key.Signer(), header, v)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestSignVerify(t *testing.T) {
	key := jose.GenerateKey()
	token := sign(t, key, map[string]any{"typ": "at+jwt", "kid": "one", "alg": "none"}, claims{"someone"})
	var got claims
	err := jose.Verify(token, "at+jwt", func(kid string) (*ecdsa.PublicKey, error) {
		if kid != "one" {
			t.Errorf("kid %q", kid)
		}
		return key.Public(), nil
	}, &got)
	if err != nil || got.Sub != "someone" {
		t.Fatalf("%+v, %v", got, err)
	}
}

func TestVerifyRefuses(t *testing.T) {
	key, other := jose.GenerateKey(), jose.GenerateKey()
	good := sign(t, key, map[string]any{"typ": "at+jwt"}, claims{"someone"})
	bad := func(why, token, typ string) {
		t.Helper()
		if err := jose.Verify(token, typ, known(key), new(claims)); !errors.Is(err, jose.ErrToken) {
			t.Errorf("%s: got %v, want ErrToken", why, err)
		}
	}
	bad("nothing", "", "at+jwt")
	bad("garbage", "a.b.c", "at+jwt")
	bad("another type", good, "JWT")
	bad("no type", sign(t, key, nil, claims{"x"}), "at+jwt")
	bad("another key", sign(t, other, map[string]any{"typ": "at+jwt"}, claims{"x"}), "at+jwt")
	bad("over the limit", good+strings.Repeat("A", jose.MaxToken), "at+jwt")
	bad("a changed claim", swapPayload(good, `{"sub":"nobody"}`), "at+jwt")
	bad("alg none", unsigned(`{"alg":"none","typ":"at+jwt"}`, `{"sub":"x"}`), "at+jwt")
	bad("the public key as an HMAC secret", unsigned(`{"alg":"HS256","typ":"at+jwt"}`, `{"sub":"x"}`)+"AAAA", "at+jwt")
	bad("one claim twice", sign(t, key, map[string]any{"typ": "at+jwt"}, json.RawMessage(`{"sub":"a","sub":"b"}`)), "at+jwt")
	bad("an unknown critical header", sign(t, key, map[string]any{"typ": "at+jwt", "crit": []string{"x"}, "x": 1}, claims{"x"}), "at+jwt")
	unknown := errors.New("no such key")
	err := jose.Verify(good, "at+jwt", func(string) (*ecdsa.PublicKey, error) { return nil, unknown }, new(claims))
	if !errors.Is(err, unknown) {
		t.Errorf("the key function's error is lost: %v", err)
	}
}

func TestClaimNamesAreExact(t *testing.T) {
	key := jose.GenerateKey()
	token := sign(t, key, map[string]any{"typ": "JWT"}, map[string]string{"SUB": "someone"})
	var got claims
	if err := jose.Verify(token, "JWT", known(key), &got); err != nil || got.Sub != "" {
		t.Fatalf("%+v, %v", got, err)
	}
}

func TestVerifyEmbedded(t *testing.T) {
	key, other := jose.GenerateKey(), jose.GenerateKey()
	good := sign(t, key, map[string]any{"typ": "JWT", "jwk": jose.JWK(key.Public())}, claims{"device"})
	var got claims
	pub, err := jose.VerifyEmbedded(good, "JWT", &got)
	if err != nil || !pub.Equal(key.Public()) || got.Sub != "device" {
		t.Fatalf("%+v, %v", got, err)
	}
	bad := func(why, token string) {
		t.Helper()
		if _, err := jose.VerifyEmbedded(token, "JWT", new(claims)); !errors.Is(err, jose.ErrToken) {
			t.Errorf("%s: got %v, want ErrToken", why, err)
		}
	}
	bad("no key", sign(t, key, map[string]any{"typ": "JWT"}, claims{"device"}))
	bad("another's key", sign(t, key, map[string]any{"typ": "JWT", "jwk": jose.JWK(other.Public())}, claims{"device"}))
	var private map[string]any
	if err := json.Unmarshal(jose.JWK(key.Public()), &private); err != nil {
		t.Fatal(err)
	}
	private["d"] = base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	bad("a private key", unsigned(string(must(json.Marshal(map[string]any{"alg": "ES256", "typ": "JWT", "jwk": private}))), `{}`)+"AAAA")
}

func must(text []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return text
}

func swapPayload(token, payload string) string {
	parts := strings.Split(token, ".")
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(payload))
	return strings.Join(parts, ".")
}

func unsigned(header, payload string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + "."
}
