package localapi_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/agent/localapi"
	"github.com/cardea-id/cardea/agent/programs"
	"github.com/cardea-id/cardea/agent/session"
	"github.com/cardea-id/cardea/agent/syncer"
	"github.com/cardea-id/cardea/internal/openapi"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/store/devicedb"
)

// A house is what stands behind a server in these tests: a real database and a
// gate whose state the test sets.
type house struct {
	db     *devicedb.DB
	link   cardea.LinkID
	socket string
	log    *strings.Builder

	mu         sync.Mutex
	view       *cardea.View
	now        cardea.Now
	generation uint64
	changed    chan struct{}
	pairing    client.Pairing
	tokenErr   error
	proofErr   error
	noticeErr  error
	fetching   func()   // while a token is fetched
	broken     error    // what every decision fails with
	done       []string // what was decided
	moved      []string // who uses the device, and resets
	asked      int      // decisions

	finder finder // for the device

	path     string           // of the database
	server   *localapi.Server // the last one
	contract *openapi.Contract
}

// What the house's device is called, before and after a reset.
var (
	deviceID  = cardea.DeviceID(strings.Repeat("d", 43))
	anotherID = cardea.DeviceID(strings.Repeat("e", 43))
)

const everything = `
name = "everything"
user = "%d"
entitlements = ["pair", "decide", "token", "prefs", "consent.read", "consent.write", "events", "people", "admin"]
purposes = ["*"]
audiences = ["*"]
preferences = ["*"]
`

var epoch = cardea.Millis(1_800_000_000_000)

func body() cardea.Body {
	given := cardea.Consent{Key: "recommendations/use", Version: 3, Reason: cardea.ReasonGranted, Class: cardea.ClassC, Staleness: 3600}
	return cardea.Body{
		Identity: cardea.Identity{Subject: "sub-1", Name: "Ada"},
		Consents: []cardea.Consent{
			given,
			{Key: "voice/use", Version: 1, Reason: cardea.ReasonNotAsked, Class: cardea.ClassA, Staleness: 3600},
		},
		Preferences: []cardea.Preference{{Key: "language", Value: `"de"`}, {Key: "voice_speed", Value: "21"}},
	}
}

// newHouse links the device and serves it to the programs of the files, or to
// this process with everything if there are none.
func newHouse(t testing.TB, files ...string) *house { return newHouseWith(t, nil, files...) }

// newHouseWith counts what was seen in the contract it is given.
func newHouseWith(t testing.TB, contract *openapi.Contract, files ...string) *house {
	t.Helper()
	h := &house{
		link: cardea.NewID[cardea.LinkID](), log: new(strings.Builder), generation: 7, changed: make(chan struct{}), contract: contract,
	}
	dir := t.TempDir()
	h.path = filepath.Join(dir, "device.db")
	db, err := devicedb.Open(h.path, [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.db.Close() })
	h.db = db
	link := devicedb.Link{
		ID: h.link, Issuer: "https://id.example", Body: body(), Log: cardea.NewLog(),
		Head: cardea.Position{Era: 1, Seq: 9, Hash: cardea.Hash{9}},
	}
	if err := db.Put(link); err != nil {
		t.Fatal(err)
	}
	if err := db.SetActive(h.link); err != nil {
		t.Fatal(err)
	}
	h.now = cardea.Now{Time: epoch, Synced: true}
	h.view = cardea.NewView(link.Body.Consents, nil, epoch, epoch.Add(24*time.Hour))
	if files == nil {
		files = []string{fmt.Sprintf(everything, os.Getuid())}
	}
	registry, err := programs.LoadRegistry(writeFiles(t, files...))
	if err != nil {
		t.Fatal(err)
	}
	h.serve(t, registry)
	return h
}

func writeFiles(t testing.TB, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i, text := range files {
		path := filepath.Join(dir, fmt.Sprintf("%02d.toml", i))
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// serve runs a server on a socket that every user can reach.
func (h *house) serve(t testing.TB, registry *programs.Registry) {
	t.Helper()
	dir, err := os.MkdirTemp("", "cardea")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	os.Chmod(dir, 0o755)
	h.socket = filepath.Join(dir, "s")
	l, err := localapi.Listen(h.socket, "")
	if err != nil {
		t.Fatal(err)
	}
	os.Chmod(h.socket, 0o666)
	server := localapi.New(localapi.Config{
		Registry: registry, DB: h.db, Device: deviceID, Gate: h, Pairer: h, Decider: h, Resetter: h, Machine: machine{}, Pager: h, Noticer: h, Finder: &h.finder, Collector: h,
		Log: slog.New(slog.NewTextHandler(&locked{h: h}, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	h.server = server
	h.underContract(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(h.socket); !errors.Is(err, fs.ErrNotExist) {
			t.Error("the socket was left behind")
		}
	})
}

// A machine on which all is well.
type machine struct{}

func (machine) Check(context.Context) []client.Finding {
	return []client.Finding{{Check: "files", State: client.FindOK, Found: "ext4"}}
}

type locked struct{ h *house }

func (l *locked) Write(b []byte) (int, error) {
	l.h.mu.Lock()
	defer l.h.mu.Unlock()
	return l.h.log.Write(b)
}

func (h *house) logged() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.String()
}

func (h *house) client(t testing.TB) *client.Client {
	c := client.New(h.socket)
	t.Cleanup(c.Close)
	return c
}

// Gate.

func (h *house) Decide(q cardea.Query) cardea.Answer {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked++
	return cardea.Decide(h.view, h.now, q)
}

func (h *house) DecideFor(link cardea.LinkID, q cardea.Query) cardea.Answer {
	if link != h.link {
		return cardea.Answer{Verdict: cardea.Deny, Reason: cardea.ReasonUnknown}
	}
	return h.Decide(q)
}

func (h *house) Active() (cardea.LinkID, uint64, bool) {
	if h.db.Closed() {
		return h.link, h.Generation(), true // as a gate does, which knows it by heart
	}
	id, ok := h.db.Active()
	return id, h.Generation(), ok
}

// looked counts how often the gate was asked.
func (h *house) looked() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.asked
}

func (h *house) Generation() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.generation
}

func (h *house) Changed(since uint64) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.generation != since {
		now := make(chan struct{})
		close(now)
		return now
	}
	return h.changed
}

func (h *house) Clock() cardea.Now {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *house) Fresh(link cardea.LinkID, age time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return link == h.link && h.now.Synced && h.now.Time < epoch.Add(min(age, 24*time.Hour))
}

// change moves the generation on after f has changed the state.
func (h *house) change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	h.generation++
	close(h.changed)
	h.changed = make(chan struct{})
}

// Pairer.

func (h *house) Start(context.Context) (client.Pairing, error) {
	if h.broken != nil {
		return client.Pairing{}, h.broken
	}
	h.change(func() {
		h.pairing = client.Pairing{
			State: client.PairPending, UserCode: "WDJB-MJHT", VerificationURI: "https://id.example/pair",
			VerificationURIComplete: "https://id.example/pair?code=WDJB-MJHT", ExpiresIn: 600,
		}
	})
	return h.Show(), nil
}

func (h *house) Show() client.Pairing {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.pairing.State == "" {
		return client.Pairing{State: client.PairNone}
	}
	return h.pairing
}

func (h *house) Confirm(_ context.Context, presses int) (client.Pairing, error) {
	if h.broken != nil {
		return client.Pairing{}, h.broken
	}
	if h.Show().State != client.PairPending {
		return client.Pairing{}, session.ErrNothingToConfirm
	}
	h.change(func() { h.pairing = client.Pairing{State: client.PairApproved} })
	return h.Show(), nil
}

func (h *house) Cancel() error {
	h.change(func() { h.pairing = client.Pairing{} })
	return h.broken
}

func (h *house) Token(_ context.Context, link cardea.LinkID, audience, scope string, minValid time.Duration) (pairing.Tokens, error) {
	if h.fetching != nil {
		h.fetching()
	}
	if h.tokenErr != nil {
		return pairing.Tokens{}, h.tokenErr
	}
	return pairing.Tokens{AccessToken: pairing.Secret("for " + audience + " " + scope), TokenType: pairing.TypeDPoP, ExpiresIn: 600}, nil
}

func (h *house) TokenAge(link cardea.LinkID) (age, left time.Duration, held bool) {
	return 3 * time.Minute, 7 * time.Minute, link == h.link
}

func (h *house) Prove(_ context.Context, t pairing.Tokens, audience string, r client.Request) (pairing.Secret, error) {
	if h.proofErr != nil {
		return "", h.proofErr
	}
	return pairing.Secret(fmt.Sprintf("%s %s %s with %s at %s", r.Method, r.URL, r.Nonce, t.AccessToken.Reveal(), audience)), nil
}

// Noticer.

func (h *house) Notice(_ context.Context, issuer string, key cardea.Key, version uint32, lang string) (client.Notice, error) {
	return client.Notice{
		Key: key, Version: version, Language: lang, Notice: cardea.Hash{7}, Class: cardea.ClassA, Title: "Voice", Question: "Keep it?",
		Data: []string{"voice"}, Recipients: []cardea.Recipient{{Name: issuer, Relation: cardea.RelationOwn, Country: "DE"}}, Countries: []string{"DE"},
	}, h.noticeErr
}

// Decider.

func (h *house) decided(link cardea.LinkID, what string, e cardea.LogEntry) error {
	if h.broken != nil {
		return h.broken
	}
	e.Event = cardea.NewID[cardea.EventID]()
	var state devicedb.Link
	err := h.db.Change(link, func(l *devicedb.Link) error {
		l.Log = l.Log.Append(e)
		state = *l
		return nil
	})
	if err != nil {
		return err
	}
	h.change(func() {
		h.view = cardea.NewView(state.Body.Consents, state.Log.Own(), epoch, epoch.Add(24*time.Hour))
		h.done = append(h.done, fmt.Sprintf("%s %s%s %s %s from %d", what, e.Key, e.Preference, e.Value, e.Reach, e.Base.Seq))
	})
	return nil
}

func (h *house) Withdraw(link cardea.LinkID, key cardea.Key, reach cardea.Reach, base cardea.Position) error {
	return h.decided(link, "withdraw", cardea.LogEntry{Act: cardea.ActDeny, Key: key, Reach: reach, Base: base})
}

func (h *house) Allow(link cardea.LinkID, key cardea.Key, version uint32, notice cardea.Hash, reach cardea.Reach, base cardea.Position) error {
	return h.decided(link, "allow", cardea.LogEntry{Act: cardea.ActGrant, Key: key, Version: version, Notice: notice, Reach: reach, Base: base})
}

func (h *house) Lift(link cardea.LinkID, key cardea.Key, base cardea.Position) error {
	return h.decided(link, "lift", cardea.LogEntry{Act: cardea.ActLift, Key: key, Reach: cardea.ReachEveryone, Base: base})
}

func (h *house) Activate(link cardea.LinkID) error {
	if h.broken != nil {
		return h.broken
	}
	if err := h.db.SetActive(link); err != nil {
		return err
	}
	h.change(func() { h.moved = append(h.moved, "activate "+link.String()) })
	return nil
}

// Resetter.

func (h *house) Reset(context.Context) (cardea.DeviceID, error) {
	h.change(func() { h.moved = append(h.moved, "reset") })
	return anotherID, h.broken
}

func (h *house) NewOwner(ctx context.Context) (client.Pairing, error) {
	h.change(func() { h.moved = append(h.moved, "new owner") })
	return h.Start(ctx)
}

func (h *house) Prefer(link cardea.LinkID, key cardea.PreferenceKey, value cardea.Value, reach cardea.Reach, base cardea.Position) error {
	return h.decided(link, "prefer", cardea.LogEntry{Act: cardea.ActPrefer, Preference: key, Value: value, Reach: reach, Base: base})
}

func (h *house) Status() syncer.Status { return syncer.Status{Connected: true} }

func (h *house) Unlink(link cardea.LinkID) error {
	if h.broken != nil {
		return h.broken
	}
	links, err := h.db.Links()
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(links, func(l devicedb.Link) bool { return l.ID == link }) {
		return devicedb.ErrNotFound
	}
	if err := h.db.Delete(link); err != nil {
		return err
	}
	h.change(func() { h.view = cardea.Barred(cardea.ReasonGuest) })
	return nil
}

func (h *house) acts() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.done)
}

// raw speaks HTTP without the client, to send what the client never would.
func (h *house) raw() *http.Client {
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", h.socket)
		},
	}}
}
