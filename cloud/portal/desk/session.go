package desk

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/language"
	"github.com/cardea-id/cardea/store/accountdb"
)

// sessionLife is how long a browser stays signed in.
const sessionLife = 30 * 24 * time.Hour

// secretBytes is the size of what a browser keeps: it can not be guessed, so its
// plain hash at rest is enough.
const secretBytes = 32

// The cookies. visitorCookie is given to whoever opens a form without being
// signed in, so that signing in is guarded too: otherwise another site could
// sign somebody in to its own account, and their next device would be linked
// there.
const (
	sessionCookie = "cardea_session"
	visitorCookie = "cardea_visitor"
	// browserCookie stays when its owner signs out, so that a browser that was
	// never seen before can be told from one that was. It signs nobody in.
	browserCookie = "cardea_browser"
	browserLife   = 400 * 24 * time.Hour // what browsers keep at most
)

// A Visit is one request's browser. Account is zero if nobody is signed in.
type Visit struct {
	Account  cardea.AccountID
	Email    string
	Session  accountdb.Session  // how they are signed in; zero if nobody is
	Language *language.Language // that its reader chose, or the browser asks for
	Signal   bool               // the browser asks not to sell or share its owner's data (Sec-GPC)

	secret []byte // what the browser keeps: of the session, or of the visitor
	here   string // the address of the page, to come back to it
}

// Browser tells this visit's browser from others for as long as it keeps its
// cookie. It is not what a session is known by.
func (v Visit) Browser() cardea.Hash {
	mac := hmac.New(sha256.New, v.secret)
	mac.Write([]byte("cardea browser"))
	return cardea.Hash(mac.Sum(nil))
}

// Form is the token what a form of this browser carries. It follows from the
// browser's secret, so that nothing has to be stored, and does not reveal it.
func (v Visit) Form() string {
	mac := hmac.New(sha256.New, v.secret)
	mac.Write([]byte("cardea portal form"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// mayPost reports whether a form came from a page given to this browser.
func (v Visit) mayPost(r *http.Request) bool {
	return len(v.secret) == secretBytes && hmac.Equal([]byte(r.PostFormValue("form")), []byte(v.Form()))
}

// visit reads who is asking.
func (d *Desk) visit(r *http.Request) (Visit, error) {
	v := Visit{Language: d.language(r), secret: d.cookie(r, visitorCookie)}
	if r.Method == http.MethodGet {
		v.here = r.URL.RequestURI()
	}
	if secret := d.cookie(r, sessionCookie); secret != nil {
		s, err := d.sessions.Session(r.Context(), sha256.Sum256(secret))
		if err == nil {
			v.Account, v.Email, v.Session, v.Signal, v.secret = s.Account, s.Email, s, asksNotToSell(r), secret
			return v, nil
		}
		if !errors.Is(err, accountdb.ErrNotFound) {
			return Visit{Language: v.Language}, err
		}
	}
	return v, nil
}

// Welcome makes a visitor of a browser that has no cookie. Only pages with a
// form for visitors do so: two at once would take each other's cookie away.
func (d *Desk) Welcome(w http.ResponseWriter, v Visit) Visit {
	if v.secret == nil {
		v.secret = newSecret()
		d.setCookie(w, visitorCookie, v.secret, 0)
	}
	return v
}

func newSecret() []byte {
	secret := make([]byte, secretBytes)
	rand.Read(secret)
	return secret
}

// A Meeting is a sign-in as it is recorded. Also is done in the same transaction.
type Meeting struct {
	Account cardea.AccountID
	By      accountdb.Method // empty: nothing was proved
	Shown   time.Time        // when that was shown; the zero time: now
	Also    func(tx *accountdb.Tx, m Met) error
}

// Met says what came of a sign-in.
type Met struct {
	Session cardea.Hash
	Browser string // what it calls itself
	// New: the account has signed in before, and never with this browser.
	New bool
}

// SignIn gives the browser a new session. A secret it had before is never
// carried over, so one that was planted is worth nothing.
func (d *Desk) SignIn(w http.ResponseWriter, r *http.Request, m Meeting) error {
	secret, browser := newSecret(), d.cookie(r, browserCookie)
	if browser == nil {
		browser = newSecret()
	}
	met := Met{Session: sha256.Sum256(secret), Browser: BrowserName(r.UserAgent())}
	err := d.sessions.Update(r.Context(), func(tx *accountdb.Tx) error {
		if old := d.cookie(r, sessionCookie); old != nil {
			if err := tx.EndSession(sha256.Sum256(old)); err != nil {
				return err
			}
		}
		err := tx.StartSession(accountdb.SignIn{Hash: met.Session, Account: m.Account, By: m.By, Shown: m.Shown, Browser: met.Browser, Life: sessionLife})
		if err != nil {
			return err
		}
		known, others, err := tx.Meet(m.Account, browser)
		met.New = !known && others
		if err != nil || m.Also == nil {
			return err
		}
		return m.Also(tx, met)
	})
	if err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	d.setCookie(w, sessionCookie, secret, sessionLife)
	d.setCookie(w, browserCookie, browser, browserLife)
	d.setCookie(w, visitorCookie, nil, -1)
	return nil
}

// SignOut ends the visit's session.
func (d *Desk) SignOut(ctx context.Context, w http.ResponseWriter, v Visit) error {
	d.setCookie(w, sessionCookie, nil, -1)
	if err := d.sessions.EndSession(ctx, sha256.Sum256(v.secret)); err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}

// CookieName adds the prefix with which browsers take a cookie only from this
// very host and only over TLS, where there is TLS.
func (d *Desk) CookieName(name string) string {
	if d.HTTPS {
		return "__Host-" + name
	}
	return name
}

// cookie reads a secret from the browser, or nil.
func (d *Desk) cookie(r *http.Request, name string) []byte {
	c, err := r.Cookie(d.CookieName(name))
	if err != nil {
		return nil
	}
	secret, err := base64.RawURLEncoding.Strict().DecodeString(c.Value)
	if err != nil || len(secret) != secretBytes {
		return nil
	}
	return secret
}

// setCookie gives the browser a secret. Lax, not Strict: the camera that scans
// a QR code is another site, and who is signed in shall stay so.
func (d *Desk) setCookie(w http.ResponseWriter, name string, secret []byte, life time.Duration) {
	c := &http.Cookie{
		Name: d.CookieName(name), Value: base64.RawURLEncoding.EncodeToString(secret), Path: "/",
		MaxAge: int(life / time.Second), Secure: d.HTTPS, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	if life < 0 {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}
