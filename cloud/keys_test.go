package cloud_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/cloud"
)

// anchorFile is a certificate as PEM, in a file.
func anchorFile(t *testing.T) (path string, der []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	if der, err = x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "anchor.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, der
}

func keyList(t *testing.T, c cloud.Config) string {
	t.Helper()
	res, err := http.Get(c.Issuer + "/v1/keys")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	list, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "application/cose" {
		t.Fatalf("%d %v %v", res.StatusCode, res.Header, err)
	}
	return string(list)
}

func TestKeyList(t *testing.T) {
	c := config(t)
	path, der := anchorFile(t)
	c.Anchors = []string{path}
	stop := start(t, c)
	first := keyList(t, c)
	if !strings.Contains(first, string(der)) {
		t.Error("the anchor is not in the list")
	}
	stop()
	stop = start(t, c)
	if keyList(t, c) != first {
		t.Error("another list after a restart")
	}

	// The running cloud is asked, and has done it when the command ends.
	if err := cloud.Rotate(t.Context(), c, "statement", quiet()); err != nil {
		t.Fatal(err)
	}
	second := keyList(t, c)
	if second == first || !strings.Contains(second, string(der)) {
		t.Error("no new list, or one without the anchor")
	}
	if err := cloud.Rotate(t.Context(), c, "token", quiet()); err != nil || jwks(t, c) != 2 || keyList(t, c) != second {
		t.Errorf("%v, %d token keys", err, jwks(t, c))
	}
	stop()
	if err := cloud.Rotate(t.Context(), c, "statement", quiet()); err != nil {
		t.Fatal(err)
	}
	start(t, c)
	if keyList(t, c) == second {
		t.Error("a rotation of a cloud that does not run is lost")
	}
}

// jwks is how many token keys are published.
func jwks(t *testing.T, c cloud.Config) int {
	t.Helper()
	res, err := http.Get(c.Issuer + "/oauth/jwks")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var set struct{ Keys []json.RawMessage }
	if err := json.NewDecoder(res.Body).Decode(&set); err != nil {
		t.Fatal(err)
	}
	return len(set.Keys)
}

func TestRotateRefuses(t *testing.T) {
	c := config(t)
	for which, want := range map[string]string{"root": "there is no key", "statement": "no cloud has run here yet"} {
		if err := cloud.Rotate(t.Context(), c, which, quiet()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want a word on %q", which, err, want)
		}
	}
	c.DataDir = ""
	if err := cloud.Rotate(t.Context(), c, "token", quiet()); err == nil || !strings.Contains(err.Error(), "data_dir") {
		t.Error(err)
	}
}

func TestBadAnchors(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string][]byte{
		"empty": nil, "other": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("no DER")}),
		"broken": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("no DER")}),
	} {
		c := config(t)
		c.Anchors = []string{filepath.Join(dir, name)}
		if err := os.WriteFile(c.Anchors[0], text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := cloud.Run(t.Context(), c, quiet()); err == nil || !strings.Contains(err.Error(), "anchors") {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := config(t)
	c.Anchors = []string{filepath.Join(dir, "none")}
	if err := cloud.Run(t.Context(), c, quiet()); err == nil || !strings.Contains(err.Error(), "anchors") {
		t.Error(err)
	}
}
