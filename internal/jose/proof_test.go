package jose_test

import (
	"encoding/json"
	"errors"
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
