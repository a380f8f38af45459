package issuer

import (
	"context"
	"encoding/json"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/pairing"
)

// Storage keeps grants. It is safe for concurrent use. Each method is one
// transaction, durable when it returns nil and without a trace otherwise.
// Expected outcomes are pairing.ErrNoGrant, ErrTaken and ErrReplayed; any other
// error is a fault of the storage and answered as one. A grant's name is read
// by List only; Find and Change leave it empty, and an empty name is not stored.
type Storage interface {
	// Start stores a new pending grant; ErrTaken if one of its codes is the
	// code of a grant that is remembered.
	Start(ctx context.Context, g pairing.Grant) error

	// Find reads a grant and writes nothing; ErrNoGrant. A code is remembered
	// for at least an hour after its end.
	Find(ctx context.Context, key pairing.GrantKey) (pairing.Grant, error)

	// Change finds a grant (ErrNoGrant), records the proofs (ErrReplayed) and
	// stores what f made of the grant, a new refresh token and the note. f runs
	// inside the transaction, may run more than once, and sees the storage's
	// time and the owner: account if not zero, else the grant's own, if any.
	// An error of f is returned and undoes everything. If f changes nothing,
	// the proofs need not be recorded.
	Change(ctx context.Context, key pairing.GrantKey, account cardea.AccountID, proofs []pairing.ProofID,
		f func(now cardea.Millis, g *pairing.Grant, owner pairing.Owner) (pairing.Note, error)) error

	// Standing reads a grant and whose it is, and writes nothing; ErrNoGrant.
	Standing(ctx context.Context, grant pairing.GrantID) (pairing.Grant, pairing.Owner, error)

	// List reads an account's grants that are approved or active.
	List(ctx context.Context, account cardea.AccountID) ([]pairing.Grant, error)

	// UseDevice tells whether a device has a link that is live or closing and,
	// if so, records the proofs (ErrReplayed).
	UseDevice(ctx context.Context, device cardea.DeviceID, proofs []pairing.ProofID) (linked bool, err error)
}

// An Access is what an access token says of its holder.
type Access struct {
	Subject string // the account's pseudonym
	Client  string
	Scope   string
	JKT     string // thumbprint of the key it is bound to; empty: a bearer token
	Grant   pairing.GrantID
	Set     uint64 // which set of the grant's tokens it belongs to
	Roles   cardea.Roles
}

// Claims are an Access and what else its token says.
type Claims struct {
	Access
	ID       string
	Audience string
	Issued   time.Time
	Expires  time.Time
}

// Tokens signs tokens and makes nonces. It is safe for concurrent use.
type Tokens interface {
	// Mint makes an access token and says how long it lives.
	Mint(a Access, now time.Time) (pairing.Secret, time.Duration, error)
	// Read reads an access token; ok is false unless it is one of ours, for
	// ourselves, and not over at that time. Whether its grant still stands is
	// not in it.
	Read(token pairing.Secret, now time.Time) (c Claims, ok bool)
	// MintDevice makes a device's own token for the broker.
	MintDevice(device cardea.DeviceID, now time.Time) (pairing.Secret, time.Duration, error)
	// JWKS is the keys they verify with.
	JWKS() json.RawMessage
	// Nonce is the nonce for proofs made now.
	Nonce(now time.Time) string
	// CheckNonce reports whether a nonce is fresh, and until when it stays so.
	CheckNonce(nonce string, now time.Time) (until time.Time, ok bool)
}
