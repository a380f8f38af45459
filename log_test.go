package cardea_test

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/cardea-id/cardea"
)

func said(act cardea.Act, reach cardea.Reach) cardea.LogEntry {
	return cardea.LogEntry{Event: cardea.NewID[cardea.EventID](), Act: act, Reach: reach, Key: voice}
}

func logOf(n int) cardea.Log {
	l := cardea.NewLog()
	for range n {
		l = l.Append(said(cardea.ActDeny, cardea.ReachDevice))
	}
	return l
}

// seen is what the cloud says when it has consumed the log up to entry n.
func seen(l cardea.Log, n int) cardea.Seen {
	return cardea.Seen{Log: l.ID, N: l.Entries[n-1].N, Hash: l.Entries[n-1].Hash()}
}

func TestAppend(t *testing.T) {
	l := logOf(3)
	for i, e := range l.Entries {
		var before cardea.Hash
		if i > 0 {
			before = l.Entries[i-1].Hash()
		}
		if e.N != uint64(i+1) || e.Previous != before {
			t.Errorf("entry %d: number %d, previous %s", i, e.N, e.Previous)
		}
	}
	// The value it was called on does not change, even if two go on from it.
	a, b := l.Append(said(cardea.ActDeny, "")), l.Append(said(cardea.ActGrant, ""))
	if len(l.Entries) != 3 || a.Entries[3].Act != cardea.ActDeny || b.Entries[3].Act != cardea.ActGrant {
		t.Error("two continuations of one log share an entry")
	}
	forged := said(cardea.ActDeny, "")
	forged.N, forged.Previous = 99, cardea.Hash{1}
	if e := l.Append(forged).Entries[3]; e.N != 4 || e.Previous != l.Entries[2].Hash() {
		t.Errorf("the caller numbered an entry: %d", e.N)
	}
}

func TestLogHashCovers(t *testing.T) {
	full := cardea.LogEntry{
		N: 1, Event: cardea.EventID{1}, Base: cardea.Position{Era: 1, Seq: 1, Hash: cardea.Hash{1}}, Act: cardea.ActGrant,
		Reach: cardea.ReachDevice, Key: voice, Version: 1, Notice: cardea.Hash{2}, Preference: "theme", Value: "1", Previous: cardea.Hash{3},
	}
	for name, change := range map[string]func(*cardea.LogEntry){
		"n":          func(e *cardea.LogEntry) { e.N++ },
		"event":      func(e *cardea.LogEntry) { e.Event[0]++ },
		"base era":   func(e *cardea.LogEntry) { e.Base.Era++ },
		"base seq":   func(e *cardea.LogEntry) { e.Base.Seq++ },
		"base hash":  func(e *cardea.LogEntry) { e.Base.Hash[0]++ },
		"act":        func(e *cardea.LogEntry) { e.Act = cardea.ActDeny },
		"reach":      func(e *cardea.LogEntry) { e.Reach = cardea.ReachEverywhere },
		"key":        func(e *cardea.LogEntry) { e.Key = "voice/sale" },
		"version":    func(e *cardea.LogEntry) { e.Version++ },
		"notice":     func(e *cardea.LogEntry) { e.Notice[0]++ },
		"preference": func(e *cardea.LogEntry) { e.Preference = "volume" },
		"value":      func(e *cardea.LogEntry) { e.Value = "2" },
		"previous":   func(e *cardea.LogEntry) { e.Previous[0]++ },
		"moved text": func(e *cardea.LogEntry) { e.Preference, e.Value = "theme1", "" },
	} {
		e := full
		change(&e)
		if e.Hash() == full.Hash() {
			t.Errorf("%s: the hash stayed the same", name)
		}
	}
}

func TestAcknowledge(t *testing.T) {
	l := logOf(3)
	for n := range 3 {
		next, err := l.Acknowledge(seen(l, n+1))
		if err != nil || len(next.Entries) != 2-n || next.N != uint64(n+1) || next.ID != l.ID {
			t.Fatalf("up to %d: %+v, %v", n+1, next, err)
		}
		if after := next.Append(said(cardea.ActDeny, "")); after.Entries[2-n].N != 4 {
			t.Errorf("numbers do not go on after %d: %d", n+1, after.Entries[2-n].N)
		}
	}
	half, _ := l.Acknowledge(seen(l, 2))
	if again, err := half.Acknowledge(seen(l, 2)); err != nil || len(again.Entries) != 1 {
		t.Errorf("the same word twice: %d entries, %v", len(again.Entries), err)
	}
	if same, err := l.Acknowledge(cardea.Seen{}); err != nil || len(same.Entries) != 3 {
		t.Errorf("a log of which nothing was seen: %v", err)
	}
	if same, err := l.Acknowledge(cardea.Seen{Log: l.ID}); err != nil || len(same.Entries) != 3 {
		t.Errorf("the same, named: %v", err)
	}
	if l.Entries[0].N != 1 || len(l.Entries) != 3 {
		t.Error("the log it was called on has changed")
	}
}

// A number without content proves nothing: dropping on it would lose a denial.
func TestAcknowledgeRefuses(t *testing.T) {
	l := logOf(3)
	half, _ := l.Acknowledge(seen(l, 2))
	other := logOf(3)
	for name, c := range map[string]struct {
		log  cardea.Log
		seen cardea.Seen
	}{
		"another log":                {l, seen(other, 2)},
		"other content":              {l, cardea.Seen{Log: l.ID, N: 2, Hash: other.Entries[1].Hash()}},
		"no content":                 {l, cardea.Seen{Log: l.ID, N: 2}},
		"content of another number":  {l, cardea.Seen{Log: l.ID, N: 2, Hash: l.Entries[0].Hash()}},
		"more than there is":         {l, cardea.Seen{Log: l.ID, N: 57, Hash: cardea.Hash{1}}},
		"less than was seen before":  {half, seen(l, 1)},
		"nothing, after something":   {half, cardea.Seen{}},
		"other content at the start": {half, cardea.Seen{Log: l.ID, N: 2, Hash: cardea.Hash{1}}},
		"a log that began anew":      {cardea.NewLog(), seen(l, 3)},
	} {
		got, err := c.log.Acknowledge(c.seen)
		if !errors.Is(err, cardea.ErrForked) || len(got.Entries) != len(c.log.Entries) || got.N != c.log.N {
			t.Errorf("%s: %d entries, %v", name, len(got.Entries), err)
		}
	}
}

func TestReopen(t *testing.T) {
	l := logOf(3)
	l, _ = l.Acknowledge(seen(l, 1))
	next := l.Reopen()
	if next.ID == l.ID || next.N != 0 || len(next.Entries) != 2 {
		t.Fatalf("reopened as %+v", next)
	}
	for i, e := range next.Entries {
		if e.Event != l.Entries[i].Event || e.N != uint64(i+1) {
			t.Errorf("entry %d: event %v, number %d", i, e.Event, e.N)
		}
	}
	if _, err := cardea.Fresh(next.Entries, unknown); err != nil {
		t.Errorf("the new log's chain: %v", err)
	}
	if empty := cardea.NewLog().Reopen(); len(empty.Entries) != 0 {
		t.Error("an empty log reopened is not empty")
	}
}

func TestOwn(t *testing.T) {
	deny, grant := cardea.ActDeny, cardea.ActGrant
	here, all := cardea.ReachDevice, cardea.ReachEverywhere
	for name, c := range map[string]struct {
		said []cardea.LogEntry
		want cardea.Act
	}{
		"nothing":                       {nil, ""},
		"no":                            {[]cardea.LogEntry{said(deny, here)}, deny},
		"yes":                           {[]cardea.LogEntry{said(grant, here)}, grant},
		"yes, no":                       {[]cardea.LogEntry{said(grant, here), said(deny, here)}, deny},
		"no everywhere, yes here":       {[]cardea.LogEntry{said(deny, all), said(grant, here)}, deny},
		"no here, yes everywhere":       {[]cardea.LogEntry{said(deny, here), said(grant, all)}, deny},
		"no here, no everywhere, a yes": {[]cardea.LogEntry{said(deny, here), said(deny, all), said(grant, all)}, deny},
		"no reach is here":              {[]cardea.LogEntry{said(deny, ""), said(grant, all)}, deny},
		"a preference":                  {[]cardea.LogEntry{said(cardea.ActPrefer, here)}, ""},
	} {
		l := cardea.NewLog()
		for _, e := range c.said {
			l = l.Append(e)
		}
		if got := l.Own()[voice]; got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// A no that was taken back is neither a no nor a plain yes.
func TestOwnReconsidered(t *testing.T) {
	l := cardea.NewLog().Append(said(cardea.ActDeny, "")).Append(said(cardea.ActGrant, ""))
	if got := l.Own()[voice]; got == cardea.ActDeny || got == cardea.ActGrant || got == "" {
		t.Errorf("no, yes: %q", got)
	}
	l, _ = l.Acknowledge(seen(l, 2))
	if got := l.Own(); len(got) != 0 {
		t.Errorf("what the cloud has seen is still the device's own: %v", slices.Collect(maps.Keys(got)))
	}
}

// A no that was taken back counts as one again when the statement has changed
// since: it may rest on a yes that knew nothing of it.
func TestOwnAtANewerStatement(t *testing.T) {
	at := func(e cardea.LogEntry, seq uint64) cardea.LogEntry {
		e.Base = cardea.Position{Era: 1, Seq: seq}
		return e
	}
	head := cardea.Position{Era: 1, Seq: 2}
	no, yes := said(cardea.ActDeny, ""), said(cardea.ActGrant, "")
	for name, c := range map[string]struct {
		said   []cardea.LogEntry
		denied bool
	}{
		"both before it":         {[]cardea.LogEntry{at(no, 1), at(yes, 1)}, true},
		"the yes after it":       {[]cardea.LogEntry{at(no, 1), at(yes, 2)}, false},
		"a yes before and after": {[]cardea.LogEntry{at(no, 1), at(yes, 1), at(yes, 2)}, false},
		"a no after it":          {[]cardea.LogEntry{at(yes, 2), at(no, 2)}, true},
		"never a no":             {[]cardea.LogEntry{at(yes, 1)}, false},
	} {
		l := cardea.NewLog()
		for _, e := range c.said {
			l = l.Append(e)
		}
		if got := l.OwnAt(head)[voice] == cardea.ActDeny; got != c.denied {
			t.Errorf("%s: denied %t", name, got)
		}
	}
}

func unknown(uint64) cardea.Hash { return cardea.Hash{} }

// consumed answers like a cloud that has consumed the first n entries.
func consumed(l cardea.Log, n int) func(uint64) cardea.Hash {
	return func(at uint64) cardea.Hash {
		if at < 1 || at > uint64(n) {
			return cardea.Hash{}
		}
		return l.Entries[at-1].Hash()
	}
}

func TestFresh(t *testing.T) {
	l := logOf(4)
	for name, c := range map[string]struct {
		entries []cardea.LogEntry
		known   int
		want    int
	}{
		"all new":            {l.Entries, 0, 4},
		"nothing new":        {l.Entries, 4, 0},
		"delivered twice":    {l.Entries[:2], 4, 0},
		"the end is new":     {l.Entries, 2, 2},
		"only what is new":   {l.Entries[2:], 2, 2},
		"no entries":         {nil, 2, 0},
		"the cloud lost two": {l.Entries[3:], 1, 1},
	} {
		fresh, err := cardea.Fresh(c.entries, consumed(l, c.known))
		if err != nil || len(fresh) != c.want || c.want > 0 && fresh[len(fresh)-1] != l.Entries[3] {
			t.Errorf("%s: %d fresh, %v", name, len(fresh), err)
		}
	}
}

func TestFreshMeetsAFork(t *testing.T) {
	l := logOf(4)
	changed := func(i int, change func(*cardea.LogEntry)) []cardea.LogEntry {
		entries := slices.Clone(l.Entries)
		change(&entries[i])
		return entries
	}
	rolledBack := cardea.Log{ID: l.ID}.Append(said(cardea.ActDeny, ""))
	for name, c := range map[string]struct {
		entries []cardea.LogEntry
		known   int
	}{
		"rolled back, then other content": {rolledBack.Entries, 2},
		"other content at the end":        {changed(3, func(e *cardea.LogEntry) { e.Act = cardea.ActGrant }), 4},
		"other content within":            {changed(1, func(e *cardea.LogEntry) { e.Act = cardea.ActGrant }), 0},
		"a missing number":                {slices.Delete(slices.Clone(l.Entries), 1, 2), 0},
		"a number twice":                  {changed(1, func(e *cardea.LogEntry) { e.N = 1 }), 0},
		"follows other content":           {changed(2, func(e *cardea.LogEntry) { e.Previous[0]++ })[2:], 2},
		"follows something at the start":  {changed(0, func(e *cardea.LogEntry) { e.Previous[0]++ })[:1], 0},
		"number zero":                     {changed(0, func(e *cardea.LogEntry) { e.N = 0 })[:1], 0},
	} {
		if fresh, err := cardea.Fresh(c.entries, consumed(l, c.known)); !errors.Is(err, cardea.ErrForked) || fresh != nil {
			t.Errorf("%s: %d fresh, %v", name, len(fresh), err)
		}
	}
}

func TestLogEntryAsDecision(t *testing.T) {
	e := cardea.LogEntry{
		Event: cardea.EventID{1}, Base: cardea.Position{Seq: 2}, Act: cardea.ActGrant, Reach: cardea.ReachEverywhere,
		Key: voice, Version: 3, Notice: cardea.Hash{4}, Preference: "theme", Value: "5",
	}
	want := cardea.Decision{
		Event: e.Event, Act: e.Act, Key: e.Key, Version: 3, Notice: e.Notice, Preference: "theme", Value: "5", Base: e.Base,
	}
	if got := e.Decision(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if e.Scope(kitchen) != (cardea.Scope{}) || !e.Scope(kitchen).Everywhere() {
		t.Error("everywhere is not the whole account")
	}
	for _, reach := range []cardea.Reach{cardea.ReachDevice, cardea.ReachEveryone, "", "galaxy"} {
		e.Reach = reach
		if e.Scope(kitchen) != (cardea.Scope{Device: kitchen}) {
			t.Errorf("reach %q is not this device alone", reach)
		}
	}
}
