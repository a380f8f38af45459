package client

import (
	"cmp"
	"encoding/json"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/pairing"
)

// A Status is how the agent is, and what it takes the caller for.
type Status struct {
	Program      string            `json:"program"`      // the caller, as its registry file names it
	Entitlements []string          `json:"entitlements"` // and what it may ask for
	Device       cardea.DeviceID   `json:"device"`
	Link         cardea.LinkID     `json:"link,omitzero"` // the active link; absent: guest
	Links        []cardea.LinkID   `json:"links"`         // all links the device holds
	Issuer       string            `json:"issuer,omitempty"`
	Bar          cardea.Reason     `json:"bar,omitempty"` // why everything is denied, if it is
	Clock        cardea.ClockState `json:"clock"`
	Connected    bool              `json:"connected"` // to the cloud's broker
	Pending      int               `json:"pending"`   // decisions the cloud has not acknowledged
	Generation   uint64            `json:"generation"`
	Events       *Collected        `json:"events,omitempty"` // only for those who may hand some in
}

// Collected counts what became of the events of everybody who is linked, whoever
// handed them in.
type Collected struct {
	Waiting uint64 `json:"waiting"` // to be sent
	Sent    uint64 `json:"sent"`    // and answered for by the cloud
	Deleted uint64 `json:"deleted"` // somebody said no, or they waited for too long
	Dropped uint64 `json:"dropped"` // for want of room
	// Refused counts, since the agent's start, those that were not taken.
	Refused map[cardea.Reason]uint64 `json:"refused,omitempty"`
}

// The states of a pairing.
const (
	PairNone     = "none"     // none was started, or it was cancelled
	PairPending  = "pending"  // the code is shown and waits for the owner
	PairConfirm  = "confirm"  // the owner said yes; the device's button must be pressed
	PairApproved = "approved" // the owner said yes; the link is being made
	PairLinked   = "linked"   // done
	PairDenied   = "denied"   // the owner said no
	PairExpired  = "expired"  // nobody decided in time
)

// What a pairing can be for.
const (
	ForAdd      = "add"       // one more person; the others stay
	ForNewOwner = "new_owner" // the device is somebody else's now: everything of the others goes
)

// A PairRequest starts a pairing; absent, it is ForAdd.
type PairRequest struct {
	For string `json:"for,omitempty"`
}

// A PairConfirmation is the button of a device without a screen, pressed so
// often after its owner said yes.
type PairConfirmation struct {
	Presses int `json:"presses"`
}

// A Pairing is what a screen needs to show. ExpiresAt is on the device's own
// clock, which may be wrong; ExpiresIn, in seconds, is not.
type Pairing struct {
	State                   string        `json:"state"`
	UserCode                string        `json:"user_code,omitempty"`
	VerificationURI         string        `json:"verification_uri,omitempty"`
	VerificationURIComplete string        `json:"verification_uri_complete,omitempty"`
	VerificationURIShort    string        `json:"verification_uri_short,omitempty"` // the same, for a small picture
	ExpiresAt               cardea.Millis `json:"expires_at,omitempty"`
	ExpiresIn               int64         `json:"expires_in,omitempty"`
	Link                    cardea.LinkID `json:"link,omitzero"`
	Problem                 string        `json:"problem,omitempty"` // what the poller is waiting out, such as a network that is down
}

// Scan is the address a picture of the code leads to: the one that makes the
// smallest picture. RFC 8628, Section 3.3.1 leaves the last two to the server.
func (p Pairing) Scan() string {
	return cmp.Or(p.VerificationURIShort, p.VerificationURIComplete, p.VerificationURI)
}

// A Spelling is a code for a voice. Text is all of it in one sentence; Letters
// are its parts, for a voice that pauses between them.
type Spelling struct {
	Lang    string   `json:"lang"`
	Text    string   `json:"text"`
	Letters []string `json:"letters"`
}

// An Identity says who is here.
type Identity struct {
	Link    cardea.LinkID `json:"link"`
	Subject string        `json:"subject"`
	Name    string        `json:"name,omitempty"`
	// Roles are what they are to the brand, in order. They are absent once the
	// cloud was not heard of for a day.
	Roles []string `json:"roles,omitempty"`
}

// A TokenRequest asks for an access token that still counts for MinValid
// seconds.
type TokenRequest struct {
	Audience string `json:"audience"`
	Scope    string `json:"scope,omitempty"`
	MinValid int    `json:"min_valid,omitempty"`
	// Request is the request the token shall be sent with, if a proof of the
	// device's key is wanted for it.
	Request *Request `json:"request,omitempty"`
}

// A Request is what a proof is for. It counts for this method and address, and
// once. Nonce is what the API's last answer had in DPoP-Nonce, if anything.
type Request struct {
	Method string `json:"method"`
	URL    string `json:"url"`
	Nonce  string `json:"nonce,omitempty"`
}

// A Token is an access token and how to send it.
type Token struct {
	AccessToken pairing.Secret `json:"access_token"`
	TokenType   string         `json:"token_type"`
	ExpiresIn   int64          `json:"expires_in"`
	// DPoP is the header of that name for the request (RFC 9449, Section 4.1).
	// Empty: none was asked for, or the token is a bearer's and needs none.
	DPoP       pairing.Secret `json:"dpop,omitempty"`
	Link       cardea.LinkID  `json:"link"`       // whose it is
	Generation uint64         `json:"generation"` // in which that link was the active one
}

// MaxQueries bounds the queries of one decide request.
const MaxQueries = 64

// A DecideRequest is one query, or several in Queries, never both. Link is for
// data that was collected before: whose it is. Without it whoever uses the device
// now is asked.
type DecideRequest struct {
	Link    cardea.LinkID  `json:"link,omitzero"`
	Key     cardea.Key     `json:"key,omitempty"`
	Use     cardea.Use     `json:"use,omitempty"`
	Queries []cardea.Query `json:"queries,omitempty"`
}

// An Answer is the agent's answer to one query. LeftMS is how many
// milliseconds it can count at most.
type Answer struct {
	Key        cardea.Key     `json:"key"`
	Use        cardea.Use     `json:"use"`
	Verdict    cardea.Verdict `json:"verdict"`
	Reason     cardea.Reason  `json:"reason"`
	LeftMS     int64          `json:"left_ms"`
	Link       cardea.LinkID  `json:"link,omitzero"` // whose word it is; absent: a guest
	Generation uint64         `json:"generation"`
}

// Allowed reports whether the data may be used at all.
func (a Answer) Allowed() bool { return a.Verdict == cardea.Allow || a.Verdict == cardea.AllowLocal }

// Left is how long the answer can count at most.
func (a Answer) Left() time.Duration { return time.Duration(a.LeftMS) * time.Millisecond }

// Answers are the answers to a request with several queries, in their order.
type Answers struct {
	Answers    []Answer `json:"answers"`
	Generation uint64   `json:"generation"`
}

// A Consent is what stands of one key, and what the gate makes of it now for
// collecting. Everyone says that the device's owner denies it for all. Own is what was decided on this device and the cloud has not
// acknowledged yet.
type Consent struct {
	Key        cardea.Key     `json:"key"`
	Version    uint32         `json:"version"`
	Class      cardea.Class   `json:"class"`
	Verdict    cardea.Verdict `json:"verdict"`
	Reason     cardea.Reason  `json:"reason"`
	LeftMS     int64          `json:"left_ms"`
	ValidUntil cardea.Millis  `json:"valid_until,omitempty"`
	Everyone   bool           `json:"everyone,omitempty"`
	Own        cardea.Act     `json:"own,omitempty"`
}

// Consents are the consents a program may see. Head names the ledger behind
// them: a decision made on a screen that shows them says so in its Head.
type Consents struct {
	Generation uint64          `json:"generation"`
	Link       cardea.LinkID   `json:"link"` // whose they are
	Head       cardea.Position `json:"head"`
	Consents   []Consent       `json:"consents"`
}

// A Withdrawal stops one key here or everywhere, or here for everyone. Link and
// Head are those of the consents that were shown; without them it is whoever uses
// the device now who says it, and what the agent holds counts as shown, which is
// right for a word or a button without a screen.
type Withdrawal struct {
	Key   cardea.Key       `json:"key"`
	Reach cardea.Reach     `json:"reach,omitempty"` // absent: "device"
	Link  cardea.LinkID    `json:"link,omitzero"`
	Head  *cardea.Position `json:"head,omitempty"`
}

// A Grant allows one key. With cardea.ReachEveryone it only takes back what the
// same person has stopped for everyone, and names nothing else. Otherwise it names
// the version and the notice the owner was shown and the Head of the consents on
// that screen, and where several people are linked also their Link: a yes that
// was pressed just after somebody else took over is refused ("switched").
type Grant struct {
	Key     cardea.Key       `json:"key"`
	Version uint32           `json:"version"`
	Notice  cardea.Hash      `json:"notice"`
	Reach   cardea.Reach     `json:"reach,omitempty"` // absent: "device"
	Link    cardea.LinkID    `json:"link,omitzero"`
	Head    *cardea.Position `json:"head,omitempty"`
}

// Stopped says that a withdrawal is durable and in force on this device.
type Stopped struct {
	Stopped    bool   `json:"stopped"`
	Generation uint64 `json:"generation"`
}

// Noted says that a decision is durable. Pending means that the cloud has not
// acknowledged it, and that until then only class L counts.
type Noted struct {
	Pending    bool   `json:"pending"`
	Generation uint64 `json:"generation"`
}

// Unlinked says that a link is gone from this device.
type Unlinked struct {
	Unlinked   bool   `json:"unlinked"`
	Generation uint64 `json:"generation"`
}

// Links are the links of the device, its owner's first.
type Links struct {
	Generation uint64   `json:"generation"`
	Links      []Person `json:"links"`
}

// A Person is one link. Name is what they chose to be shown by, with the
// entitlement "people".
type Person struct {
	Link   cardea.LinkID `json:"link"`
	Active bool          `json:"active,omitempty"`
	Owner  bool          `json:"owner,omitempty"`
	Name   string        `json:"name,omitempty"`
}

// Switched says who uses the device now; no link: a guest.
type Switched struct {
	Link       cardea.LinkID `json:"link,omitzero"`
	Generation uint64        `json:"generation"`
}

// Reset says that the device is empty, whose links ended with it, and its new id.
type Reset struct {
	Reset  bool            `json:"reset"`
	Device cardea.DeviceID `json:"device"`
	Ended  []cardea.LinkID `json:"ended"`
}

// A Preference is one setting. Value is a JSON scalar, or an array of strings.
// Source says where it was set, SourceDefault if nowhere, and Since when; that is
// absent for a default, and for what was set here and is on its way to the cloud.
// Purpose is what it may be used for, if it belongs to one; at ValidUntil, if it
// has that, it is gone.
type Preference struct {
	Key        cardea.PreferenceKey `json:"key"`
	Value      json.RawMessage      `json:"value"`
	Source     cardea.Channel       `json:"source"`
	Since      cardea.Millis        `json:"since,omitempty"`
	Purpose    cardea.PurposeID     `json:"purpose,omitempty"`
	ValidUntil cardea.Millis        `json:"valid_until,omitempty"`
}

// SourceDefault is the source of what nobody has set.
const SourceDefault cardea.Channel = "default"

// Preferences are the preferences a program may see.
type Preferences struct {
	Generation  uint64          `json:"generation"`
	Link        cardea.LinkID   `json:"link"` // whose they are
	Head        cardea.Position `json:"head"`
	Preferences []Preference    `json:"preferences"`
}

// A PreferenceChange sets one preference of the account on every device, or
// only here. Head is as in a Withdrawal.
type PreferenceChange struct {
	Key   cardea.PreferenceKey `json:"key"`
	Value json.RawMessage      `json:"value"`
	Reach cardea.Reach         `json:"reach,omitempty"` // absent: "device"
	Link  cardea.LinkID        `json:"link,omitzero"`
	Head  *cardea.Position     `json:"head,omitempty"`
}

// An Event is one line of a watch: the whole state the program may see, never
// a difference, so the last one read is always right. Resync instead says that
// the reader was too slow and has to watch anew.
type Event struct {
	Generation  uint64          `json:"generation"`
	Link        cardea.LinkID   `json:"link,omitzero"`
	Head        cardea.Position `json:"head,omitzero"`
	Pairing     string          `json:"pairing,omitempty"` // with the entitlement "pair"
	Consents    []Consent       `json:"consents,omitempty"`
	Preferences []Preference    `json:"preferences,omitempty"`
	Resync      bool            `json:"resync,omitempty"`
	// Identify: the device is to show or sound itself while this is so, because
	// its owner wants to see which one it is. It lasts some seconds.
	Identify bool `json:"identify,omitempty"`
}

// A Page is what goes with the file of a program's page of answers, which comes
// beside it (SCM_RIGHTS): see agent/client/c.
type Page struct {
	Bytes int `json:"bytes"`
}

// MaxEvents is how many events are taken at once.
const MaxEvents = 64

// A Datum is what a program has just collected about whoever uses the device, for
// one purpose. ID is the program's own and the same when it sends the event again,
// so that it counts once. Facets are what it needs beside "use" and what the
// recipient and the fields take by themselves. No Recipient is the brand itself.
// Method says how it was collected; by whom and when, the agent knows.
type Datum struct {
	ID        string                     `json:"id"`
	Purpose   cardea.PurposeID           `json:"purpose"`
	Facets    []cardea.Facet             `json:"facets,omitempty"`
	Recipient string                     `json:"recipient,omitempty"`
	Method    cardea.Method              `json:"method"`
	Data      map[string]json.RawMessage `json:"data"` // scalars
}

// Data is a batch of events.
type Data struct {
	Events []Datum `json:"events"`
}

// Taken says what became of each event, in their order, and whose they are.
type Taken struct {
	Generation uint64        `json:"generation"`
	Link       cardea.LinkID `json:"link,omitzero"`
	Events     []Outcome     `json:"events"`
}

// An Outcome is what became of an event. What is accepted is on the disk; it may
// still be deleted before it leaves. Dropped are fields that may not be collected
// for its purpose.
type Outcome struct {
	ID       string        `json:"id"`
	Accepted bool          `json:"accepted"`
	Reason   cardea.Reason `json:"reason"`
	Dropped  []string      `json:"dropped,omitempty"`
}
