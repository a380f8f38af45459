package entry_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/portal"
	"github.com/cardea-id/cardea/cloud/portal/portaltest"
	"github.com/cardea-id/cardea/store/accountdb"
)

const suggest = cardea.Key("recommendations/use")

// send presses a button of what a page asks for a key, and returns the answer.
func send(b *portaltest.Browser, key cardea.Key, words string) *portaltest.Document {
	return b.Send(b.Get("/consents").Facet(key, ""), words)
}

// Who takes over an account with a password alone, after a device was paired, does
// not widen what it may do; the owner's passkey does. A no is never asked for more.
func TestTakeoverWidensNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := portaltest.Open(t, withPasskeys)
		owner := h.Browser(t)
		account := owner.Register()
		p := addPasskey(t, h, owner)
		d := portaltest.HubDevice("Kitchen speaker")
		d.Created = time.Now()
		h.Link(t, account, d)
		if d := send(owner, suggest, "Allow"); !strings.HasPrefix(d.Header.Get("Location"), "/consents") {
			t.Fatalf("the session that paired it: status %d to %q", d.Status, d.Header.Get("Location"))
		}
		time.Sleep(time.Hour)
		thief := h.Browser(t)
		thief.Press(thief.Get("/signin"), "Sign in", "email", portaltest.Email, "password", portaltest.Password)
		if d := send(thief, suggest, "Don’t allow"); !strings.HasPrefix(d.Header.Get("Location"), "/consents") {
			t.Errorf("a no: status %d to %q", d.Status, d.Header.Get("Location"))
		}
		if d := send(thief, suggest, "Allow"); !strings.HasPrefix(d.Header.Get("Location"), "/again") {
			t.Errorf("a yes: status %d to %q", d.Status, d.Header.Get("Location"))
		}
		if h.Standing(t, account, suggest).Given() {
			t.Error("the thief widened what the device may do")
		}
		other := h.Browser(t)
		usePasskey(t, other, p)
		if d := send(other, suggest, "Allow"); !strings.HasPrefix(d.Header.Get("Location"), "/consents") {
			t.Errorf("the owner, with the passkey: status %d to %q", d.Status, d.Header.Get("Location"))
		}
		// How sure it was stands beside the decision.
		err := h.DB.View(t.Context(), func(tx *accountdb.Tx) error {
			a, err := tx.Assurance(account, h.Head(t, account).Seq)
			if a.Level != accountdb.Verified || !slices.Equal(a.Methods, []string{"pop", "user", "mfa"}) {
				t.Errorf("recorded %+v", a)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// Of whom nothing is proved says yes to nothing that leaves the device, is led to
// confirm the address, and comes back.
func TestLiteAccountIsLedToConfirm(t *testing.T) {
	h, post := openMail(t)
	b := h.Browser(t)
	account := lite(t, b, portaltest.Email)
	d := send(b, suggest, "Allow")
	if to := d.Header.Get("Location"); to != "/account/confirm" {
		t.Fatalf("status %d to %q", d.Status, to)
	}
	page := b.Follow(d)
	page.Check()
	if d := b.Press(page, "Confirm", "code", post.To(t, portaltest.Email).Code()); d.Header.Get("Location") != "/consents" {
		t.Errorf("confirmed: status %d to %q", d.Status, d.Header.Get("Location"))
	}
	send(b, suggest, "Allow")
	if !h.Standing(t, account, suggest).Given() {
		t.Error("confirmed, and the yes does not count")
	}
}

// Power cuts and new days ask nobody to sign in: a session lasts a month, whatever
// its owner does, and no device depends on it.
func TestSessionLastsAMonth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := portaltest.Open(t)
		b := h.Browser(t)
		b.Register()
		time.Sleep(30*24*time.Hour - time.Minute)
		if d := b.Get("/consents"); d.Status != http.StatusOK {
			t.Errorf("after 30 days less a minute: status %d", d.Status)
		}
		time.Sleep(2 * time.Minute)
		if d := b.Get("/consents"); d.Status != http.StatusSeeOther {
			t.Errorf("after 30 days: status %d", d.Status)
		}
	})
}

// Who is signed in pairs with two taps and types nothing.
func TestPairingTakesTwoTaps(t *testing.T) {
	h := portaltest.Open(t, func(*portal.Config) {})
	b := h.Browser(t)
	b.Register()
	code := h.ASpeaker()
	page := b.Get("/pair?code=" + string(code)) // the first: the picture is scanned
	if d := b.Press(page, "Approve"); d.Status != http.StatusSeeOther || !strings.HasPrefix(h.Pairings.Answered(code), "approved") {
		t.Errorf("the second: status %d, %s", d.Status, h.Pairings.Answered(code))
	}
}
