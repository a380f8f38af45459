package entry

import (
	"errors"
	"net/http"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/store/accountdb"
)

// showReset asks for the address of who has forgotten their password.
func (p *Room) showReset(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	if p.Mail == nil {
		return errNoMail
	}
	return p.showResetPage(w, v, http.StatusOK, entrance{Next: r.URL.Query().Get("next"), Mail: v.Email})
}

func (p *Room) showResetPage(w http.ResponseWriter, v desk.Visit, status int, e entrance) error {
	e.Next = desk.ReturnPath(e.Next)
	return p.Pages.Show(w, p.Welcome(w, v), status, "reset.html", desk.View{Title: "ways.reset_title", Body: e})
}

// postReset sends a code, if the address has an account; nobody learns whether.
func (p *Room) postReset(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	e := entrance{Next: r.PostFormValue("next"), Mail: r.PostFormValue("email")}
	email, ok := desk.ParseEmail(e.Mail)
	if !ok {
		e.Wrong = v.Language.Text("entry.no_email")
		return p.showResetPage(w, v, http.StatusUnprocessableEntity, e)
	}
	if _, err := p.try(r, email, time.Now()); err != nil {
		return err
	}
	account, err := p.whose(r.Context(), email)
	if err != nil {
		return err
	}
	if err := p.sendCode(r, v, account, bound(v, email, accountdb.CodeReset)); err != nil {
		return err
	}
	return p.showCode(w, v, http.StatusOK, codePage{Action: "/reset/enter", Mail: email, Next: e.Next, New: true})
}

// postResetEnter sets the new password. Devices stay paired, and whether other
// browsers stay signed in is the owner's choice. A wrong password costs no try of
// the code.
func (p *Room) postResetEnter(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	c := codePage{Action: "/reset/enter", Mail: r.PostFormValue("email"), Next: r.PostFormValue("next"), New: true}
	chosen := r.PostFormValue("password")
	if c.Wrong = checkPassword(v.Language, chosen, c.Mail); c.Wrong != "" {
		return p.showCode(w, v, http.StatusUnprocessableEntity, c)
	}
	account, err := p.byCode(r, v, c.Mail, accountdb.CodeReset)
	if errors.Is(err, accountdb.ErrWrongCode) {
		c.Wrong = v.Language.Text("ways.wrong_code")
		return p.showCode(w, v, http.StatusUnprocessableEntity, c)
	}
	if err != nil {
		return err
	}
	everywhere := r.PostFormValue("everywhere") != ""
	if err := p.changePassword(r, v, account, chosen, true, everywhere); err != nil {
		return err
	}
	return p.enter(w, r, v, desk.Meeting{Account: account, By: accountdb.ByCode}, c.Next)
}

// changePassword sets a password, signs out the other browsers if that is wanted,
// and tells the owner.
func (p *Room) changePassword(r *http.Request, v desk.Visit, account cardea.AccountID, chosen string, byCode, everywhere bool) error {
	hash, err := p.Passwords.Hash(r.Context(), chosen)
	if err != nil {
		return busy(err)
	}
	return p.sent(p.Accounts.Update(r.Context(), func(tx *accountdb.Tx) error {
		if err := tx.SetPassword(account, hash, byCode); err != nil {
			return err
		}
		if everywhere {
			if err := tx.EndSessions(account, v.Session.Hash); err != nil {
				return err
			}
		}
		if err := tx.Audit(account, "owner", "password changed", ""); err != nil {
			return err
		}
		return p.tell(tx, v, account, notice{Key: "mail.password", Undo: undoPassword, Ref: []byte{}})
	}))
}
