package portal

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/passkey"
	"github.com/cardea-id/cardea/cloud/portal/brand"
	"github.com/cardea-id/cardea/cloud/portal/choices"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/cloud/portal/devices"
	"github.com/cardea-id/cardea/cloud/portal/entry"
	"github.com/cardea-id/cardea/cloud/portal/leaving"
	"github.com/cardea-id/cardea/cloud/portal/pairs"
	"github.com/cardea-id/cardea/cloud/portal/preferences"
	"github.com/cardea-id/cardea/cloud/provider"
	"github.com/cardea-id/cardea/internal/web"
)

// Accounts is who has an account and who is signed in: *accountdb.DB.
type Accounts interface {
	desk.Sessions
	entry.Accounts
}

// Pairings is who asks to be paired and what was: *issuer.Issuer.
type Pairings interface {
	pairs.Codes
	devices.Grants
}

// Ledger is what owners are asked, decide and set: *ledger.Ledger.
type Ledger interface {
	choices.Ledger
	preferences.Ledger
	leaving.Ledger
}

// Hub is what devices have come to, and how they end: *hub.Hub.
type Hub interface {
	devices.Hub
	leaving.Hub
}

// Config is what a portal works with.
type Config struct {
	// Issuer is the address under which browsers reach the portal, such as
	// "https://id.example.com". With https cookies are bound to TLS and host.
	Issuer string
	// Brand is who the pages speak for.
	Brand brand.Config

	Accounts Accounts
	Ledger   Ledger
	Devices  Hub
	Archive  leaving.Archive
	Pairings Pairings
	Labels   pairs.Labels

	// Providers are where owners can sign in with an account they have.
	Providers []*provider.Provider

	// Receipts makes the receipts of decisions.
	Receipts choices.Receipts
	// Live tells open pages that something has changed. Nil: nobody does.
	Live *desk.Live
	// Clock says whether something may be recorded at a moment, and why not. Nil:
	// always.
	Clock func(time.Time) error
	// Secret is the key of what asks browsers for passkeys, the same in every cloud
	// of a database. Empty: there are no passkeys.
	Secret []byte
	// Mail has letters sent that were posted in the database. Nil: none can be.
	Mail func()
	// Terms is where the brand's terms can be read, which whoever registers accepts.
	// Empty: there are none.
	Terms string
	// Policy is what the brand asks of sessions.
	Policy desk.Policy
	// Renamed is told of an account whose owner is called otherwise.
	Renamed func(cardea.AccountID)

	// Address is where a request comes from. It limits guesses, and tells
	// whether a device is on the owner's network. Nil: the connection's other
	// end, which behind a proxy is the proxy.
	Address func(*http.Request) netip.Addr
	Log     *slog.Logger
}

// A Portal answers the owner's browser. It is safe for concurrent use.
type Portal struct {
	Desk    *desk.Desk
	Entry   *entry.Room
	Pairs   *pairs.Room
	Choices *choices.Room
	Devices *devices.Room
	Leaving *leaving.Room

	Preferences *preferences.Room

	handler http.Handler
}

// New makes a portal. It is an error if Issuer is no http or https address.
func New(c Config) (*Portal, error) {
	u, err := url.Parse(c.Issuer)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("portal: %q is no address such as https://id.example.com", c.Issuer)
	}
	b, err := brand.Load(c.Brand)
	if err != nil {
		return nil, err
	}
	d := desk.New(u, b, c.Accounts, c.Address, c.Log)
	d.Clock = c.Clock
	if c.Live != nil {
		d.Live = c.Live
	}
	d.Policy = c.Policy
	keys, err := c.passkeys(u, d)
	if err != nil {
		return nil, err
	}
	p := &Portal{
		Desk: d,
		Entry: entry.New(d, entry.Config{
			Accounts: c.Accounts, Providers: c.Providers, Passkeys: keys, Mail: c.Mail, Base: u.Scheme + "://" + u.Host, Terms: c.Terms,
			Devices: c.Devices, Grants: c.Pairings, Renamed: c.Renamed,
		}),
		Pairs:   pairs.New(d, c.Pairings, c.Labels, c.Devices),
		Choices: choices.New(d, c.Ledger, c.Devices, c.Receipts),
		Devices: devices.New(d, c.Devices, c.Pairings, c.Ledger),
		Leaving: leaving.New(d, c.Devices, c.Ledger, c.Archive),

		Preferences: preferences.New(d, c.Ledger, c.Devices),
	}
	p.Pairs.Tells, p.Pairs.Sent = p.Entry.Pairing, c.Mail
	p.handler, err = p.routes(u.Scheme + "://" + u.Host)
	return p, err
}

// passkeys are for a site with a name; one without has none.
func (c Config) passkeys(u *url.URL, d *desk.Desk) (*passkey.Keys, error) {
	if len(c.Secret) == 0 {
		return nil, nil
	}
	keys, err := passkey.New(passkey.Config{Issuer: u, Brand: d.Brand.Name, Secret: c.Secret})
	if errors.Is(err, passkey.ErrAddress) {
		d.Log.Info("no passkeys", "err", err)
		return nil, nil
	}
	return keys, err
}

// ServeHTTP answers everything that is not answered elsewhere, if only with a
// page that says there is nothing.
func (p *Portal) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.handler.ServeHTTP(w, r) }

func (p *Portal) routes(origin string) (http.Handler, error) {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", http.RedirectHandler(desk.Home, http.StatusSeeOther))
	mux.HandleFunc("GET /assets/{name}", p.Desk.Asset)
	mux.HandleFunc("POST /language", p.Desk.ChooseLanguage)
	mux.HandleFunc("GET /live", p.Desk.Stream)
	p.Entry.Routes(mux)
	p.Pairs.Routes(mux)
	p.Choices.Routes(mux)
	p.Preferences.Routes(mux)
	p.Devices.Routes(mux)
	p.Leaving.Routes(mux)
	mux.Handle("/", p.Desk.Open(func(http.ResponseWriter, *http.Request, desk.Visit) error { return desk.ErrNoPage }))

	guard := http.NewCrossOriginProtection()
	if err := guard.AddTrustedOrigin(origin); err != nil {
		return nil, fmt.Errorf("portal: %w", err)
	}
	guard.SetDenyHandler(p.Desk.Open(func(http.ResponseWriter, *http.Request, desk.Visit) error { return desk.ErrForeign }))
	return web.Secure(own(guard.Handler(mux))), nil
}

// own is what pages need beyond web.Secure. With "no-referrer" browsers send the
// forms of our own pages with "Origin: null", and where there is no TLS that is
// all there is to check.
func own(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Referrer-Policy", "same-origin")
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}
