package portal

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"runtime"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/cloud/provider"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
	"github.com/cardea-id/cardea/store/accountdb"
)

// Accounts is who can sign in and who is: *accountdb.DB, whose methods say what
// they promise. All are safe for concurrent use and durable when they return.
// Expected outcomes are accountdb.ErrTaken, ErrForeign and ErrNotFound.
type Accounts interface {
	Register(ctx context.Context, email, password string) (cardea.AccountID, error)
	LoginByEmail(ctx context.Context, email string) (accountdb.Login, error)
	LoginByIdentity(ctx context.Context, who accountdb.Identity) (accountdb.Login, error)
	RegisterIdentity(ctx context.Context, who accountdb.Identity, email string) (cardea.AccountID, error)
	Connect(ctx context.Context, account cardea.AccountID, who accountdb.Identity) error
	Connections(ctx context.Context, account cardea.AccountID) ([]accountdb.Connection, error)
	StartSession(ctx context.Context, hash cardea.Hash, account cardea.AccountID, life time.Duration) error
	Session(ctx context.Context, hash cardea.Hash) (accountdb.Session, error)
	EndSession(ctx context.Context, hash cardea.Hash) error
}

// Ledger is what owners are asked and decide: *ledger.Ledger.
type Ledger interface {
	Page(ctx context.Context, account cardea.AccountID, language string) (ledger.Page, error)
	History(ctx context.Context, account cardea.AccountID, language string, below uint64, limit int) ([]ledger.Past, bool, error)
	Decide(ctx context.Context, account cardea.AccountID, channel cardea.Channel, scope cardea.Scope, d cardea.Decision) (cardea.Entry, error)
}

// Devices is what devices have come to: *hub.Hub.
type Devices interface {
	Devices(ctx context.Context, account cardea.AccountID) ([]hub.Device, error)
	Unlink(ctx context.Context, account cardea.AccountID, link cardea.LinkID) error
	ConfirmFork(ctx context.Context, account cardea.AccountID, link cardea.LinkID) error
	Loss(ctx context.Context, account cardea.AccountID, link cardea.LinkID) (hub.Loss, error)
	ConfirmLoss(ctx context.Context, account cardea.AccountID, link cardea.LinkID, loss cardea.LossID, again []cardea.Key) error
}

// Pairings is who asks to be paired and who was: *issuer.Issuer.
type Pairings interface {
	Lookup(ctx context.Context, account cardea.AccountID, code pairing.UserCode, from netip.Addr) (issuer.Request, error)
	Approve(ctx context.Context, account cardea.AccountID, code pairing.UserCode, name string) (pairing.GrantID, error)
	Deny(ctx context.Context, account cardea.AccountID, code pairing.UserCode) error
	Grants(ctx context.Context, account cardea.AccountID) ([]issuer.Grant, error)
	Revoke(ctx context.Context, account cardea.AccountID, grant pairing.GrantID) error
}

// Config is what a portal works with.
type Config struct {
	// Issuer is the address under which browsers reach the portal, such as
	// "https://id.example.com". With https cookies are bound to TLS and host.
	Issuer string
	// Brand is the name the pages speak under. Empty: "Cardea".
	Brand string

	Accounts Accounts
	Ledger   Ledger
	Devices  Devices
	Pairings Pairings
	Labels   Labels

	// Providers are where owners can sign in with an account they have.
	Providers []*provider.Provider

	// Address is where a request comes from. It limits guesses, and tells
	// whether a device is on the owner's network. Nil: the connection's other
	// end, which behind a proxy is the proxy.
	Address func(*http.Request) netip.Addr
	Log     *slog.Logger
}

// A Portal answers the owner's browser. It is safe for concurrent use.
type Portal struct {
	brand     string
	https     bool
	accounts  Accounts
	ledger    Ledger
	devices   Devices
	pairings  Pairings
	labels    Labels
	providers []*provider.Provider
	address   func(*http.Request) netip.Addr
	log       *slog.Logger
	passwords *passwords
	byAddress *throttle
	byLogin   *throttle
	pages     map[string]*template.Template
	handler   http.Handler
}

// New makes a portal. It is an error if Issuer is no http or https address.
func New(c Config) (*Portal, error) {
	u, err := url.Parse(c.Issuer)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("portal: %q is no address such as https://id.example.com", c.Issuer)
	}
	p := &Portal{
		brand: c.Brand, https: u.Scheme == "https",
		accounts: c.Accounts, ledger: c.Ledger, devices: c.Devices, pairings: c.Pairings, labels: c.Labels, providers: c.Providers,
		address: c.Address, log: c.Log,
		pages:     templates,
		passwords: newPasswords(max(2, runtime.NumCPU())),
		byAddress: newThrottle(20, 15*time.Second),
		byLogin:   newThrottle(10, time.Minute),
	}
	if p.brand == "" {
		p.brand = "Cardea"
	}
	if p.address == nil {
		p.address = remoteAddress
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	p.handler, err = p.routes(u.Scheme + "://" + u.Host)
	return p, err
}

func remoteAddress(r *http.Request) netip.Addr {
	a, _ := netip.ParseAddrPort(r.RemoteAddr)
	return a.Addr()
}

// ServeHTTP answers everything that is not answered elsewhere, if only with a
// page that says there is nothing.
func (p *Portal) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.handler.ServeHTTP(w, r) }

func (p *Portal) routes(origin string) (http.Handler, error) {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", http.RedirectHandler(home, http.StatusSeeOther))
	mux.HandleFunc("GET /assets/{name}", asset)
	mux.Handle("GET /signin", p.open(p.showSignIn))
	mux.Handle("POST /signin", p.open(p.postSignIn))
	mux.Handle("GET /register", p.open(p.showRegister))
	mux.Handle("POST /register", p.open(p.postRegister))
	mux.Handle("POST /signin/with/{provider}", p.open(p.postElsewhere))
	mux.Handle("GET /signin/with/{provider}/back", p.open(p.showBack))
	mux.Handle("GET "+historyPage, p.owner(p.showHistory))
	mux.Handle("GET "+accountPage, p.owner(p.showAccount))
	mux.Handle("POST /signout", p.open(p.postSignOut))
	mux.Handle("GET /pair", p.owner(p.showPair))
	mux.Handle("POST /pair", p.owner(p.postPair))
	mux.Handle("GET /pair/label", p.owner(p.showLabel))
	mux.Handle("POST /pair/label", p.owner(p.postLabel))
	mux.HandleFunc("GET /l/{label}", shortLabel)
	mux.HandleFunc("GET /L/{label}", shortLabel)
	mux.HandleFunc("GET /p/{code}", shortPair)
	mux.HandleFunc("GET /P/{code}", shortPair)
	mux.Handle("GET /pair/approved", p.owner(p.showApproved))
	mux.Handle("GET /pair/declined", p.owner(p.showDeclined))
	mux.Handle("GET /consents", p.owner(p.showConsents))
	mux.Handle("POST /consents", p.owner(p.postConsent))
	mux.Handle("GET /preferences", http.RedirectHandler(home+"#preferences", http.StatusSeeOther))
	mux.Handle("POST /preferences", p.owner(p.postPreference))
	mux.Handle("GET /devices", p.owner(p.showDevices))
	mux.Handle("GET /devices/unlink", p.owner(p.showUnlink))
	mux.Handle("POST /devices/unlink", p.owner(p.postUnlink))
	mux.Handle("POST /devices/confirm", p.owner(p.postConfirm))
	mux.Handle("GET /devices/lost", p.owner(p.showLoss))
	mux.Handle("POST /devices/lost", p.owner(p.postLoss))
	mux.Handle("/", p.open(func(http.ResponseWriter, *http.Request, visit) error { return errNoPage }))

	guard := http.NewCrossOriginProtection()
	if err := guard.AddTrustedOrigin(origin); err != nil {
		return nil, fmt.Errorf("portal: %w", err)
	}
	guard.SetDenyHandler(p.open(func(http.ResponseWriter, *http.Request, visit) error { return errForeign }))
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

// A page answers a request or returns why it can not: a problem is shown as it
// is, anything else is logged and shown as ours.
type page func(w http.ResponseWriter, r *http.Request, v visit) error

// open is for everybody. A POST is answered only if its form is one of ours.
func (p *Portal) open(answer page) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, err := p.visit(r)
		if err == nil && r.Method == http.MethodPost {
			if err = readForm(w, r); err == nil && !v.mayPost(r) {
				err = errForeign
			}
		}
		if err == nil {
			err = answer(w, r, v)
		}
		if err != nil {
			p.fail(w, r, v, err)
		}
	})
}

// owner is for who is signed in; everybody else is sent to sign in and comes
// back.
func (p *Portal) owner(answer page) http.Handler {
	return p.open(func(w http.ResponseWriter, r *http.Request, v visit) error {
		if !v.Account.IsZero() {
			return answer(w, r, v)
		}
		next := home
		if r.Method == http.MethodGet {
			next = r.URL.RequestURI()
		}
		http.Redirect(w, r, withNext("/signin", next), http.StatusSeeOther)
		return nil
	})
}

// fail shows why a request has no answer.
func (p *Portal) fail(w http.ResponseWriter, r *http.Request, v visit, err error) {
	shown, ok := errors.AsType[problem](err)
	if !ok {
		p.log.ErrorContext(r.Context(), "page failed", "method", r.Method, "path", r.URL.Path, "err", err)
		shown = errOurs
	}
	p.showProblem(w, v, shown)
}
