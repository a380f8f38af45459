package leaving

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/language"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/store/accountdb"
)

// A machine is a device that is told to erase itself, before or after it was.
type machine struct {
	Link   string
	Name   string // before
	Kind   desk.Kind
	Model  string
	Online bool // before: it hears of it at once

	Erased *language.Moment // it has proved that it is
	Missed *language.Moment // its owner said that it is gone
	By     *language.Moment // it erases itself by then
	Past   bool             // and that was before now
}

func (p *Room) showErase(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	devices, err := p.hub.Devices(r.Context(), v.Account)
	if err != nil {
		return err
	}
	body := struct {
		Machines []machine
		Form     string
	}{Form: v.Form()}
	for _, d := range devices {
		body.Machines = append(body.Machines, machine{
			Name: d.Name, Kind: desk.KindOf(d.Kind), Model: d.Model, Online: d.Online, By: new(v.Language.Day(d.ErasesBy)),
		})
	}
	return p.Pages.Show(w, v, http.StatusOK, "erase.html", desk.View{Title: "leaving.erase.title", Section: "account", Body: body})
}

// postErase ends the account and leads to the page that says how far it has come.
func (p *Room) postErase(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	if err := p.Sure(v, desk.Erase, pageErase); err != nil {
		return err
	}
	_, secret, err := p.hub.Erase(r.Context(), v.Account, cardea.ChannelPortal, "owner")
	if err != nil {
		return err
	}
	if err := p.SignOut(r.Context(), w, v); err != nil {
		return err
	}
	if secret == "" { // somebody was told already, in another tab
		return errNoProof
	}
	http.Redirect(w, r, proofPage(secret), http.StatusSeeOther)
	return nil
}

func proofPage(secret hub.ProofSecret) string {
	return pageErased + "?" + url.Values{"proof": {secret.Reveal()}}.Encode()
}

// errNoProof answers for a secret that nobody was given.
var errNoProof = desk.Problem{Status: http.StatusNotFound, Key: "leaving.no_proof", Link: "/signin", Word: "leaving.no_proof.go"}

// A proof is what became of an account, for who has the secret.
type proof struct {
	Secret   string
	Form     string
	Address  string // of this page, to be kept
	Received language.Moment
	Due      language.Moment
	Machines []machine
	Waiting  int  // devices that have not proved it and can still be waited for
	Complete bool // nothing is waited for
}

func (p *Room) showErased(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	secret := hub.ProofSecret(r.URL.Query().Get("proof"))
	e, now, err := p.settled(r.Context(), secret)
	if errors.Is(err, accountdb.ErrNotFound) {
		return errNoProof
	}
	if err != nil {
		return err
	}
	v = p.Welcome(w, v)
	body := proofOf(v, e, now)
	body.Secret, body.Address = secret.Reveal(), p.Origin+proofPage(secret)
	return p.Pages.Show(w, v, http.StatusOK, "erased.html", desk.View{Title: "leaving.erased.title", Body: body})
}

// settled reads an erasure, again and again for a moment while it is fresh:
// devices in reach prove it within milliseconds.
func (p *Room) settled(ctx context.Context, secret hub.ProofSecret) (e accountdb.Erasure, now time.Time, err error) {
	for waited, step := time.Duration(0), 10*time.Millisecond; ; waited, step = waited+step, min(2*step, 80*time.Millisecond) {
		e, now, err = p.hub.Erasure(ctx, secret)
		fresh := now.Sub(e.Received.Time()) < patience && e.Completed().Time().After(now)
		if err != nil || !fresh || waited >= patience {
			return e, now, err
		}
		select {
		case <-time.After(step):
		case <-ctx.Done():
			return e, now, ctx.Err()
		}
	}
}

// patience is how long a page waits for devices that were just told.
const patience = 700 * time.Millisecond

func proofOf(v desk.Visit, e accountdb.Erasure, now time.Time) proof {
	body := proof{
		Form: v.Form(), Received: v.Language.Clock(e.Received.Time(), now), Due: v.Language.Day(e.Due.Time()),
		Complete: !e.Completed().Time().After(now),
	}
	for _, l := range e.Links {
		m := machine{Link: l.Link.String(), Kind: desk.KindOf(l.Kind), Model: l.Model, By: new(v.Language.Day(l.Bound.Time())), Past: !l.Bound.Time().After(now)}
		if l.Erased != 0 {
			m.Erased = new(v.Language.Clock(l.Erased.Time(), now))
		}
		if l.Missed != 0 {
			m.Missed = new(v.Language.Day(l.Missed.Time()))
		}
		if m.Erased == nil && m.Missed == nil && !m.Past {
			body.Waiting++
		}
		body.Machines = append(body.Machines, m)
	}
	return body
}

// postErased takes the word that a device is gone.
func (p *Room) postErased(w http.ResponseWriter, r *http.Request, _ desk.Visit) error {
	secret := hub.ProofSecret(r.PostFormValue("proof"))
	link, err := cardea.ParseID[cardea.LinkID](r.PostFormValue("link"))
	if err == nil {
		err = p.hub.ErasedMissed(r.Context(), secret, link)
	}
	if errors.Is(err, accountdb.ErrNotFound) || errors.Is(err, cardea.ErrInvalidID) {
		return errNoProof
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, proofPage(secret), http.StatusSeeOther)
	return nil
}
