package gate_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/gate"
)

const (
	voice = cardea.Key("voice/use")
	local = cardea.Key("habits/use")
	epoch = cardea.Millis(1_800_000_000_000)
)

// A clock is a boot clock the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Duration
}

func (c *clock) read() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now += d
}

func given() gate.State {
	return gate.State{Revision: 3, BodyHash: cardea.Hash{3}, Consents: []cardea.Consent{
		{Key: voice, Version: 1, Reason: cardea.ReasonGranted, Class: cardea.ClassA, Staleness: 30},
		{Key: local, Version: 1, Reason: cardea.ReasonGranted, Class: cardea.ClassL, Staleness: 3600},
	}}
}

func newGate(t testing.TB) (*gate.Gate, *clock, cardea.LinkID) {
	t.Helper()
	c := &clock{now: time.Hour}
	g := gate.New(gate.Config{Boot: c.read, BootID: "one", Path: filepath.Join(t.TempDir(), "clock")})
	return g, c, cardea.NewID[cardea.LinkID]()
}

// linked is a gate with one active link whose cloud has just answered.
func linked(t testing.TB) (*gate.Gate, *clock, cardea.LinkID) {
	g, c, id := newGate(t)
	g.Set(id, given())
	g.Activate(id)
	g.Renew(id, gate.Anchor{Time: epoch, At: c.read(), Lease: epoch.Add(time.Hour)})
	return g, c, id
}

func wants(t *testing.T, a cardea.Answer, verdict cardea.Verdict, reason cardea.Reason) {
	t.Helper()
	if a.Verdict != verdict || a.Reason != reason {
		t.Errorf("%s, %s; want %s, %s", a.Verdict, a.Reason, verdict, reason)
	}
}

func ask(key cardea.Key) cardea.Query { return cardea.Query{Key: key} }

func TestGuest(t *testing.T) {
	g, _, id := newGate(t)
	wants(t, g.Decide(ask(voice)), cardea.Deny, cardea.ReasonGuest)
	wants(t, g.DecideFor(id, ask(voice)), cardea.Deny, cardea.ReasonUnknown)
	g.Activate(id) // not held
	wants(t, g.Decide(ask(voice)), cardea.Deny, cardea.ReasonGuest)
	if g.Clock().Synced || g.ClockOf(id).Synced {
		t.Error("a guest knows the time")
	}
}

func TestTimeBeginsWithAnAnswer(t *testing.T) {
	g, c, id := newGate(t)
	g.Set(id, given())
	g.Activate(id)
	wants(t, g.Decide(ask(voice)), cardea.Deny, cardea.ReasonClock)
	wants(t, g.Decide(ask(local)), cardea.AllowLocal, cardea.ReasonGranted)
	sent := c.read()
	c.pass(10 * time.Second) // on its way
	g.Renew(id, gate.Anchor{Time: epoch, At: sent, Lease: epoch.Add(time.Hour)})
	if now := g.Clock(); !now.Synced || now.Time != epoch.Add(10*time.Second) {
		t.Errorf("the clock shows %v", now)
	}
	a := g.Decide(ask(voice))
	wants(t, a, cardea.Allow, cardea.ReasonGranted)
	if a.Left != 20*time.Second {
		t.Errorf("%v left, want 20 s", a.Left)
	}
	c.pass(20 * time.Second)
	wants(t, g.Decide(ask(voice)), cardea.Deny, cardea.ReasonStale)
}

func TestLeaseEndsEverything(t *testing.T) {
	g, c, id := newGate(t)
	g.Set(id, given())
	g.Activate(id)
	g.Renew(id, gate.Anchor{Time: epoch, At: c.read(), Lease: epoch.Add(5 * time.Second)})
	c.pass(5 * time.Second)
	wants(t, g.Decide(ask(voice)), cardea.Deny, cardea.ReasonStale)
	wants(t, g.Decide(ask(local)), cardea.Deny, cardea.ReasonStale)
}

func TestABootClockThatWentBackKnowsNothing(t *testing.T) {
	g, c, _ := linked(t)
	c.pass(-time.Minute)
	wants(t, g.Decide(ask(voice)), cardea.Deny, cardea.ReasonClock)
}

func TestBarAndOwnWord(t *testing.T) {
	g, _, id := linked(t)
	s := given()
	s.Own = map[cardea.Key]cardea.Act{voice: cardea.ActDeny}
	g.Set(id, s)
	wants(t, g.Decide(ask(voice)), cardea.Deny, cardea.ReasonWithdrawn)
	s.Own[voice] = cardea.ActGrant // the gate has its own copy
	s.Consents[1].Reason = cardea.ReasonRefused
	wants(t, g.Decide(ask(voice)), cardea.Deny, cardea.ReasonWithdrawn)
	wants(t, g.Decide(ask(local)), cardea.AllowLocal, cardea.ReasonGranted)
	g.Set(id, gate.State{Bar: cardea.ReasonForked, Consents: given().Consents})
	wants(t, g.Decide(ask(local)), cardea.Deny, cardea.ReasonForked)
	g.Set(id, given())
	wants(t, g.Decide(ask(voice)), cardea.Allow, cardea.ReasonGranted)
	g.Remove(id)
	wants(t, g.Decide(ask(voice)), cardea.Deny, cardea.ReasonGuest)
}

// Each link goes by its own cloud's time.
func TestLinksAreApart(t *testing.T) {
	g, c, first := linked(t)
	second := cardea.NewID[cardea.LinkID]()
	g.Set(second, given())
	g.Renew(second, gate.Anchor{Time: 1000, At: c.read(), Lease: 1000 + 3600_000})
	wants(t, g.DecideFor(second, ask(voice)), cardea.Allow, cardea.ReasonGranted)
	if g.ClockOf(first).Time != epoch || g.ClockOf(second).Time != 1000 {
		t.Error("one cloud's time reached the other's link")
	}
	g.Activate(second)
	if g.Clock().Time != 1000 {
		t.Error("the active link's clock is not shown")
	}
}

func TestGeneration(t *testing.T) {
	g, c, id := linked(t)
	at := g.Generation()
	changed := g.Changed(at)
	still := func(what string) {
		t.Helper()
		select {
		case <-changed:
			t.Fatalf("%s woke the watchers", what)
		default:
		}
		if g.Generation() != at {
			t.Fatalf("%s moved the generation", what)
		}
	}
	moved := func(what string, change func()) {
		t.Helper()
		at, changed = g.Generation(), g.Changed(g.Generation())
		change()
		select {
		case <-changed:
		default:
			t.Errorf("%s woke nobody", what)
		}
		if g.Generation() <= at {
			t.Errorf("%s: the generation went from %d to %d", what, at, g.Generation())
		}
		at, changed = g.Generation(), g.Changed(g.Generation())
	}
	c.pass(10 * time.Second)
	g.Renew(id, gate.Anchor{Time: epoch.Add(10 * time.Second), At: c.read(), Lease: epoch.Add(time.Hour)})
	still("a renewal in time")
	g.Decide(ask(voice))
	still("a question")
	g.Renew(cardea.NewID[cardea.LinkID](), gate.Anchor{Time: 1, At: 1, Lease: 1})
	still("the renewal of a link that is not held")
	c.pass(time.Minute)
	still("a lapse")
	moved("a renewal after a lapse", func() {
		g.Renew(id, gate.Anchor{Time: epoch.Add(70 * time.Second), At: c.read(), Lease: epoch.Add(time.Hour)})
	})
	moved("a state", func() { g.Set(id, given()) })
	moved("a guest", func() { g.Activate(cardea.LinkID{}) })
	moved("an end", func() { g.Remove(id) })
	select {
	case <-g.Changed(at - 1):
	default:
		t.Error("who asks about an earlier generation is not told at once")
	}
}

func TestGenerationsOfTwoRunsDiffer(t *testing.T) {
	a, _, _ := newGate(t)
	b, _, _ := newGate(t)
	if a.Generation() == b.Generation() || a.Generation() >= 1<<53 {
		t.Errorf("%d and %d", a.Generation(), b.Generation())
	}
}

// The anchor outlives the agent and not the boot.
func TestAnchorFile(t *testing.T) {
	c := &clock{now: time.Hour}
	path := filepath.Join(t.TempDir(), "clock")
	id := cardea.NewID[cardea.LinkID]()
	open := func(boot string) *gate.Gate {
		g := gate.New(gate.Config{Boot: c.read, BootID: boot, Path: path})
		g.Set(id, given())
		g.Activate(id)
		return g
	}
	open("one").Renew(id, gate.Anchor{Time: epoch, At: c.read(), Lease: epoch.Add(time.Hour)})
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	c.pass(10 * time.Second)
	known := func(name string, g *gate.Gate, want bool) {
		t.Helper()
		if now := g.Clock(); now.Synced != want || want && now.Time != epoch.Add(10*time.Second) {
			t.Errorf("%s: the clock shows %v", name, now)
		}
	}
	known("after a restart", open("one"), true)
	known("after a reboot", open("two"), false)

	bad := func(name string, change func(f map[string]any, r map[string]any)) {
		t.Helper()
		var f map[string]any
		if err := json.Unmarshal(text, &f); err != nil {
			t.Fatal(err)
		}
		change(f, f["links"].(map[string]any)[id.String()].(map[string]any))
		changed, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		known(name, open("one"), false)
	}
	bad("another statement", func(_, r map[string]any) { r["revision"] = 2 })
	bad("another body", func(_, r map[string]any) { r["body_hash"] = strings.Repeat("ab", 32) })
	bad("the future", func(_, r map[string]any) { r["at"] = 1e18 })
	bad("before the boot", func(_, r map[string]any) { r["at"] = -1 })
	bad("no time", func(_, r map[string]any) { r["time"] = 0 })
	bad("no links", func(f, _ map[string]any) { f["links"] = nil })
	for _, noise := range []string{"", "{", "null", "[]", strings.Repeat(" ", 1<<17)} {
		if err := os.WriteFile(path, []byte(noise), 0o600); err != nil {
			t.Fatal(err)
		}
		known("noise", open("one"), false)
	}
}

// An ended link leaves nothing in the file.
func TestRemoveForgetsTheAnchor(t *testing.T) {
	c := &clock{now: time.Hour}
	path := filepath.Join(t.TempDir(), "clock")
	g := gate.New(gate.Config{Boot: c.read, BootID: "one", Path: path})
	id := cardea.NewID[cardea.LinkID]()
	g.Set(id, given())
	g.Renew(id, gate.Anchor{Time: epoch, At: c.read(), Lease: epoch})
	g.Remove(id)
	if text, err := os.ReadFile(path); err != nil || strings.Contains(string(text), id.String()) {
		t.Errorf("%s, %v", text, err)
	}
}

func TestKernelClock(t *testing.T) {
	a, id := gate.BootTime(), gate.BootID()
	time.Sleep(time.Millisecond)
	if b := gate.BootTime(); b < a+time.Millisecond || a <= 0 {
		t.Errorf("from %v to %v in a millisecond", a, b)
	}
	if len(id) != 36 || id != gate.BootID() {
		t.Errorf("boot id %q", id)
	}
}

// Readers see whole states: never one revision's yes with another's time.
func TestManyReaders(t *testing.T) {
	g, c, id := linked(t)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if a := g.Decide(ask(voice)); a.Reason != cardea.ReasonGranted && a.Reason != cardea.ReasonForked {
					t.Errorf("%+v", a)
					return
				}
			}
		})
	}
	for i := range 500 {
		switch i % 3 {
		case 0:
			g.Set(id, gate.State{Bar: cardea.ReasonForked})
		case 1:
			g.Set(id, given())
		default:
			c.pass(time.Millisecond)
			g.Renew(id, gate.Anchor{Time: epoch.Add(time.Duration(i) * time.Millisecond), At: c.read(), Lease: epoch.Add(time.Hour)})
		}
	}
	close(stop)
	wg.Wait()
}

func TestDecideDoesNotAllocate(t *testing.T) {
	g, _, id := linked(t)
	if n := testing.AllocsPerRun(1000, func() { g.Decide(ask(voice)); g.DecideFor(id, ask(local)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzAnchorFile(f *testing.F) {
	f.Add([]byte(`{"boot":"one","links":{"AAAAAAAAAAAAAAAAAAAAAQ":{"time":1,"at":1,"lease":2,"revision":3}}}`))
	f.Add([]byte(`{"boot":"one","links":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "clock")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		c := &clock{now: time.Hour}
		g := gate.New(gate.Config{Boot: c.read, BootID: "one", Path: path})
		id, _ := cardea.ParseID[cardea.LinkID]("AAAAAAAAAAAAAAAAAAAAAQ")
		g.Set(id, given())
		if now := g.ClockOf(id); now.Synced && now.Time <= 0 {
			t.Errorf("%s gives %v", text, now)
		}
	})
}

// BenchmarkDecide is a decision with the kernel's clock, which is a system call,
// and without.
func BenchmarkDecide(b *testing.B) {
	for name, boot := range map[string]func() time.Duration{
		"kernel clock": gate.BootTime,
		"no clock":     func() time.Duration { return time.Hour },
	} {
		b.Run(name, func(b *testing.B) {
			g := gate.New(gate.Config{Boot: boot, BootID: "one"})
			id := cardea.NewID[cardea.LinkID]()
			s := given()
			for i := range 100 {
				s.Consents = append(s.Consents, cardea.Consent{Key: cardea.KeyOf(cardea.PurposeID("p"+string(rune('a'+i%26))), cardea.FacetUse), Reason: cardea.ReasonRefused, Class: cardea.ClassB})
			}
			g.Set(id, s)
			g.Activate(id)
			g.Renew(id, gate.Anchor{Time: epoch, At: boot(), Lease: epoch.Add(time.Hour)})
			b.ReportAllocs()
			for b.Loop() {
				if !g.Decide(ask(voice)).Allowed() {
					b.Fatal("denied")
				}
			}
		})
	}
}

// A wall clock that went ahead by years ends everything, and is not taken for
// the time by which a cloud is judged.
func TestShortenIsNotKnown(t *testing.T) {
	boot := time.Hour
	g := gate.New(gate.Config{Boot: func() time.Duration { return boot }, BootID: "one"})
	id := cardea.NewID[cardea.LinkID]()
	g.Set(id, given())
	g.Renew(id, gate.Anchor{Time: epoch, At: boot, Lease: epoch.Add(time.Hour)})
	g.Shorten(5 * 365 * 24 * time.Hour)
	boot += time.Second
	if got := g.KnownOf(id); !got.Synced || got.Time != epoch.Add(time.Second) {
		t.Errorf("known: %+v", got)
	}
	if got := g.ClockOf(id); got.Time < epoch.Add(4*365*24*time.Hour) {
		t.Errorf("not shortened: %+v", got)
	}
	if g.KnownOf(cardea.LinkID{1}).Synced {
		t.Error("the time of a link there is not")
	}
}

// What counts for a while after an answer ends with it, with the lease, with the
// clock and with a bar.
func TestFresh(t *testing.T) {
	g, c, id := newGate(t)
	fresh := func(age time.Duration, want bool) {
		t.Helper()
		if g.Fresh(id, age) != want {
			t.Errorf("fresh: %t", !want)
		}
	}
	g.Set(id, given())
	fresh(time.Hour, false) // no time
	g.Renew(id, gate.Anchor{Time: epoch, At: c.read(), Lease: epoch.Add(time.Hour)})
	fresh(time.Minute, true)
	c.pass(time.Minute)
	fresh(time.Minute, false)
	fresh(2*time.Hour, true)
	g.Set(id, gate.State{Bar: cardea.ReasonUnknown})
	fresh(2*time.Hour, false)
	g.Set(id, given())
	c.pass(59 * time.Minute)
	fresh(2*time.Hour, false)
	if g.Fresh(cardea.NewID[cardea.LinkID](), time.Hour) {
		t.Error("a link that is not held")
	}
}
