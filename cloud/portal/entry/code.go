package entry

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/store/accountdb"
)

func isNotFound(err error) bool { return errors.Is(err, accountdb.ErrNotFound) }

// newCode is six digits, none likelier than another.
func newCode() string {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		panic(err) // the system has randomness
	}
	return fmt.Sprintf("%06d", n)
}

// A codePage asks for a code that was sent.
type codePage struct {
	Action string // where it goes
	Mail   string
	Next   string
	Sure   string // see desk.Again
	Wrong  string
	New    bool // a new password goes with it
	Least  int
}

func (p *Room) showCode(w http.ResponseWriter, v desk.Visit, status int, c codePage) error {
	c.Next, c.Least = desk.ReturnPath(c.Next), minPassword
	return p.Pages.Show(w, v, status, "mailcode.html", desk.View{Title: "ways.code_title", Body: c})
}

// bound is where a code counts that this visit asks for.
func bound(v desk.Visit, email, purpose string) accountdb.CodeFor {
	browser := v.Session.Hash
	if v.Account.IsZero() {
		browser = v.Browser()
	}
	return accountdb.CodeFor{Email: email, Browser: browser, For: purpose}
}

// sendCode posts a code to an address, if somebody has it, and does the same work
// if nobody does.
func (p *Room) sendCode(r *http.Request, v desk.Visit, to cardea.AccountID, where accountdb.CodeFor) error {
	if p.Mail == nil {
		return errNoMail
	}
	err := p.Accounts.Update(r.Context(), func(tx *accountdb.Tx) error { return p.postCode(tx, v, to, where) })
	if errors.Is(err, accountdb.ErrTooMany) {
		return desk.Problem{Status: http.StatusTooManyRequests, Key: "ways.too_many_codes", Link: "/signin", Word: "problem.go.again"}
	}
	return p.sent(err)
}

var errNoMail = desk.Problem{Status: http.StatusNotFound, Key: "ways.no_mail", Link: "/signin", Word: "problem.go.sign_in"}

func (p *Room) postCode(tx *accountdb.Tx, v desk.Visit, to cardea.AccountID, where accountdb.CodeFor) error {
	code := newCode()
	if err := tx.PutCode(where, code); err != nil || to.IsZero() {
		return err
	}
	shown := code[:3] + " " + code[3:]
	args := []any{"Brand", p.Brand.Name, "Code", shown}
	purpose := strings.ReplaceAll(where.For, " ", "_")
	text := []string{v.Language.Text("mail.code."+purpose, args...), shown, v.Language.Text("mail.code_advice", args...)}
	return tx.Post(to, p.letter(v, where.Email, v.Language.Text("mail.code_subject", args...), text), codeLetter)
}

// spendCode takes a code and does more in the same transaction if it is right.
// ErrWrongCode if it is not.
func (p *Room) spendCode(ctx context.Context, where accountdb.CodeFor, typed string, then func(tx *accountdb.Tx) error) error {
	typed = strings.Join(strings.Fields(typed), "")
	if len(typed) > 16 {
		typed = ""
	}
	var verdict error
	err := p.Accounts.Update(ctx, func(tx *accountdb.Tx) (err error) {
		if verdict, err = tx.SpendCode(where, typed); err != nil || verdict != nil || then == nil {
			return err
		}
		return then(tx)
	})
	return errors.Join(verdict, err)
}

// postSignInCode sends a code to sign in with. Nobody learns whether the address
// has an account.
func (p *Room) postSignInCode(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	e := entrance{Next: r.PostFormValue("next"), Mail: r.PostFormValue("email")}
	email, ok := desk.ParseEmail(e.Mail)
	if !ok {
		e.Wrong, e.WrongMail = v.Language.Text("entry.no_email"), true
		return p.showEntrance(w, v, http.StatusUnprocessableEntity, "signin.html", e)
	}
	if _, err := p.try(r, email, time.Now()); err != nil {
		return err
	}
	account, err := p.whose(r.Context(), email)
	if err != nil {
		return err
	}
	if err := p.sendCode(r, v, account, bound(v, email, accountdb.CodeSignIn)); err != nil {
		return err
	}
	return p.showCode(w, v, http.StatusOK, codePage{Action: "/signin/code/enter", Mail: email, Next: e.Next})
}

// whose is the account that signs in with an address, or zero.
func (p *Room) whose(ctx context.Context, email string) (cardea.AccountID, error) {
	login, err := p.Accounts.LoginByEmail(ctx, email)
	if isNotFound(err) || err == nil && login.Disabled {
		return cardea.AccountID{}, nil
	}
	return login.Account, err
}

func (p *Room) postSignInCodeEnter(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	c := codePage{Action: "/signin/code/enter", Mail: r.PostFormValue("email"), Next: r.PostFormValue("next")}
	account, err := p.byCode(r, v, c.Mail, accountdb.CodeSignIn)
	if errors.Is(err, accountdb.ErrWrongCode) {
		c.Wrong = v.Language.Text("ways.wrong_code")
		return p.showCode(w, v, http.StatusUnprocessableEntity, c)
	}
	if err != nil {
		return err
	}
	return p.enter(w, r, v, desk.Meeting{Account: account, By: accountdb.ByCode}, c.Next)
}

// byCode is the account of who typed the code that was sent to them.
func (p *Room) byCode(r *http.Request, v desk.Visit, typedMail, purpose string) (cardea.AccountID, error) {
	email, ok := desk.ParseEmail(typedMail)
	if !ok {
		return cardea.AccountID{}, accountdb.ErrWrongCode
	}
	giveBack, err := p.try(r, email, time.Now())
	if err != nil {
		return cardea.AccountID{}, err
	}
	account, err := p.whose(r.Context(), email)
	if err != nil {
		return account, err
	}
	err = p.spendCode(r.Context(), bound(v, email, purpose), r.PostFormValue("code"), func(tx *accountdb.Tx) error {
		if account.IsZero() {
			return nil
		}
		return tx.Trust(account)
	})
	if err == nil && account.IsZero() {
		err = accountdb.ErrWrongCode // it was sent to nobody
	}
	if err == nil {
		giveBack()
	}
	return account, err
}
