package entry

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/store/accountdb"
)

// How long letters are tried, and links in them count.
const (
	codeLetter = 10 * time.Minute // as long as the code in it
	noticeLife = 3 * 24 * time.Hour
	undoLife   = 7 * 24 * time.Hour
)

// A notice is what an owner is told of by mail.
type notice struct {
	Key  string // of the messages Key.title and Key.text
	Args []any
	Undo string // what the link takes back; empty: there is none
	Ref  []byte // of what
}

// tell posts a notice within the transaction of what it tells. An account without
// an address hears nothing.
func (p *Room) tell(tx *accountdb.Tx, v desk.Visit, account cardea.AccountID, n notice) error {
	return p.write(tx, v, account, n, func(l accountdb.Letter) error { return tx.Post(account, l, noticeLife) })
}

// write makes the letter of a notice and has it posted, if there is where to.
func (p *Room) write(tx *accountdb.Tx, v desk.Visit, account cardea.AccountID, n notice, post func(accountdb.Letter) error) error {
	if p.Mail == nil {
		return nil
	}
	to, err := tx.MailTo(account)
	if isNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	args := append([]any{"Brand", p.Brand.Name, "When", v.Language.Clock(tx.Now, tx.Now)}, n.Args...)
	text := []string{v.Language.Text(n.Key+".text", args...)}
	if n.Undo != "" {
		link, err := p.undoLink(tx, accountdb.Undo{Account: account, What: n.Undo, Ref: n.Ref})
		if err != nil {
			return err
		}
		text = append(text, v.Language.Text("mail.undo", "Until", v.Language.Day(tx.Now.Add(undoLife))), link)
	}
	return post(p.letter(v, to, v.Language.Text(n.Key+".title", args...), text))
}

// letter has a paragraph for each text and says whose it is.
func (p *Room) letter(v desk.Visit, to, subject string, text []string) accountdb.Letter {
	text = append(text, v.Language.Text("mail.from", "Brand", p.Brand.Name, "Address", p.Base))
	return accountdb.Letter{To: to, Subject: subject, Text: strings.Join(text, "\n\n") + "\n"}
}

// undoLink is an address with a secret of which only the hash is kept.
func (p *Room) undoLink(tx *accountdb.Tx, u accountdb.Undo) (string, error) {
	secret := make([]byte, 32)
	rand.Read(secret)
	err := tx.PutUndo(sha256.Sum256(secret), u, undoLife)
	return p.Base + "/undo/" + base64.RawURLEncoding.EncodeToString(secret), err
}

// sent has letters looked for that a transaction has posted.
func (p *Room) sent(err error) error {
	if err == nil && p.Mail != nil {
		p.Mail()
	}
	return err
}
