package jose_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/jose"
)

// The key of RFC 9449's examples and its thumbprint (Sections 4.1 and 6.1).
const (
	rfcKey = `{"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",` +
		`"y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"}`
	rfcThumbprint = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
)

func TestThumbprint(t *testing.T) {
	pub, err := jose.ParseJWK([]byte(rfcKey))
	if err != nil {
		t.Fatal(err)
	}
	if got := jose.Thumbprint(pub); got != rfcThumbprint {
		t.Fatalf("thumbprint %q, want %q", got, rfcThumbprint)
	}
	if _, err := cardea.ParseDeviceID(jose.Thumbprint(pub)); err != nil {
		t.Fatal(err)
	}
}

func TestJWKRoundTrip(t *testing.T) {
	key := jose.GenerateKey()
	text := jose.JWK(key.Public())
	pub, err := jose.ParseJWK(text)
	if err != nil || !pub.Equal(key.Public()) {
		t.Fatalf("parse %s: %v", text, err)
	}
	var members map[string]string
	if err := json.Unmarshal(text, &members); err != nil || len(members) != 4 {
		t.Fatalf("want crv, kty, x and y only: %s, %v", text, err)
	}
}

func TestParseJWKRefuses(t *testing.T) {
	bad := func(why, text string) {
		t.Helper()
		if _, err := jose.ParseJWK([]byte(text)); !errors.Is(err, jose.ErrKey) {
			t.Errorf("%s: got %v, want ErrKey", why, err)
		}
	}
	bad("nothing", "")
	bad("not JSON", "WDJB")
	bad("too long", rfcKey+strings.Repeat(" ", jose.MaxToken))
	bad("a private key", strings.Replace(rfcKey, `"kty"`, `"d":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","kty"`, 1))
	bad("not on the curve", strings.Replace(rfcKey, "l8tF", "l8tG", 1))
	bad("symmetric", `{"kty":"oct","k":"AAECAwQFBgcICQoLDA0ODw"}`)
	bad("Ed25519", `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`)
	bad("no point", `{"kty":"EC","crv":"P-256"}`)
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := other.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	x, y := point[1:49], point[49:] // RFC 5480, Section 2.2: after the 4 that says "uncompressed"
	bad("P-384", fmt.Sprintf(`{"kty":"EC","crv":"P-384","x":%q,"y":%q}`,
		base64.RawURLEncoding.EncodeToString(x), base64.RawURLEncoding.EncodeToString(y)))
}

func TestPrivateKey(t *testing.T) {
	key := jose.GenerateKey()
	again, err := jose.ParsePrivateKey(key.DER())
	if err != nil || !again.Public().Equal(key.Public()) {
		t.Fatalf("PKCS#8 round trip: %v", err)
	}
	if _, err := jose.ParsePrivateKey([]byte("x")); !errors.Is(err, jose.ErrKey) {
		t.Errorf("garbage: %v", err)
	}
	foreign, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, _ := x509.MarshalPKCS8PrivateKey(foreign)
	if _, err := jose.ParsePrivateKey(der); !errors.Is(err, jose.ErrKey) {
		t.Errorf("an RSA key: %v", err)
	}
}

func TestPrivateKeyNeverPrints(t *testing.T) {
	key := jose.GenerateKey()
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("made", "key", key)
	for _, text := range []string{fmt.Sprintf("%v", key), fmt.Sprintf("%+v", key), fmt.Sprintf("%#v", key), fmt.Sprint(key)} {
		if text != "redacted" {
			t.Errorf("printed %q", text)
		}
	}
	if !strings.Contains(log.String(), "key=redacted") {
		t.Errorf("logged %q", log.String())
	}
}

func FuzzParseJWK(f *testing.F) {
	f.Add([]byte(rfcKey))
	f.Add([]byte(`{"kty":"oct","k":"AAEC"}`))
	f.Add([]byte(`{"kty":"EC","crv":"P-256","x":"","y":""}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		pub, err := jose.ParseJWK(text)
		if err != nil {
			if !errors.Is(err, jose.ErrKey) {
				t.Fatalf("another error: %v", err)
			}
			return
		}
		again, err := jose.ParseJWK(jose.JWK(pub))
		if err != nil || !again.Equal(pub) {
			t.Fatalf("what was parsed does not round trip: %v", err)
		}
	})
}
