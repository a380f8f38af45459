package entry

import (
	"errors"
	"net/http"
	"time"

	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/store/accountdb"
)

const confirmPage = "/account/confirm"

// showConfirm asks for the code that was sent to the address an account claims, or
// offers to send one.
func (p *Room) showConfirm(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	next := desk.ReturnPath(r.URL.Query().Get("next"))
	switch {
	case v.Session.Ways.Email:
		http.Redirect(w, r, next, http.StatusSeeOther)
		return nil
	case v.Email == "" || p.Mail == nil:
		return errNoMailToConfirm
	}
	return p.Pages.Show(w, v, http.StatusOK, "confirm.html", desk.View{Title: "ways.confirm_title", Section: "account", Body: codePage{Next: next, Mail: v.Email}})
}

var errNoMailToConfirm = desk.Problem{Status: http.StatusNotFound, Key: "ways.no_mail", Link: accountPage, Word: "problem.go.account"}

func (p *Room) postConfirm(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	if v.Email == "" {
		return errNoMailToConfirm
	}
	if err := p.sendCode(r, v, v.Account, bound(v, v.Email, accountdb.CodeConfirm)); err != nil {
		return err
	}
	return p.showCode(w, v, http.StatusOK, codePage{Action: confirmPage + "/enter", Mail: v.Email, Next: r.PostFormValue("next")})
}

// postConfirmEnter makes the address the account's own. In another session of the
// account the code is worth nothing: who claims an address is not who answers from
// it until they do so here.
func (p *Room) postConfirmEnter(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	giveBack, err := p.try(r, v.Email, time.Now())
	if err != nil {
		return err
	}
	taken := false
	err = p.spendCode(r.Context(), bound(v, v.Email, accountdb.CodeConfirm), r.PostFormValue("code"), func(tx *accountdb.Tx) error {
		err := tx.Confirm(v.Account, v.Email)
		if taken = errors.Is(err, accountdb.ErrTaken); taken || err != nil {
			return err
		}
		return tx.Prove(v.Session.Hash, accountdb.ByCode)
	})
	switch {
	case taken:
		return desk.Problem{Status: http.StatusConflict, Key: "ways.confirm_taken", Link: accountPage, Word: "problem.go.account"}
	case errors.Is(err, accountdb.ErrWrongCode):
		return p.showCode(w, v, http.StatusUnprocessableEntity, codePage{Action: confirmPage + "/enter", Mail: v.Email,
			Next: r.PostFormValue("next"), Wrong: v.Language.Text("ways.wrong_code")})
	case err != nil:
		return err
	}
	giveBack()
	http.Redirect(w, r, desk.ReturnPath(r.PostFormValue("next")), http.StatusSeeOther)
	return nil
}
