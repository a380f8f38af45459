package entry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/cardea-id/cardea/cloud/passkey"
	"github.com/cardea-id/cardea/cloud/password"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/cloud/throttle"
	"github.com/cardea-id/cardea/store/accountdb"
)

// An entrance is what the pages to sign in and to register show.
type entrance struct {
	Next      string // where it leads
	Other     string // the other of the two pages, leading there too
	Pairing   bool   // a device waits
	Mail      string
	Wrong     string // what is wrong, if something is
	WrongMail bool   // with the address, not with the password
	Minimum   int
	Elsewhere []provided
	Passkey   passkey.Options // asks the browser for one; empty: there are none here
	Codes     bool            // mail can be sent
	Terms     bool            // the brand has some
	Name      string
	Reset     string // where a forgotten password is replaced
}

func (p *Room) showSignIn(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	return p.openEntrance(w, r, v, "signin.html")
}

func (p *Room) showRegister(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	return p.openEntrance(w, r, v, "register.html")
}

// openEntrance lets whoever is signed in go straight on.
func (p *Room) openEntrance(w http.ResponseWriter, r *http.Request, v desk.Visit, name string) error {
	next := r.URL.Query().Get("next")
	if !v.Account.IsZero() {
		http.Redirect(w, r, desk.ReturnPath(next), http.StatusSeeOther)
		return nil
	}
	return p.showEntrance(w, v, http.StatusOK, name, entrance{Next: next})
}

func (p *Room) showEntrance(w http.ResponseWriter, v desk.Visit, status int, name string, e entrance) error {
	e.Next, e.Minimum, e.Elsewhere = desk.ReturnPath(e.Next), minPassword, p.offers()
	e.Pairing = strings.HasPrefix(e.Next, "/pair")
	title, other := "entry.sign_in", "/register"
	if name == "register.html" {
		title, other = "entry.create", "/signin"
	}
	e.Other, e.Reset = desk.WithNext(other, e.Next), desk.WithNext("/reset", e.Next)
	e.Codes, e.Terms = p.Mail != nil, p.Terms != ""
	v = p.Welcome(w, v)
	var err error
	if e.Passkey, err = p.askPasskey(v); err != nil {
		return err
	}
	return p.Pages.Show(w, v, status, name, desk.View{Title: title, Body: e})
}

// postSignIn does the same work and gives the same answer whether the address or
// the password is wrong.
func (p *Room) postSignIn(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	e := entrance{Next: r.PostFormValue("next"), Mail: r.PostFormValue("email")}
	email, ok := desk.ParseEmail(e.Mail)
	if !ok {
		e.Wrong, e.WrongMail = v.Language.Text("entry.no_email"), true
		return p.showEntrance(w, v, http.StatusUnprocessableEntity, "signin.html", e)
	}
	now := time.Now()
	giveBack, err := p.try(r, email, now)
	if err != nil {
		return err
	}
	login, err := p.recognise(r.Context(), email, r.PostFormValue("password"))
	if errors.Is(err, errNotRecognised) {
		e.Wrong = v.Language.Text("entry.not_right")
		return p.showEntrance(w, v, http.StatusUnauthorized, "signin.html", e)
	}
	if err != nil {
		return busy(err)
	}
	giveBack()
	return p.enter(w, r, v, desk.Meeting{Account: login.Account, By: accountdb.ByPassword}, e.Next)
}

// errNotRecognised: no such login. An expected outcome.
var errNotRecognised = errors.New("not recognised")

func (p *Room) recognise(ctx context.Context, email, typed string) (accountdb.Login, error) {
	login, err := p.Accounts.LoginByEmail(ctx, email)
	if err != nil && !errors.Is(err, accountdb.ErrNotFound) {
		return login, fmt.Errorf("sign in: %w", err)
	}
	if len(typed) > maxPassword {
		typed = "" // nobody's, and its work is bounded
	}
	right, err := p.Passwords.Check(ctx, typed, login.Password)
	if err != nil {
		return login, fmt.Errorf("sign in: %w", err)
	}
	if !right || login.Disabled {
		return login, errNotRecognised
	}
	return login, nil
}

// try spends one try of the address and one of the login, and returns how to
// give them back to who turned out to be the owner.
func (p *Room) try(r *http.Request, email string, now time.Time) (giveBack func(), err error) {
	from := throttle.Block(p.Address(r))
	wait, ok := p.byAddress.Take(from, now)
	if ok {
		if wait, ok = p.byLogin.Take(email, now); !ok {
			p.byAddress.GiveBack(from)
		}
	}
	if !ok {
		return nil, desk.Problem{Status: http.StatusTooManyRequests, Key: "entry.too_many", Args: []any{"Wait", wait},
			Link: desk.WithNext(r.URL.Path, r.PostFormValue("next")), Word: "problem.go.again"}
	}
	return func() { p.byAddress.GiveBack(from); p.byLogin.GiveBack(email) }, nil
}

func busy(err error) error {
	if errors.Is(err, password.ErrBusy) {
		return desk.Problem{Status: http.StatusServiceUnavailable, Key: "entry.busy", Link: "/signin", Word: "problem.go.again"}
	}
	return err
}

// enter signs the browser in and lets it go on to where it was going. Its owner is
// told if the browser was never seen before.
func (p *Room) enter(w http.ResponseWriter, r *http.Request, v desk.Visit, m desk.Meeting, next string) error {
	m.Also = func(tx *accountdb.Tx, met desk.Met) error {
		if !met.New {
			return nil
		}
		return p.tell(tx, v, m.Account, notice{Key: "mail.browser", Args: []any{"Browser", browserWords(v, met.Browser)}, Undo: undoSession, Ref: met.Session[:]})
	}
	if err := p.sent(p.SignIn(w, r, m)); err != nil {
		return err
	}
	http.Redirect(w, r, desk.ReturnPath(next), http.StatusSeeOther)
	return nil
}

// browserWords is a browser as its owner reads of it.
func browserWords(v desk.Visit, name string) string {
	if name == "" {
		return v.Language.Text("ways.some_browser")
	}
	return name
}

func (p *Room) postSignOut(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	if err := p.SignOut(r.Context(), w, v); err != nil {
		return err
	}
	http.Redirect(w, r, "/signin", http.StatusSeeOther)
	return nil
}
