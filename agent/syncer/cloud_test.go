package syncer_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/wire"
)

// The keys the tests ask about.
const (
	voice  = cardea.Key("voice/use")           // class A, 30 s
	recs   = cardea.Key("recommendations/use") // class C, 72 h
	habits = cardea.Key("habits/use")          // class L
)

var notice = cardea.Hash{7}

func terms() map[cardea.Key]cardea.Terms {
	return map[cardea.Key]cardea.Terms{
		voice:  {Version: 1, Class: cardea.ClassA, Staleness: 30 * time.Second, Validity: 1e4 * time.Hour, Required: []cardea.Authoriser{cardea.Owner}},
		recs:   {Version: 1, Class: cardea.ClassC, Staleness: 72 * time.Hour, Validity: 1e4 * time.Hour, Required: []cardea.Authoriser{cardea.Owner}},
		habits: {Version: 1, Class: cardea.ClassL, Staleness: 720 * time.Hour, Validity: 1e4 * time.Hour, Required: []cardea.Authoriser{cardea.Owner}},
	}
}

// A cloud is the other side, by the book and in memory: one ledger, folded by
// the rules of package cardea.
type cloud struct {
	t      testing.TB
	signer *ecdsa.PrivateKey
	root   *ecdsa.PrivateKey
	list   []byte
	trust  wire.Trust

	mu      sync.Mutex
	era     uint32
	entries []cardea.Entry
	links   map[cardea.LinkID]*peer
	forget  bool // answers unknown
	reports []cardea.Up
	answers []cardea.Down
	prefs   []cardea.Preference
	reject  cardea.Rejected // of preferences and grants
	stuck   cardea.Seen     // said to have been seen, whatever was
	frozen  bool            // statements are not brought up to date
	idle    bool            // takes no entries
	lost    bool            // has forgotten what it stated
	deaf    bool            // and does not look at what it is shown

	confirmed map[cardea.LossID]bool // by the owner
}

// A peer is a link, seen from the cloud.
type peer struct {
	id       cardea.LinkID
	key      wire.LinkKey
	device   cardea.DeviceID
	pub      *ecdsa.PublicKey
	revision uint64
	body     []byte
	have     cardea.Have
	logs     map[cardea.LogID]map[uint64]cardea.Hash
	seen     cardea.Seen
	rejected []cardea.Rejection
	orders   []cardea.Order
	closed   bool
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newCloud(t testing.TB) *cloud {
	t.Helper()
	c := &cloud{t: t, signer: newKey(t), root: newKey(t), era: 1, links: map[cardea.LinkID]*peer{}}
	list := wire.KeyList{Version: 1, Keys: []*ecdsa.PublicKey{&c.signer.PublicKey}, NotAfter: 4102444800000}
	signed, err := wire.SignKeyList(list, c.root)
	if err != nil {
		t.Fatal(err)
	}
	c.list, c.trust = signed, list.Trust()
	return c
}

func (c *cloud) join(pub *ecdsa.PublicKey) *peer {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := &peer{
		id: cardea.NewID[cardea.LinkID](), key: wire.NewLinkKey(), pub: pub,
		device: cardea.DeviceID(jose.Thumbprint(pub)), logs: map[cardea.LogID]map[uint64]cardea.Hash{},
	}
	c.links[p.id] = p
	return p
}

func (c *cloud) head() cardea.Position {
	if n := len(c.entries); n > 0 {
		return c.entries[n-1].Position
	}
	return cardea.Position{}
}

func (c *cloud) append(e cardea.Entry) {
	if slices.ContainsFunc(c.entries, func(o cardea.Entry) bool { return o.Event == e.Event }) {
		return
	}
	e.By, e.Recorded = cardea.Owner, cardea.MillisOf(time.Now())
	c.entries = append(c.entries, e.Chain(c.era, c.head()))
}

// decide is the owner in the portal, who has seen everything.
func (c *cloud) decide(act cardea.Act, key cardea.Key, scope cardea.Scope) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.append(cardea.Entry{Scope: scope, Channel: cardea.ChannelPortal, Decision: cardea.Decision{
		Event: cardea.NewID[cardea.EventID](), Act: act, Key: key, Version: 1, Notice: notice, Base: c.head(),
	}})
}

// build brings a link's statement up to date.
func (c *cloud) build(p *peer) {
	if c.frozen {
		return
	}
	body := cardea.Body{Identity: cardea.Identity{Subject: "subject", Name: "Anna Example"}, Preferences: c.prefs, Orders: p.orders}
	fold := cardea.Fold(c.entries)
	for key, t := range terms() {
		body.Consents = append(body.Consents, fold.On(p.device, key, t))
	}
	c.put(p, body)
}

func (c *cloud) put(p *peer, body cardea.Body) {
	encoded, err := wire.EncodeBody(body)
	if err != nil {
		c.t.Error(err)
	}
	if !slices.Equal(encoded, p.body) {
		p.revision, p.body = p.revision+1, encoded
	}
}

// down is what stands, in answer to a nonce or unasked.
func (c *cloud) down(p *peer, nonce cardea.Nonce) cardea.Down {
	now, seen := cardea.MillisOf(time.Now()), p.seen
	if c.stuck.N > 0 {
		seen = c.stuck
	}
	return cardea.Down{
		Device: p.device, Link: p.id, Revision: p.revision, Head: c.head(), Time: now, Nonce: nonce,
		Lease: now.Add(30 * 24 * time.Hour), Seen: seen, Rejected: p.rejected,
		BodyHash: wire.BodyHash(p.body), Body: p.body,
	}
}

func (c *cloud) seal(p *peer, d cardea.Down) []byte {
	sealed, _, err := wire.SealDown(d, c.signer, p.key)
	if err != nil {
		c.t.Errorf("seal: %v", err)
	}
	return sealed
}

// push is a statement the hub sends by itself.
func (c *cloud) push(p *peer) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.build(p)
	return c.seal(p, c.down(p, cardea.Nonce{}))
}

// handle answers one report.
func (c *cloud) handle(sealed []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	id, err := wire.PeekUp(sealed)
	if err != nil {
		c.t.Errorf("a report can not be read: %v", err)
		return nil
	}
	p := c.links[id]
	if p == nil || c.forget {
		answer, err := wire.SignUnknown(sealed, id, c.signer)
		if err != nil {
			c.t.Error(err)
		}
		return answer
	}
	up, err := wire.OpenUp(sealed, p.device, id, p.key, p.pub)
	if err != nil {
		c.t.Errorf("a report can not be opened: %v", err)
		return nil
	}
	c.reports = append(c.reports, up)
	if c.lost && (c.deaf || len(up.Held) == 0) {
		d := c.down(p, up.Nonce)
		d.Body, d.Recover = nil, true
		c.answers = append(c.answers, d)
		return c.seal(p, d)
	}
	c.lost = false
	c.consume(p, up)
	c.build(p)
	p.have = up.Have
	if up.Have.Revision > p.revision {
		p.revision = up.Have.Revision + 1
	}
	d := c.down(p, up.Nonce)
	if c.confirmed[up.Loss] {
		d.Confirmed = up.Loss
	}
	if d.Closed = p.closed; d.Closed || up.Have.Revision == p.revision && up.Have.BodyHash == d.BodyHash {
		d.Body = nil
	}
	c.answers = append(c.answers, d)
	return c.seal(p, d)
}

func (c *cloud) consume(p *peer, up cardea.Up) {
	if c.idle {
		return
	}
	p.orders = slices.DeleteFunc(p.orders, func(o cardea.Order) bool {
		done := slices.Contains(up.Done, o.ID)
		p.closed = p.closed || done && o.Kind == cardea.OrderErase
		return done
	})
	log := p.logs[up.Log]
	if log == nil {
		log = map[uint64]cardea.Hash{}
		p.logs[up.Log] = log
	}
	fresh, err := cardea.Fresh(up.Entries, func(n uint64) cardea.Hash { return log[n] })
	if err != nil {
		c.t.Logf("forked: %v", err)
		return
	}
	if len(fresh) > 0 {
		p.rejected = nil
	}
	p.seen = cardea.Seen{Log: up.Log}
	for _, e := range fresh {
		log[e.N] = e.Hash()
		switch {
		case e.Act == cardea.ActUnlink:
			p.closed = true
		case e.Act != cardea.ActDeny && c.reject != "":
			p.rejected = append(p.rejected, cardea.Rejection{Event: e.Event, Reason: c.reject})
		default:
			c.append(cardea.Entry{
				Decision: e.Decision(), Scope: e.Scope(p.device), Channel: cardea.ChannelDevice, Link: p.id, Log: up.Log, N: e.N,
			})
		}
	}
	for n := uint64(len(log)); n > 0; n-- {
		if h, ok := log[n]; ok {
			p.seen.N, p.seen.Hash = n, h
			break
		}
	}
}

// confirm has the owner confirm a loss.
func (c *cloud) confirm(loss cardea.LossID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.confirmed == nil {
		c.confirmed = map[cardea.LossID]bool{}
	}
	c.confirmed[loss] = true
}

func (c *cloud) reported() []cardea.Up {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.reports)
}

// fold is what the ledger gives on a device.
func (c *cloud) fold(p *peer, key cardea.Key) cardea.Reason {
	c.mu.Lock()
	defer c.mu.Unlock()
	return cardea.Fold(c.entries).On(p.device, key, terms()[key]).Reason
}
