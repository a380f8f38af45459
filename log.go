package cardea

import (
	"errors"
	"fmt"
	"slices"
)

// ErrForked: a log number was met with other content. The device was cloned,
// or put back to an earlier state.
var ErrForked = errors.New("the device log is forked")

// A LogEntry is one decision in a device's own log. Numbers count from 1
// without gaps, and Previous chains each entry to the one before.
type LogEntry struct {
	N          uint64        `cbor:"1,keyasint" json:"n"`
	Event      EventID       `cbor:"2,keyasint" json:"event"`
	Base       Position      `cbor:"3,keyasint" json:"base"`
	Act        Act           `cbor:"4,keyasint" json:"act"`
	Reach      Reach         `cbor:"5,keyasint,omitempty" json:"reach,omitempty"`
	Key        Key           `cbor:"6,keyasint,omitempty" json:"key,omitempty"`
	Version    uint32        `cbor:"7,keyasint,omitempty" json:"version,omitempty"`
	Notice     Hash          `cbor:"8,keyasint,omitzero" json:"notice,omitzero"`
	Preference PreferenceKey `cbor:"9,keyasint,omitempty" json:"preference,omitempty"`
	Value      Value         `cbor:"10,keyasint,omitempty" json:"value,omitempty"`
	Previous   Hash          `cbor:"11,keyasint" json:"previous"`
}

// Decision is the entry as a ledger takes it.
func (e LogEntry) Decision() Decision {
	return Decision{
		Event: e.Event, Act: e.Act, Key: e.Key, Version: e.Version, Notice: e.Notice,
		Preference: e.Preference, Value: e.Value, Base: e.Base,
	}
}

// Scope is how far the entry reaches, said on the device.
func (e LogEntry) Scope(device DeviceID) Scope {
	if e.Reach == ReachEverywhere {
		return Scope{}
	}
	return Scope{Device: device} // what is said for everyone here, as its author's own word
}

// Hash names the entry and, through Previous, the whole log up to it.
func (e LogEntry) Hash() Hash {
	d := newDigest("cardea log", 11)
	d.uint(e.N).bytes(e.Event[:]).position(e.Base).text(string(e.Act)).text(string(e.Reach))
	d.text(string(e.Key)).uint(uint64(e.Version)).bytes(e.Notice[:])
	d.text(string(e.Preference)).text(string(e.Value)).bytes(e.Previous[:])
	return d.sum()
}

// Seen says up to where the cloud has consumed a log. A bare number would name
// no content, so the hash of the entry there goes with it.
type Seen struct {
	_    struct{} `cbor:",toarray"`
	Log  LogID
	N    uint64
	Hash Hash
}

// A Rejection tells a device that an entry was consumed but not folded.
type Rejection struct {
	_      struct{} `cbor:",toarray"`
	Event  EventID  `json:"event"`
	Reason Rejected `json:"reason"`
}

// A Log is a device's list of what was decided on it and the cloud has not
// acknowledged: Entries follow the acknowledged entry N with hash Hash.
type Log struct {
	ID      LogID      `cbor:"1,keyasint"`
	N       uint64     `cbor:"2,keyasint"`
	Hash    Hash       `cbor:"3,keyasint"`
	Entries []LogEntry `cbor:"4,keyasint"`
}

// NewLog opens an empty log with a random id.
func NewLog() Log { return Log{ID: NewID[LogID]()} }

// Append returns the log with e numbered, chained and added.
func (l Log) Append(e LogEntry) Log {
	last := l.last()
	e.N, e.Previous = last.N+1, last.Hash
	l.Entries = append(slices.Clip(l.Entries), e)
	return l
}

func (l Log) last() Seen {
	if n := len(l.Entries); n > 0 {
		return Seen{Log: l.ID, N: l.Entries[n-1].N, Hash: l.Entries[n-1].Hash()}
	}
	return Seen{Log: l.ID, N: l.N, Hash: l.Hash}
}

// Acknowledge drops what the cloud has seen. It drops nothing and returns
// ErrForked unless the log is this one and this chain has that hash at that
// number: the device was then rolled back or cloned. A log of which the cloud
// has seen nothing is acknowledged by the zero Seen.
func (l Log) Acknowledge(seen Seen) (Log, error) {
	if seen == (Seen{}) && l.N == 0 {
		return l, nil
	}
	if seen.Log != l.ID || seen.N < l.N || seen.N > l.last().N {
		return l, fmt.Errorf("%w: the cloud has seen %d of another history", ErrForked, seen.N)
	}
	k := int(seen.N - l.N)
	hash := l.Hash
	if k > 0 {
		hash = l.Entries[k-1].Hash()
	}
	if hash != seen.Hash {
		return l, fmt.Errorf("%w: other content at %d", ErrForked, seen.N)
	}
	return Log{ID: l.ID, N: seen.N, Hash: seen.Hash, Entries: slices.Clone(l.Entries[k:])}, nil
}

// Reopen copies every entry still held into a new log. Event ids stay, so that
// nothing counts twice.
func (l Log) Reopen() Log {
	next := NewLog()
	for _, e := range l.Entries {
		next = next.Append(e)
	}
	return next
}

// actReconsider stands, in what Own returns, for a no that was taken back
// before the cloud acknowledged it.
const actReconsider Act = "reconsider"

// Own is what the device's user decided of each key and the cloud has not
// acknowledged, for NewView. It is ActDeny while some denial is the last word at
// its reach, ActGrant if there was no denial, and neither if every denial was
// taken back: that opens less than a grant that contradicts nothing.
func (l Log) Own() map[Key]Act {
	type place struct {
		key        Key
		everywhere bool
	}
	last := make(map[place]Act, len(l.Entries))
	own := make(map[Key]Act, len(l.Entries))
	for _, e := range l.Entries {
		switch e.Act {
		case ActDeny:
			own[e.Key] = actReconsider
		case ActGrant:
			if own[e.Key] == "" {
				own[e.Key] = ActGrant
			}
		default:
			continue
		}
		last[place{e.Key, e.Reach == ReachEverywhere}] = e.Act
	}
	for at, act := range last {
		if act == ActDeny {
			own[at.key] = ActDeny
		}
	}
	return own
}

// OwnAt is Own over a statement of this head. A no that was taken back before
// the device held that statement is a no: what the statement gives may rest on a
// yes that had not seen the no, beside denials that the yes here had not seen,
// and only the cloud can weigh them.
func (l Log) OwnAt(head Position) map[Key]Act {
	own := l.Own()
	for _, e := range l.Entries {
		if e.Act == ActGrant && own[e.Key] == actReconsider && e.Base != head && l.takesBack(e) {
			own[e.Key] = ActDeny
		}
	}
	return own
}

// takesBack reports whether e is the last word on its key at its reach.
func (l Log) takesBack(e LogEntry) bool {
	return !slices.ContainsFunc(l.Entries, func(o LogEntry) bool {
		return o.N > e.N && o.Key == e.Key && o.Act == ActGrant && (o.Reach == ReachEverywhere) == (e.Reach == ReachEverywhere)
	})
}

// Fresh returns the entries of a report the cloud has not consumed yet. known
// gives the hash the cloud recorded at a number of this log, or the zero Hash.
// The same number with other content is ErrForked, and so is a broken chain. A
// gap before the first entry is not: a device drops only what was acknowledged,
// so it is the cloud that has lost something.
func Fresh(entries []LogEntry, known func(n uint64) Hash) ([]LogEntry, error) {
	var fresh []LogEntry
	for i, e := range entries {
		if !follows(entries[:i], e, known) {
			return nil, fmt.Errorf("%w: entry %d does not follow", ErrForked, e.N)
		}
		switch at := known(e.N); {
		case at.IsZero():
			fresh = append(fresh, e)
		case at != e.Hash():
			return nil, fmt.Errorf("%w: other content at %d", ErrForked, e.N)
		}
	}
	return fresh, nil
}

// follows reports whether e continues the entries before it in the report or,
// as the first one, what the cloud knows of the log.
func follows(before []LogEntry, e LogEntry, known func(n uint64) Hash) bool {
	if n := len(before); n > 0 {
		return e.N == before[n-1].N+1 && e.Previous == before[n-1].Hash()
	}
	if e.N <= 1 {
		return e.N == 1 && e.Previous.IsZero()
	}
	at := known(e.N - 1)
	return at.IsZero() || e.Previous == at
}
