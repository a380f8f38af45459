package syncer_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/gate"
	"github.com/cardea-id/cardea/agent/syncer"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/store/devicedb"
	"github.com/cardea-id/cardea/store/devicedb/devicedbtest"
)

// A network is the broker and the way to it, and the way to the cloud's HTTP.
type network struct {
	cloud *cloud

	mu      sync.Mutex
	online  bool
	changed chan struct{}
	over    chan struct{} // the end of the test
	pipes   map[*fakePipe]bool
	swallow bool          // the broker takes everything and delivers nothing
	lose    int           // so many of the next reports
	delay   time.Duration // of answers
	noHTTP  bool
	count   count
	last    []byte // published
}

var errDown = errors.New("down")

func newNetwork(c *cloud) *network {
	return &network{cloud: c, online: true, changed: make(chan struct{}), over: make(chan struct{}), pipes: map[*fakePipe]bool{}}
}

func (n *network) set(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
	close(n.changed)
	n.changed = make(chan struct{})
}

// A count is how often something was done on the network.
type count struct{ ups, posts, drops, lists int }

func (n *network) counts() count {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.count
}

// cut returns when every pipe has noticed: one that missed it would not come up
// again.
func (n *network) cut() {
	n.set(func() { n.online, n.noHTTP = false, true })
	synctest.Wait()
}

func (n *network) mend() { n.set(func() { n.online, n.noHTTP = true, false }) }

// A fakePipe is one pipe of an agent.
type fakePipe struct {
	net     *network
	up      func()
	message func([]byte)
}

func (p *fakePipe) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		p.net.mu.Lock()
		online, changed, was := p.net.online, p.net.changed, p.net.pipes[p]
		p.net.pipes[p] = online
		p.net.mu.Unlock()
		if online && !was {
			p.up()
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	delete(p.net.pipes, p)
	return ctx.Err()
}

func (p *fakePipe) Publish(_ string, payload []byte) error {
	n := p.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.pipes[p] {
		return errDown
	}
	n.count.ups++
	n.last = payload
	if n.lose > 0 {
		n.lose--
		return nil
	}
	if n.swallow {
		return nil
	}
	delay := n.delay
	go func() {
		answer := n.cloud.handle(payload)
		select {
		case <-time.After(delay):
			p.deliver(answer)
		case <-n.over:
		}
	}()
	return nil
}

func (p *fakePipe) deliver(payload []byte) {
	p.net.mu.Lock()
	ok := p.net.pipes[p] && !p.net.swallow
	p.net.mu.Unlock()
	if ok && payload != nil {
		p.message(payload)
	}
}

func (p *fakePipe) Drop() {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	p.net.count.drops++
}

// send is a message from the broker, whoever made it.
func (n *network) send(payload []byte) {
	n.mu.Lock()
	pipes := maps.Clone(n.pipes)
	n.mu.Unlock()
	for p := range pipes {
		p.deliver(payload)
	}
	synctest.Wait()
}

// RoundTrip is the cloud's POST /v1/up and GET /v1/keys.
func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodGet {
		return n.keys(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	down := n.noHTTP
	n.count.posts++
	n.mu.Unlock()
	if down || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/cose" {
		return nil, errDown
	}
	answer := n.cloud.handle(body)
	res := &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/cose"}}}
	n.cloud.mu.Lock()
	if n.cloud.forget {
		res.StatusCode = http.StatusNotFound
	}
	n.cloud.mu.Unlock()
	res.Body = io.NopCloser(bytes.NewReader(answer))
	return res, nil
}

// keys answers the list as it is now.
func (n *network) keys(r *http.Request) (*http.Response, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.noHTTP || r.URL.String() != "https://id.example/v1/keys" {
		return nil, errDown
	}
	n.count.lists++
	n.cloud.mu.Lock()
	defer n.cloud.mu.Unlock()
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/cose"}}, Body: io.NopCloser(bytes.NewReader(n.cloud.list)),
	}, nil
}

// A world is one device and its cloud, inside a synctest bubble.
type world struct {
	*network
	*syncer.Syncer
	t       *testing.T
	key     *ecdsa.PrivateKey
	db      *devicedb.DB
	gate    *gate.Gate
	peer    *peer
	dir     string
	boot    string
	ahead   atomic.Int64  // of the boot clock, by suspend
	slept   atomic.Uint64 // suspends the boot clock has missed
	believe func(syncer.Answer) error
	begun   time.Time
	logs    locked
	stop    func()

	configure func(*syncer.Config) // more, from the next start on
}

// A locked buffer takes the log.
type locked struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// newWorld starts a device that has just been paired and is in step.
func newWorld(t *testing.T) *world {
	t.Helper()
	c := newCloud(t)
	w := &world{network: newNetwork(c), t: t, key: newKey(t), dir: t.TempDir(), boot: "boot one", begun: time.Now()}
	t.Cleanup(func() { close(w.over) })
	w.start()
	w.peer = w.join()
	synctest.Wait()
	return w
}

func (w *world) start() {
	w.t.Helper()
	w.db = devicedbtest.OpenAt(w.t, filepath.Join(w.dir, "device.db"))
	w.gate = gate.New(gate.Config{
		Boot:   func() time.Duration { return time.Hour + time.Since(w.begun) + time.Duration(w.ahead.Load()) },
		BootID: w.boot, Path: filepath.Join(w.dir, "clock"), Resumes: w.slept.Load,
	})
	cfg := syncer.Config{
		DB: w.db, Gate: w.gate, Signer: w.key, HTTP: &http.Client{Transport: w.network},
		Connect: func(_, _ string, up func(), message func([]byte)) syncer.Pipe {
			return &fakePipe{net: w.network, up: up, message: message}
		},
		Believe: func(a syncer.Answer) error {
			if w.believe == nil {
				return nil
			}
			return w.believe(a)
		},
		Log: slog.New(slog.NewTextHandler(&w.logs, nil)),
	}
	if w.configure != nil {
		w.configure(&cfg)
	}
	s, err := syncer.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.Syncer = s
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	w.stop = func() { cancel(); <-done }
	w.t.Cleanup(func() { w.stop() })
}

// restart stops the agent and starts it again.
func (w *world) restart() {
	w.t.Helper()
	w.stop()
	if err := w.db.Check(); err != nil {
		w.t.Error(err)
	}
	if err := w.db.Close(); err != nil {
		w.t.Error(err)
	}
	w.start()
	synctest.Wait()
}

// join pairs the device with its cloud.
func (w *world) join() *peer {
	w.t.Helper()
	p := w.cloud.join(&w.key.PublicKey)
	l := devicedb.Link{
		ID: p.id, Key: p.key, Issuer: "https://id.example", UpURL: "https://id.example/v1/up",
		BrokerURL: "tls://mq.example:8883", Root: jose.JWK(&w.cloud.root.PublicKey), KeyList: w.cloud.list,
	}
	if err := w.db.Put(l); err != nil {
		w.t.Fatal(err)
	}
	if _, ok := w.db.Active(); !ok {
		if err := w.db.SetActive(p.id); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := w.Join(p.id, w.cloud.push(p)); err != nil {
		w.t.Fatal(err)
	}
	return p
}

// owner decides in the portal, and the hub tells the device.
func (w *world) owner(act cardea.Act, key cardea.Key) {
	w.t.Helper()
	w.cloud.decide(act, key, cardea.Scope{})
	w.send(w.cloud.push(w.peer))
}

func (w *world) wants(key cardea.Key, verdict cardea.Verdict, reason cardea.Reason) {
	w.t.Helper()
	if a := w.gate.Decide(cardea.Query{Key: key}); a.Verdict != verdict || a.Reason != reason {
		w.t.Errorf("%s: %s, %s; want %s, %s", key, a.Verdict, a.Reason, verdict, reason)
	}
}

func (w *world) allowed(key cardea.Key) {
	w.t.Helper()
	w.wants(key, cardea.Allow, cardea.ReasonGranted)
}

func (w *world) denied(key cardea.Key, reason cardea.Reason) {
	w.t.Helper()
	w.wants(key, cardea.Deny, reason)
}

func (w *world) stored() devicedb.Link {
	w.t.Helper()
	l, err := w.db.Link(w.peer.id)
	if err != nil {
		w.t.Fatal(err)
	}
	return l
}

// sleep lets time pass, and whatever it brings happen.
func sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func run(t *testing.T, name string, f func(t *testing.T, w *world)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { f(t, newWorld(t)) })
	})
}
