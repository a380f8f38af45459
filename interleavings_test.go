package cardea_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/cardea-id/cardea"
)

const entriesEach = 3

// A system is two surfaces of one account at one instant, what is on the way
// between them and the cloud, and which faults may still happen. The first
// surface is a device, the second another device or the portal. Systems are
// values: a step makes another one.
type system struct {
	scripts [2][]move
	portal  bool
	cloud   cloud
	device  [2]device
	said    [2]int
	page    answer // the portal's open page: what was seen on it
	history [2 * entriesEach]decision

	answers [2]*answer // on their way
	strayUp *report    // delayed, or a copy
	strayDn *answer    // the same, for the first device
	crashes int
	losses  int
}

// A step leads from a system to another.
type step struct {
	who  cardea.DeviceID
	what string
	next func(system) (system, error)
}

// steps lists everything that can happen next.
func (s system) steps() []step {
	var out []step
	for i := range 2 {
		if i == 1 && s.portal {
			out = append(out, s.portalSteps()...)
			continue
		}
		out = append(out, s.deviceSteps(i)...)
	}
	if s.strayUp != nil {
		out = append(out, step{"", "a stray report arrives", func(s system) (system, error) {
			c, _, err := s.cloud.handle(*s.strayUp)
			s.cloud, s.strayUp = c, nil
			return s, err
		}})
	}
	if s.strayDn != nil {
		out = append(out, step{"", "a stray answer arrives", func(s system) (system, error) {
			d, err := s.device[0].apply(*s.strayDn)
			s.device[0], s.strayDn = d, nil
			return s, err
		}})
	}
	return out
}

func (s system) portalSteps() []step {
	var out []step
	if s.said[1] == entriesEach {
		return nil
	}
	if s.page.revision < uint64(len(s.cloud.ledger)) {
		out = append(out, step{"portal", "opens its page", func(s system) (system, error) {
			s.page = answer{revision: uint64(len(s.cloud.ledger)), head: s.cloud.head(), knows: s.cloud.knows}
			return s, nil
		}})
	}
	return append(out, step{"portal", "decides", func(s system) (system, error) { return s.decideAtPortal() }})
}

func (s system) decideAtPortal() (system, error) {
	n := entriesEach + s.said[1]
	m := s.scripts[1][s.said[1]]
	scope := cardea.Scope{}
	if m.reach == cardea.ReachDevice {
		scope.Device = s.device[0].id
	}
	c, err := s.cloud.add(cardea.Entry{
		Decision: cardea.Decision{Event: eventOf(n), Act: m.act, Key: voice, Version: 1, Base: s.page.head},
		Scope:    scope, Channel: cardea.ChannelPortal,
	})
	s.history[n] = decision{m.act == cardea.ActGrant, scope, s.page.knows}
	s.cloud, s.said[1] = c, s.said[1]+1
	s.cloud.knows = s.cloud.knows.with(n)
	s.cloud = s.cloud.settle()
	return s, err
}

func eventOf(n int) cardea.EventID { return cardea.EventID{1, byte(n)} }

func (s system) deviceSteps(i int) []step {
	var out []step
	d, id := s.device[i], s.device[i].id
	if s.said[i] < entriesEach {
		out = append(out, step{id, "decides", func(s system) (system, error) { return s.decideAtDevice(i), nil }})
	}
	if s.answers[i] != nil {
		out = append(out, s.answerSteps(i)...)
	} else if d.sent < 2-s.losses {
		out = append(out, s.reportSteps(i)...)
	}
	if s.crashes > 0 && i == 0 { // the other one's: with the scripts exchanged
		out = append(out, step{id, "crashes", func(s system) (system, error) {
			s.device[i], s.answers[i] = s.device[i].restart(), nil
			s.crashes--
			return s, nil
		}})
	}
	return out
}

func (s system) decideAtDevice(i int) system {
	n := i*entriesEach + s.said[i]
	d, m := s.device[i], s.scripts[i][s.said[i]]
	s.history[n] = decision{m.act == cardea.ActGrant, cardea.LogEntry{Reach: m.reach}.Scope(d.id), d.knows()}
	d = d.decide(m, eventOf(n))
	d.own = d.own.with(n)
	s.device[i] = d
	s.said[i]++
	return s
}

// reportSteps: a report arrives, or one is lost, delayed, or arrives and leaves
// a copy behind. Sending and arriving are one step: what is decided in between
// is not in the report, as if it had been decided after.
func (s system) reportSteps(i int) []step {
	id := s.device[i].id
	arrives := func(s system, r report) (system, error) {
		c, a, err := s.cloud.handle(r)
		s.cloud, s.answers[i] = c, &a
		return s, err
	}
	send := func(s system) (system, report) {
		d, r := s.device[i].report()
		s.device[i] = d
		return s, r
	}
	out := []step{{id, "reports", func(s system) (system, error) { return arrives(send(s)) }}}
	if s.losses == 0 {
		return out
	}
	return append(out,
		step{id, "its report is lost", func(s system) (system, error) {
			s.losses--
			s, _ = send(s)
			return s, nil
		}},
		step{id, "its report is delayed", func(s system) (system, error) {
			s.losses--
			s, r := send(s)
			s.strayUp = &r
			return s, nil
		}},
		step{id, "its report is doubled", func(s system) (system, error) {
			s.losses--
			s, r := send(s)
			s.strayUp = &r
			return arrives(s, r)
		}})
}

func (s system) answerSteps(i int) []step {
	id := s.device[i].id
	arrives := func(s system) (system, error) {
		d, err := s.device[i].apply(*s.answers[i])
		s.device[i], s.answers[i] = d, nil
		return s, err
	}
	out := []step{{id, "applies", arrives}}
	if s.losses == 0 {
		return out
	}
	out = append(out, step{id, "its answer is lost", func(s system) (system, error) {
		s.losses--
		s.answers[i] = nil
		return s, nil
	}})
	if i > 0 {
		return out
	}
	return append(out,
		step{id, "its answer is delayed", func(s system) (system, error) {
			s.losses--
			s.strayDn, s.answers[i] = s.answers[i], nil
			return s, nil
		}},
		step{id, "its answer is doubled", func(s system) (system, error) {
			s.losses--
			s.strayDn = s.answers[i]
			return arrives(s)
		}})
}

// quiet reports whether everything is said and nothing is on the way.
func (s system) quiet() bool {
	return s.said == [2]int{entriesEach, entriesEach} && s.answers == [2]*answer{} && s.strayUp == nil && s.strayDn == nil
}

// heal lets every device speak until all know everything.
func (s system) heal() (system, error) {
	for range 2 {
		for i := range s.devices() {
			d, r := s.device[i].report()
			c, a, err := s.cloud.handle(r)
			if err != nil {
				return s, err
			}
			if d, err = d.apply(a); err != nil {
				return s, err
			}
			s.cloud, s.device[i] = c, d
		}
	}
	return s, nil
}

func (s system) devices() int {
	if s.portal {
		return 1
	}
	return 2
}

// A mark names a system with given scripts: equal marks, equal futures. It has no
// pointers, so that millions of them cost little.
type mark struct {
	ledger       cardea.Hash
	logs         [2]cardea.Hash
	past         [2 * entriesEach]set
	said, sent   [2]int
	nonce        [2]int
	synced       [2]bool
	held, coming [2]uint64
	page         uint64
	strayUp      [3]int
	strayDn      uint64
	faults       [2]int
}

func (s system) mark() mark {
	m := mark{ledger: s.cloud.head().Hash, said: s.said, page: s.page.revision, faults: [2]int{s.crashes, s.losses}}
	for i, d := range s.history {
		m.past[i] = d.past
	}
	for i, d := range s.device {
		if n := len(d.log.Entries); n > 0 {
			m.logs[i] = d.log.Entries[n-1].Hash()
		}
		m.sent[i], m.nonce[i], m.synced[i] = d.sent, d.nonce, d.synced
		m.held[i] = d.held.revision<<8 | d.log.N
		if a := s.answers[i]; a != nil {
			m.coming[i] = 1 + a.revision<<16 | a.seen.N<<8 | uint64(a.nonce)
		}
	}
	if r := s.strayUp; r != nil {
		m.strayUp = [3]int{1 + len(r.entries), int(r.knows), r.nonce}
	}
	if a := s.strayDn; a != nil {
		m.strayDn = 1 + a.revision<<16 | a.seen.N<<8 | uint64(a.nonce)
	}
	return m
}

// An explorer goes through every interleaving. Two that have led to the same
// system go on together: it is looked at once and counted as often as it is
// reached.
type explorer struct {
	given    int             // how often a device allowed something
	counted  map[mark]uint64 // interleavings from here to the end
	outcomes map[string]string
	trace    []step

	faults map[fault]int
	first  map[fault]string
}

// A fault is a way in which a rule can be wrong.
type fault string

const (
	pastADenial  fault = "given past a denial that no grant has seen"
	notGiven     fault = "not given though every denial was answered"
	order        fault = "dependent on the order of arrival"
	duplicates   fault = "dependent on duplicates"
	disagreement fault = "the device disagrees with the cloud"
	refused      fault = "an honest message was refused"
	vacuous      fault = "nothing was tested"
)

func newExplorer() *explorer {
	return &explorer{
		counted: map[mark]uint64{}, outcomes: map[string]string{},
		faults: map[fault]int{}, first: map[fault]string{},
	}
}

func (x *explorer) found(f fault) {
	x.faults[f]++
	if x.first[f] == "" {
		for _, step := range x.trace {
			x.first[f] += fmt.Sprintf("%s %s; ", step.who, step.what)
		}
	}
}

// explore counts the interleavings that go on from s and looks at all of them.
func (x *explorer) explore(s system) uint64 {
	m := s.mark()
	if n, ok := x.counted[m]; ok {
		return n
	}
	x.look(s)
	if s.quiet() {
		x.end(s)
		x.counted[m] = 1
		return 1
	}
	var total uint64
	for _, step := range s.steps() {
		x.trace = append(x.trace, step)
		if next, err := step.next(s); err != nil {
			x.found(refused)
		} else {
			total += x.explore(next)
		}
		x.trace = x.trace[:len(x.trace)-1]
	}
	x.counted[m] = total
	return total
}

// look compares what everybody enforces at this instant with what the decisions
// they know of say.
func (x *explorer) look(s system) {
	for i := range s.devices() {
		d := s.device[i]
		if d.allows() {
			x.given++
			if !history(s.history[:]).given(d.knows(), d.id) {
				x.found(pastADenial)
			}
		}
		given := s.cloud.stands[i].Given()
		switch want := history(s.history[:]).given(s.cloud.knows, d.id); {
		case given && !want:
			x.found(pastADenial)
		case !given && want:
			x.found(notGiven)
		}
	}
}

// end heals the system and compares what came out: on the device, in the cloud,
// in every other order with the same causal history, and with every entry twice.
func (x *explorer) end(s system) {
	s, err := s.heal()
	if err != nil {
		x.found(refused)
		return
	}
	x.look(s)
	var outcome strings.Builder
	for i := range s.devices() {
		d := s.device[i]
		c := s.cloud.stands[i]
		if d.allows() != c.Given() {
			x.found(disagreement)
		}
		if twice := s.cloud.rule(append(s.cloud.ledger, s.cloud.ledger...), d.id, s.cloud.terms); twice != c {
			x.found(duplicates)
		}
		outcome.WriteString(" " + string(c.Reason))
	}
	past := fmt.Sprint(s.history)
	if before, ok := x.outcomes[past]; ok && before != outcome.String() {
		x.found(order)
	}
	x.outcomes[past] = outcome.String()
}

// A universe is what is enumerated together: all interleavings of every pair of
// scripts.
type universe struct {
	name            string
	portal          bool // the second surface
	class           cardea.Class
	pairs           [][2]string
	crashes, losses int
}

func (u universe) start(r rule, pair [2]string) system {
	t := terms
	t.Class = u.class
	return system{
		scripts: [2][]move{moves(pair[0]), moves(pair[1])}, portal: u.portal,
		cloud:   newCloud(r, t, kitchen, car),
		device:  [2]device{newDevice(kitchen, 1), newDevice(car, 2)},
		crashes: u.crashes, losses: u.losses,
	}
}

// scripts lists every word of three of the letters.
func scripts(letters string) []string {
	words := []string{""}
	for range entriesEach {
		var longer []string
		for _, w := range words {
			for _, l := range letters {
				longer = append(longer, w+string(l))
			}
		}
		words = longer
	}
	return words
}

// pairsOf pairs every script with every other. If the surfaces are alike, each
// pair comes once.
func pairsOf(first, second []string, alike bool) [][2]string {
	var out [][2]string
	for i, a := range first {
		for j, b := range second {
			if !alike || i <= j {
				out = append(out, [2]string{a, b})
			}
		}
	}
	return out
}

func universes() []universe {
	here, all := scripts("sa"), scripts("SA")
	return []universe{
		{"two devices, every script", false, cardea.ClassC, pairsOf(all, all, true), 0, 0},
		{"two devices, a crash and a loss", false, cardea.ClassC, [][2]string{{"SAS", "ASA"}}, 1, 1},
		{"device and portal, every script", true, cardea.ClassC, pairsOf(here, all, false), 0, 0},
		{"device and portal, data stays on the device", true, cardea.ClassL, pairsOf(all, all, false), 0, 0},
		{"device and portal, a crash and a loss", true, cardea.ClassC, pairsOf([]string{"sas", "asa", "SAa"}, []string{"SAS", "ASa"}, false), 1, 1},
	}
}

// enumerate goes through a universe on all processors. It returns how many
// interleavings there are, how many different systems, and the faults.
func (u universe) enumerate(r rule) (interleavings uint64, systems int, faults map[fault]string) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	pairs := make(chan [2]string)
	faults = map[fault]string{}
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for pair := range pairs {
				x := newExplorer()
				n := x.explore(u.start(r, pair))
				mu.Lock()
				interleavings, systems = interleavings+n, systems+len(x.counted)
				if strings.Contains(pair[0]+pair[1], "A") && x.given == 0 {
					x.first[vacuous] = "nothing was ever given; "
				}
				for f, first := range x.first {
					faults[f] = fmt.Sprintf("%v: %s(and %d more)", pair, first, x.faults[f]-1)
				}
				mu.Unlock()
			}
		})
	}
	for _, pair := range u.pairs {
		pairs <- pair
	}
	close(pairs)
	wg.Wait()
	return interleavings, systems, faults
}

// TestAllInterleavings lets two surfaces decide three times each, in every order
// and at every moment of what goes on between them and the cloud, with a crash
// and a message that is lost, late or doubled. Whatever happens, nobody may
// think a key given past a denial that no grant has seen, and the same causal
// history must come out the same.
func TestAllInterleavings(t *testing.T) {
	var total uint64
	for _, u := range universes() {
		n, systems, faults := u.enumerate(foldRule)
		t.Logf("%s: %d interleavings of %d pairs of scripts, over %d different systems", u.name, n, len(u.pairs), systems)
		for f, first := range faults {
			t.Errorf("%s: %s, first: %s", u.name, f, first)
		}
		total += n
	}
	t.Attr("interleavings", fmt.Sprint(total))
	if total < 10_000 {
		t.Errorf("only %d interleavings", total)
	}
}

// TestInterleavingsCatchLastWriterWins tests the test: a rule that is wrong in
// the usual way must not pass.
func TestInterleavingsCatchLastWriterWins(t *testing.T) {
	for _, u := range universes() {
		u.pairs, u.crashes, u.losses = [][2]string{{"SAS", "ASA"}}, 0, 0
		_, _, faults := u.enumerate(lastWriterWins)
		for _, f := range []fault{pastADenial, order} {
			if faults[f] == "" {
				t.Errorf("%s: not caught: %s", u.name, f)
			}
		}
	}
}
