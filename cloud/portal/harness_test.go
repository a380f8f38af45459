package portal_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/catalogue"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/cloud/portal"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
	"github.com/cardea-id/cardea/store/accountdb"
)

const (
	testEmail    = "ada@example.com"
	testPassword = "the hinge turns quietly"
)

// A house is a portal over a real database and ledger. What devices do and who
// asks to be paired is set by the test.
type house struct {
	*portal.Portal
	db       *accountdb.DB
	ledger   *ledger.Ledger
	devices  *fakeDevices
	pairings *fakePairings
}

func open(t testing.TB, change ...func(*portal.Config)) *house {
	t.Helper()
	db, err := accountdb.Open(context.Background(), filepath.Join(t.TempDir(), "cloud.db"), accountdb.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	cat, err := catalogue.Parse([]byte(testCatalogue))
	if err != nil {
		t.Fatal(err)
	}
	h := &house{
		db: db, ledger: &ledger.Ledger{DB: db, Catalogue: catalogue.New(cat)},
		devices: &fakeDevices{}, pairings: &fakePairings{answers: map[pairing.UserCode]string{}},
	}
	c := portal.Config{
		Issuer: "http://cardea.test", Brand: "Hearth",
		Accounts: db, Ledger: h.ledger, Devices: h.devices, Pairings: h.pairings,
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

// link puts a device into the database, as joining does, and into what the hub
// answers.
func (h *house) link(t testing.TB, account cardea.AccountID, d hub.Device) hub.Device {
	t.Helper()
	sum := sha256.Sum256([]byte(d.Name))
	d.Device = cardea.DeviceID(base64.RawURLEncoding.EncodeToString(sum[:]))
	d.Link = cardea.NewID[cardea.LinkID]()
	err := h.db.Update(context.Background(), func(tx *accountdb.Tx) error {
		row := accountdb.Device{ID: d.Device, PublicKey: []byte("{}"), Kind: d.Kind, Model: d.Model, Serial: d.Serial}
		if err := tx.PutDevice(row); err != nil {
			return err
		}
		return tx.CreateLink(accountdb.Link{ID: d.Link, Account: account, Device: d.Device, Grant: d.Link.String()}, [32]byte{}, d.Name)
	})
	if err != nil {
		t.Fatal(err)
	}
	h.devices.set(append(h.devices.get(), d)...)
	return d
}

// hubDevice is a speaker in step.
func hubDevice(name string) hub.Device {
	return hub.Device{Name: name, Kind: "speaker", Model: "Hearth Mini", State: hub.StateApplied, AppliedAt: time.Now(), LastSeen: time.Now(), Online: true}
}

// fakeDevices is a hub of which the test says what devices have done.
type fakeDevices struct {
	mu        sync.Mutex
	devices   []hub.Device
	unlinked  []cardea.LinkID
	confirmed []cardea.LinkID
	losses    map[cardea.LinkID]hub.Loss
	again     []cardea.Key
	err       error
}

func (f *fakeDevices) set(devices ...hub.Device) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.devices = devices
}

func (f *fakeDevices) get() []hub.Device {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]hub.Device(nil), f.devices...)
}

func (f *fakeDevices) Devices(context.Context, cardea.AccountID) ([]hub.Device, error) {
	return f.get(), f.err
}

func (f *fakeDevices) Unlink(_ context.Context, _ cardea.AccountID, link cardea.LinkID) error {
	return f.on(link, &f.unlinked)
}

func (f *fakeDevices) ConfirmFork(_ context.Context, _ cardea.AccountID, link cardea.LinkID) error {
	return f.on(link, &f.confirmed)
}

func (f *fakeDevices) Loss(_ context.Context, _ cardea.AccountID, link cardea.LinkID) (hub.Loss, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if loss, ok := f.losses[link]; ok {
		return loss, f.err
	}
	return hub.Loss{}, accountdb.ErrNotFound
}

func (f *fakeDevices) ConfirmLoss(_ context.Context, _ cardea.AccountID, link cardea.LinkID, loss cardea.LossID, again []cardea.Key) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.losses[link].ID != loss {
		return accountdb.ErrNotFound
	}
	f.again = again
	delete(f.losses, link)
	return f.err
}

func (f *fakeDevices) on(link cardea.LinkID, done *[]cardea.LinkID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range f.devices {
		if d.Link == link {
			*done = append(*done, link)
			return f.err
		}
	}
	return accountdb.ErrNotFound
}

// fakePairings is an issuer with one pending request.
type fakePairings struct {
	mu      sync.Mutex
	code    pairing.UserCode
	asks    issuer.Request
	answers map[pairing.UserCode]string
	grants  map[cardea.AccountID][]issuer.Grant
	revoked []pairing.GrantID
	err     error
}

func (f *fakePairings) Grants(_ context.Context, account cardea.AccountID) ([]issuer.Grant, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.grants[account], nil
}

func (f *fakePairings) Revoke(_ context.Context, account cardea.AccountID, grant pairing.GrantID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.ContainsFunc(f.grants[account], func(g issuer.Grant) bool { return g.ID == grant }) {
		return fmt.Errorf("revoke: %w", issuer.ErrNoGrant)
	}
	f.revoked = append(f.revoked, grant)
	return nil
}

func (f *fakePairings) Lookup(_ context.Context, _ cardea.AccountID, code pairing.UserCode, _ netip.Addr) (issuer.Request, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.err != nil:
		return issuer.Request{}, f.err
	case code != f.code:
		return issuer.Request{}, issuer.ErrWrongCode
	case f.answers[code] != "":
		return issuer.Request{}, issuer.ErrUsed
	}
	asks := f.asks
	asks.Code, asks.Choices = code, []pairing.UserCode{"BBBB-CCCC", code, "XXXX-ZZZZ"}
	return asks, nil
}

func (f *fakePairings) Approve(_ context.Context, _ cardea.AccountID, code pairing.UserCode, name string) (pairing.GrantID, error) {
	return "the-grant", f.answer(code, "approved "+name)
}

func (f *fakePairings) Deny(_ context.Context, _ cardea.AccountID, code pairing.UserCode) error {
	return f.answer(code, "declined")
}

func (f *fakePairings) answer(code pairing.UserCode, answer string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.err != nil:
		return f.err
	case code != f.code:
		return issuer.ErrWrongCode
	case f.answers[code] != "":
		return issuer.ErrUsed
	}
	f.answers[code] = answer
	return nil
}

func (f *fakePairings) answered(code pairing.UserCode) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.answers[code]
}

// aSpeaker asks to be paired.
func (h *house) aSpeaker() pairing.UserCode {
	h.pairings.code = "WDJB-MJHT"
	h.pairings.asks = issuer.Request{
		Device:    pairing.Device{Kind: "speaker", Model: "Hearth Mini", Serial: "4F2A"},
		Requested: time.Now().Add(-12 * time.Second), Expires: time.Now().Add(10 * time.Minute), SameNetwork: true,
	}
	return h.pairings.code
}
