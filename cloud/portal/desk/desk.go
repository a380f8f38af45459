package desk

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/portal/brand"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/store/accountdb"
)

// Sessions is who is signed in: *accountdb.DB. They are known by the hash of
// what the browser keeps; accountdb.ErrNotFound is an expected outcome.
type Sessions interface {
	Update(ctx context.Context, f func(*accountdb.Tx) error) error
	Session(ctx context.Context, hash cardea.Hash) (accountdb.Session, error)
	EndSession(ctx context.Context, hash cardea.Hash) error
}

// A Desk is shared by all rooms. It is safe for concurrent use.
type Desk struct {
	// Brand is who the pages speak for.
	Brand brand.Brand
	// Address is where a request comes from.
	Address func(*http.Request) netip.Addr
	Log     *slog.Logger

	// Policy is what the brand asks of sessions.
	Policy Policy
	// Origin is how browsers name the portal: "https://id.example.com".
	Origin string
	// HTTPS: browsers reach the portal over TLS.
	HTTPS bool

	// Live tells open pages that something has changed.
	Live *Live
	// Refuse takes the word of an owner's browser that their data is not to be
	// sold. Nil: nothing is.
	Refuse func(context.Context, cardea.AccountID) error
	// Clock says whether something may be recorded at a moment. Nil: always.
	Clock func(time.Time) error

	sessions    Sessions
	problems    *Pages
	assets      map[string][]byte // the brand's own, by the name they are served under
	logo, sheet string            // their addresses; empty: there is none
}

// New makes a desk whose cookies are bound to TLS and host if browsers reach it
// under an address with https. Brand, address and log may be left out.
func New(issuer *url.URL, b brand.Brand, sessions Sessions, address func(*http.Request) netip.Addr, log *slog.Logger) *Desk {
	d := &Desk{
		Brand: b, Address: address, Log: log, Origin: issuer.Scheme + "://" + issuer.Host, HTTPS: issuer.Scheme == "https",
		Live: new(Live), sessions: sessions,
	}
	if d.Brand.Name == "" {
		d.Brand.Name = "Cardea"
	}
	d.assets = map[string][]byte{}
	d.logo, d.sheet = d.serve("logo.svg", b.Logo), d.serve("brand.css", b.Sheet())
	if d.Address == nil {
		d.Address = remoteAddress
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	d.problems = d.Pages(pageFiles)
	return d
}

func remoteAddress(r *http.Request) netip.Addr {
	a, _ := netip.ParseAddrPort(r.RemoteAddr)
	return a.Addr()
}

// A Page answers a request or returns why it can not: a [Problem] is shown as it
// is, anything else is logged and shown as ours.
type Page func(w http.ResponseWriter, r *http.Request, v Visit) error

// Open is for everybody. A POST is answered only if its form is one of ours.
func (d *Desk) Open(answer Page) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, err := d.visit(r)
		if err == nil && r.Method == http.MethodPost {
			if err = readForm(w, r); err == nil && !v.mayPost(r) {
				err = ErrForeign
			}
		}
		if err == nil {
			err = answer(w, r, v)
		}
		if err != nil {
			d.fail(w, r, v, err)
		}
	})
}

// Owner is for who is signed in; everybody else is sent to sign in and comes
// back.
func (d *Desk) Owner(answer Page) http.Handler {
	return d.Open(func(w http.ResponseWriter, r *http.Request, v Visit) error {
		if !v.Account.IsZero() {
			d.hear(r, v)
			return answer(w, r, v)
		}
		next := Home
		if r.Method == http.MethodGet {
			next = r.URL.RequestURI()
		}
		http.Redirect(w, r, WithNext("/signin", next), http.StatusSeeOther)
		return nil
	})
}

// fail shows why a request has no answer.
func (d *Desk) fail(w http.ResponseWriter, r *http.Request, v Visit, err error) {
	if again, ok := errors.AsType[Again](err); ok {
		again.ask(w, r)
		return
	}
	shown, ok := errors.AsType[Problem](err)
	if !ok && r.Context().Err() != nil {
		return // nobody waits for it any more
	}
	if !ok {
		d.Log.Log(r.Context(), web.Level(r), "page failed", "method", r.Method, "path", r.URL.Path, "err", err)
		shown = errOurs
	}
	d.showProblem(w, v, shown)
}
