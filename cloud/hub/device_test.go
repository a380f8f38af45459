package hub_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/catalogue"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

// A house is a hub on a real database with one account.
type house struct {
	t       testing.TB
	db      *accountdb.DB
	ledger  *ledger.Ledger
	hub     *hub.Hub
	pipe    *pipe
	account accountdb.Account
	keys    wire.KeyList

	path         string
	master       accountdb.Key
	root, signer *ecdsa.PrivateKey
}

// pipe keeps what is published; who is connected is the test's choice.
type pipe struct {
	mu        sync.Mutex
	connected map[cardea.DeviceID]bool
	sent      chan []byte
}

func (p *pipe) Publish(_ cardea.DeviceID, payload []byte) error {
	p.sent <- payload
	return nil
}

func (p *pipe) Connected(d cardea.DeviceID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.connected[d]
}

func (p *pipe) connect(d cardea.DeviceID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.connected[d] = true
}

func (p *pipe) Kick(cardea.DeviceID) {}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func shippedCatalogue(t testing.TB) *cardea.Catalogue {
	t.Helper()
	text, err := os.ReadFile("../../testdata/catalogue.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cat, err := catalogue.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return cat
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{t: t, path: filepath.Join(t.TempDir(), "cloud.db"), master: accountdb.NewKey(), root: newKey(t), signer: newKey(t)}
	h.open()
	h.account = accountdbtest.Account(t, h.db)
	return h
}

// at is the same house with its database in another place.
func (h *house) at(path string) *house {
	h.t.Helper()
	other := *h
	other.path = path
	other.open()
	return &other
}

func (h *house) open() {
	t := h.t
	t.Helper()
	h.db = accountdbtest.OpenAt(t, h.path, h.master)
	h.pipe = &pipe{connected: map[cardea.DeviceID]bool{}, sent: make(chan []byte, 100)}
	h.keys = wire.KeyList{Version: 1, Keys: []*ecdsa.PublicKey{&h.signer.PublicKey}, NotAfter: 4102444800000}
	list, err := wire.SignKeyList(h.keys, h.root)
	if err != nil {
		t.Fatal(err)
	}
	h.ledger = &ledger.Ledger{DB: h.db, Catalogue: catalogue.New(shippedCatalogue(t))}
	h.hub = hub.New(hub.Config{
		DB: h.db, Ledger: h.ledger, Pipe: h.pipe, Signer: func() crypto.Signer { return h.signer }, KeyList: func() []byte { return list }, Root: &h.root.PublicKey,
		UpURL: "http://127.0.0.1/v1/up", BrokerURL: "tcp://127.0.0.1:1883",
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
}

// run lets the hub send until the test ends.
func (h *house) run() {
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { h.hub.Run(ctx) })
	h.t.Cleanup(func() {
		stop()
		go func() {
			for range h.pipe.sent { // nobody else takes what is on its way
			}
		}()
		wg.Wait()
		close(h.pipe.sent)
	})
}

// A device speaks the protocol by the book, without an agent.
type device struct {
	*house
	signer crypto.Signer
	id     cardea.DeviceID
	link   cardea.LinkID
	key    wire.LinkKey
	log    cardea.Log
	have   cardea.Have
	head   cardea.Position
	body   cardea.Body
	held   []cardea.LinkID // by the device; nil: this one
	boot   cardea.Nonce    // zero: another one with each report
	away   bool
	loss   cardea.LossID
	signed []byte                      // the statement held
	points map[cardea.Key]cardea.Point // the latest decision known of each key
	asked  bool                        // the cloud wants to see what is held
	done   []cardea.OrderID
}

func (h *house) pair(grant string) *device {
	h.t.Helper()
	key := newKey(h.t)
	d := &device{house: h, signer: key, id: cardea.DeviceID(jose.Thumbprint(&key.PublicKey)), log: cardea.NewLog()}
	joined, err := h.hub.Join(context.Background(), hub.Joining{
		Account: h.account.ID, Grant: grant, Thumbprint: string(d.id), PublicKey: jose.JWK(&key.PublicKey),
		Name: "Kitchen speaker", Kind: "speaker", Model: "One", Serial: "0042",
	})
	if err != nil {
		h.t.Fatal(err)
	}
	d.link, d.key = joined.Link, joined.LinkKey
	sealed, err := base64.RawURLEncoding.DecodeString(joined.Down)
	if err != nil {
		h.t.Fatal(err)
	}
	d.apply(d.open(sealed))
	return d
}

func (d *device) open(sealed []byte) cardea.Down {
	d.t.Helper()
	down, signed, err := wire.OpenDown(sealed, d.id, d.link, d.key, d.keys.Trust())
	if err != nil {
		d.t.Fatal(err)
	}
	if !down.Renewal() && down.Revision > d.have.Revision {
		d.signed = signed
	}
	return down
}

// apply takes a message of the cloud. One that asks to recover changes nothing;
// a statement counts if its revision is above the one held, and gives no key by
// an older decision than the one known.
func (d *device) apply(down cardea.Down) cardea.Down {
	d.t.Helper()
	if d.asked = down.Recover; d.asked {
		return down
	}
	if down.Revision < d.have.Revision && !down.Closed {
		return down
	}
	d.head = down.Head
	if !down.Renewal() && down.Revision > d.have.Revision {
		body, err := wire.DecodeBody(down.Body)
		if err != nil {
			d.t.Fatal(err)
		}
		d.settle(body.Consents)
		d.body, d.have = body, cardea.Have{Revision: down.Revision, BodyHash: down.BodyHash}
	}
	log, err := d.log.Acknowledge(down.Seen)
	if err != nil && !down.Nonce.IsZero() {
		log = d.log.Reopen()
	}
	d.log = log
	return down
}

func (d *device) settle(stated []cardea.Consent) {
	if d.points == nil {
		d.points = map[cardea.Key]cardea.Point{}
	}
	for i, c := range stated {
		if known := d.points[c.Key]; !c.Decided.Before(known) {
			d.points[c.Key] = c.Decided
		} else if c.Given() {
			stated[i].Reason = cardea.ReasonRollback
		}
	}
}

func (d *device) report() []byte {
	d.t.Helper()
	up := cardea.Up{
		V: cardea.Version, Device: d.id, Links: []cardea.LinkID{d.link}, Link: d.link, Log: d.log.ID,
		Have: d.have, Clock: cardea.ClockSynced, Entries: d.log.Entries,
	}
	if d.asked {
		up.Held = d.signed
	}
	rand.Read(up.Nonce[:])
	rand.Read(up.Boot[:])
	if !d.boot.IsZero() {
		up.Boot = d.boot
	}
	if d.held != nil {
		up.Links = d.held
	}
	up.Away, up.Loss, up.Done = d.away, d.loss, d.done
	sealed, err := wire.SealUp(up, d.signer, d.key)
	if err != nil {
		d.t.Fatal(err)
	}
	return sealed
}

// sync sends one report and applies its answer, and shows what it holds if it is
// asked to.
func (d *device) sync() cardea.Down {
	d.t.Helper()
	down := d.exchange()
	if d.asked {
		down = d.exchange()
	}
	if d.asked {
		d.t.Error("asked to recover although the statement was shown")
	}
	return down
}

// exchange sends one report and applies its answer.
func (d *device) exchange() cardea.Down {
	d.t.Helper()
	answer, err := d.hub.Handle(context.Background(), d.report())
	if err != nil {
		d.t.Fatal(err)
	}
	return d.apply(d.open(answer))
}

func (d *device) say(e cardea.LogEntry) {
	e.Event, e.Base = cardea.NewID[cardea.EventID](), d.head
	if e.Reach == "" {
		e.Reach = cardea.ReachDevice
	}
	d.log = d.log.Append(e)
}

func (d *device) consent(key cardea.Key) cardea.Consent {
	for _, c := range d.body.Consents {
		if c.Key == key {
			return c
		}
	}
	return cardea.Consent{Reason: cardea.ReasonUnknown}
}

func (d *device) wants(key cardea.Key, reason cardea.Reason) {
	d.t.Helper()
	if got := d.consent(key).Reason; got != reason {
		d.t.Errorf("%s stands as %q on the device, want %q", key, got, reason)
	}
}

// decide is the owner in the portal, who has seen everything so far.
func (h *house) decide(act cardea.Act, key cardea.Key, scope cardea.Scope) {
	h.t.Helper()
	page, err := h.ledger.Page(context.Background(), h.account.ID, "en")
	if err != nil {
		h.t.Fatal(err)
	}
	if err := h.decideOn(page, act, key, scope); err != nil {
		h.t.Fatal(err)
	}
}

// decideOn is the owner with a page that may be old.
func (h *house) decideOn(page ledger.Page, act cardea.Act, key cardea.Key, scope cardea.Scope) error {
	cat, _ := h.ledger.Catalogue.Current()
	purpose, _ := cat.Purpose(key.Purpose())
	d := cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: act, Key: key, Base: page.Head}
	if act == cardea.ActGrant {
		d.Version, d.Notice = purpose.Version, purpose.Notice("en")
	}
	_, err := h.ledger.Decide(context.Background(), h.account.ID, cardea.ChannelPortal, scope, d)
	return err
}
