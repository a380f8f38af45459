package certificate_test

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cardea-id/cardea/cloud/certificate"
)

// What strangers ask for costs the authority nothing, and us none of the failures
// it allows.
func TestStrangersOrderNothing(t *testing.T) {
	var asked atomic.Int32
	directory := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		http.Error(w, "no", http.StatusInternalServerError)
	}))
	t.Cleanup(directory.Close)
	a, err := certificate.New(certificate.Settings{Directory: directory.URL, Folder: t.TempDir(), Names: []string{name}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{name, "other.example.com", ""} {
		if _, err := a.Get(&tls.ClientHelloInfo{ServerName: host}); !errors.Is(err, certificate.ErrNone) {
			t.Errorf("%q: %v", host, err)
		}
		if _, err := a.Get(&tls.ClientHelloInfo{ServerName: host, SupportedProtos: []string{certificate.ChallengeProtocol}}); err == nil {
			t.Errorf("%q: a challenge nobody set is answered", host)
		}
	}
	w := httptest.NewRecorder()
	a.Challenges(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://"+name+"/.well-known/acme-challenge/x", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("a challenge nobody set is answered: %d", w.Code)
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("the authority was asked %d times", n)
	}
}

func TestACMERefuses(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for file, says := range map[string]string{empty: "no certificate in", empty + "x": "no such file"} {
		_, err := certificate.New(certificate.Settings{CAFile: file, Folder: t.TempDir(), Names: []string{name}}, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want a word on %q", err, says)
		}
	}
}
