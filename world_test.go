package cardea_test

import (
	"fmt"
	"slices"

	"github.com/cardea-id/cardea"
)

// A set holds decisions, one bit each: what somebody knows.
type set uint64

func (s set) has(i int) bool      { return s>>i&1 == 1 }
func (s set) with(i int) set      { return s | 1<<i }
func (s set) contains(o set) bool { return s&o == o }

// A rule turns a ledger into what stands of voice on a device. The real one is
// foldRule; a test of the tests puts a wrong one in its place.
type rule func(ledger []cardea.Entry, device cardea.DeviceID, t cardea.Terms) cardea.Consent

func foldRule(ledger []cardea.Entry, device cardea.DeviceID, t cardea.Terms) cardea.Consent {
	return cardea.Fold(ledger).On(device, voice, t)
}

// lastWriterWins is what must never be: the last entry decides.
func lastWriterWins(ledger []cardea.Entry, device cardea.DeviceID, t cardea.Terms) cardea.Consent {
	c := cardea.Consent{Key: voice, Version: t.Version, Class: t.Class, Staleness: uint32(t.Staleness.Seconds()), Reason: cardea.ReasonNotAsked}
	for _, e := range ledger {
		if !e.Scope.Everywhere() && e.Scope.Device != device {
			continue
		}
		c.Decided, c.Reason = e.Position.Point(), cardea.ReasonRefused
		if e.Act == cardea.ActGrant {
			c.Reason = cardea.ReasonGranted
		}
	}
	return c
}

// A cloud is the ledger of one account and what was consumed of each log. It is
// a value: handling a report makes another one.
type cloud struct {
	rule     rule
	terms    cardea.Terms
	ledger   []cardea.Entry
	consumed map[cardea.LogID][]cardea.Hash
	knows    set
	devices  []cardea.DeviceID
	stands   []cardea.Consent // what the rule says, by device
}

func newCloud(r rule, t cardea.Terms, devices ...cardea.DeviceID) cloud {
	return cloud{rule: r, terms: t, devices: devices}.settle()
}

// settle asks the rule.
func (c cloud) settle() cloud {
	c.stands = make([]cardea.Consent, len(c.devices))
	for i, d := range c.devices {
		c.stands[i] = c.rule(c.ledger, d, c.terms)
	}
	return c
}

func (c cloud) head() cardea.Position {
	if len(c.ledger) == 0 {
		return cardea.Position{}
	}
	return c.ledger[len(c.ledger)-1].Position
}

// add appends what was decided, as the cloud does it: resolve the base, chain.
func (c cloud) add(e cardea.Entry) (cloud, error) {
	var at cardea.Hash
	if n := e.Base.Seq; 0 < n && n <= uint64(len(c.ledger)) {
		at = c.ledger[n-1].Position.Hash
	}
	base, err := cardea.ResolveBase(e.Base, c.head(), at)
	if err != nil {
		return c, err
	}
	e.Base, e.By, e.Recorded = base, cardea.Owner, heard
	c.ledger = append(slices.Clip(c.ledger), e.Chain(1, c.head()))
	return c, nil
}

// A report is what a device sends: its unseen entries.
type report struct {
	from    cardea.DeviceID
	log     cardea.LogID
	entries []cardea.LogEntry
	nonce   int
	knows   set
}

// An answer is a statement and up to where the log was seen.
type answer struct {
	revision uint64
	head     cardea.Position
	consents []cardea.Consent
	seen     cardea.Seen
	nonce    int
	knows    set
}

// handle consumes a report and answers with the state that follows.
func (c cloud) handle(r report) (cloud, answer, error) {
	known := c.consumed[r.log]
	fresh, err := cardea.Fresh(r.entries, func(n uint64) cardea.Hash {
		if n < 1 || n > uint64(len(known)) {
			return cardea.Hash{}
		}
		return known[n-1]
	})
	if err != nil {
		return c, answer{}, err
	}
	for _, e := range fresh {
		known = append(slices.Clip(known), e.Hash())
		if c, err = c.add(cardea.Entry{
			Decision: e.Decision(), Scope: e.Scope(r.from), Channel: cardea.ChannelDevice, Log: r.log, N: e.N,
		}); err != nil {
			return c, answer{}, err
		}
	}
	if len(fresh) > 0 {
		consumed := map[cardea.LogID][]cardea.Hash{r.log: known}
		for log, hashes := range c.consumed {
			if log != r.log {
				consumed[log] = hashes
			}
		}
		c.consumed, c.knows = consumed, c.knows|r.knows
		c = c.settle()
	}
	a := answer{revision: uint64(len(c.ledger)), head: c.head(), nonce: r.nonce, knows: c.knows}
	i := slices.Index(c.devices, r.from)
	a.consents = c.stands[i : i+1 : i+1]
	if n := len(known); n > 0 {
		a.seen = cardea.Seen{Log: r.log, N: uint64(n), Hash: known[n-1]}
	}
	return c, a, nil
}

// A device is what one holds on its disk and, apart, in its memory. It is a
// value too.
type device struct {
	id cardea.DeviceID
	// on disk
	log  cardea.Log
	held answer
	// in memory
	view   *cardea.View
	synced bool
	nonce  int

	sent int // how many reports
	own  set // what was decided here
}

func newDevice(id cardea.DeviceID, log byte) device {
	return device{id: id, log: cardea.Log{ID: cardea.LogID{log}}}.flip()
}

func (d device) knows() set { return d.own | d.held.knows }

// flip makes the gate answer from what is on disk.
func (d device) flip() device {
	d.view = cardea.NewView(d.held.consents, d.log.OwnAt(d.held.head), heard, heard.Add(month))
	return d
}

// decide commits what the user said and flips the gate.
func (d device) decide(m move, event cardea.EventID) device {
	d.log = d.log.Append(cardea.LogEntry{Event: event, Base: d.held.head, Act: m.act, Reach: m.reach, Key: voice, Version: 1})
	return d.flip()
}

func (d device) report() (device, report) {
	d.sent++
	d.nonce = d.sent
	return d, report{from: d.id, log: d.log.ID, entries: d.log.Entries, nonce: d.nonce, knows: d.own}
}

// apply takes an answer as a device does: nothing older than it holds, nothing
// that gives on an older decision, and only the answer to the last report sets
// the clock.
func (d device) apply(a answer) (device, error) {
	if a.revision < d.held.revision {
		return d, nil
	}
	log, err := d.log.Acknowledge(a.seen)
	if err != nil {
		return d, err
	}
	if key, regressed := cardea.Regressed(d.held.consents, a.consents); regressed {
		return d, fmt.Errorf("%s regressed", key)
	}
	d.log, d.held, d.synced = log, a, d.synced || a.nonce == d.nonce
	return d.flip(), nil
}

// restart forgets what was in memory.
func (d device) restart() device {
	d.synced, d.nonce = false, 0
	return d.flip()
}

func (d device) allows() bool {
	return cardea.Decide(d.view, cardea.Now{Time: heard, Synced: d.synced}, cardea.Query{Key: voice}).Allowed()
}

// A move is one decision, as a script has it.
type move struct {
	act   cardea.Act
	reach cardea.Reach
}

// moves reads a script: s and a stop and allow on the device, S and A
// everywhere.
func moves(script string) []move {
	var out []move
	for _, letter := range script {
		out = append(out, map[rune]move{
			's': {cardea.ActDeny, cardea.ReachDevice}, 'S': {cardea.ActDeny, cardea.ReachEverywhere},
			'a': {cardea.ActGrant, cardea.ReachDevice}, 'A': {cardea.ActGrant, cardea.ReachEverywhere},
		}[letter])
	}
	return out
}

// A decision is what the reference knows of one: not its place in any ledger or
// log, only what whoever made it knew.
type decision struct {
	grant bool
	scope cardea.Scope
	past  set
}

// A history is all decisions, each with its causal past.
type history []decision

// given is the rule over sets, written down a second time: of those decisions
// that are known, some scope has a yes that knew every no there, and no scope
// has a no without one.
func (h history) given(known set, device cardea.DeviceID) bool {
	given := false
	for _, scope := range []cardea.Scope{{}, {Device: device}} {
		var denials set
		for i, d := range h {
			if known.has(i) && d.scope == scope && !d.grant {
				denials = denials.with(i)
			}
		}
		open := false
		for i, d := range h {
			open = open || known.has(i) && d.scope == scope && d.grant && d.past.contains(denials)
		}
		if denials != 0 && !open {
			return false
		}
		given = given || open
	}
	return given
}
