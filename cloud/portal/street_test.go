package portal_test

import (
	"crypto"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/catalogue"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/portal"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/cloud/portal/portaltest"
	"github.com/cardea-id/cardea/cloud/token"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
	"github.com/cardea-id/cardea/store/accountdb"
)

// A street is a house with the shipped catalogue whose issuer and hub are real.
type street struct {
	*testing.T
	house  *portaltest.House
	issuer *issuer.Issuer
	keys   *token.Keys
	hub    *hub.Hub
	home   string // the network of owners and devices
}

// A pipe to devices that are never there.
type nowhere struct{}

func (nowhere) Publish(cardea.DeviceID, []byte) error { return nil }
func (nowhere) Connected(cardea.DeviceID) bool        { return false }
func (nowhere) Kick(cardea.DeviceID)                  {}

func openStreet(t *testing.T) *street {
	t.Helper()
	s := &street{T: t, home: "203.0.113.7"}
	s.house = portaltest.Open(t, func(c *portal.Config) {
		db := c.Accounts.(*accountdb.DB)
		var err error
		if s.keys, err = token.Open(t.Context(), "http://cardea.test", db.Secrets()); err != nil {
			t.Fatal(err)
		}
		if err := s.keys.Publish(t.Context(), nil, time.Now()); err != nil {
			t.Fatal(err)
		}
		s.issuer, err = issuer.New(issuer.Config{
			Issuer: "http://cardea.test", Storage: db.Grants(), Tokens: s.keys, Secret: s.keys.Derive("codes"),
			Clients: []issuer.Client{{ID: "cardea-agent", RequireDPoP: true, Scopes: []string{"profile"}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		c.Pairings, c.Labels = s.issuer, s.issuer
	})
	t.Cleanup(s.issuer.Close)
	text, err := os.ReadFile("../../testdata/catalogue.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cat, err := catalogue.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	s.house.Ledger.Catalogue.Replace(cat)
	s.hub = hub.New(hub.Config{
		DB: s.house.DB, Ledger: s.house.Ledger, Pipe: nowhere{}, Signer: func() crypto.Signer { return s.keys.Statement() }, KeyList: s.keys.KeyList,
		Root: s.keys.RootPublic(), Log: slog.New(slog.DiscardHandler),
	})
	return s
}

// RoundTrip carries what devices ask to the issuer.
func (s *street) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	r.RemoteAddr = s.home + ":50000"
	s.issuer.ServeHTTP(w, r)
	return w.Result(), nil
}

// An owner is somebody's browser. form is what each of its forms carries.
type owner struct {
	*portaltest.Browser
	account cardea.AccountID
	form    string
}

func (s *street) owner(email string) owner {
	s.Helper()
	b := s.house.Browser(s.T)
	o := owner{Browser: b, account: b.RegisterAs(email)}
	o.form = portaltest.Value(b.Get("/consents").Facet("recommendations/use", ""), "form")
	return o
}

// pairs has a new device of a kind ask, its owner approve, and returns what the
// device is told then.
func (s *street) pairs(b owner, kind cardea.DeviceKind) cardea.Body {
	s.Helper()
	key := s.approves(b, kind)
	id := cardea.DeviceID(jose.Thumbprint(key.Public()))
	joined, err := s.hub.Join(s.Context(), hub.Joining{
		Account: b.account, Grant: string(id), Thumbprint: string(id), PublicKey: jose.JWK(key.Public()), Name: "A device", Kind: kind, Model: "NX-1",
	})
	if err != nil {
		s.Fatal(err)
	}
	sealed, err := base64.RawURLEncoding.DecodeString(joined.Down)
	if err != nil {
		s.Fatal(err)
	}
	down, _, err := wire.OpenDown(sealed, id, joined.Link, joined.LinkKey, s.keys.Stated)
	if err != nil || down.Body == nil {
		s.Fatalf("told nothing: %v", err)
	}
	body, err := wire.DecodeBody(down.Body)
	if err != nil {
		s.Fatal(err)
	}
	return body
}

// approves has a new device ask, its owner approve with a form in which all is left
// out that can be, and the device get its tokens. It returns the device's key.
func (s *street) approves(b owner, kind cardea.DeviceKind) jose.PrivateKey {
	s.Helper()
	key := jose.GenerateKey()
	device := s.device(key)
	code := s.approved(b, device, kind)
	tokens, err := device.Poll(s.Context(), code)
	if err != nil || tokens.AccessToken == "" {
		s.Fatalf("approved and given no tokens: %v", err)
	}
	return key
}

func (s *street) device(key jose.PrivateKey) *pairing.Client {
	return &pairing.Client{Issuer: "http://cardea.test", ClientID: "cardea-agent", Signer: key.Signer(), HTTP: &http.Client{Transport: s}}
}

// approved is the same up to the owner's answer.
func (s *street) approved(b owner, device *pairing.Client, kind cardea.DeviceKind) pairing.Secret {
	s.Helper()
	asked, err := device.Start(s.Context(), pairing.Device{Kind: string(kind), Model: "NX-1"})
	if err != nil {
		s.Fatal(err)
	}
	if d := b.Post("/pair", url.Values{"form": {b.form}, "code": {string(asked.UserCode)}, "name": {"A device"}, "answer": {"approve"}}); d.Status != http.StatusSeeOther || !strings.HasPrefix(d.Header.Get("Location"), "/pair/approved") {
		s.Fatalf("approve: %d\n%s", d.Status, d.Text)
	}
	return asked.DeviceCode
}

// told is what the account's nth device is to be told now.
func (s *street) told(account cardea.AccountID, n int) (body cardea.Body) {
	s.Helper()
	cat, _ := s.house.Ledger.Catalogue.Current()
	err := s.house.DB.View(s.Context(), func(tx *accountdb.Tx) error {
		links, err := tx.Links(account)
		if err != nil {
			return err
		}
		body, err = s.house.Ledger.Body(tx, cat, links[n])
		return err
	})
	if err != nil {
		s.Fatal(err)
	}
	return body
}

// decide sends the form of one question as the page of this moment has it.
func (s *street) decide(b owner, key cardea.Key, decision string) {
	s.Helper()
	cat, _ := s.house.Ledger.Catalogue.Current()
	p, _ := cat.Purpose(key.Purpose())
	var account accountdb.Account
	err := s.house.DB.View(s.Context(), func(tx *accountdb.Tx) (err error) {
		account, err = tx.Account(b.account)
		return err
	})
	if err != nil {
		s.Fatal(err)
	}
	d := b.Post("/consents", url.Values{
		"form": {b.form}, "key": {string(key)}, "decision": {decision}, "base": {desk.BaseText(account.Head)},
		"version": {strconv.FormatUint(uint64(p.Version), 10)}, "notice": {p.Notice("en").String()},
	})
	if d.Status != http.StatusSeeOther {
		s.Fatalf("%s %s: %d\n%s", decision, key, d.Status, d.Text)
	}
}

// askedOn are the keys a kind of device is asked, and those that are necessary.
func (s *street) askedOn(kind cardea.DeviceKind) (asked, necessary []cardea.Key) {
	cat, _ := s.house.Ledger.Catalogue.Current()
	for _, p := range cat.Purposes {
		switch {
		case !p.On(kind):
		case p.Class == cardea.ClassN:
			necessary = append(necessary, p.Keys()...)
		default:
			asked = append(asked, p.Keys()...)
		}
	}
	return asked, necessary
}

// another puts another version of a purpose in force, which says nothing of what
// becomes of a yes to the one before.
func (s *street) another(change func(text string) string, id string) {
	s.Helper()
	text, err := os.ReadFile("../../testdata/catalogue.yaml")
	if err != nil {
		s.Fatal(err)
	}
	next, err := catalogue.Parse([]byte(strings.Replace(change(string(text)), "id: "+id+"\n    version: 1", "id: "+id+"\n    version: 2", 1)))
	if err != nil {
		s.Fatal(err)
	}
	now, _ := s.house.Ledger.Catalogue.Current()
	next.Former = now.Purposes
	if err := catalogue.Follows(now, next); err != nil {
		s.Fatal(err)
	}
	s.house.Ledger.Catalogue.Replace(next)
}
