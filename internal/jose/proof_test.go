package jose_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/jose"
)

// RFC 9449, Section 4.1, Figure 1 and Section 7.1, Figure 11.
const (
	rfcProof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19" +
		".eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ" +
		".2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
	rfcToken         = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
	rfcResourceProof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19" +
		".eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9" +
		".2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
)

func TestProofOfTheRFC(t *testing.T) {
	proof, err := jose.VerifyProof(rfcProof, "POST", "https://server.example.com/token", "")
	if err != nil {
		t.Fatal(err)
	}
	if proof.JKT != rfcThumbprint || proof.JTI != "-BwC3ESc6acc2lTc" || proof.IssuedAt.Unix() != 1562262616 || proof.Nonce != "" {
		t.Fatalf("%+v", proof)
	}
	if _, err := jose.VerifyProof(rfcResourceProof, "GET", "https://resource.example.org/protectedresource", rfcToken); err != nil {
		t.Fatal(err)
	}
}

func TestProofRoundTrip(t *testing.T) {
	key := jose.GenerateKey()
	early := time.Unix(12, 0).UTC() // a device without a clock
	text, err := jose.NewProof(key.Signer(), "POST", "https://id.example/oauth/token?x=1#y", "the-nonce", "the-token", early)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := jose.VerifyProof(text, "POST", "https://ID.example:443/oauth/token", "the-token")
	if err != nil {
		t.Fatal(err)
	}
	if proof.Nonce != "the-nonce" || !proof.IssuedAt.Equal(early) || proof.JKT != jose.Thumbprint(key.Public()) || !proof.Key.Equal(key.Public()) {
		t.Fatalf("%+v", proof)
	}
	again, _ := jose.NewProof(key.Signer(), "POST", "https://id.example/oauth/token", "the-nonce", "the-token", early)
	other, err := jose.VerifyProof(again, "POST", "https://id.example/oauth/token", "the-token")
	if err != nil || other.JTI == proof.JTI {
		t.Fatalf("two proofs share a jti: %v", err)
	}
}

func TestVerifyProofRefuses(t *testing.T) {
	key := jose.GenerateKey()
	const at = "https://id.example/oauth/token"
	good, err := jose.NewProof(key.Signer(), "POST", at, "", "the-token", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	bad := func(why, proof, method, address, token string) {
		t.Helper()
		if _, err := jose.VerifyProof(proof, method, address, token); !errors.Is(err, jose.ErrProof) {
			t.Errorf("%s: got %v, want ErrProof", why, err)
		}
	}
	bad("another method", good, "GET", at, "the-token")
	bad("another path", good, "POST", at+"s", "the-token")
	bad("another host", good, "POST", "https://evil.example/oauth/token", "the-token")
	bad("another scheme", good, "POST", "http://id.example/oauth/token", "the-token")
	bad("another token", good, "POST", at, "a-token")
	bad("an address that is none", good, "POST", "/oauth/token", "the-token")
	bad("two proofs", good+","+good, "POST", at, "the-token")
	raw := func(typ, payload string) string {
		return sign(t, key, map[string]any{"typ": typ, "jwk": jose.JWK(key.Public())}, json.RawMessage(payload))
	}
	bad("no ath", raw("dpop+jwt", `{"jti":"a","htm":"POST","htu":"`+at+`","iat":1}`), "POST", at, "the-token")
	bad("no jti", raw("dpop+jwt", `{"htm":"POST","htu":"`+at+`","iat":1}`), "POST", at, "")
	bad("no iat", raw("dpop+jwt", `{"jti":"a","htm":"POST","htu":"`+at+`"}`), "POST", at, "")
	bad("an absurd iat", raw("dpop+jwt", `{"jti":"a","htm":"POST","htu":"`+at+`","iat":1e300}`), "POST", at, "")
	bad("credentials in htu", raw("dpop+jwt", `{"jti":"a","htm":"POST","htu":"https://u:p@id.example/oauth/token","iat":1}`), "POST", at, "")
	bad("another type", raw("JWT", `{"jti":"a","htm":"POST","htu":"`+at+`","iat":1}`), "POST", at, "")
	if _, err := jose.VerifyProof(raw("dpop+jwt", `{"jti":"a","htm":"POST","htu":"`+at+`","iat":1}`), "POST", at, ""); err != nil {
		t.Fatal(err)
	}
}

func FuzzVerifyProof(f *testing.F) {
	key := jose.GenerateKey()
	good, err := jose.NewProof(key.Signer(), "POST", "https://server.example.com/token", "n", "", time.Unix(0, 0))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(rfcProof, "https://server.example.com/token")
	f.Add(rfcResourceProof, "https://resource.example.org/protectedresource")
	f.Add(good, "HTTPS://SERVER.example.com:443/token#x")
	f.Add("..", "http://[::1]:80")
	f.Fuzz(func(t *testing.T, text, address string) {
		proof, err := jose.VerifyProof(text, "POST", address, "")
		if err != nil {
			if !errors.Is(err, jose.ErrProof) {
				t.Fatalf("another error: %v", err)
			}
			return
		}
		if proof.JTI == "" || proof.JKT != jose.Thumbprint(proof.Key) {
			t.Fatalf("accepted %+v", proof)
		}
	})
}

// Each check of RFC 9449, Section 4.3 that needs no memory, by its number: a proof
// that is right but for it is refused. (Number 1 counts headers, 10 and 11 are of
// the server's nonce.)
func TestChecksOfTheRFC(t *testing.T) {
	key, other := jose.GenerateKey(), jose.GenerateKey()
	const at, token = "https://id.example/v1/links", "the-token"
	claims := map[string]any{"jti": "one", "htm": "POST", "htu": at, "iat": 1}
	header := func() map[string]any { return map[string]any{"typ": "dpop+jwt", "jwk": jose.JWK(key.Public())} }
	with := func(name string, value any) map[string]any {
		changed := maps.Clone(claims)
		changed[name] = value
		if value == nil {
			delete(changed, name)
		}
		return changed
	}
	proof, err := jose.NewProof(key.Signer(), "POST", at, "", token, time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(token))
	claims["ath"] = base64.RawURLEncoding.EncodeToString(sum[:])
	for _, good := range []string{proof, sign(t, key, header(), claims), sign(t, key, header(), with("htu", at+"?q=1#f"))} {
		if _, err := jose.VerifyProof(good, "POST", at+"?x=y", token); err != nil {
			t.Fatal(err)
		}
	}
	raw := func(alg string, jwk any) string {
		text, err := json.Marshal(map[string]any{"typ": "dpop+jwt", "alg": alg, "jwk": jwk})
		if err != nil {
			t.Fatal(err)
		}
		body, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		return unsigned(string(text), string(body))
	}
	mac := func(alg string, jwk any, secret []byte) string {
		text := strings.TrimSuffix(raw(alg, jwk), ".")
		h := hmac.New(sha256.New, secret)
		h.Write([]byte(text))
		return text + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
	}
	private := map[string]any{}
	if err := json.Unmarshal(jose.JWK(key.Public()), &private); err != nil {
		t.Fatal(err)
	}
	private["d"] = base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	point, err := key.Public().Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		number     int
		why, proof string
	}{
		{2, "two JWTs", proof + " " + proof},
		{2, "no JWT", "a.b.c"},
		{3, "no jti", sign(t, key, header(), with("jti", nil))},
		{3, "no htm", sign(t, key, header(), with("htm", nil))},
		{3, "no htu", sign(t, key, header(), with("htu", nil))},
		{3, "no iat", sign(t, key, header(), with("iat", nil))},
		{3, "no jwk", sign(t, key, map[string]any{"typ": "dpop+jwt"}, claims)},
		{4, "another typ", sign(t, key, map[string]any{"typ": "JWT", "jwk": jose.JWK(key.Public())}, claims)},
		{4, "no typ", sign(t, key, map[string]any{"jwk": jose.JWK(key.Public())}, claims)},
		{5, "none", raw("none", jose.JWK(key.Public()))},
		{5, "a MAC with the public key", mac("HS256", jose.JWK(key.Public()), point)},
		{5, "a MAC with a key of its own", mac("HS256", map[string]any{"kty": "oct", "k": "AAECAwQFBgcICQoLDA0ODw"}, []byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"))},
		{5, "another algorithm", raw("RS256", jose.JWK(key.Public())) + "AAAA"},
		{6, "signed with another key", sign(t, other, header(), claims)},
		{6, "changed after it was signed", swapPayload(proof, `{"jti":"two"}`)},
		{7, "a private key", raw("ES256", private) + "AAAA"},
		{8, "another method", sign(t, key, header(), with("htm", "GET"))},
		{8, "the method in small letters", sign(t, key, header(), with("htm", "post"))},
		{9, "another address", sign(t, key, header(), with("htu", at+"/x"))},
		{9, "another host", sign(t, key, header(), with("htu", "https://id.example.com/v1/links"))},
		{12, "no ath", sign(t, key, header(), with("ath", nil))},
		{12, "another token's ath", sign(t, key, header(), with("ath", "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"))},
		{12, "ath with padding", sign(t, key, header(), with("ath", claims["ath"].(string)+"="))},
	} {
		if _, err := jose.VerifyProof(test.proof, "POST", at, token); !errors.Is(err, jose.ErrProof) {
			t.Errorf("number %d, %s: %v", test.number, test.why, err)
		}
	}
}
