package e2e_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/session"
	"github.com/cardea-id/cardea/cloud/token"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
	"github.com/cardea-id/cardea/store/devicedb/devicedbtest"
)

// A lossy way to a server: what arrives is handled, and while it loses, no
// answer to a refresh comes back.
type lossy struct {
	server http.Handler
	loses  atomic.Bool
	lost   atomic.Int64
}

func (l *lossy) RoundTrip(r *http.Request) (*http.Response, error) {
	refresh := l.loses.Load() && r.URL.Path == "/oauth/token"
	w := httptest.NewRecorder()
	r.RemoteAddr = "203.0.113.7:4000"
	l.server.ServeHTTP(w, r)
	// The answer that asks for another nonce comes through; the tokens do not.
	if refresh && w.Code == http.StatusOK {
		l.lost.Add(1)
		return nil, errors.New("the answer is lost")
	}
	return w.Result(), r.Context().Err()
}

// Every answer to a refresh is lost for a day, over and over; the server has
// rotated each time. Back on the network, the device is still paired: the owner
// sees one device that works and nothing to worry about.
func TestRefreshAnswersLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const base = "https://id.example.com"
		db := accountdbtest.Open(t)
		account := accountdbtest.Account(t, db)
		keys, err := token.Open(t.Context(), base, db.Secrets())
		must(t, err)
		var mu sync.Mutex
		var noted []pairing.Note
		server, err := issuer.New(issuer.Config{
			Issuer: base, Clients: []issuer.Client{{ID: "cardea-agent", RequireDPoP: true, Scopes: []string{"profile"}}},
			Storage: db.Grants(), Tokens: keys, Secret: keys.Derive("codes"), Log: slog.New(slog.DiscardHandler),
			Events: func(e issuer.Event) {
				mu.Lock()
				defer mu.Unlock()
				noted = append(noted, e.Note)
			},
		})
		must(t, err)
		defer server.Close()
		way := &lossy{server: server}
		s, stop := newSession(t, base, way)
		defer stop()
		link := pairSession(t, s, server, account)

		way.loses.Store(true)
		for range 24 {
			time.Sleep(time.Hour)
			if _, err := s.Token(t.Context(), link, "", "", 0); !errors.Is(err, session.ErrOffline) {
				t.Fatalf("while answers are lost: %v", err)
			}
		}
		if n := way.lost.Load(); n < 24 {
			t.Fatalf("%d answers were lost: the test shows nothing", n)
		}
		time.Sleep(24 * time.Hour)
		way.loses.Store(false)
		got, err := s.Token(t.Context(), link, "", "", 0)
		if err != nil || got.AccessToken == "" {
			t.Fatalf("back on the network: %v", err)
		}
		grants, err := server.Grants(t.Context(), account.ID)
		if err != nil || len(grants) != 1 {
			t.Errorf("%d grants, %v", len(grants), err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, note := range noted {
			if note == pairing.NoteReused || note == pairing.NoteWrongKey {
				t.Errorf("the owner is told of %s", note)
			}
		}
	})
}

// newSession starts the part of an agent that has tokens.
func newSession(t *testing.T, base string, way http.RoundTripper) (*session.Session, func()) {
	t.Helper()
	epoch := time.Now()
	s, err := session.New(session.Config{
		DB: devicedbtest.OpenAt(t, filepath.Join(t.TempDir(), "device.db")),
		Client: &pairing.Client{
			Issuer: base, ClientID: "cardea-agent", HTTP: &http.Client{Transport: way}, Signer: jose.GenerateKey().Signer(),
		},
		Device: pairing.Device{Kind: "speaker"},
		Boot:   func() time.Duration { return time.Since(epoch) }, BootID: "one",
	})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	return s, func() { cancel(); <-done }
}

// pairSession links a session to an account.
func pairSession(t *testing.T, s *session.Session, server *issuer.Issuer, account accountdb.Account) cardea.LinkID {
	t.Helper()
	p, err := s.Start(t.Context())
	must(t, err)
	code, err := pairing.ParseUserCode(p.UserCode)
	must(t, err)
	_, err = server.Approve(t.Context(), account.ID, code, "Kitchen")
	must(t, err)
	for s.Show().Link.IsZero() {
		time.Sleep(time.Second)
	}
	return s.Show().Link
}
