package session_test

import (
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
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/pairingtest"
	"github.com/cardea-id/cardea/store/devicedb"
)

func TestPairsAndJoins(t *testing.T) {
	in(t, holding(), func(h *house) {
		h.expect(client.PairNone)
		p := h.start()
		if p.State != client.PairPending || p.UserCode == "" || p.ExpiresIn != 600 ||
			p.ExpiresAt != cardea.MillisOf(time.Now().Add(10*time.Minute)) || p.VerificationURIComplete == "" {
			h.Fatalf("shows %+v", p)
		}
		h.sleep(100 * time.Second)
		if left := h.session.Show().ExpiresIn; left != 500 {
			h.Errorf("%d s are left", left)
		}
		h.server.Decide(p.UserCode, true)
		synctest.Wait() // no time passes: the poll was held
		link := h.linked()
		h.expectSteps(session.Shown, session.Approved, session.Stored, session.Joined)
		l, err := h.db.Link(link)
		if err != nil || l.ID != h.cloud.link || l.Issuer != pairingtest.Issuer || l.UpURL == "" ||
			l.BrokerURL != "tls://mqtt.example:8883" || l.Name != "Kitchen" || l.Key != [32]byte{1, 2, 3} || len(l.KeyList) == 0 || l.Bar != "" {
			h.Errorf("the link is %+v, %v", l, err)
		}
		if len(h.downs) != 1 || string(h.downs[0]) != "sealed" {
			h.Errorf("handed on %q", h.downs)
		}
		h.restart()
		if h.linked() != link {
			h.Error("a restart forgets the link")
		}
	})
}

func TestAServerWithoutSyncGivesTokensOnly(t *testing.T) {
	for _, code := range []int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented} {
		in(t, &pairingtest.Server{Plain: true}, func(h *house) {
			h.cloud.failing(status(code))
			link := h.pair()
			l, err := h.db.Link(link)
			if err != nil || l.Bar != cardea.ReasonUnknown || l.UpURL != "" || l.ID.IsZero() {
				h.Errorf("the link is %+v, %v", l, err)
			}
			if t, err := h.session.Token(h.Context(), link, "", "", 0); err != nil || t.TokenType != pairing.TypeBearer {
				h.Errorf("token %+v, %v", t, err)
			}
		})
	}
}

func TestDeclined(t *testing.T) {
	in(t, holding(), func(h *house) {
		p := h.start()
		h.sleep(time.Minute)
		h.server.Decide(p.UserCode, false)
		synctest.Wait()
		h.expect(client.PairDenied)
		h.expectSteps(session.Shown, session.Denied)
		if _, waits, _ := h.db.Pairing(); waits {
			h.Error("the code is kept")
		}
		h.pair() // and the next one is free to say yes
	})
}

func TestTheCodeExpires(t *testing.T) {
	in(t, holding(), func(h *house) {
		h.stop()
		h.cfg.Patience = -1
		h.run()
		h.start()
		h.sleep(9*time.Minute + 59*time.Second)
		h.expect(client.PairPending)
		h.sleep(time.Minute)
		h.expect(client.PairExpired)
		h.expectSteps(session.Shown, session.Expired)
		h.restart()
		h.expect(client.PairNone)
	})
}

func TestANewCodeIsShownBeforeTheOldOneEnds(t *testing.T) {
	in(t, holding(), func(h *house) {
		first := h.start()
		h.sleep(8*time.Minute + 59*time.Second)
		if got := h.session.Show(); got.UserCode != first.UserCode {
			h.Fatal("the new code is early")
		}
		h.sleep(2 * time.Second)
		second := h.session.Show()
		if second.UserCode == first.UserCode || second.State != client.PairPending || second.ExpiresIn < 590 {
			h.Fatalf("shows %+v", second)
		}
		// The owner has the old one on the phone.
		h.server.Decide(first.UserCode, true)
		synctest.Wait()
		h.linked()
		h.expectSteps(session.Shown, session.Shown, session.Approved, session.Stored, session.Joined)
	})
}

func TestNewCodesEndWithPatience(t *testing.T) {
	in(t, holding(), func(h *house) {
		h.start()
		begun := time.Now()
		seen := map[string]bool{}
		for h.session.Show().State == client.PairPending {
			p := h.session.Show()
			seen[p.UserCode] = true
			if p.ExpiresIn < 1 {
				h.Errorf("a dead code is on the screen")
			}
			h.sleep(5 * time.Second)
		}
		h.expect(client.PairExpired)
		if d := time.Since(begun); d < time.Hour || d > 70*time.Minute || len(seen) != 7 {
			h.Errorf("%d codes in %v", len(seen), d)
		}
	})
}

func TestStartTwiceShowsOneCode(t *testing.T) {
	in(t, holding(), func(h *house) {
		var wg sync.WaitGroup
		codes := make([]string, 8)
		for i := range codes {
			wg.Go(func() {
				p, err := h.session.Start(h.Context())
				if err == nil {
					codes[i] = p.UserCode
				}
			})
		}
		wg.Wait()
		for _, c := range codes {
			if c == "" || c != codes[0] {
				h.Fatalf("got %q", codes)
			}
		}
	})
}

func TestStartWithoutAServer(t *testing.T) {
	in(t, holding(), func(h *house) {
		h.server.Break(func(*http.Request) pairingtest.Fault { return pairingtest.Unreachable })
		if _, err := h.session.Start(h.Context()); !errors.Is(err, session.ErrOffline) {
			h.Errorf("got %v", err)
		}
		h.expect(client.PairNone)
		h.server.Break(nil)
		h.pair()
	})
}

func TestCancel(t *testing.T) {
	in(t, holding(), func(h *house) {
		if err := h.session.Cancel(); err != nil {
			h.Error(err)
		}
		p := h.start()
		if err := h.session.Cancel(); err != nil {
			h.Error(err)
		}
		h.expect(client.PairNone)
		h.expectSteps(session.Shown, session.Cancelled)
		h.server.Decide(p.UserCode, true)
		h.sleep(time.Hour)
		h.expect(client.PairNone)
		h.restart()
		h.expect(client.PairNone)
		h.pair()
		h.start()
		if err := h.session.Cancel(); err != nil {
			h.Error(err)
		}
		h.linked() // a second pairing that was cancelled leaves the first link
	})
}

func TestCancelWhileTheLinkIsMade(t *testing.T) {
	in(t, holding(), func(h *house) {
		h.cloud.failing(status(http.StatusBadGateway))
		p := h.start()
		h.server.Decide(p.UserCode, true)
		h.sleep(time.Minute)
		h.expect(client.PairApproved)
		if err := h.session.Cancel(); err != nil {
			h.Error(err)
		}
		h.expect(client.PairNone)
		h.cloud.failing(nil)
		h.restart()
		h.sleep(time.Minute)
		h.expect(client.PairNone)
	})
}

func TestShowsWhatItWaitsOut(t *testing.T) {
	in(t, &pairingtest.Server{}, func(h *house) {
		p := h.start()
		generation := h.session.Generation()
		changed := h.session.Changed(generation)
		h.server.Break(func(*http.Request) pairingtest.Fault { return pairingtest.Unreachable })
		<-changed
		if got := h.session.Show(); got.Problem == "" || got.UserCode != p.UserCode {
			h.Errorf("shows %+v", got)
		}
		<-h.session.Changed(generation) // has long moved on
		h.server.Break(func(*http.Request) pairingtest.Fault { return pairingtest.Broken })
		h.sleep(time.Minute)
		if got := h.session.Show(); got.Problem == "" {
			h.Errorf("shows %+v", got)
		}
		h.server.Break(nil)
		h.sleep(time.Minute)
		if got := h.session.Show(); got.Problem != "" {
			h.Errorf("still shows %q", got.Problem)
		}
	})
}

// The device is restarted at every second of a pairing.
func TestRestartInMidPairing(t *testing.T) {
	for _, server := range []func() *pairingtest.Server{holding, func() *pairingtest.Server { return &pairingtest.Server{} }} {
		in(t, server(), func(h *house) {
			p := h.start()
			for range 30 {
				h.sleep(time.Second)
				h.restart()
				got := h.session.Show()
				if got.State != client.PairPending || got.UserCode != p.UserCode {
					h.Fatalf("shows %+v", got)
				}
			}
			if left := h.session.Show().ExpiresIn; left != 570 {
				h.Errorf("%d s are left", left)
			}
			h.server.Decide(p.UserCode, true)
			h.sleep(2 * time.Minute)
			h.linked()
		})
	}
}

// After a reboot the boot clock begins anew, and the wall clock may be anywhere.
func TestResumesAfterAReboot(t *testing.T) {
	for name, c := range map[string]struct {
		wall time.Duration // how far the device's clock was off when the code was given
		left int64
	}{
		"the clock was right":  {0, 570},
		"it was ahead":         {10 * 365 * 24 * time.Hour, 600},
		"it said 1970":         {-30 * 365 * 24 * time.Hour, 600},
		"it was a little late": {-time.Minute, 510},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, holding(), func(h *house) {
				p := h.start()
				h.stop()
				h.boot = "boot 2"
				h.edit(func(p *devicedb.Pairing) { p.Started = p.Started.Add(c.wall) })
				h.sleep(30 * time.Second)
				h.run()
				if got := h.session.Show(); got.UserCode != p.UserCode || got.ExpiresIn != c.left {
					h.Errorf("shows %+v, want %d s", got, c.left)
				}
				h.server.Decide(p.UserCode, true)
				h.sleep(2 * time.Second)
				h.linked()
			})
		})
	}
}

// A device that was off for a week does not begin to show codes by itself.
func TestACodeThatDiedMeanwhile(t *testing.T) {
	in(t, holding(), func(h *house) {
		h.start()
		h.stop()
		h.boot = "boot 2"
		h.sleep(7 * 24 * time.Hour)
		h.run()
		h.sleep(5 * time.Second)
		h.expect(client.PairExpired)
		if n := len(h.server.Requests("/device")); n != 2 { // the nonce, the code
			h.Errorf("%d requests for a code", n)
		}
	})
	in(t, holding(), func(h *house) {
		h.start()
		h.stop()
		h.sleep(7 * 24 * time.Hour)
		h.run() // the same boot: nobody need be asked
		h.expect(client.PairExpired)
	})
}

func TestAPairingOfAnotherServerIsForgotten(t *testing.T) {
	in(t, holding(), func(h *house) {
		h.start()
		h.stop()
		h.edit(func(p *devicedb.Pairing) { p.Issuer = "https://another.example" })
		polls := len(h.server.Requests("/token"))
		h.run()
		h.sleep(time.Minute)
		h.expect(client.PairNone)
		if len(h.server.Requests("/token")) != polls {
			h.Error("the other server's code is sent to this one")
		}
	})
}

// edit changes the pairing that waits, while the device is off.
func (h *house) edit(f func(*devicedb.Pairing)) {
	h.Helper()
	db, err := devicedb.Open(h.path, [32]byte{1, 2, 3})
	if err != nil {
		h.Fatal(err)
	}
	defer db.Close()
	p, ok, err := db.Pairing()
	if !ok || err != nil {
		h.Fatal("no pairing waits", err)
	}
	f(&p)
	if err := db.PutPairing(p); err != nil {
		h.Fatal(err)
	}
}

// The server gave tokens and the answer was lost: the same code brings them.
func TestALostTokenAnswerIsAskedForAgain(t *testing.T) {
	for _, restart := range []bool{false, true} {
		in(t, holding(), func(h *house) {
			p := h.start()
			h.sleep(time.Second)
			var lost atomic.Int32
			h.server.Break(func(r *http.Request) pairingtest.Fault {
				if r.URL.Path == "/token" && lost.Load() < 3 {
					lost.Add(1)
					return pairingtest.AnswerLost
				}
				return pairingtest.None
			})
			h.sleep(25 * time.Second) // the held poll ends, the next ones are lost
			h.server.Decide(p.UserCode, true)
			if restart {
				h.sleep(5 * time.Second)
				h.restart()
			}
			h.sleep(5 * time.Minute)
			if lost.Load() != 3 {
				h.Fatalf("%d answers were lost", lost.Load())
			}
			h.linked()
			codes := map[string]bool{}
			for _, r := range h.server.Requests("/token") {
				codes[r.Form.Get("device_code")] = true
			}
			if len(codes) != 1 {
				h.Errorf("%d device codes were sent", len(codes))
			}
		})
	}
}

func TestRefusedByTheServer(t *testing.T) {
	in(t, holding(), func(h *house) {
		h.server.Handle("/token", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			w.Write([]byte(`{"error":"unauthorized_client"}`))
		})
		h.start()
		synctest.Wait()
		if got := h.session.Show(); got.State != client.PairNone || got.Problem == "" {
			h.Errorf("shows %+v", got)
		}
		h.expectSteps(session.Shown, session.Failed)
	})
}
