package cardea_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
)

// sync1 lets a device speak with the cloud, with nothing in its way.
func sync1(t *testing.T, c cloud, d device) (cloud, device) {
	t.Helper()
	d, r := d.report()
	c, a, err := c.handle(r)
	if err != nil {
		t.Fatal(err)
	}
	if d, err = d.apply(a); err != nil {
		t.Fatal(err)
	}
	return c, d
}

// A stop and then an allow on one offline device ends allowed: the allow has
// seen the stop. Until the cloud has heard both, what may leave the device stays
// shut.
func TestStopThenAllowOffline(t *testing.T) {
	for _, given := range []bool{true, false} {
		c, d := newCloud(foldRule, terms, kitchen), newDevice(kitchen, 1)
		if given {
			portal, err := c.add(cardea.Entry{
				Decision: cardea.Decision{Event: eventOf(9), Act: cardea.ActGrant, Key: voice, Version: 1}, Channel: cardea.ChannelPortal,
			})
			if err != nil {
				t.Fatal(err)
			}
			c = portal.settle()
		}
		c, d = sync1(t, c, d)
		if d.allows() != given {
			t.Fatalf("at first: %t", d.allows())
		}
		for i, m := range moves("sa") {
			if d = d.decide(m, eventOf(i)); d.allows() {
				t.Errorf("given %t, after decision %d, offline: allowed", given, i)
			}
		}
		if c, d = sync1(t, c, d); !d.allows() || !c.stands[0].Given() {
			t.Errorf("given %t, after the cloud heard: %s", given, c.stands[0].Reason)
		}
		if d = d.decide(moves("s")[0], eventOf(3)); d.allows() {
			t.Error("and a stop after that: allowed")
		}
		if c, d = sync1(t, c, d); d.allows() || c.stands[0].Reason != cardea.ReasonWithdrawn {
			t.Errorf("and heard: %s", c.stands[0].Reason)
		}
	}
}

// An allow then a stop ends stopped, and what another device allowed meanwhile
// without knowing of the stop changes nothing.
func TestAllowThenStopOffline(t *testing.T) {
	c, d, other := newCloud(foldRule, terms, kitchen, car), newDevice(kitchen, 1), newDevice(car, 2)
	for i, m := range moves("AS") {
		d = d.decide(m, eventOf(i))
	}
	other = other.decide(moves("A")[0], eventOf(2))
	c, other = sync1(t, c, other)
	if !other.allows() {
		t.Fatal("nobody has said no yet")
	}
	c, d = sync1(t, c, d)
	c, other = sync1(t, c, other)
	if d.allows() || other.allows() || c.stands[1].Reason != cardea.ReasonConflict {
		t.Errorf("kitchen %t, car %t: %s", d.allows(), other.allows(), c.stands[1].Reason)
	}
	other = other.decide(moves("A")[0], eventOf(3))
	if _, other = sync1(t, c, other); !other.allows() {
		t.Error("allowed again by somebody who has seen the stop: still off")
	}
}

// A device that opens a new log loses nothing and counts nothing twice.
func TestReopenedLog(t *testing.T) {
	c, d := newCloud(foldRule, terms, kitchen), newDevice(kitchen, 1)
	d = d.decide(moves("a")[0], eventOf(0))
	c, d = sync1(t, c, d)
	d = d.decide(moves("s")[0], eventOf(1))
	d, r := d.report()
	c, _, err := c.handle(r) // consumed, but the answer is lost
	if err != nil {
		t.Fatal(err)
	}
	before := c.stands[0]
	d.log = d.log.Reopen()
	if d = d.flip(); d.allows() {
		t.Error("the stop was lost with the old log")
	}
	c, d = sync1(t, c, d)
	if d.allows() || c.stands[0].Reason != before.Reason {
		t.Errorf("%s, was %s", c.stands[0].Reason, before.Reason)
	}
}

// TestLongHistories plays long random histories of four devices and a portal
// over a network that loses, doubles and delays, and compares with the rule over
// sets after every step.
func TestLongHistories(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for i := range uint64(300) {
		if p := newPlay(rand.New(rand.NewPCG(seed, i))); !p.run(t, 60) {
			t.Fatalf("seed %d, history %d", seed, i)
		}
	}
}

// TestTakenBackUnderANewerStatement is a history that once allowed past a
// denial: a no and a yes wait on the device while a yes of the portal, which has
// seen neither, arrives.
func TestTakenBackUnderANewerStatement(t *testing.T) {
	newPlay(rand.New(rand.NewPCG(1795296820925472289, 161))).run(t, 60)
}

// A play is one random history.
type play struct {
	*rand.Rand
	cloud   cloud
	devices []device
	page    answer
	history history
	reports []report   // on their way, and copies
	answers [][]answer // the same, by device
}

func newPlay(r *rand.Rand) *play {
	p := &play{Rand: r, answers: make([][]answer, 4)}
	var ids []cardea.DeviceID
	for i := range 4 {
		ids = append(ids, cardea.DeviceID(rune('a'+i)))
		p.devices = append(p.devices, newDevice(ids[i], byte(i+1)))
	}
	t := terms
	if r.IntN(3) == 0 {
		t.Class = cardea.ClassL
	}
	p.cloud = newCloud(foldRule, t, ids...)
	return p
}

func (p *play) run(t *testing.T, steps int) bool {
	t.Helper()
	for range steps {
		if err := p.step(); err != nil {
			t.Errorf("an honest message was refused: %v", err)
			return false
		}
		if !p.check(t) {
			return false
		}
	}
	for range 2 {
		for i := range p.devices {
			p.cloud, p.devices[i] = sync1(t, p.cloud, p.devices[i])
		}
	}
	for i, d := range p.devices {
		if d.allows() != p.cloud.stands[i].Given() {
			t.Errorf("device %s and the cloud differ in the end", d.id)
		}
	}
	return p.check(t)
}

// step is one random thing that happens.
func (p *play) step() (err error) {
	i := p.IntN(len(p.devices))
	d := &p.devices[i]
	switch p.IntN(8) {
	case 0, 1:
		if len(p.history) < 60 {
			p.decide(d)
		}
	case 2:
		if len(p.history) < 60 {
			err = p.decideAtPortal()
		}
	case 3:
		p.page = answer{head: p.cloud.head(), knows: p.cloud.knows}
	case 4:
		next, r := d.report()
		*d, p.reports = next, append(p.reports, r)
	case 5:
		err = p.deliverReport()
	case 6:
		err = p.deliverAnswer(i)
	case 7:
		if p.IntN(4) == 0 {
			*d = d.restart()
		}
	}
	return err
}

func (p *play) move() move { return moves("sSaA")[p.IntN(4)] }

func (p *play) event() cardea.EventID { return eventOf(len(p.history)) }

func (p *play) decide(d *device) {
	m, n := p.move(), len(p.history)
	next := d.decide(m, p.event())
	p.history = append(p.history, decision{m.act == cardea.ActGrant, cardea.LogEntry{Reach: m.reach}.Scope(d.id), d.knows()})
	next.own = next.own.with(n)
	*d = next
}

func (p *play) decideAtPortal() error {
	m, n := p.move(), len(p.history)
	scope := cardea.LogEntry{Reach: m.reach}.Scope(p.devices[p.IntN(len(p.devices))].id)
	c, err := p.cloud.add(cardea.Entry{
		Decision: cardea.Decision{Event: p.event(), Act: m.act, Key: voice, Version: 1, Base: p.page.head},
		Scope:    scope, Channel: cardea.ChannelPortal,
	})
	p.history = append(p.history, decision{m.act == cardea.ActGrant, scope, p.page.knows})
	c.knows = c.knows.with(n)
	p.cloud = c.settle()
	return err
}

// deliverReport delivers any report on its way, in any order, and sometimes
// leaves a copy or loses it.
func (p *play) deliverReport() error {
	if len(p.reports) == 0 {
		return nil
	}
	k := p.IntN(len(p.reports))
	r := p.reports[k]
	if p.IntN(3) > 0 {
		p.reports = append(p.reports[:k:k], p.reports[k+1:]...)
	}
	if p.IntN(4) == 0 {
		return nil
	}
	c, a, err := p.cloud.handle(r)
	p.cloud = c
	for i, d := range p.devices {
		if d.id == r.from {
			p.answers[i] = append(p.answers[i], a)
		}
	}
	return err
}

func (p *play) deliverAnswer(i int) error {
	if len(p.answers[i]) == 0 {
		return nil
	}
	d, err := p.devices[i].apply(p.answers[i][p.IntN(len(p.answers[i]))])
	p.devices[i] = d
	return err
}

func (p *play) check(t *testing.T) bool {
	t.Helper()
	ok := true
	for i, d := range p.devices {
		if d.allows() && !p.history.given(d.knows(), d.id) {
			t.Errorf("%s allows past a denial", d.id)
			ok = false
		}
		if got, want := p.cloud.stands[i].Given(), p.history.given(p.cloud.knows, d.id); got != want {
			t.Errorf("%s: given %t, want %t: %s", d.id, got, want, p.cloud.stands[i].Reason)
			ok = false
		}
		if fold := cardea.Fold(append(p.cloud.ledger, p.cloud.ledger...)).On(d.id, voice, p.cloud.terms); fold != p.cloud.stands[i] {
			t.Errorf("%s: dependent on duplicates", d.id)
			ok = false
		}
	}
	if _, err := cardea.VerifyChain(cardea.Position{}, p.cloud.ledger); err != nil {
		t.Error(err)
		ok = false
	}
	return ok
}
