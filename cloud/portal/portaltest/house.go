// Package portaltest lets tests use the portal as a browser does: its pages over a
// real database and ledger, beside devices and an issuer of which the test says
// what they do.
package portaltest

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/archive"
	"github.com/cardea-id/cardea/cloud/catalogue"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/cloud/portal"
	"github.com/cardea-id/cardea/cloud/portal/brand"
	"github.com/cardea-id/cardea/cloud/receipt"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
	"github.com/cardea-id/cardea/store/accountdb"
)

const (
	Email    = "ada@example.com"
	Password = "the hinge turns quietly"
)

// A House is a portal over a real database and ledger. What devices do and who
// asks to be paired is set by the test.
type House struct {
	*portal.Portal
	DB       *accountdb.DB
	Ledger   *ledger.Ledger
	Devices  *Hub
	Pairings *Issuer

	rewrite func(page string) string
}

// Open makes a house with the tests' catalogue.
func Open(t testing.TB, change ...func(*portal.Config)) *House {
	t.Helper()
	return OpenIn(t, t.TempDir(), accountdb.NewKey(), change...)
}

// OpenIn makes it over the database in a folder, which outlives it.
func OpenIn(t testing.TB, dir string, key accountdb.Key, change ...func(*portal.Config)) *House {
	t.Helper()
	db, err := accountdb.Open(context.Background(), filepath.Join(dir, "cloud.db"), key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	cat, err := catalogue.Parse([]byte(Catalogue))
	if err != nil {
		t.Fatal(err)
	}
	h := &House{
		DB: db, Ledger: &ledger.Ledger{DB: db, Catalogue: catalogue.New(cat)},
		Devices: &Hub{DB: db}, Pairings: &Issuer{DB: db, Answers: map[pairing.UserCode]string{}},
	}
	c := portal.Config{
		Issuer: "http://cardea.test", Brand: brand.Config{Name: "Hearth"},
		Accounts: db, Ledger: h.Ledger, Devices: h.Devices, Archive: &archive.Writer{DB: db, Ledger: h.Ledger, Brand: "Hearth"}, Pairings: h.Pairings,
		Receipts: &receipt.Maker{
			Ledger: h.Ledger, Issuer: "http://cardea.test", Signer: jose.GenerateKey().Signer,
			Controller: receipt.Controller{Name: "Hearth Audio GmbH", Address: "Am Ofen 1, Berlin", Contact: "privacy@hearth.example", Authority: "Datenschutz Berlin"},
		},
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	for _, f := range change {
		f(&c)
	}
	if h.Portal, err = portal.New(c); err != nil {
		t.Fatal(err)
	}
	return h
}

// Link puts a device into the database, as joining does, and into what the hub
// answers.
func (h *House) Link(t testing.TB, account cardea.AccountID, d hub.Device) hub.Device {
	t.Helper()
	sum := sha256.Sum256([]byte(d.Name))
	d.Device = cardea.DeviceID(base64.RawURLEncoding.EncodeToString(sum[:]))
	d.Link = cardea.NewID[cardea.LinkID]()
	if d.ErasesBy.IsZero() {
		d.ErasesBy = time.Now().Add(cardea.MaxOfflineRetention)
	}
	err := h.DB.Update(context.Background(), func(tx *accountdb.Tx) error {
		row := accountdb.Device{ID: d.Device, PublicKey: []byte("{}"), Kind: d.Kind, Model: d.Model, Serial: d.Serial}
		if err := tx.PutDevice(row); err != nil {
			return err
		}
		return tx.CreateLink(accountdb.Link{ID: d.Link, Account: account, Device: d.Device, Grant: d.Link.String()}, [32]byte{}, d.Name)
	})
	if err != nil {
		t.Fatal(err)
	}
	h.Devices.Set(append(h.Devices.Get(), d)...)
	return d
}

// HubDevice is a speaker in step.
func HubDevice(name string) hub.Device {
	return hub.Device{Name: name, Kind: "speaker", Model: "Hearth Mini", State: hub.StateApplied, AppliedAt: time.Now(), LastSeen: time.Now(), Online: true}
}

// ASpeaker asks to be paired.
func (h *House) ASpeaker() pairing.UserCode {
	h.Pairings.Code = "WDJB-MJHT"
	h.Pairings.Asks = issuer.Request{
		Device:    pairing.Device{Kind: "speaker", Model: "Hearth Mini", Serial: "4F2A"},
		Requested: time.Now().Add(-12 * time.Second), Expires: time.Now().Add(10 * time.Minute), SameNetwork: true,
	}
	return h.Pairings.Code
}

// HoldTurns takes every turn to hash a password until release is called.
func (h *House) HoldTurns(t testing.TB) (release func()) {
	var held []func()
	for range max(2, runtime.NumCPU()) {
		back, err := h.Entry.Passwords.Turn(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, back)
	}
	return func() {
		for _, back := range held {
			back()
		}
	}
}

// Rewrite changes every page from now on, as other templates would have made it.
func (h *House) Rewrite(change func(page string) string) { h.rewrite = change }

// App puts a grant of a client that is no device into what the issuer answers.
func (h *House) App(account cardea.AccountID, g issuer.Grant) {
	g.Client, g.Approved = "tv-app", time.Now().Add(-2*time.Hour)
	if h.Pairings.Granted == nil {
		h.Pairings.Granted = map[cardea.AccountID][]issuer.Grant{}
	}
	h.Pairings.Granted[account] = append(h.Pairings.Granted[account], g)
}

// Raise puts another version of "recommendations" in force: what is replaced in
// the catalogue of the tests, with the lines that say the change.
func (h *House) Raise(t *testing.T, lines string, replace ...string) {
	t.Helper()
	replace = append([]string{
		"id: recommendations\n    version: 1", "id: recommendations\n    version: 2\n    " + lines,
		"title: Recommendations", "title: Recommendations\n        changed: A second company helps us now",
	}, replace...)
	next, err := catalogue.Parse([]byte(strings.NewReplacer(replace...).Replace(Catalogue)))
	if err != nil {
		t.Fatal(err)
	}
	now, _ := h.Ledger.Catalogue.Current()
	next.Former = now.Purposes[:1:1]
	if err := catalogue.Follows(now, next); err != nil {
		t.Fatal(err)
	}
	h.Ledger.Catalogue.Replace(next)
}

// Standing is what stands of a key for the whole account.
func (h *House) Standing(t *testing.T, account cardea.AccountID, key cardea.Key) cardea.Consent {
	t.Helper()
	page, err := h.Ledger.Page(t.Context(), account, "en")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range page.Choices {
		for _, f := range c.Facets {
			if f.Key == key {
				return f.Standing
			}
		}
	}
	t.Fatalf("%s is not asked", key)
	return cardea.Consent{}
}

// Session is the account a session's cookie belongs to; zero: to none.
func (h *House) Session(t testing.TB, cookie string) cardea.AccountID {
	t.Helper()
	secret, err := base64.RawURLEncoding.DecodeString(cookie)
	if err != nil {
		t.Fatal(err)
	}
	s, err := h.DB.Session(t.Context(), sha256.Sum256(secret))
	if err != nil {
		return cardea.AccountID{}
	}
	return s.Account
}

// Furnish gives an owner devices in every state, a conflict, a stop on one
// device and a yes on another.
func (h *House) Furnish(t *testing.T, b *Browser, account cardea.AccountID) {
	now := time.Now()
	h.ASpeaker()
	speaker := h.Link(t, account, hub.Device{Name: "Kitchen speaker", Kind: "speaker", Model: "Hearth Mini", Serial: "4F2A",
		Online: true, LastSeen: now, State: hub.StateApplied, AppliedAt: now.Add(-time.Hour), Grant: "the-grant"})
	car := h.Link(t, account, hub.Device{Name: "Car", Kind: "car", LastSeen: now.Add(-3 * time.Hour), State: hub.StateStops,
		StopsBy: now.Add(40 * time.Minute), Stops: map[cardea.Key]time.Time{"recommendations/use": now.Add(40 * time.Minute)}})
	h.Link(t, account, hub.Device{Name: "Hall", Kind: "doorbell", State: hub.StateWaiting})
	h.Link(t, account, hub.Device{Name: "Old TV", Kind: "tv", State: hub.StateLeaving, StopsBy: now.Add(-time.Minute), LastSeen: now.AddDate(0, -2, 0)})
	radio := h.Link(t, account, hub.Device{Name: "Bath radio", Kind: "speaker", Forked: true, Lost: true, State: hub.StateApplied, AppliedAt: now})
	h.Devices.Losses = map[cardea.LinkID]hub.Loss{radio.Link: {
		ID: cardea.NewID[cardea.LossID](), Device: radio, Given: []cardea.Key{"recommendations/use", "voice_clips/use"},
	}}
	h.Link(t, account, hub.Device{Name: "Missed TV", Kind: "tv", State: hub.StateStops, StopsBy: now.Add(time.Hour), Missed: now.Add(-time.Hour)})
	h.Link(t, account, hub.Device{Name: "Copy", Kind: "speaker", Forked: true, State: hub.StateStops, StopsBy: now.Add(-time.Minute)})

	before := h.Head(t, account)
	h.Decide(t, account, "recommendations/use", cardea.ActGrant, "", before)
	h.Decide(t, account, "recommendations/use", cardea.ActDeny, "", h.Head(t, account))
	h.Decide(t, account, "recommendations/third_party", cardea.ActDeny, "", before)
	h.Decide(t, account, "recommendations/third_party", cardea.ActGrant, "", before) // has not seen the no
	h.Decide(t, account, "voice_clips/use", cardea.ActDeny, speaker.Device, before)
	h.Decide(t, account, "voice_clips/use", cardea.ActGrant, "", before)
	h.Decide(t, account, "routes/use", cardea.ActGrant, car.Device, before)
}

// Head is the head of an account's ledger.
func (h *House) Head(t testing.TB, account cardea.AccountID) cardea.Position {
	t.Helper()
	page, err := h.Ledger.Page(t.Context(), account, "en")
	if err != nil {
		t.Fatal(err)
	}
	return page.Head
}

// Decide puts a decision into the ledger past the pages.
func (h *House) Decide(t testing.TB, account cardea.AccountID, key cardea.Key, act cardea.Act, device cardea.DeviceID, base cardea.Position) {
	t.Helper()
	cat, _ := h.Ledger.Catalogue.Current()
	purpose, _ := cat.Purpose(key.Purpose())
	d := cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: act, Key: key, Version: purpose.Version, Notice: purpose.Notice("en"), Base: base}
	if _, err := h.Ledger.Decide(t.Context(), account, cardea.ChannelPortal, cardea.Scope{Device: device}, d); err != nil {
		t.Fatal(err)
	}
}
