package cardea

import "time"

// Limits of what travels.
const (
	// MaxMessageBytes bounds what a device is told, sealed.
	MaxMessageBytes = 8 << 10
	// MaxReportBytes bounds what a device tells, sealed: it has room for the
	// statement held beside the entries.
	MaxReportBytes = 16 << 10
	// Version is the protocol's version, the first item of both messages.
	Version = 1
)

// A Consent is what stands of one key on one device.
type Consent struct {
	Key        Key    `cbor:"1,keyasint" json:"key"`
	Version    uint32 `cbor:"2,keyasint" json:"version"`
	Reason     Reason `cbor:"3,keyasint" json:"reason"`
	Decided    Point  `cbor:"4,keyasint" json:"decided"`
	ValidUntil Millis `cbor:"5,keyasint,omitempty" json:"valid_until,omitempty"`
	Class      Class  `cbor:"6,keyasint" json:"class"`
	Staleness  uint32 `cbor:"7,keyasint" json:"staleness"` // seconds
	// Everyone: it is denied by the device's owner, for all who use the device.
	Everyone bool `cbor:"8,keyasint,omitempty" json:"everyone,omitempty"`
}

// Given reports whether the key is given, before any question of time.
func (c Consent) Given() bool { return c.Reason == ReasonGranted }

// A Preference is what stands of one preference on one device.
type Preference struct {
	Key     PreferenceKey `cbor:"1,keyasint" json:"key"`
	Value   Value         `cbor:"2,keyasint" json:"value"`
	Decided Point         `cbor:"3,keyasint" json:"decided"`
	// Source and Since say where and when it was set; neither is there for the
	// catalogue's default.
	Source Channel `cbor:"4,keyasint,omitempty" json:"source,omitempty"`
	Since  Millis  `cbor:"5,keyasint,omitempty" json:"since,omitempty"`
	// Under is the consent it stands and falls with, empty for none; at
	// ValidUntil, if there is one, it is gone.
	Under      Key    `cbor:"6,keyasint,omitempty" json:"under,omitempty"`
	ValidUntil Millis `cbor:"7,keyasint,omitempty" json:"valid_until,omitempty"`
}

// Gone reports whether a value is over. While the time is not known, one that
// has an end is.
func (p Preference) Gone(now Now) bool {
	return p.ValidUntil != 0 && (!now.Synced || now.Time >= p.ValidUntil)
}

// An Identity is who the device's user is, to the device: a reference that is
// the same on all devices of the account and says nothing about the person,
// and the name they chose to be shown by.
type Identity struct {
	Subject string `cbor:"1,keyasint" json:"subject"`
	Name    string `cbor:"2,keyasint,omitempty" json:"name,omitempty"`
	// Roles are the names of what they are to the brand, see Roles.
	Roles []string `cbor:"3,keyasint,omitempty" json:"roles,omitempty"`
}

// An OrderKind is what an order asks.
type OrderKind string

// The orders there are. What a device does not know it leaves undone.
const (
	// OrderUnlink ends the link on the device.
	OrderUnlink OrderKind = "unlink"
	// OrderErase ends the link and leaves nothing of it but its farewell, which
	// reports the order as done. It stands beside an unlink, for older devices.
	OrderErase OrderKind = "erase"
	// OrderIdentify has the device show or sound itself, so that its owner sees
	// which one it is.
	OrderIdentify OrderKind = "identify"
	// OrderReport wants to know how the device stands. Any report does it, so it is
	// never among those done, and a device that does not know it does it as well.
	OrderReport OrderKind = "report"
)

// An Order asks the device to do something once. It stands in every statement
// until it was proven done.
type Order struct {
	ID   OrderID   `cbor:"1,keyasint" json:"id"`
	Kind OrderKind `cbor:"2,keyasint" json:"kind"`
}

// A Body is the whole effective state of one link. Keys that are not given may
// be absent: absent is no.
type Body struct {
	Identity    Identity     `cbor:"1,keyasint" json:"identity"`
	Consents    []Consent    `cbor:"2,keyasint" json:"consents"`
	Preferences []Preference `cbor:"3,keyasint" json:"preferences"`
	Orders      []Order      `cbor:"4,keyasint" json:"orders"`
	// Collections are of the purposes whose use is given.
	Collections []Collection `cbor:"5,keyasint,omitempty" json:"collections,omitempty"`
}

// A Nonce is new with every report, so that its answer proves to be one.
type Nonce [16]byte

// IsZero reports whether there is no nonce: the message answers none.
func (n Nonce) IsZero() bool { return n == Nonce{} }

// A Down is what the cloud tells a device. With a body it is a statement;
// without one a renewal, which extends the lease of the revision already held.
// One that answers no nonce moves no clock and extends no lease.
type Down struct {
	V        uint64      `cbor:"1,keyasint"`
	Device   DeviceID    `cbor:"2,keyasint"`
	Link     LinkID      `cbor:"3,keyasint"`
	Revision uint64      `cbor:"4,keyasint"`
	Head     Position    `cbor:"5,keyasint"`
	Time     Millis      `cbor:"6,keyasint"`
	Nonce    Nonce       `cbor:"7,keyasint,omitzero"`
	Lease    Millis      `cbor:"8,keyasint"`
	Seen     Seen        `cbor:"9,keyasint"`
	Rejected []Rejection `cbor:"10,keyasint,omitempty"`
	BodyHash Hash        `cbor:"11,keyasint"`
	Body     []byte      `cbor:"12,keyasint,omitempty"` // an encoded Body
	Closed   bool        `cbor:"13,keyasint,omitempty"` // answers a report that ended the link
	// Recover: the report knew more than the cloud, whose database was put back
	// to an earlier state. The device sends the statement it holds with its next
	// report. Such a message changes nothing and extends no lease.
	Recover bool `cbor:"14,keyasint,omitempty"`
	// Confirmed is the Loss of the report this answers, once the owner has said
	// what the device may do again.
	Confirmed LossID `cbor:"15,keyasint,omitzero"`
}

// Renewal reports whether the message only extends time.
func (d Down) Renewal() bool { return d.Body == nil }

// A Have names the statement a device has applied: proof, once signed.
type Have struct {
	_        struct{} `cbor:",toarray"`
	Revision uint64
	BodyHash Hash
}

// A ClockState is what a device says of its clock.
type ClockState string

// The clock states.
const (
	ClockUntrusted ClockState = "untrusted"
	ClockSynced    ClockState = "synced"
)

// An Up is what a device tells the cloud: what it has applied, and what was
// decided on it that the cloud has not acknowledged.
type Up struct {
	V       uint64     `cbor:"1,keyasint"`
	Device  DeviceID   `cbor:"2,keyasint"`
	Links   []LinkID   `cbor:"3,keyasint"` // every link the device holds
	Link    LinkID     `cbor:"4,keyasint"` // the one reported on
	Log     LogID      `cbor:"5,keyasint"`
	Boot    Nonce      `cbor:"6,keyasint"` // random, new at every boot
	Nonce   Nonce      `cbor:"7,keyasint"`
	Have    Have       `cbor:"8,keyasint"`
	Clock   ClockState `cbor:"9,keyasint"`
	Entries []LogEntry `cbor:"10,keyasint"`
	// Held is the signed statement the device holds, byte for byte, where the
	// cloud asked for it: the cloud's own word, from before it forgot.
	Held []byte `cbor:"11,keyasint,omitempty"`
	// Away: somebody else uses the device now, or a guest. What the device does
	// meanwhile is not this account's to know.
	Away bool `cbor:"12,keyasint,omitempty"`
	// Loss: something that was stopped on the device may be lost, so it denies
	// everything on this link until the owner has confirmed this very loss.
	Loss LossID `cbor:"13,keyasint,omitzero"`
	// Purged is what became of what was collected for the link and did not leave,
	// where it is not what the cloud has been told already.
	Purged *Purged `cbor:"14,keyasint,omitempty"`
	// Done are orders that the device has done: those of the statement it holds,
	// and in a link's last report the one that erased it.
	Done []OrderID `cbor:"15,keyasint,omitempty"`
}

// MaxOfflineRetention is how long a link goes on that hears nothing from its
// cloud: then the device erases it by itself.
const MaxOfflineRetention = 90 * 24 * time.Hour
