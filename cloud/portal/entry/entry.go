// Package entry is where owners come in: sign in, register, what they sign in
// with, and where they are signed in.
//
// What it promises:
//
//   - Who has an account can not be learned by signing in, nor by asking for a
//     code: an unknown address gets the same answer after the same work. Nor by
//     registering, where mail is sent; without mail registering tells whether an
//     address is taken, at a bounded rate.
//   - An address is its owner's only once somebody answered from it. Until then
//     the account has a name and an address that it claims, which keep nobody else
//     from either, and its devices share nothing.
//   - Passwords are kept as Argon2id, codes as a keyed hash, and passkeys as what
//     checks them. Tries are limited by address and by account, and so are the
//     hashes computed at a time and the codes sent.
//   - Nobody locks themselves out: the last way to sign in stays.
//   - What somebody else could have done is told by mail, with a link that takes it
//     back without signing in. Opening it changes nothing.
package entry

import (
	"context"
	"embed"
	"net/http"
	"runtime"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/passkey"
	"github.com/cardea-id/cardea/cloud/password"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/cloud/provider"
	"github.com/cardea-id/cardea/cloud/throttle"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/store/accountdb"
)

//go:embed pages
var files embed.FS

// Accounts is who can sign in: *accountdb.DB, whose methods say what they
// promise. All are safe for concurrent use and durable when they return.
// Expected outcomes are accountdb.ErrTaken, ErrForeign and ErrNotFound.
type Accounts interface {
	Register(ctx context.Context, email, password string) (cardea.AccountID, error)
	LoginByEmail(ctx context.Context, email string) (accountdb.Login, error)
	LoginByIdentity(ctx context.Context, who accountdb.Identity) (accountdb.Login, error)
	RegisterIdentity(ctx context.Context, who accountdb.Identity, email string) (cardea.AccountID, error)
	Connect(ctx context.Context, account cardea.AccountID, who accountdb.Identity) error
	Connections(ctx context.Context, account cardea.AccountID) ([]accountdb.Connection, error)
	Update(ctx context.Context, f func(*accountdb.Tx) error) error
	View(ctx context.Context, f func(*accountdb.Tx) error) error
}

// Devices are what an owner takes back again by a link in a mail: *hub.Hub.
type Devices interface {
	Devices(ctx context.Context, account cardea.AccountID) ([]hub.Device, error)
	Unlink(ctx context.Context, account cardea.AccountID, link cardea.LinkID) error
}

// Grants are what was paired without becoming a device: *issuer.Issuer.
type Grants interface {
	Revoke(ctx context.Context, account cardea.AccountID, grant pairing.GrantID) error
}

// Config is what the room works with.
type Config struct {
	Accounts Accounts
	// Providers are where owners can sign in with an account they have.
	Providers []*provider.Provider
	// Passkeys. Nil: there are none, because the site has no name.
	Passkeys *passkey.Keys
	// Mail has letters sent that were posted. Nil: no mail can be sent, and what
	// needs it is not offered.
	Mail func()
	// Base is the address of the site, for links in letters.
	Base string
	// Terms is where the brand's terms can be read. Empty: it has none.
	Terms string

	Devices Devices
	Grants  Grants
	// Renamed is told when an owner calls themselves something else, so that their
	// devices hear of it.
	Renamed func(cardea.AccountID)
}

// A Room is these pages. It is safe for concurrent use.
type Room struct {
	*desk.Desk
	Pages     *desk.Pages
	Passwords *password.Hasher

	Config
	byAddress *throttle.Throttle
	byLogin   *throttle.Throttle
}

// New makes the room.
func New(d *desk.Desk, c Config) *Room {
	if c.Renamed == nil {
		c.Renamed = func(cardea.AccountID) {}
	}
	return &Room{
		Desk: d, Pages: d.Pages(files), Config: c,
		Passwords: password.New(max(2, runtime.NumCPU())),
		byAddress: throttle.New(20, 15*time.Second),
		byLogin:   throttle.New(10, time.Minute),
	}
}

// Routes adds the pages.
func (p *Room) Routes(mux *http.ServeMux) {
	for pattern, page := range map[string]desk.Page{
		"GET /signin":                      p.showSignIn,
		"POST /signin":                     p.postSignIn,
		"POST /signin/passkey":             p.postPasskey,
		"POST /signin/code":                p.postSignInCode,
		"POST /signin/code/enter":          p.postSignInCodeEnter,
		"GET /register":                    p.showRegister,
		"POST /register":                   p.postRegister,
		"GET /terms":                       p.showTerms,
		"GET /reset":                       p.showReset,
		"POST /reset":                      p.postReset,
		"POST /reset/enter":                p.postResetEnter,
		"POST /signin/with/{provider}":     p.postElsewhere,
		"GET /signin/with/{provider}/back": p.showBack,
		"POST /signout":                    p.postSignOut,
		"GET /undo/{secret}":               p.showUndo,
		"POST /undo":                       p.postUndo,
	} {
		mux.Handle(pattern, p.Open(page))
	}
	for pattern, page := range map[string]desk.Page{
		"GET /again":                     p.showAgain,
		"POST /again":                    p.postAgain,
		"POST /again/passkey":            p.postAgainPasskey,
		"POST /again/code":               p.postAgainCode,
		"POST /again/code/enter":         p.postAgainCodeEnter,
		"GET " + accountPage:             p.showAccount,
		"POST /account/name":             p.postName,
		"GET /account/confirm":           p.showConfirm,
		"POST /account/confirm":          p.postConfirm,
		"POST /account/confirm/enter":    p.postConfirmEnter,
		"GET /account/password":          p.showPassword,
		"POST /account/password":         p.postPassword,
		"GET /account/passkey":           p.showNewPasskey,
		"POST /account/passkey":          p.postNewPasskey,
		"POST /account/passkey/remove":   p.postRemovePasskey,
		"POST /account/password/remove":  p.postRemovePassword,
		"POST /account/disconnect":       p.postDisconnect,
		"POST /account/sessions/end":     p.postEndSession,
		"POST /account/sessions/end-all": p.postEndSessions,
	} {
		mux.Handle(pattern, p.Owner(page))
	}
}
