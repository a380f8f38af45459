package pairing

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"github.com/cardea-id/cardea"
)

// The rules of a grant's life, as the server keeps it: pure functions of a
// [Grant], so that a storage can run them inside the transaction that records
// their outcome.

var (
	// ErrNoGrant is returned when no grant has that code, token or id.
	ErrNoGrant = errors.New("no such grant")
	// ErrTaken is returned for a code that another live grant has: make another.
	ErrTaken = errors.New("the code is taken")
	// ErrReplayed is returned for a proof that was seen before.
	ErrReplayed = errors.New("the proof was used before")
	// ErrUsed is returned to an owner for a code that was answered already.
	ErrUsed = errors.New("the code was used already: start the pairing again on the device")
	// ErrInactive is returned to an owner whose account may not pair.
	ErrInactive = errors.New("the account is not active")
)

// twin is how far apart two polls of a client that keeps any interval can never
// be: one that comes within it of the poll that won was sent beside it.
const twin = time.Second

// bearerRetry is how long a client without a key may present a refresh token
// again: there is nothing else to tell it from a thief.
const bearerRetry = time.Minute

// A GrantID names a grant: 22 characters of base64url. It is no secret.
type GrantID string

// NewGrantID returns a fresh random identifier.
func NewGrantID() GrantID {
	var raw [16]byte
	rand.Read(raw[:])
	return GrantID(base64.RawURLEncoding.EncodeToString(raw[:]))
}

// NewSecret returns 256 random bits as 43 characters of base64url.
func NewSecret() Secret {
	var raw [32]byte
	rand.Read(raw[:])
	return Secret(base64.RawURLEncoding.EncodeToString(raw[:]))
}

// Hash is how a random secret is kept: whoever reads the storage can not use it.
func (s Secret) Hash() cardea.Hash { return sha256.Sum256([]byte(s)) }

// A GrantState is where a grant is in its life: pending, then denied or
// approved; approved, then denied (cancelled) or active; active, then revoked.
type GrantState string

// The states. Approved means the owner said yes and no tokens were given yet.
const (
	GrantPending  GrantState = "pending"
	GrantApproved GrantState = "approved"
	GrantActive   GrantState = "active"
	GrantDenied   GrantState = "denied"
	GrantRevoked  GrantState = "revoked"
)

// A Grant is what one owner allows one device: from the code it asked with to
// its own family of refresh tokens. Times are the server's.
type Grant struct {
	ID     GrantID
	State  GrantState
	Client string
	Scope  string
	Device Device

	Account cardea.AccountID // zero until approved
	Name    string           // what the owner calls the device
	JKT     string           // thumbprint of the key it is bound to; empty: a bearer's

	// Of a device without a screen: the label it asked under, and how often its
	// button must be pressed after the owner's yes. Zero: it has a screen.
	Label   cardea.Hash // keyed
	Presses int

	Code      cardea.Hash // of the device code
	UserCode  cardea.Hash // keyed: there are few user codes
	Network   cardea.Hash // keyed, of where the device asked from
	Requested cardea.Millis
	Expires   cardea.Millis // end of the code, not of the grant
	Decided   cardea.Millis

	// The family. Successor is the newest refresh token. Predecessor is what it
	// was given for, a device code or a refresh token, while the successor was
	// never used: a lost answer can be asked for again. Zero: it was used.
	Predecessor cardea.Hash
	Successor   cardea.Hash
	Set         uint64        // counts the sets of tokens given
	Asked       cardea.Millis // when the newest set was asked for
	Issued      cardea.Millis // and when it was given
	Rotated     cardea.Millis // when the predecessor was presented first

	WrongKeys uint64        // uses of a code or token with another key
	Reused    cardea.Millis // last use of an outdated token with the right key
}

// A GrantKey finds one grant by exactly one of its fields.
type GrantKey struct {
	ID       GrantID
	Code     cardea.Hash // device code
	UserCode cardea.Hash
	Label    cardea.Hash   // the newest that asked under it
	Refresh  cardea.Hash   // any refresh token ever given that is still remembered
	Link     cardea.LinkID // made with the grant
}

// An Owner is the account a change concerns: the one that answers, or the one
// the grant belongs to.
type Owner struct {
	Account cardea.AccountID
	Subject string // the pseudonym in tokens
	Active  bool   // may sign in and pair
	Missed  bool   // does not have the grant's device any more, and says so
	Roles   cardea.Roles
}

// A ProofID stands for a proof that may be used once. It can be forgotten after
// Until, because by then its nonce is refused.
type ProofID struct {
	Hash  cardea.Hash
	Until cardea.Millis
}

// A Note is a thing that happened to a grant which its owner or the operator
// should be able to read later. Empty means nothing of note.
type Note string

// The notes.
const (
	NoteApproved  Note = "grant_approved"
	NoteDenied    Note = "grant_denied"
	NoteRedeemed  Note = "grant_redeemed"
	NoteRepeated  Note = "grant_redeemed_again" // the answer was lost
	NoteReused    Note = "grant_token_reused"   // outdated, but by the right key: a copy of the device?
	NoteWrongKey  Note = "grant_wrong_key"
	NoteRecalled  Note = "grant_recalled" // by the key, for a token that is not known
	NoteRevoked   Note = "grant_revoked"
	NotePressed   Note = "grant_pressed_wrongly" // the button, another number than the owner was told
	NoteCancelled Note = "grant_cancelled"       // taken back before it was redeemed
)

// A Use is a code or a token as a client presents it.
type Use struct {
	Token   cardea.Hash // of what was presented
	JKT     string      // of the proof that came with it; empty: none
	Next    cardea.Hash // of the refresh token to be given for it
	Arrived cardea.Millis
	Quick   bool // it came sooner after the one before than the interval allows
	Waited  bool // it was there before the owner answered
	Presses int  // of the device's button, if it was
}

// Answer is what a poll hears, by RFC 8628, Section 3.5; nil when tokens may be
// had with [Grant.Redeem]. It changes nothing.
func (g *Grant) Answer(now cardea.Millis) error {
	switch {
	case g.State == GrantDenied:
		return &Error{Code: AccessDenied, Description: "the owner declined", Status: 400}
	case g.State == GrantRevoked:
		return refuse("the grant was revoked")
	case now >= g.Expires:
		return &Error{Code: ExpiredToken, Description: "the code has expired: start again", Status: 400}
	case g.State == GrantPending:
		return &Error{Code: AuthorizationPending, Description: "the owner has not answered yet", Status: 400}
	}
	return nil
}

func refuse(why string) *Error { return &Error{Code: InvalidGrant, Description: why, Status: 400} }

// Redeem gives the first set of tokens for the device code. It succeeds once,
// and again for a client whose answer was lost: with the same key, before the
// set it replaces was used and before the code ends. The error is the client's
// answer; the grant may have changed even then and must be stored.
func (g *Grant) Redeem(u Use, owner Owner, now cardea.Millis) (Note, error) {
	if g.State == GrantActive && u.JKT != g.JKT || g.JKT != "" && u.JKT != g.JKT {
		return g.wrongKey()
	}
	if err := g.Answer(now); err != nil {
		return "", err
	}
	if !owner.Active {
		return g.cancel(now), &Error{Code: AccessDenied, Description: "the account is not active", Status: 400}
	}
	if note, err := g.pressed(u, now); err != nil {
		return note, err
	}
	if g.State == GrantApproved {
		g.State, g.JKT, g.Rotated = GrantActive, u.JKT, now
		g.give(u, now)
		return NoteRedeemed, nil
	}
	if g.Predecessor != g.Code {
		return g.reused(now), refuse("the code was redeemed and its tokens were used")
	}
	switch {
	case u.Arrived <= g.Issued || u.Arrived < g.Asked.Add(twin):
		return "", refuse("the code was redeemed by another request")
	case u.Quick:
		return "", Slower()
	}
	g.give(u, now)
	return NoteRepeated, nil
}

// pressed: of a device with a label the owner's yes counts once its button was
// pressed as often as the owner was told. Somebody else's yes is found out so:
// whoever stands at the device was told another number, or none. There is one
// try, because of a few all but one would find it.
func (g *Grant) pressed(u Use, now cardea.Millis) (Note, error) {
	switch {
	case g.State != GrantApproved || g.Presses == u.Presses || g.Presses == 0:
		return "", nil
	case u.Presses == 0:
		return "", &Error{Code: PressRequired, Description: "the owner said yes: press the button as the page says", Status: 400}
	}
	g.cancel(now)
	return NotePressed, &Error{Code: AccessDenied, Description: "the button was pressed another number of times than the owner was told", Status: 400}
}

// Slower is the answer to a poll that came too soon (RFC 8628, Section 3.5).
func Slower() *Error {
	return &Error{Code: SlowDown, Description: "wait 5 seconds longer between polls", Status: 400}
}

// Refresh gives the next set of tokens for a refresh token of the family. The
// newest token always works. The one before works again for the same key until
// its successor is used, without a limit of time, or for a minute where there
// is no key (RFC 9700, Section 4.14.2). As with Redeem the grant must be stored
// even when there is an error.
func (g *Grant) Refresh(u Use, owner Owner, now cardea.Millis) (Note, error) {
	switch {
	case g.State != GrantActive:
		return "", refuse("the grant was revoked")
	case u.JKT != g.JKT:
		return g.wrongKey()
	case !owner.Active:
		return "", refuse("the account is not active")
	case owner.Missed:
		return "", missed()
	case u.Token == g.Successor:
		g.Rotated = now
		g.give(u, now)
		return "", nil
	case u.Token == g.Predecessor && (g.JKT != "" || now.Sub(g.Rotated) <= bearerRetry):
		g.give(u, now)
		return NoteRepeated, nil
	}
	note := g.reused(now)
	if g.JKT == "" {
		// Nobody can say which of two bearers is the thief (RFC 9700, Section
		// 4.14.2), so the family ends. A key says it, and the family stays.
		g.State = GrantRevoked
	}
	return note, refuse("the refresh token is outdated")
}

// Recall gives a set of tokens for the proof of the key alone. It is the rule for
// a token that is not known, where the client has named the link it belongs to:
// the storage has forgotten it, or the device has. The key the grant is bound to
// is the last word on who asks.
func (g *Grant) Recall(u Use, owner Owner, now cardea.Millis) (Note, error) {
	switch {
	case g.State != GrantActive:
		return "", refuse("the grant was revoked")
	case g.JKT == "" || u.JKT != g.JKT:
		return g.wrongKey()
	case !owner.Active:
		return "", refuse("the account is not active")
	case owner.Missed:
		return "", missed()
	}
	g.Rotated = now
	g.give(u, now)
	return NoteRecalled, nil
}

// missed refuses without ending anything: a device that its owner finds again goes
// on with the tokens it has.
func missed() *Error {
	return &Error{Code: AccessDenied, Description: "the device was reported lost or stolen", Status: 400}
}

func (g *Grant) give(u Use, now cardea.Millis) {
	g.Predecessor, g.Successor = u.Token, u.Next
	g.Set++
	g.Asked, g.Issued = now, now
	if u.Waited {
		// Its connection may be long dead, and the device come again just
		// after: that is a lost answer, not two polls side by side.
		g.Asked = u.Arrived
	}
}

func (g *Grant) wrongKey() (Note, error) {
	g.WrongKeys++
	return NoteWrongKey, refuse("it belongs to another key")
}

func (g *Grant) reused(now cardea.Millis) Note {
	g.Reused = now
	return NoteReused
}

// Used notes that the newest set of tokens arrived, because one of it was used:
// from then on nothing older is answered.
func (g *Grant) Used(set uint64) {
	if set == g.Set {
		g.Predecessor = cardea.Hash{}
	}
}

// Approve is the owner's yes. Errors: ErrUsed, ErrExpired, ErrInactive.
func (g *Grant) Approve(owner Owner, name string, now cardea.Millis) (Note, error) {
	if err := g.open(now); err != nil {
		return "", err
	}
	if !owner.Active {
		return "", ErrInactive
	}
	g.State, g.Account, g.Name, g.Decided = GrantApproved, owner.Account, name, now
	return NoteApproved, nil
}

// Deny is the owner's no. Errors: ErrUsed, ErrExpired.
func (g *Grant) Deny(now cardea.Millis) (Note, error) {
	if err := g.open(now); err != nil {
		return "", err
	}
	g.State, g.Decided = GrantDenied, now
	return NoteDenied, nil
}

func (g *Grant) open(now cardea.Millis) error {
	switch {
	case g.State != GrantPending:
		return ErrUsed
	case now >= g.Expires:
		return ErrExpired
	}
	return nil
}

// Revoke ends the grant, or cancels it where it was not redeemed yet. Doing it
// again changes nothing.
func (g *Grant) Revoke(now cardea.Millis) Note {
	switch g.State {
	case GrantApproved:
		return g.cancel(now)
	case GrantActive:
		g.State, g.Decided = GrantRevoked, now
		return NoteRevoked
	}
	return ""
}

// Leave ends the grant for its own client (RFC 7009): one that was not redeemed
// is cancelled, one that gave tokens is revoked. Who lacks the key it is bound to
// ends nothing. As with Redeem the grant must be stored even when there is an
// error.
func (g *Grant) Leave(u Use, now cardea.Millis) (Note, error) {
	if u.JKT != g.JKT && (g.JKT != "" || g.State == GrantActive) {
		return g.wrongKey()
	}
	if g.State == GrantPending {
		g.State, g.Decided = GrantDenied, now
		return NoteCancelled, nil
	}
	return g.Revoke(now), nil
}

func (g *Grant) cancel(now cardea.Millis) Note {
	if g.State != GrantApproved {
		return ""
	}
	g.State, g.Decided = GrantDenied, now
	return NoteCancelled
}
