package cardea

import (
	"errors"
	"fmt"
	"time"
)

// A Point orders what happened to one account: the era of the cloud's database
// and the sequence in the ledger. The zero Point is before everything.
type Point struct {
	_   struct{} `cbor:",toarray"`
	Era uint32   `json:"era"`
	Seq uint64   `json:"seq"`
}

// Before reports whether p comes earlier than o. A later era comes after all
// of an earlier one, whose tail a restored backup has lost.
func (p Point) Before(o Point) bool {
	if p.Era != o.Era {
		return p.Era < o.Era
	}
	return p.Seq < o.Seq
}

// A Position is a Point and the hash of the entry there: it names the content
// of the whole ledger up to it. The zero Position is the empty ledger.
type Position struct {
	_    struct{} `cbor:",toarray"`
	Era  uint32   `json:"era"`
	Seq  uint64   `json:"seq"`
	Hash Hash     `json:"hash"`
}

// Point drops the hash.
func (p Position) Point() Point { return Point{Era: p.Era, Seq: p.Seq} }

// An Act is what was done.
type Act string

// The acts there are.
const (
	ActGrant  Act = "grant"  // a yes to exactly one version
	ActDeny   Act = "deny"   // a no to every version, older and newer
	ActPrefer Act = "prefer" // a preference was set
	ActLink   Act = "link"   // a device was paired; ledger only
	ActUnlink Act = "unlink" // a pairing ended
	ActLift   Act = "lift"   // a no for everyone was taken back; gives nobody a yes
	ActErase  Act = "erase"  // the account was erased; ledger only, and the last word of its owner
)

// A Scope is how far a decision reaches: the zero Scope is the whole account,
// any other the device of that id.
type Scope struct {
	Device DeviceID `json:"device,omitempty"`
}

// Everywhere reports whether the scope is the whole account.
func (s Scope) Everywhere() bool { return s.Device == "" }

// Reach is a Scope as a device says it.
type Reach string

// The reaches there are.
const (
	ReachDevice     Reach = "device"     // whoever decides, here
	ReachEverywhere Reach = "everywhere" // whoever decides, on all their devices
	// ReachEveryone is a denial for all who use this device, by its owner: the
	// account of the device's first link. It stands until its author takes it
	// back or leaves the device.
	ReachEveryone Reach = "everyone"
)

// An Authoriser is somebody whose yes is required.
type Authoriser string

// Owner is the person whose account it is.
const Owner Authoriser = "owner"

// A Channel is where a decision was made.
type Channel string

// The channels there are. Nobody can grant through ChannelBrand or ChannelGPC.
const (
	ChannelPortal Channel = "portal"
	ChannelDevice Channel = "device"
	ChannelBrand  Channel = "brand"
	ChannelGPC    Channel = "gpc" // the owner's browser says it, with Sec-GPC: 1
)

// A Decision is what somebody decided, as it was said. Base is the head of the
// ledger behind the screen on which it was decided, never the head at sending.
type Decision struct {
	Event      EventID       `json:"event"`
	Act        Act           `json:"act"`
	Key        Key           `json:"key,omitempty"`     // grant, deny
	Version    uint32        `json:"version,omitempty"` // grant
	Notice     Hash          `json:"notice,omitzero"`   // grant: the notice that was shown
	Preference PreferenceKey `json:"preference,omitempty"`
	Value      Value         `json:"value,omitempty"`
	Base       Position      `json:"base"`
}

// An Entry is one decision in an account's ledger. Entries are appended, never
// changed; Seq counts from 1 without gaps and Hash chains each to the one
// before.
type Entry struct {
	Decision
	Scope    Scope      `json:"scope"`
	By       Authoriser `json:"by"`
	Channel  Channel    `json:"channel"`
	Link     LinkID     `json:"link,omitzero"` // link and unlink, and what a device said
	Log      LogID      `json:"log,omitzero"`  // the device log it stood in
	N        uint64     `json:"n,omitempty"`   // and its number there
	Recorded Millis     `json:"recorded"`

	// Payload commits to Value with a salt that is kept, sealed, beside the
	// ledger: the chain verifies after the value was erased.
	Payload  Hash     `json:"payload,omitzero"`
	Previous Hash     `json:"previous"`
	Position Position `json:"position"`
}

// Ledger faults.
var (
	// ErrBaseAhead: the base lies above the ledger's head. Nobody can have
	// seen what has not happened, so the entry is refused.
	ErrBaseAhead = errors.New("the base is ahead of the ledger")
	// ErrChain: an entry does not follow the one before it.
	ErrChain = errors.New("the ledger's chain is broken")
)

// ResolveBase checks the base a decision claims against the ledger: at is the
// hash the ledger has at the base's sequence, zero if none. An unknown hash counts as having
// seen nothing; a base above the head is refused with ErrBaseAhead.
func ResolveBase(claimed, head Position, at Hash) (Position, error) {
	if claimed.Seq > head.Seq || claimed.Era > head.Era {
		return Position{}, fmt.Errorf("%w: %d above %d", ErrBaseAhead, claimed.Seq, head.Seq)
	}
	if claimed.Seq == 0 || at.IsZero() || claimed.Hash != at {
		return Position{}, nil
	}
	return claimed, nil
}

// Chain gives e its place after head.
func (e Entry) Chain(era uint32, head Position) Entry {
	e.Previous = head.Hash
	e.Position = Position{Era: era, Seq: head.Seq + 1}
	e.Position.Hash = e.hash()
	return e
}

// VerifyChain checks that entries follow one another from head on and returns
// the new head.
func VerifyChain(head Position, entries []Entry) (Position, error) {
	for _, e := range entries {
		if e.Position.Seq != head.Seq+1 || e.Position.Era < head.Era || e.Previous != head.Hash || e.hash() != e.Position.Hash {
			return head, fmt.Errorf("%w at %d", ErrChain, e.Position.Seq)
		}
		head = e.Position
	}
	return head, nil
}

// hash covers everything but the value, which only Payload commits to.
func (e Entry) hash() Hash {
	d := newDigest("cardea ledger", 18)
	d.uint(uint64(e.Position.Era)).uint(e.Position.Seq).bytes(e.Previous[:])
	d.bytes(e.Event[:]).text(string(e.Act)).text(string(e.Key)).uint(uint64(e.Version)).bytes(e.Notice[:])
	d.text(string(e.Preference)).bytes(e.Payload[:]).position(e.Base)
	d.text(string(e.Scope.Device)).text(string(e.By)).text(string(e.Channel))
	d.bytes(e.Link[:]).bytes(e.Log[:]).uint(e.N).uint(uint64(e.Recorded))
	return d.sum()
}

// Terms are what the catalogue asks of a key now, and which earlier versions a
// yes to still counts.
type Terms struct {
	Version   uint32
	Class     Class
	Staleness time.Duration
	Validity  time.Duration
	Required  []Authoriser
	Former    []Former
}
