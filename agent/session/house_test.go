package session_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/agent/session"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/pairingtest"
	"github.com/cardea-id/cardea/store/devicedb"
	"github.com/cardea-id/cardea/store/devicedb/devicedbtest"
)

// A house is a device and its server. The device can be restarted.
type house struct {
	*testing.T
	server *pairingtest.Server
	cloud  *cloud
	key    jose.PrivateKey
	path   string
	boot   string
	cfg    session.Config // what a test changes before run

	db      *devicedb.DB
	session *session.Session
	client  *pairing.Client
	stop    func()

	mu     sync.Mutex
	events []session.Event
	downs  [][]byte
}

// in runs f with a device that has a server of Cardea's kind.
func in(t *testing.T, server *pairingtest.Server, f func(*house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &house{T: t, server: server, key: jose.GenerateKey(), path: filepath.Join(t.TempDir(), "device.db"), boot: "boot 1"}
		h.cloud = newCloud(server)
		h.run()
		defer func() { h.stop() }()
		f(h)
	})
}

// run starts the agent's part of the device.
func (h *house) run() {
	h.Helper()
	h.db = devicedbtest.OpenAt(h, h.path)
	h.client = h.server.Client()
	h.client.Signer = h.key.Signer()
	cfg := h.cfg
	cfg.DB, cfg.Client, cfg.Device = h.db, h.client, pairing.Device{Kind: "speaker"}
	epoch := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // the bubble's
	cfg.Boot, cfg.BootID = func() time.Duration { return time.Since(epoch) }, h.boot
	cfg.Notify = func(e session.Event) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.events = append(h.events, e)
	}
	cfg.Joined = func(_ cardea.LinkID, down []byte) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.downs = append(h.downs, down)
	}
	s, err := session.New(cfg)
	if err != nil {
		h.Fatal(err)
	}
	h.session = s
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	synctest.Wait()
	h.stop = func() {
		cancel()
		<-done
		if err := h.db.Check(); err != nil {
			h.Error(err)
		}
		h.db.Close()
	}
}

func (h *house) restart() {
	h.Helper()
	h.stop()
	h.run()
}

func (h *house) start() client.Pairing {
	h.Helper()
	p, err := h.session.Start(h.Context())
	if err != nil {
		h.Fatal(err)
	}
	return p
}

// pair makes a link.
func (h *house) pair() cardea.LinkID {
	h.Helper()
	p := h.start()
	time.Sleep(10 * time.Second)
	h.server.Decide(p.UserCode, true)
	h.sleep(10 * time.Second)
	return h.linked()
}

// linked expects the end of a pairing and returns the link.
func (h *house) linked() cardea.LinkID {
	h.Helper()
	h.expect(client.PairLinked)
	link, ok := h.db.Active()
	if !ok || link != h.session.Show().Link {
		h.Fatalf("the active link is %v, the session shows %+v", link, h.session.Show())
	}
	if _, waits, err := h.db.Pairing(); waits || err != nil {
		h.Errorf("a pairing still waits: %v", err)
	}
	return link
}

func (h *house) expect(state string) {
	h.Helper()
	if got := h.session.Show(); got.State != state {
		h.Fatalf("the session shows %+v, want %s", got, state)
	}
}

func (h *house) sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// steps are the steps so far.
func (h *house) steps() []session.Step {
	h.mu.Lock()
	defer h.mu.Unlock()
	var steps []session.Step
	for _, e := range h.events {
		steps = append(steps, e.Step)
	}
	return steps
}

func (h *house) expectSteps(want ...session.Step) {
	h.Helper()
	if got := h.steps(); !slices.Equal(got, want) {
		h.Errorf("the steps were %q, want %q", got, want)
	}
}

// A cloud answers POST /v1/links as Cardea's does.
type cloud struct {
	root jose.PrivateKey

	mu     sync.Mutex
	link   cardea.LinkID
	fail   func(http.ResponseWriter, *http.Request) bool // answers instead, if it does
	answer func(map[string]any)                          // changes the answer
}

func newCloud(s *pairingtest.Server) *cloud {
	c := &cloud{root: jose.GenerateKey(), link: cardea.NewID[cardea.LinkID]()}
	s.Handle("/v1/links", func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.fail != nil && c.fail(w, r) {
			return
		}
		if !s.Authorized(r) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(c.joined())
	})
	return c
}

// failing has f answer instead, if it does. Nil mends it.
func (c *cloud) failing(f func(http.ResponseWriter, *http.Request) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail = f
}

// answering has f change the answers.
func (c *cloud) answering(f func(map[string]any)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = f
}

func (c *cloud) joined() map[string]any {
	keys, err := wire.SignKeyList(wire.KeyList{
		Version: 1, Keys: append(wire.KeyList{}.Keys, jose.GenerateKey().Public()), NotAfter: 4e12,
	}, c.root.Signer())
	if err != nil {
		panic(err)
	}
	answer := map[string]any{
		"link": c.link, "link_key": wire.LinkKey{1, 2, 3}, "root": jose.JWK(c.root.Public()),
		"keys": base64.RawURLEncoding.EncodeToString(keys),
		"mqtt": map[string]string{"url": "tls://mqtt.example:8883"}, "up": pairingtest.Issuer + "/v1/up",
		"name": "Kitchen", "down": base64.RawURLEncoding.EncodeToString([]byte("sealed")),
	}
	if c.answer != nil {
		c.answer(answer)
	}
	return answer
}

// status answers a join with a bare status.
func status(code int) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(code)
		return true
	}
}

// holding is the server of Cardea's kind.
func holding() *pairingtest.Server { return &pairingtest.Server{Hold: true, DPoP: true} }
