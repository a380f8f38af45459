package pairing_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/pairingtest"
)

func withKey(c *pairing.Client) *pairing.Client {
	c.Signer = jose.GenerateKey().Signer()
	return c
}

func start(t *testing.T, c *pairing.Client) pairing.Authorization {
	t.Helper()
	a, err := c.Start(t.Context(), pairing.Device{Kind: "speaker", Model: "Kitchen", Serial: "1234"})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// after lets the owner decide.
func after(d time.Duration, s *pairingtest.Server, code string, yes bool) {
	time.AfterFunc(d, func() { s.Decide(code, yes) })
}

// Every kind of server a client may meet.
var servers = map[string]func() *pairingtest.Server{
	"plain":           func() *pairingtest.Server { return &pairingtest.Server{Plain: true} },
	"metadata":        func() *pairingtest.Server { return &pairingtest.Server{} },
	"holding":         func() *pairingtest.Server { return &pairingtest.Server{Hold: true} },
	"DPoP":            func() *pairingtest.Server { return &pairingtest.Server{DPoP: true} },
	"holding, DPoP":   func() *pairingtest.Server { return &pairingtest.Server{Hold: true, DPoP: true} },
	"no rotation":     func() *pairingtest.Server { return &pairingtest.Server{Keep: true} },
	"a long interval": func() *pairingtest.Server { return &pairingtest.Server{Interval: 40 * time.Second} },
}

func TestPairsWithEveryServer(t *testing.T) {
	for name, server := range servers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := server()
				c := withKey(s.Client())
				a := start(t, c)
				after(33*time.Second, s, a.UserCode, true)
				begun := time.Now()
				got, err := c.Wait(t.Context(), a)
				if err != nil {
					t.Fatal(err)
				}
				if bound := s.DPoP; bound != (got.TokenType == pairing.TypeDPoP) {
					t.Errorf("token type %q", got.TokenType)
				}
				took := time.Since(begun) - 33*time.Second
				if s.Hold && took != 0 {
					t.Errorf("a held poll took %v", took)
				}
				if limit := time.Duration(a.Interval) * time.Second; took > limit {
					t.Errorf("took %v after the owner's yes", took)
				}
				next, err := c.Refresh(t.Context(), got.RefreshToken)
				if err != nil {
					t.Fatal(err)
				}
				if next.AccessToken == got.AccessToken {
					t.Error("a refresh gives the same access token")
				}
			})
		})
	}
}

func TestNeverPollsTooSoon(t *testing.T) {
	for name, server := range servers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := server()
				s.Life = 2 * time.Minute
				c := s.Client()
				a := start(t, c)
				begun := time.Now()
				_, err := c.Wait(t.Context(), a)
				if !errors.Is(err, pairing.ErrExpired) && !pairing.HasCode(err, pairing.ExpiredToken) {
					t.Errorf("got %v", err)
				}
				if took := time.Since(begun); took < s.Life || took > s.Life+pairing.MaxHold {
					t.Errorf("waited %v for a code of %v", took, s.Life)
				}
				// The last one may come early: the code ends.
				polls := s.Requests("/token")
				for i := 1; i < len(polls)-1; i++ {
					if gap := polls[i].At.Sub(polls[i-1].At); gap < time.Duration(a.Interval)*time.Second {
						t.Errorf("poll %d came after %v", i, gap)
					}
				}
				if s.Hold && len(polls) > 7 {
					t.Errorf("%d polls of a server that holds them", len(polls))
				}
			})
		})
	}
}

func TestSlowDownAddsFiveSecondsForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &pairingtest.Server{}
		n := 0
		s.Handle("/token", func(w http.ResponseWriter, r *http.Request) {
			n++
			code := pairing.AuthorizationPending
			switch n {
			case 2, 4:
				code = pairing.SlowDown
			case 6:
				code = pairing.AccessDenied
			}
			reply(w, http.StatusBadRequest, `{"error":"`+code+`"}`)
		})
		c := s.Client()
		_, err := c.Wait(t.Context(), pairing.Authorization{DeviceCode: "d", ExpiresIn: 600, Interval: 5})
		if !pairing.HasCode(err, pairing.AccessDenied) {
			t.Fatal(err)
		}
		polls := s.Requests("/token")
		for i, want := range []time.Duration{5, 10, 10, 15, 15} {
			if got := polls[i+1].At.Sub(polls[i].At); got != want*time.Second {
				t.Errorf("pause %d is %v, want %v", i, got, want*time.Second)
			}
		}
	})
}

func TestADenialReachesAHeldPollAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &pairingtest.Server{Hold: true, DPoP: true}
		c := withKey(s.Client())
		a := start(t, c)
		after(47*time.Second, s, a.UserCode, false)
		begun := time.Now()
		_, err := c.Wait(t.Context(), a)
		if !pairing.HasCode(err, pairing.AccessDenied) || time.Since(begun) != 47*time.Second {
			t.Errorf("got %v after %v", err, time.Since(begun))
		}
	})
}

// Whatever goes wrong for three minutes of a code's ten, the pairing is made.
func TestSurvivesTrouble(t *testing.T) {
	for name, fault := range map[string]pairingtest.Fault{
		"unreachable": pairingtest.Unreachable, "silent": pairingtest.Silent, "503": pairingtest.Broken,
		"captive portal": pairingtest.Portal, "answers lost": pairingtest.AnswerLost,
	} {
		for _, hold := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, hold %v", name, hold), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := &pairingtest.Server{Hold: hold, DPoP: true}
					c := withKey(s.Client())
					a := start(t, c)
					begun := time.Now()
					s.Break(func(r *http.Request) pairingtest.Fault {
						if d := time.Since(begun); d > 10*time.Second && d < 190*time.Second {
							return fault
						}
						return pairingtest.None
					})
					var troubled, well int
					c.Trouble = func(err error) {
						if err != nil {
							troubled++
						} else {
							well++
						}
					}
					// The yes comes in the middle of it: an answer with tokens may be lost.
					after(100*time.Second, s, a.UserCode, true)
					if _, err := c.Wait(t.Context(), a); err != nil {
						t.Fatal(err)
					}
					if took := time.Since(begun); took > 190*time.Second+85*time.Second {
						t.Errorf("took %v", took)
					}
					if troubled == 0 || well == 0 {
						t.Errorf("told of trouble %d times, of none %d times", troubled, well)
					}
				})
			})
		}
	}
}

func TestBacksOffAfterTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &pairingtest.Server{}
		c := s.Client()
		a := start(t, c)
		s.Break(func(*http.Request) pairingtest.Fault { return pairingtest.Silent })
		begun := time.Now()
		if _, err := c.Wait(t.Context(), a); !errors.Is(err, pairing.ErrExpired) {
			t.Fatalf("got %v", err)
		}
		if took := time.Since(begun); took < 10*time.Minute || took > 11*time.Minute {
			t.Errorf("gave up after %v", took)
		}
		polls := s.Requests("/token")
		first, second := polls[1].At.Sub(polls[0].At), polls[2].At.Sub(polls[1].At)
		if first < 10*time.Second || second < first/2 || len(polls) > 20 {
			t.Errorf("%d polls, the first after %v and %v", len(polls), first, second)
		}
	})
}

func TestFinalErrorsEndAtOnce(t *testing.T) {
	for _, code := range []string{
		pairing.AccessDenied, pairing.ExpiredToken, pairing.InvalidGrant, pairing.InvalidClient,
		pairing.UnauthorizedClient, pairing.UnsupportedGrantType, pairing.InvalidRequest, "something_new",
	} {
		synctest.Test(t, func(t *testing.T) {
			s := new(pairingtest.Server)
			s.Handle("/token", func(w http.ResponseWriter, r *http.Request) {
				reply(w, http.StatusBadRequest, `{"error":"`+code+`","error_description":"because"}`)
			})
			begun := time.Now()
			_, err := s.Client().Wait(t.Context(), pairing.Authorization{DeviceCode: "d", ExpiresIn: 600, Interval: 5})
			if !pairing.HasCode(err, code) || time.Since(begun) != 0 || !strings.Contains(err.Error(), "because") {
				t.Errorf("%s: got %v after %v", code, err, time.Since(begun))
			}
		})
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &pairingtest.Server{Hold: true}
		c := s.Client()
		a := start(t, c)
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
		defer cancel()
		begun := time.Now()
		if _, err := c.Wait(ctx, a); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != 7*time.Second {
			t.Errorf("got %v after %v", err, time.Since(begun))
		}
	})
}

// A code's life goes on in suspend, where the process's own clock stands.
func TestTheBootClockEndsACode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &pairingtest.Server{Life: time.Hour}
		c := s.Client()
		var asleep atomic.Int64
		begun := time.Now()
		c.Boot = func() time.Duration { return time.Since(begun) + time.Duration(asleep.Load()) }
		a := start(t, c)
		a.ExpiresIn = 600
		time.AfterFunc(time.Minute, func() { asleep.Store(int64(9 * time.Minute)) })
		if _, err := c.Wait(t.Context(), a); !errors.Is(err, pairing.ErrExpired) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(begun); took > 70*time.Second {
			t.Errorf("waited %v", took)
		}
	})
}

// Each request after the first carries the nonce of the last answer, so that it
// is never refused for it.
func TestRemembersTheNonceOfEveryAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &pairingtest.Server{DPoP: true}
		c := withKey(s.Client())
		a := start(t, c)
		after(22*time.Second, s, a.UserCode, true)
		if _, err := c.Wait(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		if n := len(s.Requests("/device")); n != 2 {
			t.Errorf("%d requests for a code, want one to learn the nonce and one", n)
		}
		polls := s.Requests("/token")
		if len(polls) != 6 { // at 0, 5, 10, 15, 20 and 25 s
			t.Errorf("%d polls: some were refused for their nonce", len(polls))
		}
		for _, p := range polls {
			if p.Head.Get("Prefer") != "wait=20" || p.Form.Get("client_id") != "speaker" {
				t.Errorf("a poll was sent as %v", p.Head)
			}
		}
	})
}

func TestDeviceToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &pairingtest.Server{DPoP: true, Hold: true}
		c := withKey(s.Client())
		if _, err := c.DeviceToken(t.Context()); !pairing.HasCode(err, pairing.InvalidGrant) {
			t.Errorf("without a link: %v", err)
		}
		a := start(t, c)
		after(time.Second, s, a.UserCode, true)
		if _, err := c.Wait(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		before := len(s.Requests("/token"))
		got, err := c.DeviceToken(t.Context())
		if err != nil || got.TokenType != pairing.TypeDPoP || got.ExpiresIn != 3600 {
			t.Errorf("got %+v, %v", got, err)
		}
		if n := len(s.Requests("/token")) - before; n > 2 {
			t.Errorf("%d requests for one token", n)
		}
		if _, err := s.Client().DeviceToken(t.Context()); !errors.Is(err, pairing.ErrNoKey) {
			t.Errorf("without a key: %v", err)
		}
	})
}

func TestNothingPrintsASecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &pairingtest.Server{}
		c := s.Client()
		var log bytes.Buffer
		c.Log = slog.New(slog.NewJSONHandler(&log, nil))
		a := start(t, c)
		begun := time.Now()
		s.Break(func(*http.Request) pairingtest.Fault {
			return pairingtest.Fault(int(time.Since(begun)/(20*time.Second)) % 6 * min(1, int((90*time.Second)/(time.Since(begun)+1))))
		})
		after(30*time.Second, s, a.UserCode, true)
		tokens, err := c.Wait(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		c.Log.Info("all", "auth", a, "tokens", tokens, "code", a.DeviceCode, "user", pairing.UserCode(a.UserCode))
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&log, verb, tokens)
			fmt.Fprintf(&log, verb, a.DeviceCode)
		}
		for name, secret := range map[string]string{
			"device code": a.DeviceCode.Reveal(), "access token": tokens.AccessToken.Reveal(),
			"refresh token": tokens.RefreshToken.Reveal(), "user code": a.UserCode,
			"hex": fmt.Sprintf("%x", a.DeviceCode.Reveal()),
		} {
			if strings.Contains(log.String(), secret) {
				t.Errorf("the %s is in the log:\n%s", name, log.String())
			}
		}
		if !strings.Contains(log.String(), "poll failed") {
			t.Error("the trouble is not in the log")
		}
	})
}

func reply(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	io.WriteString(w, body)
}
