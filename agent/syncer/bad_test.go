package syncer_test

import (
	"crypto/rand"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/syncer"
	"github.com/cardea-id/cardea/internal/wire"
)

// a snapshot is everything a message could change.
type snapshot struct {
	link       string
	clock      cardea.Millis
	generation uint64
	left       time.Duration
	reports    int
}

func (w *world) snapshot() snapshot {
	w.t.Helper()
	text, err := json.Marshal(w.stored())
	if err != nil {
		w.t.Fatal(err)
	}
	return snapshot{
		string(text), w.gate.Clock().Time, w.gate.Generation(),
		w.gate.Decide(cardea.Query{Key: voice}).Left, len(w.cloud.reported()),
	}
}

// A bad message changes nothing, is counted by its reason, and is not answered.
func TestBadMessages(t *testing.T) {
	bad := func(name string, want syncer.Refusal, make func(w *world) []byte) {
		run(t, name, func(t *testing.T, w *world) {
			w.owner(cardea.ActGrant, voice)
			sleep(time.Second)
			payload := make(w)
			before := w.snapshot()
			w.send(payload)
			if after := w.snapshot(); after != before {
				t.Errorf("the message changed\n%+v\nto\n%+v", before, after)
			}
			if refused := w.Status().Refused; refused[want] != 1 || len(refused) != 1 {
				t.Errorf("refused %v, want one %s", refused, want)
			}
			w.allowed(voice)
		})
	}
	// sealed is the cloud's present word, changed.
	sealed := func(change func(w *world, d *cardea.Down)) func(w *world) []byte {
		return func(w *world) []byte {
			w.cloud.mu.Lock()
			defer w.cloud.mu.Unlock()
			d := w.cloud.down(w.peer, cardea.Nonce{})
			change(w, &d)
			return w.cloud.seal(w.peer, d)
		}
	}
	// bodied gives the message another body.
	bodied := func(d *cardea.Down, body cardea.Body) {
		encoded, err := wire.EncodeBody(body)
		if err != nil {
			t.Error(err)
		}
		d.Body, d.BodyHash = encoded, wire.BodyHash(encoded)
	}
	newer := func(w *world, d *cardea.Down) { d.Revision++; bodied(d, cardea.Body{}) }

	bad("nothing", syncer.RefusedMalformed, func(*world) []byte { return []byte{} })
	bad("noise", syncer.RefusedMalformed, func(*world) []byte {
		b := make([]byte, 300)
		rand.Read(b)
		b[0] = 0
		return b
	})
	bad("over the limit", syncer.RefusedTooBig, func(*world) []byte { return make([]byte, cardea.MaxMessageBytes+1) })
	bad("asks to recover, and answers nothing", syncer.RefusedUnsolicited, sealed(func(_ *world, d *cardea.Down) {
		d.Body, d.Recover, d.Nonce = nil, true, cardea.Nonce{1}
	}))
	bad("cut short", syncer.RefusedMalformed, func(w *world) []byte { b := w.cloud.push(w.peer); return b[:len(b)-1] })
	bad("one bit off", syncer.RefusedSignature, func(w *world) []byte {
		b := sealed(newer)(w)
		b[len(b)-30] ^= 1
		return b
	})
	bad("signed by another key", syncer.RefusedSignature, func(w *world) []byte {
		signer := w.cloud.signer
		w.cloud.signer = newKey(t)
		b := sealed(newer)(w)
		w.cloud.signer = signer
		return b
	})
	bad("signed by the root, which signs key lists only", syncer.RefusedSignature, func(w *world) []byte {
		signer := w.cloud.signer
		w.cloud.signer = w.cloud.root
		b := sealed(newer)(w)
		w.cloud.signer = signer
		return b
	})
	bad("sealed under another key", syncer.RefusedSignature, func(w *world) []byte {
		p := *w.peer
		p.key = wire.NewLinkKey()
		d := w.cloud.down(&p, cardea.Nonce{})
		newer(w, &d)
		return w.cloud.seal(&p, d)
	})
	bad("for another device", syncer.RefusedSignature, func(w *world) []byte {
		p := *w.peer
		p.device = w.cloud.join(&newKey(t).PublicKey).device
		d := w.cloud.down(&p, cardea.Nonce{})
		newer(w, &d)
		return w.cloud.seal(&p, d)
	})
	bad("for another link", syncer.RefusedForeign, func(w *world) []byte {
		other := w.cloud.join(&w.key.PublicKey)
		return w.cloud.push(other)
	})
	bad("the same statement again", syncer.RefusedReplayed, func(w *world) []byte { return w.cloud.push(w.peer) })
	bad("an answer to an earlier report", syncer.RefusedUnsolicited, func(w *world) []byte {
		w.cloud.mu.Lock()
		defer w.cloud.mu.Unlock()
		return w.cloud.seal(w.peer, w.cloud.answers[len(w.cloud.answers)-1])
	})
	bad("an earlier statement", syncer.RefusedOld, sealed(func(w *world, d *cardea.Down) {
		d.Revision--
		bodied(d, cardea.Body{})
	}))
	bad("the same revision with another body", syncer.RefusedOther, sealed(func(w *world, d *cardea.Down) {
		bodied(d, cardea.Body{})
	}))
	bad("a renewal nobody asked for", syncer.RefusedUnsolicited, sealed(func(w *world, d *cardea.Down) {
		d.Body, d.Time, d.Lease = nil, d.Time.Add(time.Hour), d.Lease.Add(time.Hour)
	}))
	bad("a renewal of a later revision", syncer.RefusedRenewal, sealed(func(w *world, d *cardea.Down) {
		d.Body = nil
		d.Revision++
	}))
	bad("a renewal of another body", syncer.RefusedRenewal, sealed(func(w *world, d *cardea.Down) {
		d.Body, d.BodyHash = nil, cardea.Hash{1}
	}))
	bad("closed, unasked", syncer.RefusedClosed, sealed(func(w *world, d *cardea.Down) {
		d.Body, d.Closed = nil, true
	}))
}

// Each of these echoes the nonce of the last report and is wrong all the same:
// the report stays unanswered.
func TestBadAnswers(t *testing.T) {
	bad := func(name string, want syncer.Refusal, change func(d *cardea.Down)) {
		run(t, name, func(t *testing.T, w *world) {
			w.owner(cardea.ActGrant, voice)
			w.set(func() { w.swallow, w.noHTTP = true, true })
			before := w.stored()
			sent := w.counts().ups
			for w.counts().ups == sent {
				sleep(time.Second)
			}
			w.set(func() { w.swallow = false })
			clock := w.gate.Clock()
			at := time.Now()
			w.cloud.mu.Lock()
			d := w.cloud.down(w.peer, w.lastNonce())
			d.Time = d.Time.Add(time.Hour)
			change(&d)
			payload := w.cloud.seal(w.peer, d)
			w.cloud.mu.Unlock()
			w.send(payload)
			if after := w.stored(); after.Revision != before.Revision || after.BodyHash != before.BodyHash {
				t.Error("the answer was applied")
			}
			if got := w.gate.Clock().Time.Sub(clock.Time); got != time.Since(at).Truncate(time.Millisecond) {
				t.Errorf("the clock moved by %v", got)
			}
			if n := w.Status().Refused[want]; n != 1 {
				t.Errorf("refused %v, want one %s", w.Status().Refused, want)
			}
		})
	}
	bad("a renewal of another revision", syncer.RefusedRenewal, func(d *cardea.Down) { d.Body = nil; d.Revision += 2 })
	bad("an older revision", syncer.RefusedOld, func(d *cardea.Down) { d.Revision-- })
	bad("another body", syncer.RefusedOther, func(d *cardea.Down) {
		d.Body, _ = wire.EncodeBody(cardea.Body{})
		d.BodyHash = wire.BodyHash(d.Body)
	})
}

// lastNonce is what the pipe swallowed last.
func (w *world) lastNonce() cardea.Nonce {
	w.network.mu.Lock()
	defer w.network.mu.Unlock()
	up, err := wire.OpenUp(w.last, w.peer.device, w.peer.id, w.peer.key, &w.key.PublicKey)
	if err != nil {
		w.t.Fatal(err)
	}
	return up.Nonce
}

// A newer statement that nobody asked for is in force, but the clock does not
// move by it and nothing counts longer.
func TestUnsolicitedMovesNoClock(t *testing.T) {
	one(t, func(w *world) {
		w.owner(cardea.ActGrant, voice)
		w.owner(cardea.ActGrant, recs)
		sleep(5 * time.Second)
		w.set(func() { w.noHTTP = true })
		left, clock := w.gate.Decide(cardea.Query{Key: voice}).Left, w.gate.Clock().Time
		w.cloud.decide(cardea.ActDeny, recs, cardea.Scope{})
		w.cloud.mu.Lock()
		w.cloud.build(w.peer)
		d := w.cloud.down(w.peer, cardea.Nonce{})
		d.Time, d.Lease = d.Time.Add(time.Hour), d.Lease.Add(1000*time.Hour)
		payload := w.cloud.seal(w.peer, d)
		w.cloud.mu.Unlock()
		w.set(func() { w.delay = time.Hour }) // the report's answer is not what this is about
		w.send(payload)
		w.denied(recs, cardea.ReasonWithdrawn)
		if got := w.gate.Clock().Time; got != clock {
			t.Errorf("the clock moved by %v", got.Sub(clock))
		}
		if got := w.gate.Decide(cardea.Query{Key: voice}).Left; got != left {
			t.Errorf("voice counts for %v, not %v any more", got, left)
		}
	})
}

// A random message never stops the loop.
func TestSurvivesNoise(t *testing.T) {
	one(t, func(w *world) {
		good := w.cloud.push(w.peer)
		for i := range 500 {
			b := append([]byte{}, good...)
			b[(i*37)%len(b)] ^= byte(1 + i%255)
			w.send(b)
		}
		w.owner(cardea.ActGrant, recs)
		synctest.Wait()
		w.allowed(recs)
	})
}
