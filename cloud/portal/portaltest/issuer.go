package portaltest

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
	"github.com/cardea-id/cardea/store/accountdb"
)

// An Issuer is one with one pending request. With a DB it lets the letters go that
// tell of a yes, as the one does that keeps its grants there.
type Issuer struct {
	DB      *accountdb.DB
	Mu      sync.Mutex
	Code    pairing.UserCode
	Asks    issuer.Request
	Answers map[pairing.UserCode]string
	Granted map[cardea.AccountID][]issuer.Grant
	Revoked []pairing.GrantID
	Err     error
}

// Grants is what was granted.
func (f *Issuer) Grants(_ context.Context, account cardea.AccountID) ([]issuer.Grant, error) {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	return f.Granted[account], nil
}

// Revoke notes the grant.
func (f *Issuer) Revoke(_ context.Context, account cardea.AccountID, grant pairing.GrantID) error {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	if !slices.ContainsFunc(f.Granted[account], func(g issuer.Grant) bool { return g.ID == grant }) {
		return fmt.Errorf("revoke: %w", issuer.ErrNoGrant)
	}
	f.Revoked = append(f.Revoked, grant)
	return nil
}

// Lookup finds what asks.
func (f *Issuer) Lookup(_ context.Context, _ cardea.AccountID, code pairing.UserCode, _ netip.Addr) (issuer.Request, error) {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	switch {
	case f.Err != nil:
		return issuer.Request{}, f.Err
	case code != f.Code:
		return issuer.Request{}, issuer.ErrWrongCode
	case f.Answers[code] != "":
		return issuer.Request{}, issuer.ErrUsed
	}
	asks := f.Asks
	asks.Grant, asks.Code, asks.Choices = TheGrant, code, []pairing.UserCode{"BBBB-CCCC", code, "WWWW-ZZZZ"}
	return asks, nil
}

// TheGrant is what a yes makes.
const TheGrant = pairing.GrantID("the-grant")

// Approve notes the answer.
func (f *Issuer) Approve(ctx context.Context, account cardea.AccountID, code pairing.UserCode, name string) (pairing.GrantID, error) {
	err := f.answer(code, "approved "+name)
	if err == nil && f.DB != nil {
		err = f.DB.Update(ctx, func(tx *accountdb.Tx) error { return tx.Approved(account, TheGrant) })
	}
	return TheGrant, err
}

// Deny notes the answer.
func (f *Issuer) Deny(_ context.Context, _ cardea.AccountID, code pairing.UserCode) error {
	return f.answer(code, "declined")
}

func (f *Issuer) answer(code pairing.UserCode, answer string) error {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	switch {
	case f.Err != nil:
		return f.Err
	case code != f.Code:
		return issuer.ErrWrongCode
	case f.Answers[code] != "":
		return issuer.ErrUsed
	}
	f.Answers[code] = answer
	return nil
}

// Answered is what was noted of a code.
func (f *Issuer) Answered(code pairing.UserCode) string {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	return f.Answers[code]
}
