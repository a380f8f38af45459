package entry

import (
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea/cloud/language"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/store/accountdb"
)

// accountPage is how an owner signs in, and where.
const accountPage = "/account"

// An account is the page of it.
type account struct {
	Name      string
	WrongName string
	MaxName   int
	Confirmed bool // the address is theirs
	Mail      bool // letters can be sent
	Ends      bool // it goes by itself if the address is not confirmed
	Roles     []string
	Passkeys  []shownPasskey
	CanAdd    bool // passkeys are possible here
	Password  bool
	Elsewhere []provided
	Sessions  []place
	Others    bool // there are other browsers than this one
}

// A place is a browser in which the owner is signed in.
type place struct {
	ID      string
	Browser string
	Since   language.Moment
	Here    bool
}

// showAccount lists the ways to sign in, those that could be added, and where the
// owner is signed in.
func (p *Room) showAccount(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	return p.showAccountPage(w, r, v, http.StatusOK, account{})
}

func (p *Room) showAccountPage(w http.ResponseWriter, r *http.Request, v desk.Visit, status int, body account) error {
	connected, err := p.Accounts.Connections(r.Context(), v.Account)
	if err != nil {
		return err
	}
	body.Elsewhere = p.offers()
	for i, o := range body.Elsewhere {
		if at := slices.IndexFunc(connected, func(c accountdb.Connection) bool { return c.Provider == o.ID }); at >= 0 {
			body.Elsewhere[i].Since = v.Language.OnDay(connected[at].Since, time.Now())
		}
	}
	ways := v.Session.Ways
	body.Confirmed, body.Mail, body.CanAdd, body.Password, body.MaxName = ways.Email, p.Mail != nil, p.Passkeys != nil, ways.Password, desk.MaxName
	err = p.Accounts.View(r.Context(), func(tx *accountdb.Tx) (err error) {
		if body.WrongName == "" {
			if body.Name, err = tx.Name(v.Account); err != nil {
				return err
			}
		}
		if body.Passkeys, err = p.shownPasskeys(tx, v, v.Account); err != nil {
			return err
		}
		row, err := tx.Account(v.Account)
		if err != nil {
			return err
		}
		body.Roles, body.Ends = row.Roles.Names(), v.Session.Claimed && ways.Strongest() == accountdb.Claimed
		body.Sessions, err = p.places(tx, v)
		return err
	})
	if err != nil {
		return err
	}
	body.Others = len(body.Sessions) > 1
	return p.Pages.Show(w, v, status, "account.html", desk.View{Title: "entry.account", Section: "account", Body: body})
}

// places are the owner's sessions, this one first.
func (p *Room) places(tx *accountdb.Tx, v desk.Visit) (list []place, err error) {
	all, err := tx.Sessions(v.Account)
	for _, s := range all {
		at := place{ID: sessionID(s), Browser: browserWords(v, s.Browser), Since: v.Language.Ago(s.Started, time.Now()), Here: s.Hash == v.Session.Hash}
		if at.Here {
			list = slices.Insert(list, 0, at)
		} else {
			list = append(list, at)
		}
	}
	return list, err
}

// sessionID names a session in a form. It is the beginning of a hash of what its
// browser keeps, and signs nobody in.
func sessionID(s accountdb.Session) string { return hex.EncodeToString(s.Hash[:16]) }

// postName sets what the owner likes to be called, and has their devices told.
func (p *Room) postName(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	typed := r.PostFormValue("name")
	name := ""
	if strings.TrimSpace(typed) != "" {
		var wrong string
		if name, wrong = v.CheckName(typed); wrong != "" {
			return p.showAccountPage(w, r, v, http.StatusUnprocessableEntity, account{WrongName: wrong})
		}
	}
	err := p.Accounts.Update(r.Context(), func(tx *accountdb.Tx) error {
		if err := tx.SetName(v.Account, name); err != nil {
			return err
		}
		links, err := tx.Links(v.Account)
		if err != nil {
			return err
		}
		for _, l := range links {
			if l.State != accountdb.LinkLive {
				continue
			}
			if err := tx.Outdate(l.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		p.Renamed(v.Account)
	}
	return p.backToAccount(w, r, err)
}

// A passwordPage sets one.
type passwordPage struct {
	Has   bool
	Least int
	Wrong string
}

// showPassword is for who has just shown what they have.
func (p *Room) showPassword(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	return p.showPasswordPage(w, v, http.StatusOK, "")
}

func (p *Room) showPasswordPage(w http.ResponseWriter, v desk.Visit, status int, wrong string) error {
	if err := p.Sure(v, desk.Ways, "/account/password"); err != nil {
		return err
	}
	if v.Email == "" || v.Session.Claimed {
		return desk.Again{Back: "/account/password", Confirm: true} // a password goes with an address
	}
	body := passwordPage{Has: v.Session.Ways.Password, Least: minPassword, Wrong: wrong}
	return p.Pages.Show(w, v, status, "password.html", desk.View{Title: "ways.password_title", Section: "account", Body: body})
}

func (p *Room) postPassword(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	if err := p.Sure(v, desk.Ways, "/account/password"); err != nil {
		return err
	}
	chosen := r.PostFormValue("password")
	if wrong := checkPassword(v.Language, chosen, v.Email); wrong != "" {
		return p.showPasswordPage(w, v, http.StatusUnprocessableEntity, wrong)
	}
	byCode := v.Session.Ways.Passkeys == 0 && !v.Session.Ways.Password
	err := p.changePassword(r, v, v.Account, chosen, byCode, r.PostFormValue("everywhere") != "")
	if isNotFound(err) {
		return desk.Again{Back: "/account/password", Confirm: true}
	}
	return p.backToAccount(w, r, err)
}

// postRemovePassword leaves an account without one, if another way stays.
func (p *Room) postRemovePassword(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	return p.removeWay(w, r, v, func(tx *accountdb.Tx) error {
		return errors.Join(tx.SetPassword(v.Account, "", false), tx.Audit(v.Account, "owner", "password removed", ""),
			p.tell(tx, v, v.Account, notice{Key: "mail.password_removed", Undo: undoAll, Ref: []byte{}}))
	})
}

// postDisconnect ends that the owner signs in with a provider, if another way
// stays.
func (p *Room) postDisconnect(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	return p.removeWay(w, r, v, func(tx *accountdb.Tx) error {
		return errors.Join(tx.Disconnect(v.Account, r.PostFormValue("provider")), tx.Audit(v.Account, "owner", "provider removed", ""))
	})
}

// postEndSession signs one browser out, which must be the owner's.
func (p *Room) postEndSession(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	err := p.Accounts.Update(r.Context(), func(tx *accountdb.Tx) error {
		all, err := tx.Sessions(v.Account)
		if err != nil {
			return err
		}
		for _, s := range all {
			if sessionID(s) == r.PostFormValue("session") {
				return tx.EndSession(s.Hash)
			}
		}
		return nil // it is over
	})
	return p.backToAccount(w, r, err)
}

// postEndSessions signs out everywhere but here.
func (p *Room) postEndSessions(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	err := p.Accounts.Update(r.Context(), func(tx *accountdb.Tx) error { return tx.EndSessions(v.Account, v.Session.Hash) })
	return p.backToAccount(w, r, err)
}
