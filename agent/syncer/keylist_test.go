package syncer_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/syncer"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/wire"
)

const day = 24 * time.Hour

// publish puts a list in place of the cloud's, signed by its root or by whom is
// said.
func (c *cloud) publish(list wire.KeyList, by ...*ecdsa.PrivateKey) []byte {
	c.t.Helper()
	root := c.root
	if len(by) > 0 {
		root = by[0]
	}
	if list.NotAfter == 0 {
		list.NotAfter = cardea.MillisOf(time.Now().Add(2 * 365 * day))
	}
	signed, err := wire.SignKeyList(list, root)
	if err != nil {
		c.t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = signed
	return signed
}

// rotate makes a new statement key and a list with it and the one before.
func (c *cloud) rotate(version uint64) {
	c.t.Helper()
	old, next := c.signer, newKey(c.t)
	c.publish(wire.KeyList{Version: version, Keys: []*ecdsa.PublicKey{&next.PublicKey, &old.PublicKey}})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.signer = next
}

func (w *world) listVersion() uint64 {
	w.t.Helper()
	list, err := wire.OpenKeyList(w.stored().KeyList, &w.cloud.root.PublicKey)
	if err != nil {
		w.t.Fatal(err)
	}
	return list.Version
}

// fresh pairs the device anew with a cloud whose first list ends after life.
func (w *world) fresh(life time.Duration) {
	w.t.Helper()
	w.cloud.publish(wire.KeyList{Version: 1, Keys: []*ecdsa.PublicKey{&w.cloud.signer.PublicKey}, NotAfter: cardea.MillisOf(time.Now().Add(life))})
	must(w.t, w.Unlink(w.peer.id))
	synctest.Wait()
	w.peer = w.join()
	sleep(time.Second)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A device comes back after a year in a new boot, and all keys were rotated
// twice. Nobody does anything to it.
func TestKeyRotationAfterAYear(t *testing.T) {
	for name, away := range map[string]time.Duration{"a year": 365 * day, "three years: its own list has ended": 3 * 365 * day} {
		run(t, name, func(t *testing.T, w *world) {
			w.fresh(2 * 365 * day)
			w.owner(cardea.ActGrant, recs)
			w.allowed(recs)
			w.stop()
			w.cut()
			time.Sleep(away / 2)
			w.cloud.rotate(2)
			time.Sleep(away / 2)
			w.cloud.rotate(7)
			w.cloud.decide(cardea.ActGrant, voice, cardea.Scope{})
			w.boot = "boot two"
			w.begun = time.Now()
			w.restart()
			w.denied(recs, cardea.ReasonClock)
			w.denied(voice, cardea.ReasonNotAsked)
			w.mend()
			sleep(20 * time.Second)
			w.allowed(voice) // a yes from three years ago has ended
			if v := w.listVersion(); v != 7 {
				t.Errorf("it holds list %d", v)
			}
			if n := w.counts().lists; n != 1 {
				t.Errorf("%d lists were fetched, want one step", n)
			}
		})
	}
}

// A rotation under way is not noticed by anybody.
func TestRotationWhileConnected(t *testing.T) {
	run(t, "twice", func(t *testing.T, w *world) {
		for version := range uint64(4) {
			w.cloud.rotate(version + 2)
			w.owner(cardea.ActGrant, recs)
			sleep(2 * time.Second)
			w.allowed(recs)
			w.owner(cardea.ActDeny, recs)
			sleep(2 * time.Second)
			w.denied(recs, cardea.ReasonWithdrawn)
			if v := w.listVersion(); v != version+2 {
				t.Errorf("it holds list %d, want %d", v, version+2)
			}
		}
		w.restart()
		if v := w.listVersion(); v != 5 {
			t.Errorf("after a restart it holds list %d", v)
		}
	})
}

// lists are offered in place of the newest, while the cloud signs with a key
// that the device does not know. It must not come to trust it.
func TestListsThatAreRefused(t *testing.T) {
	for name, offer := range map[string]func(w *world, old, unknown *ecdsa.PrivateKey){
		"signed by a leaked old key": func(w *world, old, unknown *ecdsa.PrivateKey) {
			w.cloud.publish(wire.KeyList{Version: 99, Keys: []*ecdsa.PublicKey{&unknown.PublicKey}}, old)
		},
		"signed by itself": func(w *world, _, unknown *ecdsa.PrivateKey) {
			w.cloud.publish(wire.KeyList{Version: 99, Keys: []*ecdsa.PublicKey{&unknown.PublicKey}}, unknown)
		},
		"of a lower version": func(w *world, _, unknown *ecdsa.PrivateKey) {
			w.cloud.publish(wire.KeyList{Version: 1, Keys: []*ecdsa.PublicKey{&unknown.PublicKey}})
		},
		"of the version held": func(w *world, _, unknown *ecdsa.PrivateKey) {
			w.cloud.publish(wire.KeyList{Version: 2, Keys: []*ecdsa.PublicKey{&unknown.PublicKey}})
		},
		"expired": func(w *world, _, unknown *ecdsa.PrivateKey) {
			w.cloud.publish(wire.KeyList{Version: 99, Keys: []*ecdsa.PublicKey{&unknown.PublicKey}, NotAfter: cardea.MillisOf(time.Now().Add(-time.Hour))})
		},
		"no list": func(w *world, _, unknown *ecdsa.PrivateKey) {
			w.cloud.mu.Lock()
			defer w.cloud.mu.Unlock()
			w.cloud.list = bytes.Repeat([]byte{0xd2}, wire.MaxKeyListBytes+1)
		},
	} {
		run(t, name, func(t *testing.T, w *world) {
			old := w.cloud.signer
			w.cloud.rotate(2)
			w.owner(cardea.ActGrant, recs)
			sleep(2 * time.Second)
			w.allowed(recs)
			held := w.stored().KeyList

			unknown := newKey(t)
			offer(w, old, unknown)
			before := w.counts().lists
			w.cloud.mu.Lock()
			w.cloud.signer = unknown
			w.cloud.mu.Unlock()
			w.owner(cardea.ActGrant, voice)
			sleep(10 * time.Minute)
			w.denied(voice, cardea.ReasonNotAsked)
			if !bytes.Equal(w.stored().KeyList, held) {
				t.Error("the list was replaced")
			}
			if w.Status().Refused[syncer.RefusedSignature] == 0 {
				t.Error("nothing was refused")
			}
			if n := w.counts().lists - before; n < 2 || n > 12 {
				t.Errorf("%d lists were fetched in ten minutes", n)
			}
		})
	}
}

// A key that was rotated away twice is worth nothing any more.
func TestRetiredKey(t *testing.T) {
	run(t, "a statement", func(t *testing.T, w *world) {
		leaked := w.cloud.signer
		for version := range uint64(2) {
			w.cloud.rotate(version + 2)
			w.owner(cardea.ActGrant, habits)
			sleep(2 * time.Second)
		}
		w.cloud.decide(cardea.ActGrant, voice, cardea.Scope{})
		w.cloud.mu.Lock()
		w.cloud.build(w.peer)
		sealed, _, err := wire.SealDown(w.cloud.down(w.peer, cardea.Nonce{}), leaked, w.peer.key)
		w.cloud.mu.Unlock()
		must(t, err)
		w.send(sealed)
		w.denied(voice, cardea.ReasonNotAsked)
		if w.Status().Refused[syncer.RefusedSignature] != 1+2 { // and one at each rotation
			t.Errorf("refused %v", w.Status().Refused)
		}
	})
}

// What a list signs ends with it, by the time the message itself names, so that
// no clock is needed to see it.
func TestMessageAfterTheListsEnd(t *testing.T) {
	run(t, "and a newer list", func(t *testing.T, w *world) {
		w.fresh(2 * 365 * day)
		w.owner(cardea.ActGrant, recs)
		w.stop()
		time.Sleep(2*365*day + time.Hour)
		w.boot, w.begun = "boot two", time.Now()
		w.cloud.decide(cardea.ActGrant, voice, cardea.Scope{})
		w.restart()
		sleep(time.Minute)
		w.denied(voice, cardea.ReasonNotAsked) // the cloud has only the old list
		w.cloud.publish(wire.KeyList{Version: 2, Keys: []*ecdsa.PublicKey{&w.cloud.signer.PublicKey}})
		sleep(3 * time.Minute)
		w.allowed(voice)
	})
}

// A list is replaced while it still counts.
func TestListNearItsEnd(t *testing.T) {
	run(t, "in step", func(t *testing.T, w *world) {
		w.fresh(90 * day)
		sleep(10 * day)
		w.cloud.publish(wire.KeyList{Version: 2, Keys: []*ecdsa.PublicKey{&w.cloud.signer.PublicKey}})
		sleep(10 * day)
		if n := w.counts().lists; n != 0 || w.listVersion() != 1 {
			t.Errorf("%d lists were fetched long before the end", n)
		}
		sleep(20 * day)
		if n := w.counts().lists; n != 1 || w.listVersion() != 2 {
			t.Errorf("%d lists were fetched, it holds %d", n, w.listVersion())
		}
	})
}

// A link that was ended offline is closed by a cloud with other keys.
func TestFarewellAfterRotation(t *testing.T) {
	for name, forget := range map[string]bool{"closed": false, "unknown": true} {
		run(t, name, func(t *testing.T, w *world) {
			w.cut()
			must(t, w.Unlink(w.peer.id))
			w.cloud.rotate(2)
			w.cloud.rotate(3)
			w.cloud.mu.Lock()
			w.cloud.forget = forget
			w.cloud.mu.Unlock()
			w.restart()
			w.mend()
			sleep(5 * time.Minute)
			if n := w.Status().Farewells; n != 0 {
				t.Errorf("%d last words are still said", n)
			}
		})
	}
}

// A link the cloud has forgotten is denied also when it says so with a new key.
func TestUnknownAfterRotation(t *testing.T) {
	run(t, "unknown", func(t *testing.T, w *world) {
		w.owner(cardea.ActGrant, recs)
		w.cloud.rotate(2)
		w.cloud.rotate(3)
		w.cloud.mu.Lock()
		w.cloud.forget = true
		w.cloud.mu.Unlock()
		w.restart()
		sleep(time.Minute)
		w.denied(recs, cardea.ReasonUnknown)
	})
}

// refusing makes every post fail because nobody vouches for the server.
type refusing struct{ *network }

func (r refusing) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodPost {
		return nil, &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}
	}
	return r.network.RoundTrip(req)
}

// A server that nobody vouches for any more has the list fetched, and with it
// the anchors.
// A broker that nobody vouches for is reason enough to look for new anchors.
func TestAnchorsAreLookedFor(t *testing.T) {
	run(t, "a new authority", func(t *testing.T, w *world) {
		w.stop()
		w.configure = func(c *syncer.Config) { c.Keys = &http.Client{Transport: w.network} }
		w.restart()
		w.set(func() { w.noHTTP = false })
		sleep(time.Minute)
		w.cloud.publish(wire.KeyList{Version: 2, Keys: []*ecdsa.PublicKey{&w.cloud.signer.PublicKey}, Anchors: [][]byte{certificate(t)}})
		w.Unvouched("https://other.example")
		sleep(time.Minute)
		if a := w.Anchors("https://id.example"); len(a) != 0 {
			t.Error("they are looked for because of another issuer")
		}
		for range 5 {
			w.Unvouched("https://id.example")
		}
		sleep(time.Second)
		if a := w.Anchors("https://id.example"); len(a) != 1 {
			t.Errorf("%d anchors", len(a))
		}
	})
}

func TestAnchorsComeWithTheList(t *testing.T) {
	run(t, "a new authority", func(t *testing.T, w *world) {
		if a := w.Anchors("https://id.example"); len(a) != 0 {
			t.Errorf("%d anchors at first", len(a))
		}
		der := certificate(t)
		w.cloud.publish(wire.KeyList{Version: 2, Keys: []*ecdsa.PublicKey{&w.cloud.signer.PublicKey}, Anchors: [][]byte{der, {1}, der}})
		w.stop()
		w.cut()
		w.configure = func(c *syncer.Config) {
			c.HTTP = &http.Client{Transport: refusing{w.network}}
			c.Keys = &http.Client{Transport: w.network}
		}
		w.restart()
		w.set(func() { w.noHTTP = false })
		sleep(2 * time.Minute)
		if a := w.Anchors("https://id.example"); len(a) != 2 || !bytes.Equal(a[0].Raw, der) {
			t.Errorf("%d anchors", len(a))
		}
		if a := w.Anchors("https://other.example"); len(a) != 0 {
			t.Error("they vouch for another issuer")
		}
		must(t, w.Unlink(w.peer.id))
		if a := w.Anchors("https://id.example"); len(a) != 0 {
			t.Error("they are left behind")
		}
	})
}

func certificate(t *testing.T) []byte {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	return der
}

// With a pin in the configuration the root that came at pairing must be it.
func TestRootPin(t *testing.T) {
	run(t, "another root", func(t *testing.T, w *world) {
		w.owner(cardea.ActGrant, recs)
		for pin, want := range map[string]cardea.Reason{
			jose.Thumbprint(&w.cloud.root.PublicKey): cardea.ReasonGranted,
			strings.Repeat("A", 43):                  cardea.ReasonSignature,
		} {
			w.configure = func(c *syncer.Config) { c.RootPin = pin }
			w.restart()
			sleep(time.Second)
			if a := w.gate.Decide(cardea.Query{Key: recs}); a.Reason != want {
				t.Errorf("%s, want %s", a.Reason, want)
			}
		}
	})
}

// A device without the time knows at least when it was built.
func TestListThatEndedBeforeTheProgramWasBuilt(t *testing.T) {
	run(t, "no clock", func(t *testing.T, w *world) {
		w.owner(cardea.ActGrant, recs)
		w.cloud.rotate(2)
		w.cloud.publish(wire.KeyList{Version: 3, Keys: []*ecdsa.PublicKey{&w.cloud.signer.PublicKey}, NotAfter: cardea.MillisOf(time.Now().Add(time.Hour))})
		built := time.Now().Add(2 * time.Hour)
		w.boot = "boot two"
		w.configure = func(c *syncer.Config) { c.Passed = func() time.Time { return built } }
		w.restart()
		sleep(time.Minute)
		if v := w.listVersion(); v != 1 {
			t.Errorf("it holds list %d", v)
		}
	})
}
