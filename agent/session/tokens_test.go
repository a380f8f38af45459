package session_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/agent/session"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/pairingtest"
	"github.com/cardea-id/cardea/store/devicedb"
	"github.com/cardea-id/cardea/store/devicedb/devicedbtest"
)

func (h *house) token(link cardea.LinkID, minValid time.Duration) pairing.Tokens {
	h.Helper()
	t, err := h.session.Token(h.Context(), link, pairingtest.Issuer, "", minValid)
	if err != nil {
		h.Fatal(err)
	}
	if t.RefreshToken != "" {
		h.Error("a refresh token is given out")
	}
	return t
}

func (h *house) refreshes() int {
	n := 0
	for _, r := range h.server.Requests("/token") {
		if r.Form.Get("grant_type") == pairing.GrantRefreshToken {
			n++
		}
	}
	return n
}

func TestTokenIsCachedAndRenewed(t *testing.T) {
	in(t, holding(), func(h *house) {
		link := h.pair()
		first := h.token(link, 0)
		if h.refreshes() != 0 {
			h.Error("the token of the pairing is not used")
		}
		h.sleep(5 * time.Minute)
		if again := h.token(link, time.Minute); again.AccessToken != first.AccessToken || again.ExpiresIn > 300 {
			h.Errorf("got %+v", again)
		}
		if longer := h.token(link, 6*time.Minute); longer.AccessToken == first.AccessToken || longer.ExpiresIn != 600 {
			h.Errorf("a token of less than 6 minutes: %+v", longer)
		}
		h.sleep(9*time.Minute + 50*time.Second)
		h.token(link, 0)
		h.sleep(7 * time.Second)
		if h.refreshes() != 1 {
			h.Errorf("%d refreshes", h.refreshes())
		}
	})
}

// A wish no token meets is met as well as can be, not with a fetch at each call.
func TestAWishThatIsTooLong(t *testing.T) {
	in(t, holding(), func(h *house) {
		link := h.pair()
		for range 20 {
			h.token(link, time.Hour)
		}
		if h.refreshes() > 1 {
			h.Errorf("%d refreshes", h.refreshes())
		}
	})
}

func TestManyCallersOneRefresh(t *testing.T) {
	in(t, holding(), func(h *house) {
		link := h.pair()
		h.sleep(time.Hour)
		var wg sync.WaitGroup
		var got sync.Map
		for range 50 {
			wg.Go(func() { got.Store(h.token(link, 0).AccessToken, true) })
		}
		wg.Wait()
		n := 0
		got.Range(func(any, any) bool { n++; return true })
		if n != 1 || h.refreshes() != 1 {
			h.Errorf("%d tokens from %d refreshes", n, h.refreshes())
		}
	})
}

// After Forget the next token is another one, also if one was on its way.
func TestForget(t *testing.T) {
	in(t, holding(), func(h *house) {
		link := h.pair()
		h.sleep(time.Hour)
		first := h.token(link, 0)
		h.session.Forget(link)
		second := h.token(link, 0)
		if second.AccessToken == first.AccessToken || h.token(link, 0).AccessToken != second.AccessToken {
			h.Error("the one from before, or none is kept")
		}
		h.sleep(time.Hour)
		h.server.Break(func(r *http.Request) pairingtest.Fault {
			if r.URL.Path == "/token" {
				time.Sleep(3 * time.Second)
			}
			return pairingtest.None
		})
		var under pairing.Tokens
		var wg sync.WaitGroup
		wg.Go(func() { under = h.token(link, 0) })
		h.sleep(time.Second)
		h.session.Forget(link)
		after := h.token(link, 0)
		wg.Wait()
		if after.AccessToken == under.AccessToken || h.token(link, 0).AccessToken != after.AccessToken {
			h.Error("one that was on its way is kept")
		}
	})
}

func TestOneWhoGivesUpDoesNotStopTheOthers(t *testing.T) {
	in(t, holding(), func(h *house) {
		link := h.pair()
		h.sleep(time.Hour)
		h.server.Break(func(r *http.Request) pairingtest.Fault {
			if r.URL.Path == "/token" {
				time.Sleep(3 * time.Second)
			}
			return pairingtest.None
		})
		ctx, cancel := context.WithTimeout(h.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := h.session.Token(ctx, link, "", "", 0); !errors.Is(err, context.DeadlineExceeded) {
				h.Errorf("got %v", err)
			}
		})
		h.sleep(500 * time.Millisecond)
		wg.Go(func() { h.token(link, 0) })
		wg.Wait()
		if h.refreshes() != 1 {
			h.Errorf("%d refreshes", h.refreshes())
		}
	})
}

func TestARotatedTokenIsStoredBeforeUse(t *testing.T) {
	in(t, holding(), func(h *house) {
		link := h.pair()
		for range 5 {
			h.sleep(time.Hour)
			given := h.token(link, 0)
			stored, err := h.db.Tokens(link)
			if err != nil || stored.AccessToken != given.AccessToken {
				h.Fatalf("given before it is stored: %v", err)
			}
		}
		// The disk fails between the answer and its use: nothing is given, and
		// after a restart the old token still brings a new one.
		h.sleep(time.Hour)
		h.server.Break(func(r *http.Request) pairingtest.Fault {
			if r.URL.Path == "/token" {
				h.db.Close()
			}
			return pairingtest.None
		})
		if t, err := h.session.Token(h.Context(), link, "", "", 0); err == nil {
			h.Errorf("given although it is not stored: %+v", t)
		}
		h.server.Break(nil)
		h.db = devicedbtest.OpenAt(h, h.path)
		h.restart()
		h.token(link, 0)
	})
}

func TestALostRefreshAnswer(t *testing.T) {
	in(t, holding(), func(h *house) {
		link := h.pair()
		h.sleep(time.Hour)
		h.server.Break(func(*http.Request) pairingtest.Fault { return pairingtest.AnswerLost })
		for range 3 {
			if _, err := h.session.Token(h.Context(), link, "", "", 0); !errors.Is(err, session.ErrOffline) {
				h.Errorf("got %v", err)
			}
			h.sleep(time.Minute) // so that each is asked for
		}
		h.sleep(24 * time.Hour)
		h.server.Break(nil)
		h.token(link, 0)
		h.expect(client.PairLinked)
	})
}

func TestOfflineIsNoRevocation(t *testing.T) {
	for _, fault := range []pairingtest.Fault{pairingtest.Unreachable, pairingtest.Broken, pairingtest.Portal, pairingtest.Silent} {
		in(t, holding(), func(h *house) {
			link := h.pair()
			h.sleep(time.Hour)
			h.server.Break(func(*http.Request) pairingtest.Fault { return fault })
			if _, err := h.session.Token(h.Context(), link, "", "", 0); !errors.Is(err, session.ErrOffline) {
				h.Errorf("fault %v: %v", fault, err)
			}
			h.linked()
		})
	}
}

func TestRevocationForgetsTheLink(t *testing.T) {
	in(t, holding(), func(h *house) {
		link := h.pair()
		h.server.Revoke()
		h.token(link, 0) // still in the cache, ten minutes at most
		h.sleep(time.Hour)
		if _, err := h.session.Token(h.Context(), link, "", "", 0); !pairing.HasCode(err, pairing.InvalidGrant) {
			h.Errorf("got %v", err)
		}
		if got := h.session.Show(); got.State != client.PairNone || got.Problem == "" {
			h.Errorf("shows %+v", got)
		}
		if _, err := h.db.Link(link); !errors.Is(err, devicedb.ErrNotFound) {
			h.Errorf("the link is kept: %v", err)
		}
		if _, err := h.session.Token(h.Context(), link, "", "", 0); !errors.Is(err, devicedb.ErrNotFound) {
			h.Errorf("got %v", err)
		}
		h.expectSteps(session.Shown, session.Approved, session.Stored, session.Joined, session.Revoked)
		h.pair()
	})
}

func TestRevocationIsHandedOn(t *testing.T) {
	in(t, holding(), func(h *house) {
		h.stop()
		var gone cardea.LinkID
		h.cfg.Revoked = func(l cardea.LinkID) error { gone = l; return h.db.Delete(l) }
		h.run()
		link := h.pair()
		h.server.Revoke()
		h.sleep(time.Hour)
		h.session.Token(h.Context(), link, "", "", 0)
		if gone != link {
			h.Errorf("handed on %v", gone)
		}
	})
}

func TestAudiences(t *testing.T) {
	in(t, holding(), func(h *house) {
		link := h.pair()
		music, err := h.session.Token(h.Context(), link, "https://music.example", "", 0)
		if err != nil {
			h.Fatal(err)
		}
		if own := h.token(link, 0); own.AccessToken == music.AccessToken {
			h.Error("one token for two audiences")
		}
		again, err := h.session.Token(h.Context(), link, "https://music.example", "", 0)
		if err != nil || again.AccessToken != music.AccessToken {
			h.Errorf("not cached: %v", err)
		}
		// This server knows no audiences by name and gives its own.
		if t, err := h.session.Token(h.Context(), link, "music", "", 0); !errors.Is(err, session.ErrAudience) {
			h.Errorf("given for another audience: %+v, %v", t, err)
		}
		h.sleep(time.Hour)
		h.token(link, 0)
		h.linked()
	})
}

func TestALinkOfAnotherServer(t *testing.T) {
	in(t, holding(), func(h *house) {
		link := h.pair()
		if err := h.db.Change(link, func(l *devicedb.Link) error { l.Issuer = "https://another.example"; return nil }); err != nil {
			h.Fatal(err)
		}
		h.sleep(time.Hour)
		if _, err := h.session.Token(h.Context(), link, "", "", 0); !errors.Is(err, session.ErrIssuer) || h.refreshes() != 0 {
			h.Errorf("got %v; the refresh token was sent %d times", err, h.refreshes())
		}
	})
}

func TestAServerWithoutRotation(t *testing.T) {
	in(t, &pairingtest.Server{Keep: true}, func(h *house) {
		link := h.pair()
		for range 3 {
			h.sleep(time.Hour)
			h.restart()
			h.token(link, 0)
		}
	})
}

func TestDeviceToken(t *testing.T) {
	in(t, holding(), func(h *house) {
		if _, err := h.session.DeviceToken(h.Context(), false); !pairing.HasCode(err, pairing.InvalidGrant) {
			h.Errorf("without a link: %v", err)
		}
		h.pair()
		get := func(fresh bool) pairing.Secret {
			t, err := h.session.DeviceToken(h.Context(), fresh)
			if err != nil {
				h.Fatal(err)
			}
			return t
		}
		first := get(false)
		if get(false) != first {
			h.Error("not cached")
		}
		second := get(true)
		if second == first {
			h.Error("one that was refused is given again")
		}
		h.sleep(59*time.Minute + 30*time.Second)
		if get(false) == second {
			h.Error("one that is about to end is given")
		}
		h.server.Break(func(*http.Request) pairingtest.Fault { return pairingtest.Unreachable })
		if _, err := h.session.DeviceToken(h.Context(), true); !errors.Is(err, session.ErrOffline) {
			h.Errorf("got %v", err)
		}
	})
}

func TestAfterRunHasEnded(t *testing.T) {
	in(t, holding(), func(h *house) {
		link := h.pair()
		h.sleep(time.Hour)
		h.restart()
		old := h.session
		h.restart()
		if _, err := old.Token(h.Context(), link, "", "", 0); !errors.Is(err, session.ErrClosed) {
			h.Errorf("token: %v", err)
		}
		if err := old.Cancel(); err != nil {
			h.Errorf("cancel: %v", err)
		}
	})
}

func TestNewNeedsAKey(t *testing.T) {
	db := devicedbtest.Open(t)
	for _, c := range []*pairing.Client{nil, {Issuer: pairingtest.Issuer}} {
		if _, err := session.New(session.Config{DB: db, Client: c}); !errors.Is(err, session.ErrNoKey) {
			t.Errorf("got %v", err)
		}
	}
}

// The session may be used from anywhere at any time.
func TestConcurrentUse(t *testing.T) {
	in(t, holding(), func(h *house) {
		var wg sync.WaitGroup
		var ended atomic.Bool
		for range 4 {
			wg.Go(func() {
				for !ended.Load() {
					if p, err := h.session.Start(h.Context()); err == nil {
						h.server.Decide(p.UserCode, true)
					}
					time.Sleep(time.Second)
					h.session.Cancel()
					if link, ok := h.db.Active(); ok {
						h.session.Token(h.Context(), link, "", "", 0)
					}
					h.session.Show()
				}
			})
		}
		time.Sleep(time.Minute)
		ended.Store(true)
		wg.Wait()
		synctest.Wait()
	})
}

func BenchmarkTokenCached(b *testing.B) {
	server := holding()
	c := server.Client()
	newCloud(server)
	c.Signer = jose.GenerateKey().Signer()
	joined := make(chan cardea.LinkID, 1)
	s, err := session.New(session.Config{
		DB: devicedbtest.Open(b), Client: c,
		Joined: func(l cardea.LinkID, _ []byte) { joined <- l },
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	defer func() { cancel(); <-done }()
	p, err := s.Start(ctx)
	if err != nil {
		b.Fatal(err)
	}
	server.Decide(p.UserCode, true)
	link := <-joined
	for b.Loop() {
		if _, err := s.Token(ctx, link, "", "", time.Minute); err != nil {
			b.Fatal(err)
		}
	}
}
