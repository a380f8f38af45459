package issuer_test

import (
	"context"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
)

// background polls in a goroutine; done is the answer and how long it took.
func (d *device) background(ctx context.Context, code pairing.Secret) (done chan answer, took *time.Duration) {
	done, took = make(chan answer, 1), new(time.Duration)
	one := *d
	go func() {
		begun := time.Now()
		a, _ := one.try(ctx, issuer.PathToken, pollForm(code))
		*took = time.Since(begun)
		done <- a
	}()
	return done, took
}

func TestAnswersReachAHeldPollAtOnce(t *testing.T) {
	answers := map[string]struct {
		act  func(*world, pairing.Authorization) error
		code string
	}{
		"approve": {func(w *world, a pairing.Authorization) error {
			_, err := w.Approve(w.t.Context(), w.owner.ID, pairing.UserCode(a.UserCode), "Kitchen")
			return err
		}, ""},
		"deny": {func(w *world, a pairing.Authorization) error {
			return w.Deny(w.t.Context(), w.owner.ID, pairing.UserCode(a.UserCode))
		}, pairing.AccessDenied},
		"close": {func(w *world, a pairing.Authorization) error { w.Close(); return nil }, pairing.AuthorizationPending},
	}
	for name, test := range answers {
		for _, keyed := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				d := w.bearer()
				if keyed {
					d = w.keyed()
				}
				a := d.start()
				d.prefer = "wait=20"
				done, took := d.background(t.Context(), a.DeviceCode)
				time.Sleep(13 * time.Second)
				synctest.Wait()
				if err := test.act(w, a); err != nil {
					t.Fatal(name, err)
				}
				want(t, <-done, test.code)
				if *took != 13*time.Second {
					t.Errorf("%s: answered after %v", name, *took)
				}
			})
		}
	}
}

func TestExpiryReachesAHeldPollAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := w.bearer()
		a := d.start()
		time.Sleep(10*time.Minute - 2*time.Second)
		done, took := d.background(t.Context(), a.DeviceCode)
		want(t, <-done, pairing.ExpiredToken)
		if *took != 2*time.Second {
			t.Errorf("answered after %v", *took)
		}
	})
}

func TestHowLongAPollIsHeld(t *testing.T) {
	for prefer, hold := range map[string]time.Duration{
		"":                            4 * time.Second,
		"wait=20":                     20 * time.Second,
		"wait=7":                      7 * time.Second,
		"respond-async, wait=\"9\";x": 9 * time.Second,
		"Wait = 9":                    9 * time.Second,
		"wait=600":                    20 * time.Second,
		"wait=0":                      0,
		"wait=-1":                     4 * time.Second,
		"wait=99999999999999999999":   4 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			d := w.bearer()
			d.prefer = prefer
			a := d.start()
			done, took := d.background(t.Context(), a.DeviceCode)
			want(t, <-done, pairing.AuthorizationPending)
			if *took != hold {
				t.Errorf("%q: held %v, want %v", prefer, *took, hold)
			}
		})
	}
}

func TestANewerPollReleasesTheOlder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := w.bearer()
		d.prefer = "wait=20"
		a := d.start()
		older, took := d.background(t.Context(), a.DeviceCode)
		time.Sleep(time.Second)
		newer, _ := d.background(t.Context(), a.DeviceCode)
		want(t, <-older, pairing.AuthorizationPending)
		if *took != time.Second {
			t.Errorf("released after %v", *took)
		}
		time.Sleep(time.Second)
		w.approve(a)
		want(t, <-newer, "")
	})
}

func TestHoldsOfANetworkAreBounded(t *testing.T) {
	for name, addr := range map[string]func(i int) string{
		"IPv4":         func(int) string { return "198.51.100.9:1000" },
		"one IPv6 /64": func(i int) string { return "[2001:db8:1:2::" + string(rune('a'+i%6)) + "]:1000" },
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			var held []chan answer
			for i := range 16 {
				d := w.bearer()
				d.addr = addr(i)
				done, _ := d.background(t.Context(), d.start().DeviceCode)
				held = append(held, done)
			}
			synctest.Wait()
			over := w.bearer()
			over.addr = addr(17)
			done, took := over.background(t.Context(), over.start().DeviceCode)
			want(t, <-done, pairing.AuthorizationPending)
			if *took != 0 {
				t.Errorf("%s: the seventeenth was held for %v", name, *took)
			}
			elsewhere := w.bearer()
			elsewhere.addr = "192.0.2.1:1000"
			done, took = elsewhere.background(t.Context(), elsewhere.start().DeviceCode)
			<-done
			if *took != 4*time.Second {
				t.Errorf("%s: another network was held for %v", name, *took)
			}
			for _, done := range held {
				want(t, <-done, pairing.AuthorizationPending)
			}
			// All have left: there is room again.
			done, took = over.background(t.Context(), over.start().DeviceCode)
			<-done
			if *took != 4*time.Second {
				t.Errorf("%s: held for %v after the others left", name, *took)
			}
		})
	}
}

func TestPendingPollsWriteNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := w.keyed()
		a := d.start()
		before := w.written()
		for range 5 {
			want(t, d.poll(a.DeviceCode), pairing.AuthorizationPending)
			time.Sleep(5 * time.Second)
		}
		if n := w.written() - before; n != 0 {
			t.Errorf("%d writes", n)
		}
	})
}

// A client that has gone gets no tokens, and they are there when it comes back.
func TestNobodyIsGivenTokensWhoHasGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := w.keyed()
		d.prefer = "wait=20"
		a := d.start()
		ctx, cancel := context.WithCancel(t.Context())
		done, _ := d.background(ctx, a.DeviceCode)
		time.Sleep(5 * time.Second)
		cancel()
		if got := <-done; got.status == 200 {
			t.Fatal("tokens for nobody")
		}
		id := w.approve(a)
		if g := w.grant(id); g.State != pairing.GrantApproved {
			t.Fatalf("it is %s", g.State)
		}
		d.poll(a.DeviceCode).tokens(t)
	})
}

func TestSlowDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := w.bearer()
		d.prefer = "wait=0"
		a := d.start()
		poll := func(after time.Duration, code string) {
			t.Helper()
			time.Sleep(after)
			want(t, d.poll(a.DeviceCode), code)
		}
		poll(0, pairing.AuthorizationPending)
		poll(5*time.Second, pairing.AuthorizationPending)
		poll(4*time.Second, pairing.AuthorizationPending) // the slack
		poll(3900*time.Millisecond, pairing.SlowDown)
		poll(8900*time.Millisecond, pairing.SlowDown) // ten seconds now
		poll(9*time.Second, pairing.AuthorizationPending)
		poll(10*time.Second, pairing.AuthorizationPending) // and never more than ten
		poll(time.Second, pairing.SlowDown)
		w.approve(a)
		d.poll(a.DeviceCode).tokens(t) // a decision is not withheld
	})
}

func TestDecisionsAreNeverWithheld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := w.bearer()
		d.prefer = "wait=0"
		a := d.start()
		d.poll(a.DeviceCode)
		want(t, d.poll(a.DeviceCode), pairing.SlowDown)
		if err := w.Deny(t.Context(), w.owner.ID, pairing.UserCode(a.UserCode)); err != nil {
			t.Fatal(err)
		}
		want(t, d.poll(a.DeviceCode), pairing.AccessDenied)
	})
}

// A device whose connection died while it was held, and which comes back, is
// neither told to slow down nor stranded when its dead connection won.
func TestADeadHoldStrandsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := w.keyed()
		d.prefer = "wait=20"
		a := d.start()
		dead, _ := d.background(t.Context(), a.DeviceCode)
		time.Sleep(8 * time.Second)
		id := w.approve(a)
		(<-dead).tokens(t) // into a dead socket
		time.Sleep(time.Millisecond)
		got := d.poll(a.DeviceCode).tokens(t)
		if w.grant(id).Set != 2 || w.heard(pairing.NoteRepeated) != 1 {
			t.Error("it was not given again")
		}
		d.refresh(got.RefreshToken).tokens(t)
	})
}

func TestCloseEndsAllHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var all []chan answer
		for range 10 {
			d := w.bearer()
			done, _ := d.background(t.Context(), d.start().DeviceCode)
			all = append(all, done)
		}
		synctest.Wait()
		begun := time.Now()
		w.Close()
		for _, done := range all {
			want(t, <-done, pairing.AuthorizationPending)
		}
		d := w.bearer()
		want(t, d.poll(d.start().DeviceCode), pairing.AuthorizationPending)
		if time.Since(begun) != 0 {
			t.Error("somebody was held after Close")
		}
	})
}

func TestPollsThatMakeNoSense(t *testing.T) {
	w := newWorld(t)
	d := w.bearer()
	want(t, d.poll("no-such-code"), pairing.InvalidGrant)
	want(t, d.post(issuer.PathToken, url.Values{"grant_type": {pairing.GrantDeviceCode}}), pairing.InvalidRequest)
	other := w.keyed()
	a := other.start()
	want(t, d.poll(a.DeviceCode), pairing.InvalidGrant) // another client's
}

// An answer that was given at another process reaches a held poll by its word, or
// when the poll looks.
func TestAnswersAtAnotherProcess(t *testing.T) {
	for told, after := range map[bool]time.Duration{true: 5 * time.Second, false: 6 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			var w *world
			var other *issuer.Issuer
			w = newWorld(t, func(c *issuer.Config) {
				c.Look = 2 * time.Second
				there := *c
				there.Decided = func(code cardea.Hash) {
					if told {
						w.Wake(code)
					}
				}
				var err error
				if other, err = issuer.New(there); err != nil {
					t.Fatal(err)
				}
			})
			d := w.bearer()
			a := d.start()
			d.prefer = "wait=20"
			done, took := d.background(t.Context(), a.DeviceCode)
			time.Sleep(5 * time.Second)
			synctest.Wait()
			if _, err := other.Approve(t.Context(), w.owner.ID, pairing.UserCode(a.UserCode), "Kitchen"); err != nil {
				t.Fatal(err)
			}
			want(t, <-done, "")
			if *took != after {
				t.Errorf("told %v: answered after %v, want %v", told, *took, after)
			}
		})
	}
}
