package gate_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/gate"
)

// Where the boot clock stands still in suspend, a resume means that nobody knows
// the time: to the very next question, and to an agent that is restarted after.
func TestResumeVoidsTheAnchor(t *testing.T) {
	c, resumes := &clock{now: time.Hour}, uint64(7)
	cfg := gate.Config{Boot: c.read, BootID: "one", Path: filepath.Join(t.TempDir(), "clock"), Resumes: func() uint64 { return resumes }}
	g, id := gate.New(cfg), cardea.NewID[cardea.LinkID]()
	g.Set(id, given())
	g.Activate(id)
	anchor := gate.Anchor{Time: epoch, At: c.read(), Lease: epoch.Add(time.Hour), Resumes: resumes}
	g.Renew(id, anchor)
	wants(t, g.Decide(ask(voice)), cardea.Allow, cardea.ReasonGranted)
	again := gate.New(cfg)
	again.Set(id, given())
	wants(t, again.DecideFor(id, ask(voice)), cardea.Allow, cardea.ReasonGranted)

	resumes++
	wants(t, g.Decide(ask(voice)), cardea.Deny, cardea.ReasonClock)
	wants(t, g.Decide(ask(local)), cardea.AllowLocal, cardea.ReasonGranted)
	again = gate.New(cfg)
	again.Set(id, given())
	wants(t, again.DecideFor(id, ask(voice)), cardea.Deny, cardea.ReasonClock)

	g.Renew(id, anchor) // the answer to a nonce sent before it slept
	wants(t, g.Decide(ask(voice)), cardea.Deny, cardea.ReasonClock)
	generation := g.Generation()
	anchor.Resumes = resumes
	g.Renew(id, anchor)
	wants(t, g.Decide(ask(voice)), cardea.Allow, cardea.ReasonGranted)
	if g.Generation() == generation {
		t.Error("a time that is known again is no news")
	}
}

func TestShorten(t *testing.T) {
	g, c, id := linked(t)
	g.Shorten(20 * time.Second)
	if a := g.Decide(ask(voice)); a.Left != 10*time.Second {
		t.Errorf("%v left, want 10 s", a.Left)
	}
	g.Shorten(1 << 62) // somebody sets the clock to the end of days
	wants(t, g.Decide(ask(voice)), cardea.Deny, cardea.ReasonStale)
	wants(t, g.Decide(ask(local)), cardea.Deny, cardea.ReasonStale)
	g.Renew(id, gate.Anchor{Time: epoch, At: c.read(), Lease: epoch.Add(time.Hour)})
	wants(t, g.Decide(ask(voice)), cardea.Allow, cardea.ReasonGranted)
}

func TestThisMachinesSuspend(t *testing.T) {
	resumes := gate.Resumes()
	if resumes == nil {
		return // the boot clock goes on in suspend, there is nothing to count
	}
	if first, second := resumes(), resumes(); first != second {
		t.Errorf("the count moves by itself: %d, then %d", first, second)
	}
}
