package entry

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/language"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
	"github.com/cardea-id/cardea/store/accountdb"
)

// What a link in a mail takes back. Each also signs out everywhere if its owner
// wants that.
const (
	undoGrant    = "grant"    // unlinks what was paired
	undoSession  = "session"  // signs that browser out
	undoPassword = "password" // the new password counts no longer
	undoPasskey  = "passkey"  // it signs nobody in any more
	undoAll      = "all"      // signs out everywhere, and nothing else
)

// An undoPage says what the link takes back.
type undoPage struct {
	Secret string
	What   string
	Made   language.Moment
}

var errNoUndo = desk.Problem{Status: http.StatusGone, Key: "ways.no_undo", Link: accountPage, Word: "problem.go.account"}

// undoHash is of the secret in a link.
func undoHash(text string) (cardea.Hash, error) {
	secret, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(secret) != 32 {
		return cardea.Hash{}, errNoUndo
	}
	return sha256.Sum256(secret), nil
}

// showUndo changes nothing, because mail is opened by programs too.
func (p *Room) showUndo(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	hash, err := undoHash(r.PathValue("secret"))
	if err != nil {
		return err
	}
	var u accountdb.Undo
	err = p.Accounts.View(r.Context(), func(tx *accountdb.Tx) error { u, err = tx.FindUndo(hash); return err })
	if isNotFound(err) {
		return errNoUndo
	}
	if err != nil {
		return err
	}
	body := undoPage{Secret: r.PathValue("secret"), What: u.What, Made: v.Language.Ago(u.Created, time.Now())}
	return p.Pages.Show(w, p.Welcome(w, v), http.StatusOK, "undo.html", desk.View{Title: "ways.undo_title", Body: body})
}

// postUndo takes it back, whoever is signed in here: the link is the proof.
func (p *Room) postUndo(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	hash, err := undoHash(r.PostFormValue("undo"))
	if err != nil {
		return err
	}
	var u accountdb.Undo
	err = p.Accounts.Update(r.Context(), func(tx *accountdb.Tx) error {
		if u, err = tx.SpendUndo(hash); err != nil {
			return err
		}
		return p.takeBack(tx, u, r.PostFormValue("everywhere") != "")
	})
	if isNotFound(err) {
		return errNoUndo
	}
	if err == nil && u.What == undoGrant {
		err = p.unpair(r.Context(), u.Account, pairing.GrantID(u.Ref))
	}
	if err != nil {
		return err
	}
	return p.Pages.Show(w, v, http.StatusOK, "undone.html", desk.View{Title: "ways.undone_title", Body: u.What})
}

func (p *Room) takeBack(tx *accountdb.Tx, u accountdb.Undo, everywhere bool) error {
	var err error
	switch u.What {
	case undoSession:
		if len(u.Ref) == len(cardea.Hash{}) {
			err = tx.EndSession(cardea.Hash(u.Ref))
		}
	case undoPassword:
		everywhere = true // who set it is signed in
		err = tx.SetPassword(u.Account, "", false)
	case undoPasskey:
		everywhere = true
		err = tx.RemovePasskey(u.Account, u.Ref)
	case undoAll:
		everywhere = true
	}
	if err != nil && !isNotFound(err) { // its owner may have done it already
		return err
	}
	if everywhere {
		err = tx.EndSessions(u.Account, cardea.Hash{})
	} else {
		err = nil
	}
	return errors.Join(err, tx.Audit(u.Account, "owner", "undone by mail", u.What))
}

// unpair ends what a grant gave, whatever became of it.
func (p *Room) unpair(ctx context.Context, account cardea.AccountID, grant pairing.GrantID) error {
	devices, err := p.Devices.Devices(ctx, account)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(devices, func(d hub.Device) bool { return d.Grant == string(grant) }); i >= 0 {
		err = p.Devices.Unlink(ctx, account, devices[i].Link)
	} else {
		err = p.Grants.Revoke(ctx, account, grant)
	}
	if isNotFound(err) || errors.Is(err, issuer.ErrNoGrant) {
		return nil
	}
	return err
}

// Pairing posts the letter that tells the owner of something they are about to let
// in, with a link that puts it out again. It goes if they say yes.
func (p *Room) Pairing(ctx context.Context, v desk.Visit, grant pairing.GrantID, name string) error {
	n := notice{Key: "mail.paired", Args: []any{"Name", name}, Undo: undoGrant, Ref: []byte(grant)}
	return p.Accounts.Update(ctx, func(tx *accountdb.Tx) error {
		return p.write(tx, v, v.Account, n, func(l accountdb.Letter) error { return tx.PostOnceApproved(v.Account, grant, l, noticeLife) })
	})
}
