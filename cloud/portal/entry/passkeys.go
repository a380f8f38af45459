package entry

import (
	"encoding/base64"
	"errors"
	"net/http"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/language"
	"github.com/cardea-id/cardea/cloud/passkey"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/store/accountdb"
)

var errNoPasskey = desk.Problem{Status: http.StatusForbidden, Key: "ways.no_passkey", Link: "/signin", Word: "entry.another_way"}

// askPasskey are the options with which a page asks the browser for a passkey.
func (p *Room) askPasskey(v desk.Visit) (passkey.Options, error) {
	if p.Passkeys == nil {
		return "", nil
	}
	return p.Passkeys.Request(v.Browser(), time.Now())
}

func (p *Room) postPasskey(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	used, err := p.usePasskey(r, v)
	if err != nil {
		return err
	}
	return p.enter(w, r, v, desk.Meeting{Account: used.Account, By: accountdb.ByPasskey}, r.PostFormValue("next"))
}

// usePasskey checks what the browser answered. It counts once. A passkey that
// seems to be in two places lets nobody in, and its owner is told.
func (p *Room) usePasskey(r *http.Request, v desk.Visit) (owned accountdb.Passkey, err error) {
	if p.Passkeys == nil {
		return owned, desk.ErrNoPage
	}
	giveBack, err := p.try(r, "passkey "+v.Form(), time.Now())
	if err != nil {
		return owned, err
	}
	now := time.Now()
	err = p.Accounts.Update(r.Context(), func(tx *accountdb.Tx) error {
		used, err := p.Passkeys.Check(v.Browser(), []byte(r.PostFormValue("answer")), now, func(id []byte) (who passkey.Person, err error) {
			if owned, err = tx.Passkey(id); err != nil {
				return who, err
			}
			who.Handle, err = tx.Handle(owned.Account)
			who.Records = [][]byte{owned.Credential}
			return who, err
		})
		if err != nil {
			return err
		}
		if err := tx.Once(used.Challenge, now.Add(time.Hour)); err != nil {
			return err
		}
		told := owned.Cloned
		owned.Credential, owned.Cloned = used.Record, owned.Cloned || used.Cloned
		if err := tx.UsePasskey(owned); err != nil || !owned.Cloned || told {
			return err
		}
		return p.tell(tx, v, owned.Account, notice{Key: "mail.cloned", Args: []any{"Name", owned.Name}, Undo: undoPasskey, Ref: owned.ID})
	})
	if errors.Is(err, passkey.ErrRefused) || isNotFound(err) || errors.Is(err, accountdb.ErrTaken) {
		p.Log.InfoContext(r.Context(), "passkey refused", "err", err)
		return owned, errNoPasskey
	}
	if err := p.sent(err); err != nil {
		return owned, err
	}
	if owned.Cloned {
		return owned, desk.Problem{Status: http.StatusForbidden, Key: "ways.cloned", Link: "/signin", Word: "entry.another_way"}
	}
	giveBack()
	return owned, nil
}

// person is who is signed in, as passkeys know them.
func (p *Room) person(tx *accountdb.Tx, v desk.Visit) (who passkey.Person, err error) {
	if who.Handle, err = tx.Handle(v.Account); err != nil {
		return who, err
	}
	if who.Name, err = tx.Name(v.Account); err != nil {
		return who, err
	}
	if who.Name == "" || v.Email != "" {
		who.Name = v.Email
	}
	if who.Name == "" {
		who.Name = p.Brand.Name
	}
	all, err := tx.Passkeys(v.Account)
	for _, k := range all {
		who.Records = append(who.Records, k.Credential)
	}
	return who, err
}

// A newPasskey is the page that makes one.
type newPasskey struct {
	Options passkey.Options
	Name    string
	Wrong   string
	Next    string // where it leads; empty: to the account
}

// showNewPasskey asks the browser to make a passkey, for who has just shown what
// they have.
func (p *Room) showNewPasskey(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	if p.Passkeys == nil {
		return desk.ErrNoPage
	}
	next := r.URL.Query().Get("next")
	if err := p.Sure(v, desk.Ways, desk.WithNext(newPasskeyPage, next)); err != nil {
		return err
	}
	return p.showMakePasskey(w, v, http.StatusOK, newPasskey{Name: desk.BrowserName(r.UserAgent()), Next: next}, r)
}

const newPasskeyPage = "/account/passkey"

func (p *Room) showMakePasskey(w http.ResponseWriter, v desk.Visit, status int, body newPasskey, r *http.Request) error {
	err := p.Accounts.View(r.Context(), func(tx *accountdb.Tx) error {
		who, err := p.person(tx, v)
		if err != nil {
			return err
		}
		body.Options, err = p.Passkeys.Creation(who, v.Browser(), time.Now())
		return err
	})
	if err != nil {
		return err
	}
	if body.Name == "" {
		body.Name = v.Language.Text("ways.passkey")
	}
	if body.Next != "" {
		body.Next = desk.ReturnPath(body.Next)
	}
	return p.Pages.Show(w, v, status, "passkey.html", desk.View{Title: "ways.add_passkey", Section: "account", Body: body})
}

func (p *Room) postNewPasskey(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	if p.Passkeys == nil {
		return desk.ErrNoPage
	}
	next := r.PostFormValue("next")
	here := desk.WithNext(newPasskeyPage, next)
	if err := p.Sure(v, desk.Ways, here); err != nil {
		return err
	}
	name, wrong := v.CheckName(r.PostFormValue("name"))
	if wrong != "" {
		return p.showMakePasskey(w, v, http.StatusUnprocessableEntity, newPasskey{Wrong: wrong, Next: next}, r)
	}
	err := p.keepPasskey(r, v, name)
	if errors.Is(err, passkey.ErrRefused) || errors.Is(err, accountdb.ErrTaken) {
		p.Log.InfoContext(r.Context(), "passkey not made", "err", err)
		return desk.Problem{Status: http.StatusUnprocessableEntity, Key: "ways.not_made", Link: here, Word: "problem.go.again"}
	}
	if err := p.sent(err); err != nil || next == "" {
		return p.backToAccount(w, r, err)
	}
	http.Redirect(w, r, desk.ReturnPath(next), http.StatusSeeOther)
	return nil
}

// keepPasskey adds what the browser made to the account.
func (p *Room) keepPasskey(r *http.Request, v desk.Visit, name string) error {
	return p.Accounts.Update(r.Context(), func(tx *accountdb.Tx) error {
		who, err := p.person(tx, v)
		if err != nil {
			return err
		}
		made, err := p.Passkeys.Create(who, v.Browser(), []byte(r.PostFormValue("answer")), time.Now())
		if err != nil {
			return err
		}
		err = tx.AddPasskey(accountdb.Passkey{ID: made.ID, Account: v.Account, Name: name, Credential: made.Record})
		if err != nil {
			return err
		}
		if err := tx.Once(made.Challenge, time.Now().Add(time.Hour)); err != nil {
			return err
		}
		// To have made it is to have shown it, just now and here.
		return errors.Join(tx.Prove(v.Session.Hash, accountdb.ByPasskey), tx.Audit(v.Account, "owner", "passkey added", ""),
			p.tell(tx, v, v.Account, notice{Key: "mail.passkey", Args: []any{"Name", name}, Undo: undoPasskey, Ref: made.ID}))
	})
}

// postRemovePasskey takes one away, unless it is the last way to sign in.
func (p *Room) postRemovePasskey(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	id, err := base64.RawURLEncoding.DecodeString(r.PostFormValue("passkey"))
	if err != nil {
		return desk.ErrNoPage
	}
	return p.removeWay(w, r, v, func(tx *accountdb.Tx) error {
		all, err := tx.Passkeys(v.Account)
		if err != nil {
			return err
		}
		name := nameOf(all, id)
		if err := tx.RemovePasskey(v.Account, id); err != nil {
			return err
		}
		return errors.Join(tx.Audit(v.Account, "owner", "passkey removed", ""),
			p.tell(tx, v, v.Account, notice{Key: "mail.passkey_removed", Args: []any{"Name", name}, Undo: undoAll, Ref: []byte{}}))
	})
}

func nameOf(all []accountdb.Passkey, id []byte) string {
	for _, k := range all {
		if string(k.ID) == string(id) {
			return k.Name
		}
	}
	return ""
}

// removeWay takes away a way to sign in, if the session is sure of its owner and
// another way stays. The decision is made where it is recorded.
func (p *Room) removeWay(w http.ResponseWriter, r *http.Request, v desk.Visit, remove func(tx *accountdb.Tx) error) error {
	if err := p.Sure(v, desk.Ways, accountPage); err != nil {
		return err
	}
	err := p.Accounts.Update(r.Context(), func(tx *accountdb.Tx) error {
		if err := remove(tx); err != nil {
			return err
		}
		ways, err := tx.WaysOf(v.Account)
		if err == nil && ways.Count(p.Mail != nil) == 0 {
			err = errLastWay
		}
		return err
	})
	if isNotFound(err) {
		err = nil // it is gone
	}
	return p.backToAccount(w, r, p.sent(err))
}

var errLastWay = desk.Problem{Status: http.StatusConflict, Key: "ways.last", Link: accountPage, Word: "problem.go.account"}

func (p *Room) backToAccount(w http.ResponseWriter, r *http.Request, err error) error {
	if err != nil {
		return err
	}
	http.Redirect(w, r, accountPage, http.StatusSeeOther)
	return nil
}

// shownPasskey is one as the account's page has it.
type shownPasskey struct {
	ID, Name string
	Used     language.Moment
	Cloned   bool
}

func (p *Room) shownPasskeys(tx *accountdb.Tx, v desk.Visit, account cardea.AccountID) (list []shownPasskey, err error) {
	all, err := tx.Passkeys(account)
	for _, k := range all {
		list = append(list, shownPasskey{base64.RawURLEncoding.EncodeToString(k.ID), k.Name, v.Language.Ago(k.Used, time.Now()), k.Cloned})
	}
	return list, err
}
