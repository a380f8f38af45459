// Package admin is the API of the brand that runs the cloud: load the
// catalogue, stop something for a customer, read and set preferences, say what roles somebody has, see how far
// a change has come, follow all changes, see what stood at any instant with the
// receipt of each decision, and ask "may I?" and "may I write?" on the brand's own
// servers.
//
// Nothing here can grant. The API takes denials, and preferences unless they
// would take back the protective value of a privacy preference: who may do
// more is the owner alone, signed in. Customers are named by their subject, a
// random pseudonym; nothing personal goes in or comes out, except the values of
// preferences, which are read by purpose and only while that is given, and the copy
// of everything that a customer is owed. Every change is audited under the name of the key that made it.
//
// A request carries a key as a bearer token (RFC 6750, Section 2.1). Only the
// hash of a key is known here.
package admin

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/store/accountdb"
)

// A DeviceLister tells how far each device of an account has come.
type DeviceLister interface {
	Devices(ctx context.Context, account cardea.AccountID) ([]hub.Device, error)
}

// Config is what the API works with.
type Config struct {
	Ledger   *ledger.Ledger
	Devices  DeviceLister
	Receipts Receipts
	Eraser   Eraser
	Archive  Archive
	// Issuer is the address of the owners' pages.
	Issuer string
	Keys   []Key
	// Decided is told each answer to "may I?". Nil: nobody counts.
	Decided func(cardea.Answer)
	// Ending is closed when the cloud is about to end: held requests are then
	// answered. Nil: never.
	Ending <-chan struct{}
	Log    *slog.Logger
}

type api struct {
	Config
	waiting chan struct{} // a place for each request that may be held
}

// Handler serves everything under /admin/v1/. Without keys it refuses
// everything.
func Handler(c Config) http.Handler {
	a := &api{Config: c, waiting: make(chan struct{}, maxHeld)}
	mux := http.NewServeMux()
	for pattern, f := range a.calls() {
		mux.Handle(pattern, web.Handle(c.Log, a.authenticated(f)))
	}
	mux.Handle("/admin/v1/", web.Handle(c.Log, a.authenticated(notThere)))
	return mux
}

// calls is what is served: what stands in openapi.yaml.
func (a *api) calls() map[string]handler {
	return map[string]handler{
		"PUT /admin/v1/catalogue":                       a.putCatalogue,
		"GET /admin/v1/catalogue":                       a.getCatalogue,
		"GET /admin/v1/changes":                         a.changes,
		"POST /admin/v1/accounts/{subject}/denials":     a.deny,
		"GET /admin/v1/accounts/{subject}/preferences":  a.preferences,
		"POST /admin/v1/accounts/{subject}/preferences": a.prefer,
		"POST /admin/v1/accounts/{subject}/decide":      a.decide,
		"GET /admin/v1/accounts/{subject}/propagation":  a.propagation,

		"POST /admin/v1/accounts/{subject}/communication/check": a.maySend,
		"GET /admin/v1/accounts/{subject}/consents":             a.consents,
		"GET /admin/v1/accounts/{subject}/receipts/{seq}":       a.receipt,

		"GET /admin/v1/accounts/{subject}/roles": a.roles,
		"PUT /admin/v1/accounts/{subject}/roles": a.putRoles,

		"POST /admin/v1/accounts/{subject}/erasure": a.erase,
		"GET /admin/v1/erasures":                    a.erasures,
		"GET /admin/v1/overdue":                     a.overdue,
		"GET /admin/v1/accounts/{subject}/archive":  a.archive,
	}
}

// A caller is the name of the key a request was made with.
type caller string

// actor is how the audit names a caller.
func (c caller) actor() string { return "brand:" + string(c) }

type handler func(w http.ResponseWriter, r *http.Request, by caller) error

func notThere(http.ResponseWriter, *http.Request, caller) error {
	return web.Errorf(http.StatusNotFound, "not_found", "there is nothing here, or not with this method: see docs/brand-api.md")
}

// account is the account a request names.
func (a *api) account(r *http.Request) (account accountdb.Account, err error) {
	err = a.Ledger.DB.View(r.Context(), func(tx *accountdb.Tx) (err error) {
		account, err = tx.AccountBySubject(r.PathValue("subject"))
		return err
	})
	return account, shown(err)
}

// update runs f in a transaction on the account a request names, and has the
// devices told when it is committed.
func (a *api) update(r *http.Request, f func(tx *accountdb.Tx, account accountdb.Account) error) error {
	var account accountdb.Account
	err := a.Ledger.DB.Update(r.Context(), func(tx *accountdb.Tx) (err error) {
		if account, err = tx.AccountBySubject(r.PathValue("subject")); err != nil {
			return err
		}
		return f(tx, account)
	})
	if err != nil {
		return shown(err)
	}
	a.Ledger.Committed(account.ID)
	return nil
}
