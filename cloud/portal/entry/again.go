package entry

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/cardea-id/cardea/cloud/passkey"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/store/accountdb"
)

// An again is the page on which the owner says once more who they are.
type again struct {
	Next      string
	Sure      string // "2": a passkey or two methods are needed
	Passkey   passkey.Options
	Password  bool
	Code      bool
	Elsewhere []provided
	More      bool // one method was shown, and one more is needed
	AddOne    bool // what the account has is not enough
	Wrong     string
}

func againPage(next, sure string) string {
	q := url.Values{"next": {desk.ReturnPath(next)}}
	if sure != "" {
		q.Set("sure", sure)
	}
	return "/again?" + q.Encode()
}

func (p *Room) showAgain(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	q := r.URL.Query()
	if enough(v.Session, q.Get("sure")) {
		http.Redirect(w, r, desk.ReturnPath(q.Get("next")), http.StatusSeeOther)
		return nil
	}
	return p.showAgainPage(w, r, v, http.StatusOK, again{Next: q.Get("next"), Sure: q.Get("sure")})
}

// enough reports whether a session has shown what it was asked for.
func enough(s accountdb.Session, sure string) bool {
	now := time.Now()
	if sure != "" && s.LevelSince(now.Add(-desk.Fresh)) < accountdb.Verified {
		return false
	}
	return s.Strong(now, desk.Fresh)
}

func (p *Room) showAgainPage(w http.ResponseWriter, r *http.Request, v desk.Visit, status int, body again) error {
	body.Next = desk.ReturnPath(body.Next)
	ways := v.Session.Ways
	body.Password, body.Code = ways.Password, ways.Email && p.Mail != nil
	connected, err := p.Accounts.Connections(r.Context(), v.Account)
	if err != nil {
		return err
	}
	for _, o := range p.offers() {
		for _, c := range connected {
			if c.Provider == o.ID {
				body.Elsewhere = append(body.Elsewhere, o)
			}
		}
	}
	if ways.Passkeys > 0 {
		if body.Passkey, err = p.askPasskey(v); err != nil {
			return err
		}
	}
	level := v.Session.LevelSince(time.Now().Add(-desk.Fresh))
	needed := ways.Strongest()
	if body.Sure != "" {
		needed = accountdb.Verified
	}
	second := body.Password && (body.Code || len(body.Elsewhere) > 0) && !ways.Renewed
	body.AddOne = needed == accountdb.Verified && ways.Passkeys == 0 && !second
	body.More = level == accountdb.Shown && needed == accountdb.Verified && !body.AddOne
	return p.Pages.Show(w, v, status, "again.html", desk.View{Title: "ways.again_title", Section: "account", Body: body})
}

// postAgain takes the password.
func (p *Room) postAgain(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	body := again{Next: r.PostFormValue("next"), Sure: r.PostFormValue("sure")}
	giveBack, err := p.try(r, v.Email, time.Now())
	if err != nil {
		return err
	}
	login, err := p.recognise(r.Context(), v.Email, r.PostFormValue("password"))
	if err == nil && login.Account != v.Account {
		err = errNotRecognised
	}
	if errors.Is(err, errNotRecognised) {
		body.Wrong = v.Language.Text("ways.wrong_password")
		return p.showAgainPage(w, r, v, http.StatusUnauthorized, body)
	}
	if err != nil {
		return busy(err)
	}
	giveBack()
	return p.shown(w, r, v, accountdb.ByPassword)
}

// shown notes what the session has shown and leads on, or asks for one more.
func (p *Room) shown(w http.ResponseWriter, r *http.Request, v desk.Visit, by accountdb.Method) error {
	err := p.Accounts.Update(r.Context(), func(tx *accountdb.Tx) error { return tx.Prove(v.Session.Hash, by) })
	if err != nil {
		return err
	}
	http.Redirect(w, r, againPage(r.PostFormValue("next"), r.PostFormValue("sure")), http.StatusSeeOther)
	return nil
}

// postAgainPasskey takes a passkey, which must be of who is signed in.
func (p *Room) postAgainPasskey(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	used, err := p.usePasskey(r, v)
	if err == nil && used.Account != v.Account {
		err = errNoPasskey
	}
	if err != nil {
		return err
	}
	return p.shown(w, r, v, accountdb.ByPasskey)
}

// postAgainCode sends a code to the owner's own address.
func (p *Room) postAgainCode(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	if !v.Session.Ways.Email {
		return errNoMail
	}
	if err := p.sendCode(r, v, v.Account, bound(v, v.Email, accountdb.CodeAgain)); err != nil {
		return err
	}
	return p.showCode(w, v, http.StatusOK, codePage{Action: "/again/code/enter", Mail: v.Email, Next: r.PostFormValue("next"), Sure: r.PostFormValue("sure")})
}

func (p *Room) postAgainCodeEnter(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	giveBack, err := p.try(r, v.Email, time.Now())
	if err != nil {
		return err
	}
	err = p.spendCode(r.Context(), bound(v, v.Email, accountdb.CodeAgain), r.PostFormValue("code"), nil)
	if errors.Is(err, accountdb.ErrWrongCode) {
		return p.showCode(w, v, http.StatusUnprocessableEntity, codePage{Action: "/again/code/enter", Mail: v.Email,
			Next: r.PostFormValue("next"), Sure: r.PostFormValue("sure"), Wrong: v.Language.Text("ways.wrong_code")})
	}
	if err != nil {
		return err
	}
	giveBack()
	return p.shown(w, r, v, accountdb.ByCode)
}
