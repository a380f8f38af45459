package syncer_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/syncer"
)

// A device with no clock comes up in a new boot: what may leave it is denied
// because of the clock, what stays on it goes on, and the cloud's first answer
// heals it.
func TestNoClockBoot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for _, key := range []cardea.Key{voice, recs, habits} {
			w.owner(cardea.ActGrant, key)
		}
		sleep(5 * time.Second)
		w.allowed(voice)
		w.allowed(recs)
		w.cut()
		w.restartAfterReboot("boot two")
		w.denied(voice, cardea.ReasonClock)
		w.denied(recs, cardea.ReasonClock)
		w.wants(habits, cardea.AllowLocal, cardea.ReasonGranted)
		if a := w.gate.Decide(cardea.Query{Key: recs, Use: cardea.UseEgress}); a.Verdict != cardea.Hold {
			t.Errorf("what was collected under class C is answered %s", a.Verdict)
		}
		sleep(10 * time.Minute)
		w.denied(voice, cardea.ReasonClock)
		w.mend()
		sleep(2 * time.Minute)
		if !w.gate.Clock().Synced {
			t.Fatal("the cloud's answer set no clock")
		}
		w.allowed(voice)
		w.allowed(recs)
		w.wants(habits, cardea.AllowLocal, cardea.ReasonGranted)
	})
}

// The boot clock stands still in suspend: what was allowed before is denied at
// the first question after it, and allowed again when the cloud has answered a
// nonce that was sent since.
func TestSuspendTheBootClockMisses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.owner(cardea.ActGrant, voice)
		sleep(5 * time.Second)
		w.allowed(voice)
		w.cut()
		w.slept.Add(1)
		w.denied(voice, cardea.ReasonClock)
		w.mend()
		sleep(time.Minute)
		w.allowed(voice)
	})
}

// Suspended while its report was on the way: the answer is to a nonce of before.
func TestSuspendWhileAnAnswerIsOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.owner(cardea.ActGrant, voice)
		sleep(5 * time.Second)
		w.set(func() { w.delay, w.noHTTP = 800*time.Millisecond, true })
		before := w.counts().ups
		for w.counts().ups == before {
			sleep(50 * time.Millisecond)
		}
		w.slept.Add(1)
		w.denied(voice, cardea.ReasonClock)
		sleep(900 * time.Millisecond)
		w.denied(voice, cardea.ReasonClock)
		sleep(time.Minute)
		w.allowed(voice)
	})
}

// A time that is not believed moves nothing, while what was stated with it
// counts; the cloud is asked again, at no line rate.
func TestATimeThatIsNotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.owner(cardea.ActGrant, voice)
		sleep(5 * time.Second)
		w.allowed(voice)
		var asked []syncer.Answer
		w.stop()
		w.believe = func(a syncer.Answer) error {
			asked = append(asked, a)
			return errors.New("not so")
		}
		w.boot = "boot two"
		w.restart()
		w.cloud.decide(cardea.ActDeny, voice, cardea.Scope{})
		before := w.counts()
		sleep(5 * time.Minute)
		if w.gate.Clock().Synced {
			t.Error("the time was taken all the same")
		}
		w.denied(voice, cardea.ReasonWithdrawn)
		n := w.counts()
		if ups := n.ups - before.ups; ups < 3 || ups > 30 {
			t.Errorf("asked %d times in five minutes", ups)
		}
		if n.drops-before.drops < 3 {
			t.Error("the connection that brought a wrong time is kept")
		}
		if len(asked) == 0 || asked[0].Link != w.peer.id || asked[0].Issuer != "https://id.example" || asked[0].Time == 0 {
			t.Errorf("asked about %+v", asked)
		}
		if w.Status().Refused[syncer.RefusedTime] == 0 {
			t.Error("not counted")
		}
	})
}
