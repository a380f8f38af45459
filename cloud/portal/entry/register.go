package entry

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/store/accountdb"
)

// postRegister makes an account. Where mail is sent it takes a name and an address
// and nothing else, and whether the address is another's shows only in its mailbox.
func (p *Room) postRegister(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	e := entrance{Next: r.PostFormValue("next"), Mail: r.PostFormValue("email"), Name: r.PostFormValue("name")}
	wrong := func(mail bool, text string) error {
		e.Wrong, e.WrongMail = text, mail
		return p.showEntrance(w, v, http.StatusUnprocessableEntity, "register.html", e)
	}
	email, ok := desk.ParseEmail(e.Mail)
	if !ok {
		return wrong(true, v.Language.Text("entry.no_email"))
	}
	name := ""
	if strings.TrimSpace(e.Name) != "" {
		if name, e.Wrong = v.CheckName(e.Name); e.Wrong != "" {
			e.Name = ""
			return wrong(false, e.Wrong)
		}
	}
	if p.Terms != "" && r.PostFormValue("terms") == "" {
		return wrong(false, v.Language.Text("ways.terms_missing"))
	}
	if p.Mail != nil {
		return p.registerLite(w, r, v, name, email, e.Next)
	}
	chosen := r.PostFormValue("password")
	if text := checkPassword(v.Language, chosen, email); text != "" {
		return wrong(false, text)
	}
	return p.registerWithPassword(w, r, v, e, name, email, chosen)
}

// registerLite makes an account that claims its address, and sends a code to it.
func (p *Room) registerLite(w http.ResponseWriter, r *http.Request, v desk.Visit, name, email, next string) error {
	if _, err := p.try(r, email, time.Now()); err != nil {
		return err
	}
	var account cardea.AccountID
	err := p.Accounts.Update(r.Context(), func(tx *accountdb.Tx) (err error) {
		if account, err = tx.RegisterLite(name, email); err != nil {
			return err
		}
		return p.accepted(tx, account)
	})
	if err != nil {
		return err
	}
	err = p.SignIn(w, r, desk.Meeting{Account: account, Also: func(tx *accountdb.Tx, m desk.Met) error {
		err := p.postCode(tx, v, account, accountdb.CodeFor{Email: email, Browser: m.Session, For: accountdb.CodeConfirm})
		if errors.Is(err, accountdb.ErrTooMany) {
			return nil // it can be asked for later
		}
		return err
	}})
	if err := p.sent(err); err != nil {
		return err
	}
	onward := desk.ReturnPath(next)
	if r.PostFormValue("with") == "passkey" && p.Passkeys != nil {
		onward = desk.WithNext(newPasskeyPage, next)
	}
	http.Redirect(w, r, onward, http.StatusSeeOther)
	return nil
}

// registerWithPassword makes an account where no mail can be sent.
func (p *Room) registerWithPassword(w http.ResponseWriter, r *http.Request, v desk.Visit, e entrance, name, email, chosen string) error {
	if _, err := p.try(r, email, time.Now()); err != nil {
		return err
	}
	hash, err := p.Passwords.Hash(r.Context(), chosen)
	if err != nil {
		return busy(err)
	}
	account, err := p.Accounts.Register(r.Context(), email, hash)
	if errors.Is(err, accountdb.ErrTaken) {
		e.Wrong, e.WrongMail = v.Language.Text("entry.taken"), true
		return p.showEntrance(w, v, http.StatusConflict, "register.html", e)
	}
	if err != nil {
		return err
	}
	err = p.Accounts.Update(r.Context(), func(tx *accountdb.Tx) error {
		if name != "" {
			if err := tx.SetName(account, name); err != nil {
				return err
			}
		}
		return p.accepted(tx, account)
	})
	if err != nil {
		return err
	}
	return p.enter(w, r, v, desk.Meeting{Account: account, By: accountdb.ByPassword}, e.Next)
}

// accepted records that the owner accepted the terms, apart from every consent:
// none of them is part of it.
func (p *Room) accepted(tx *accountdb.Tx, account cardea.AccountID) error {
	if p.Terms == "" {
		return nil
	}
	return tx.Audit(account, "owner", "terms accepted", p.Terms)
}

// showTerms leads to the brand's terms.
func (p *Room) showTerms(w http.ResponseWriter, r *http.Request, _ desk.Visit) error {
	if p.Terms == "" {
		return desk.ErrNoPage
	}
	http.Redirect(w, r, p.Terms, http.StatusSeeOther)
	return nil
}
