package syncer_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea"
)

func one(t *testing.T, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(newWorld(t)) })
}

// A newly paired device is in step at once, and a change needs one statement,
// one report and its renewal: neither answers the other for ever.
func TestOneReportForOneStatement(t *testing.T) {
	one(t, func(w *world) {
		w.denied(recs, cardea.ReasonNotAsked)
		if n := len(w.cloud.reported()); n != 1 {
			t.Errorf("%d reports after pairing, want 1", n)
		}
		if !w.gate.Clock().Synced {
			t.Error("the time is not known after an answer")
		}
		w.owner(cardea.ActGrant, recs)
		w.allowed(recs)
		reports := w.cloud.reported()
		if len(reports) != 2 {
			t.Fatalf("%d reports after one change, want 2", len(reports))
		}
		if last := reports[1]; last.Have.Revision != w.peer.revision || last.Clock != cardea.ClockSynced || len(last.Entries) != 0 {
			t.Errorf("the report proves %+v", last)
		}
		sleep(10 * time.Minute)
		if n := len(w.cloud.reported()); n != 2 {
			t.Errorf("%d reports while nothing happens", n)
		}
	})
}

func TestWithdrawnInThePortal(t *testing.T) {
	one(t, func(w *world) {
		w.owner(cardea.ActGrant, recs)
		w.owner(cardea.ActDeny, recs)
		w.denied(recs, cardea.ReasonWithdrawn)
	})
}

// A purpose that counts for 30 s without an answer never lapses while the
// cloud is there, and costs a report every 12 to 15 s.
func TestRenewedInTime(t *testing.T) {
	one(t, func(w *world) {
		w.owner(cardea.ActGrant, voice)
		before, at := len(w.cloud.reported()), w.stored()
		for range 6000 {
			sleep(100 * time.Millisecond)
			w.allowed(voice)
		}
		if n := len(w.cloud.reported()) - before; n < 600/15 || n > 600/12+1 {
			t.Errorf("%d renewals in 10 minutes", n)
		}
		if now := w.stored(); now.Head != at.Head || now.Revision != at.Revision {
			t.Error("a renewal changed what is stored")
		}
	})
}

// The yes ends 30 s after the cloud's own time in its last answer, to the
// millisecond, and comes back with the next.
func TestLapses(t *testing.T) {
	one(t, func(w *world) {
		w.owner(cardea.ActGrant, voice)
		w.owner(cardea.ActGrant, recs)
		w.cut()
		end := w.cloud.answers[len(w.cloud.answers)-1].Time.Add(30 * time.Second)
		sleep(time.Until(end.Time().Add(-time.Millisecond)))
		w.allowed(voice)
		sleep(time.Millisecond)
		w.denied(voice, cardea.ReasonStale)
		w.allowed(recs)
		generation := w.gate.Generation()
		sleep(24 * time.Hour)
		w.denied(voice, cardea.ReasonStale)
		w.mend()
		synctest.Wait()
		w.allowed(voice)
		if w.gate.Generation() == generation {
			t.Error("nobody was told that the yes is back")
		}
		w.cut()
		sleep(72 * time.Hour)
		w.wants(recs, cardea.Deny, cardea.ReasonStale)
		if a := w.gate.Decide(cardea.Query{Key: recs, Use: cardea.UseEgress}); a.Verdict != cardea.Hold {
			t.Errorf("what class C has collected is not held: %+v", a)
		}
	})
}

// Time begins when the nonce was sent: an answer that was long on its way makes
// a yes end sooner, never later.
func TestDelayedAnswers(t *testing.T) {
	one(t, func(w *world) {
		w.delay = 20 * time.Second
		w.owner(cardea.ActGrant, voice)
		sleep(2 * time.Minute)
		real := cardea.MillisOf(time.Now())
		if now := w.gate.Clock(); !now.Synced || now.Time < real-1 || now.Time > real {
			t.Errorf("the clock shows %v, it is %v", now, real)
		}
		w.cut()
		last := cardea.Millis(0)
		for w.gate.Decide(cardea.Query{Key: voice}).Allowed() {
			last = cardea.MillisOf(time.Now())
			sleep(time.Second)
		}
		if late := last.Sub(real); late > 30*time.Second {
			t.Errorf("allowed %v after the last answer was made", late)
		}
	})
}

// Held back by hours, every answer is to an old nonce: none moves the clock.
func TestAnswersHeldBackForHours(t *testing.T) {
	one(t, func(w *world) {
		w.cloud.decide(cardea.ActGrant, recs, cardea.Scope{})
		w.set(func() { w.delay, w.noHTTP = 10*time.Hour, true })
		clock := w.gate.Clock()
		sleep(11 * time.Hour)
		now := w.gate.Clock()
		if got := now.Time.Sub(clock.Time); got != 11*time.Hour {
			t.Errorf("the clock went %v in 11 h", got)
		}
		w.restartAfterReboot("boot two")
		sleep(11 * time.Hour)
		if w.gate.Clock().Synced {
			t.Error("an answer of ten hours ago set the clock")
		}
		w.denied(recs, cardea.ReasonClock)
	})
}

func (w *world) restartAfterReboot(id string) {
	w.stop()
	w.boot = id
	w.restart()
}

func TestRestartKeepsTheTimeAndARebootDoesNot(t *testing.T) {
	one(t, func(w *world) {
		w.owner(cardea.ActGrant, recs)
		w.owner(cardea.ActGrant, habits)
		w.cut()
		sleep(time.Hour)
		w.restart()
		w.allowed(recs)
		if got := w.gate.Clock().Time; got != cardea.MillisOf(time.Now()) {
			t.Errorf("after a restart the clock shows %v", got)
		}
		w.restartAfterReboot("boot two")
		w.denied(recs, cardea.ReasonClock)
		w.wants(habits, cardea.AllowLocal, cardea.ReasonGranted)
		sleep(time.Hour)
		w.denied(recs, cardea.ReasonClock)
		w.mend()
		synctest.Wait()
		w.allowed(recs)
		reports := w.cloud.reported()
		if a, b := reports[0].Boot, reports[len(reports)-1].Boot; a == b || a.IsZero() {
			t.Error("a boot has the name of another")
		}
	})
}

// After a suspend connections are dead and timers late: the cloud is asked at
// the next look.
func TestSuspend(t *testing.T) {
	one(t, func(w *world) {
		w.owner(cardea.ActGrant, recs)
		before := len(w.cloud.reported())
		w.ahead.Store(int64(73 * time.Hour))
		w.denied(recs, cardea.ReasonStale)
		sleep(31 * time.Second)
		if len(w.cloud.reported()) == before || w.counts().drops != 1 {
			t.Errorf("%d reports and %d new connections after the suspend", len(w.cloud.reported())-before, w.counts().drops)
		}
	})
}

// What the pipe does not carry is posted: soon if there is no pipe, after a
// minute if it swallows, at once while it is known to swallow.
func TestPostsBehindThePipe(t *testing.T) {
	one(t, func(w *world) {
		w.owner(cardea.ActGrant, voice)
		w.set(func() { w.online = false })
		sleep(20 * time.Second)
		if w.counts().posts == 0 {
			t.Error("nothing was posted while there is no pipe")
		}
		for range 600 {
			sleep(time.Second)
			w.allowed(voice)
		}
		w.set(func() { w.online = true })
		synctest.Wait()
		posts := w.counts().posts
		sleep(5 * time.Minute)
		if w.counts().posts != posts {
			t.Error("posted although the pipe answers")
		}
	})
}

func TestPostsPastAPipeThatSwallows(t *testing.T) {
	one(t, func(w *world) {
		w.owner(cardea.ActGrant, voice)
		w.set(func() { w.swallow = true })
		sleep(59 * time.Second)
		if w.counts().posts != 0 {
			t.Error("posted before the pipe was silent for a minute")
		}
		sleep(time.Minute)
		w.allowed(voice)
		for range 600 {
			sleep(time.Second)
			w.allowed(voice)
		}
		if w.counts().drops != 2 && w.counts().drops != 1 {
			t.Errorf("%d connections were dropped", w.counts().drops)
		}
		if err := w.Withdraw(w.peer.id, voice, cardea.ReachDevice, w.stored().Head); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := w.cloud.fold(w.peer, voice); got == cardea.ReasonGranted {
			t.Error("a broker held back a no")
		}
		w.set(func() { w.swallow = false })
		sleep(time.Hour)
		posts := w.counts().posts
		sleep(6 * time.Hour)
		if w.counts().posts > posts+2 {
			t.Errorf("%d posts after the pipe was good again", w.counts().posts-posts)
		}
	})
}

// Repetitions go from a second to a minute.
func TestRepetitionsSlowDown(t *testing.T) {
	one(t, func(w *world) {
		w.set(func() { w.swallow, w.noHTTP = true, true })
		before := w.counts().ups
		w.gate.Boot()
		if err := w.Withdraw(w.peer.id, recs, cardea.ReachDevice, cardea.Position{}); err != nil {
			t.Fatal(err)
		}
		sleep(20 * time.Second)
		if n := w.counts().ups - before; n < 4 || n > 7 {
			t.Errorf("%d reports in the first 20 s", n)
		}
		sleep(time.Hour)
		if n := w.counts().ups - before; n < 60 || n > 95 {
			t.Errorf("%d reports in the first hour", n)
		}
	})
}

// A cloud that answers "unknown" bars the link and erases nothing; one that
// finds its memory again lifts the bar.
func TestUnknownLink(t *testing.T) {
	one(t, func(w *world) {
		w.owner(cardea.ActGrant, recs)
		w.cloud.mu.Lock()
		w.cloud.forget = true
		w.cloud.mu.Unlock()
		w.set(func() { w.online = false })
		synctest.Wait()
		w.set(func() { w.online = true })
		synctest.Wait()
		w.denied(recs, cardea.ReasonUnknown)
		w.restart()
		w.denied(recs, cardea.ReasonUnknown)
		if w.stored().Revision == 0 || w.stored().Bar != cardea.ReasonUnknown {
			t.Error("the link was not kept, with its bar")
		}
		w.cloud.mu.Lock()
		w.cloud.forget = false
		w.cloud.mu.Unlock()
		sleep(7 * time.Hour)
		w.allowed(recs)
	})
}

func TestUnknownByHTTP(t *testing.T) {
	one(t, func(w *world) {
		w.owner(cardea.ActGrant, recs)
		w.cloud.mu.Lock()
		w.cloud.forget = true
		w.cloud.mu.Unlock()
		w.set(func() { w.online = false })
		if err := w.Withdraw(w.peer.id, voice, cardea.ReachDevice, cardea.Position{}); err != nil {
			t.Fatal(err)
		}
		sleep(5 * time.Second)
		w.denied(recs, cardea.ReasonUnknown)
	})
}
