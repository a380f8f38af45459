// Package entry is where owners come in: sign in, register, and how they sign in.
//
// What it promises:
//
//   - Who has an account can not be learned by signing in: an unknown address
//     and a wrong password get the same answer after the same work. Registering
//     tells whether an address is taken, at a bounded rate, since no mail is
//     sent that could tell only its owner.
//   - Passwords are kept as Argon2id. Tries are limited by address and by
//     account, and so are the hashes computed at a time.
package entry

import (
	"context"
	"embed"
	"net/http"
	"runtime"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/password"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/cloud/provider"
	"github.com/cardea-id/cardea/cloud/throttle"
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
}

// A Room is these pages. It is safe for concurrent use.
type Room struct {
	*desk.Desk
	Pages     *desk.Pages
	Passwords *password.Hasher

	accounts  Accounts
	providers []*provider.Provider
	byAddress *throttle.Throttle
	byLogin   *throttle.Throttle
}

// New makes the room. With providers, owners can sign in with an account they
// have there.
func New(d *desk.Desk, accounts Accounts, providers []*provider.Provider) *Room {
	return &Room{
		Desk: d, Pages: d.Pages(files), accounts: accounts, providers: providers,
		Passwords: password.New(max(2, runtime.NumCPU())),
		byAddress: throttle.New(20, 15*time.Second),
		byLogin:   throttle.New(10, time.Minute),
	}
}

// Routes adds the pages.
func (p *Room) Routes(mux *http.ServeMux) {
	mux.Handle("GET /signin", p.Open(p.showSignIn))
	mux.Handle("POST /signin", p.Open(p.postSignIn))
	mux.Handle("GET /register", p.Open(p.showRegister))
	mux.Handle("POST /register", p.Open(p.postRegister))
	mux.Handle("POST /signin/with/{provider}", p.Open(p.postElsewhere))
	mux.Handle("GET /signin/with/{provider}/back", p.Open(p.showBack))
	mux.Handle("POST /signout", p.Open(p.postSignOut))
	mux.Handle("GET "+accountPage, p.Owner(p.showAccount))
}
