package entry

import (
	"crypto/hmac"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cardea-id/cardea/cloud/language"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/cloud/provider"
	"github.com/cardea-id/cardea/cloud/throttle"
	"github.com/cardea-id/cardea/store/accountdb"
)

// attemptCookie keeps a journey.
const (
	attemptCookie = "cardea_attempt"
	attemptLife   = 10 * time.Minute
)

// A provided is a provider as a page shows it.
type provided struct {
	ID, Name string
	Since    language.Moment // since when the owner signs in with it; empty: not yet
}

func (p *Room) offers() []provided {
	var all []provided
	for _, at := range p.Providers {
		all = append(all, provided{ID: at.ID, Name: at.Name})
	}
	return all
}

func (p *Room) provider(r *http.Request) (*provider.Provider, error) {
	i := slices.IndexFunc(p.Providers, func(at *provider.Provider) bool { return at.ID == r.PathValue("provider") })
	if i < 0 {
		return nil, desk.ErrNoPage
	}
	return p.Providers[i], nil
}

// A journey is a browser's way to a provider and back.
type journey struct {
	attempt provider.Attempt
	next    string // where its owner was going
	connect string // the form token of the session that asked to be connected; empty: to sign in
	left    time.Time
}

// since is from when on its owner must have shown the provider who they are. Who
// is signed in goes there to show it anew: that a browser was signed in there long
// ago tells nothing about who sits before it now. The browser keeps when it left, so
// what it says counts only to be stricter.
func (j journey) since(now time.Time) time.Time {
	if j.connect == "" {
		return time.Time{}
	}
	if earliest := now.Add(-attemptLife); j.left.Before(earliest) {
		return earliest
	}
	return j.left
}

// postElsewhere sends the browser to a provider. It does so by a page and not by
// redirecting: browsers hold the answer to a form to the policy that forms stay
// here.
func (p *Room) postElsewhere(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	at, err := p.provider(r)
	if err != nil {
		return err
	}
	j := journey{attempt: provider.NewAttempt(), next: r.PostFormValue("next"), left: time.Now()}
	if !v.Account.IsZero() {
		if err := p.mayConnect(r, v, at); err != nil {
			return err
		}
		j.connect = v.Form()
	}
	there, err := at.Authorize(r.Context(), j.attempt, j.connect != "")
	if err != nil {
		return p.elsewhereProblem(r, at, err)
	}
	p.depart(w, j)
	title := v.Language.Text("entry.to", "Name", at.Name)
	return p.Pages.Show(w, v, http.StatusOK, "elsewhere.html", desk.View{Title: title, Body: struct{ Name, URL string }{at.Name, there}})
}

// mayConnect: who is signed in may go to a provider with which they sign in, to
// show who they are, and to another only after that.
func (p *Room) mayConnect(r *http.Request, v desk.Visit, at *provider.Provider) error {
	connected, err := p.Accounts.Connections(r.Context(), v.Account)
	if err != nil || slices.ContainsFunc(connected, func(c accountdb.Connection) bool { return c.Provider == at.ID }) {
		return err
	}
	return p.Sure(v, desk.Ways, accountPage)
}

// showBack is where a provider sends the browser back to. It changes something
// though it is a GET: the attempt in the cookie, which no other site can set or
// read, takes the place of the form's token.
func (p *Room) showBack(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	at, err := p.provider(r)
	if err != nil {
		return err
	}
	j, ok := p.returned(w, r)
	if !ok {
		return desk.Problem{Status: http.StatusBadRequest, Key: "entry.too_late", Args: []any{"Name", at.Name}, Link: "/signin", Word: "problem.go.sign_in"}
	}
	giveBack, err := p.try(r, "elsewhere "+throttle.Block(p.Address(r)), time.Now())
	if err != nil {
		return err
	}
	identity, err := at.Finish(r.Context(), j.attempt, r.URL.Query(), j.since(time.Now()))
	if errors.Is(err, provider.ErrStale) {
		p.Log.WarnContext(r.Context(), "sign-in elsewhere is not new", "provider", at.ID, "err", err)
		return desk.Problem{Status: http.StatusForbidden, Key: "entry.not_new", Args: []any{"Name", at.Name},
			Link: desk.ReturnPath(j.next), Word: "entry.another_way"}
	}
	if err != nil {
		return p.elsewhereProblem(r, at, err)
	}
	giveBack()
	who := accountdb.Identity{Provider: at.ID, Issuer: identity.Issuer, Subject: identity.Subject}
	if j.connect != "" {
		return p.connect(w, r, v, at, j, who)
	}
	return p.arrive(w, r, v, at, who, identity, j.next)
}

// arrive lets in who came from a provider: to their account, or to a new one.
func (p *Room) arrive(w http.ResponseWriter, r *http.Request, v desk.Visit, at *provider.Provider, who accountdb.Identity, said provider.Identity, next string) error {
	meeting := desk.Meeting{By: accountdb.ByElsewhere, Shown: said.Shown}
	login, err := p.Accounts.LoginByIdentity(r.Context(), who)
	switch {
	case err == nil && login.Disabled:
		return desk.Problem{Status: http.StatusForbidden, Key: "problem.switched_off", Link: "/signin", Word: "problem.go.sign_in"}
	case err == nil:
		meeting.Account = login.Account
		return p.enter(w, r, v, meeting, next)
	case !errors.Is(err, accountdb.ErrNotFound):
		return err
	}
	email, _ := desk.ParseEmail(said.Email)
	meeting.Account, err = p.Accounts.RegisterIdentity(r.Context(), who, email)
	if errors.Is(err, accountdb.ErrTaken) {
		return desk.Problem{Status: http.StatusConflict, Key: "entry.have_one", Args: []any{"Name", at.Name},
			Link: desk.WithNext("/signin", accountPage), Word: "problem.go.sign_in"}
	}
	if err != nil {
		return err
	}
	return p.enter(w, r, v, meeting, next)
}

// connect lets the owner sign in with a provider too: in the session that asked
// for it and no other, or somebody could be made to let a stranger in.
func (p *Room) connect(w http.ResponseWriter, r *http.Request, v desk.Visit, at *provider.Provider, j journey, who accountdb.Identity) error {
	if v.Account.IsZero() || !hmac.Equal([]byte(j.connect), []byte(v.Form())) {
		return desk.Problem{Status: http.StatusForbidden, Key: "entry.signed_out", Args: []any{"Name", at.Name},
			Link: desk.WithNext("/signin", accountPage), Word: "problem.go.sign_in"}
	}
	next := accountPage
	err := p.Accounts.Connect(r.Context(), v.Account, who)
	if err == nil {
		next = desk.ReturnPath(j.next)
		err = p.Accounts.Update(r.Context(), func(tx *accountdb.Tx) error { return tx.Prove(v.Session.Hash, accountdb.ByElsewhere) })
	}
	if errors.Is(err, accountdb.ErrForeign) {
		return desk.Problem{Status: http.StatusConflict, Key: "entry.of_another", Args: []any{"Name", at.Name}, Link: accountPage, Word: "problem.go.account"}
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
	return nil
}

// elsewhereProblem says what became of signing in at a provider. What it said
// itself is for the log: an owner is not shown a stranger's words.
func (p *Room) elsewhereProblem(r *http.Request, at *provider.Provider, err error) error {
	shown := desk.Problem{Args: []any{"Name", at.Name}, Link: "/signin", Word: "entry.another_way"}
	switch {
	case errors.Is(err, provider.ErrDeclined):
		shown.Status, shown.Key = http.StatusForbidden, "entry.declined"
		return shown
	case errors.Is(err, provider.ErrUnavailable):
		shown.Status, shown.Key = http.StatusBadGateway, "entry.no_answer"
	case errors.Is(err, provider.ErrRefused):
		shown.Status, shown.Key = http.StatusBadGateway, "entry.not_trusted"
	default:
		return fmt.Errorf("sign in at %s: %w", at.ID, err)
	}
	p.Log.WarnContext(r.Context(), "sign-in elsewhere failed", "provider", at.ID, "err", err)
	return shown
}

// depart keeps a journey in the browser. Where it leads on stays out of the state
// that the provider sees: it may hold a device's code.
func (p *Room) depart(w http.ResponseWriter, j journey) {
	b := base64.RawURLEncoding
	p.setAttempt(w, b.EncodeToString(j.attempt[:])+"."+b.EncodeToString([]byte(desk.ReturnPath(j.next)))+"."+j.connect+"."+strconv.FormatInt(j.left.Unix(), 10), attemptLife)
}

// returned is the journey the browser comes back from. It ends here.
func (p *Room) returned(w http.ResponseWriter, r *http.Request) (j journey, ok bool) {
	c, err := r.Cookie(p.CookieName(attemptCookie))
	if err != nil {
		return j, false
	}
	p.setAttempt(w, "", -time.Second)
	parts := strings.Split(c.Value, ".")
	if len(parts) != 4 {
		return j, false
	}
	attempt, err := base64.RawURLEncoding.Strict().DecodeString(parts[0])
	if err != nil || len(attempt) != len(j.attempt) {
		return j, false
	}
	next, err := base64.RawURLEncoding.DecodeString(parts[1])
	left, wrong := strconv.ParseInt(parts[3], 10, 64)
	return journey{provider.Attempt(attempt), string(next), parts[2], time.Unix(left, 0)}, errors.Join(err, wrong) == nil
}

func (p *Room) setAttempt(w http.ResponseWriter, value string, life time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: p.CookieName(attemptCookie), Value: value, Path: "/",
		MaxAge: int(life / time.Second), Secure: p.HTTPS, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}
