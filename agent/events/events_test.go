package events_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/agent/events"
	"github.com/cardea-id/cardea/agent/gate"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/store/devicedb"
	"github.com/cardea-id/cardea/store/devicedb/devicedbtest"
)

const (
	music = cardea.Key("music/use")
	third = cardea.Key("music/third_party")
	voice = cardea.Key("voice/use")
)

var epoch = cardea.Millis(1_800_000_000_000)

// A world is a device with one person, its collector and its cloud.
type world struct {
	*events.Collector
	t      *testing.T
	db     *devicedb.DB
	gate   *gate.Gate
	key    *ecdsa.PrivateKey
	device cardea.DeviceID
	link   devicedb.Link
	dir    string
	begun  time.Time
	ahead  atomic.Int64
	stop   func()

	mu     sync.Mutex
	down   bool
	asked  int
	got    []cardea.Item
	during func() // while the cloud has a batch
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), begun: time.Now()}
	var err error
	if w.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	w.device = cardea.DeviceID(jose.Thumbprint(&w.key.PublicKey))
	w.link = devicedb.Link{ID: cardea.NewID[cardea.LinkID](), Key: wire.NewLinkKey(), UpURL: "https://id.example/v1/up", Log: cardea.NewLog()}
	for _, key := range []cardea.Key{music, third, voice} {
		w.link.Body.Consents = append(w.link.Body.Consents, cardea.Consent{
			Key: key, Version: 1, Reason: cardea.ReasonGranted, Class: cardea.ClassC, Staleness: 3600, Decided: cardea.Point{Era: 1, Seq: 1},
		})
	}
	w.link.Body.Consents[2].Class = cardea.ClassA
	w.link.Body.Collections = []cardea.Collection{
		{
			Purpose: "music", Fields: []string{"skipped", "track"}, Hold: 7200,
			Recipients: []cardea.Destination{{Name: "Service", Facets: []cardea.Facet{cardea.FacetThirdParty}}},
		},
		{Purpose: "voice", Fields: []string{"words"}},
	}
	w.start()
	return w
}

func (w *world) start() {
	w.t.Helper()
	w.db = devicedbtest.OpenAt(w.t, filepath.Join(w.dir, "device.db"))
	w.gate = gate.New(gate.Config{
		Boot: func() time.Duration { return time.Hour + time.Since(w.begun) + time.Duration(w.ahead.Load()) }, BootID: "boot", Path: filepath.Join(w.dir, "clock"),
	})
	if _, err := w.db.Link(w.link.ID); err != nil {
		must(w.t, w.db.Put(w.link))
		must(w.t, w.db.SetActive(w.link.ID))
	}
	w.enforce()
	w.gate.Activate(w.link.ID)
	w.Collector = events.New(events.Config{
		DB: w.db, Gate: w.gate, Device: w.device, Signer: w.key, HTTP: &http.Client{Transport: w}, Every: time.Second, Linger: time.Second,
	})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { w.Run(ctx) })
	w.stop = func() { cancel(); wg.Wait() }
	w.t.Cleanup(func() { w.stop() })
}

// enforce puts the link as it is on the disk in force.
func (w *world) enforce() {
	l, err := w.db.Link(w.link.ID)
	must(w.t, err)
	w.gate.Set(l.ID, gate.State{Bar: l.Bar, Consents: l.Body.Consents, Own: l.Log.Own()})
}

// hear is an answer of the cloud: the time is known, and for how long all counts.
func (w *world) hear() {
	now := w.gate.Boot()
	t := epoch.Add(now)
	w.gate.Renew(w.link.ID, gate.Anchor{Time: t, At: now, Lease: t.Add(24 * time.Hour)})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// RoundTrip is the cloud, which stores each number once.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	sealed, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.asked++
	down, during := w.down, w.during
	w.mu.Unlock()
	if during != nil {
		during()
	}
	if r.Context().Err() != nil {
		return nil, r.Context().Err()
	}
	if down || r.URL.String() != "https://id.example/v1/ingest" || r.Header.Get("Content-Type") != "application/cose" {
		return nil, errors.New("down")
	}
	batch, err := wire.OpenBatch(sealed, w.device, w.link.ID, w.link.Key, &w.key.PublicKey)
	if err != nil {
		w.t.Error(err)
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	stored := uint64(0)
	for _, i := range w.got {
		stored = max(stored, i.N)
	}
	for _, i := range batch.Items {
		if i.N > stored {
			w.got, stored = append(w.got, i), i.N
		}
	}
	text := fmt.Sprintf(`{"stored":%d,"refused":[{"n":1,"reason":"withdrawn"}]}`, stored)
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(text))}, nil
}

func (w *world) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func event(id string, purpose cardea.PurposeID, fields ...string) client.Datum {
	e := client.Datum{ID: id, Purpose: purpose, Method: cardea.MethodObserved, Data: map[string]json.RawMessage{}}
	for _, f := range fields {
		e.Data[f] = json.RawMessage(`"` + f + `"`)
	}
	return e
}

func (w *world) submit(list ...client.Datum) []client.Outcome {
	w.t.Helper()
	taken, err := w.Submit(context.Background(), "player", list)
	must(w.t, err)
	return taken.Events
}

func (w *world) waits(want int) {
	w.t.Helper()
	_, items, err := w.db.Queued(w.link.ID, 1000)
	if err != nil || len(items) != want {
		w.t.Errorf("%d events wait, want %d, %v", len(items), want, err)
	}
}

func (w *world) left(want int) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.got) != want {
		w.t.Errorf("%d events have left, want %d", len(w.got), want)
	}
}

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

// What may be collected is taken, and of it only the fields of the purpose.
func TestOnlyWhatMayBeCollected(t *testing.T) {
	run(t, "", func(t *testing.T, w *world) {
		w.hear()
		w.set(func() { w.down = true })
		sent := event("2", "music", "track", "gps")
		sent.Recipient = "Service"
		out := w.submit(event("1", "music", "skipped", "track", "gps", "contacts"), sent,
			event("3", "music", "gps"), event("4", "unknown", "track"), event("5", "voice", "words"))
		for i, want := range []client.Outcome{
			{ID: "1", Accepted: true, Reason: cardea.ReasonGranted, Dropped: []string{"contacts", "gps"}},
			{ID: "2", Accepted: true, Reason: cardea.ReasonGranted, Dropped: []string{"gps"}},
			{ID: "3", Reason: cardea.ReasonNotAsked, Dropped: []string{"gps"}},
			{ID: "4", Reason: cardea.ReasonUnknown},
			{ID: "5", Accepted: true, Reason: cardea.ReasonGranted},
		} {
			if got := out[i]; got.ID != want.ID || got.Accepted != want.Accepted || got.Reason != want.Reason || !slices.Equal(got.Dropped, want.Dropped) {
				t.Errorf("%+v, want %+v", got, want)
			}
		}
		w.waits(3)
		_, items, err := w.db.Queued(w.link.ID, 10)
		must(t, err)
		first, second := items[0], items[1]
		if string(first.Data) != `{"skipped":"skipped","track":"track"}` || first.Source != "player" || first.Method != cardea.MethodObserved || first.Collected < epoch {
			t.Errorf("%+v: %s", first, first.Data)
		}
		if !slices.Equal(second.Keys(), []cardea.Key{third, music}) || second.Needs[0].Decided.Seq != 1 || second.Recipient != "Service" {
			t.Errorf("%+v", second)
		}
		// What is not given to somebody else does not go to them.
		must(t, w.db.Deny(w.link.ID, no(third)))
		w.enforce()
		stranger := event("6", "music", "track")
		stranger.Recipient = "Nobody I know"
		sent.ID = "7"
		out = w.submit(sent, stranger, event("8", "music", "track"))
		if out[0].Reason != cardea.ReasonWithdrawn || out[1].Reason != cardea.ReasonUnknown || !out[2].Accepted {
			t.Errorf("%+v", out)
		}
		if n := w.Refused(); !maps.Equal(n, map[cardea.Reason]uint64{cardea.ReasonNotAsked: 1, cardea.ReasonUnknown: 2, cardea.ReasonWithdrawn: 1}) {
			t.Errorf("%v", n)
		}
	})
}

func no(key cardea.Key) cardea.LogEntry {
	return cardea.LogEntry{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActDeny, Key: key, Reach: cardea.ReachDevice}
}

func TestInvalidEvents(t *testing.T) {
	run(t, "", func(t *testing.T, w *world) {
		w.hear()
		for name, spoil := range map[string]func(*client.Datum){
			"no id":          func(e *client.Datum) { e.ID = "" },
			"a long id":      func(e *client.Datum) { e.ID = strings.Repeat("x", 65) },
			"no method":      func(e *client.Datum) { e.Method = "" },
			"another method": func(e *client.Datum) { e.Method = "magic" },
			"no purpose":     func(e *client.Datum) { e.Purpose = "" },
			"no data":        func(e *client.Datum) { e.Data = nil },
			"a list":         func(e *client.Datum) { e.Data["track"] = json.RawMessage(`[1]`) },
			"null":           func(e *client.Datum) { e.Data["track"] = json.RawMessage(`null`) },
			"too much":       func(e *client.Datum) { e.Data["track"] = json.RawMessage(`"` + strings.Repeat("x", 1100) + `"`) },
			"a wrong facet":  func(e *client.Datum) { e.Facets = []cardea.Facet{"magic"} },
		} {
			e := event("1", "music", "track")
			spoil(&e)
			if _, err := w.Submit(t.Context(), "player", []client.Datum{event("2", "music", "track"), e}); !errors.Is(err, events.ErrInvalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		w.waits(0)
	})
}

// Once the cloud has them they are gone here; sent twice they count once, and an
// event that is handed in again is the same.
func TestEventsLeaveOnce(t *testing.T) {
	run(t, "", func(t *testing.T, w *world) {
		w.hear()
		w.submit(event("1", "music", "track"), event("2", "music", "track"))
		w.submit(event("2", "music", "track"))
		sleep(10 * time.Second)
		w.left(2)
		w.waits(0)
		if out := w.submit(event("1", "music", "track")); !out[0].Accepted {
			t.Errorf("%+v", out)
		}
		sleep(10 * time.Second)
		w.left(2)
		w.set(func() { w.down = true })
		w.submit(event("3", "music", "track"))
		sleep(20 * time.Minute)
		w.set(func() { w.down = false })
		tries := w.asked
		w.waits(1)
		sleep(5 * time.Minute)
		w.left(3)
		if tries < 6 || tries > 30 {
			t.Errorf("asked %d times in 20 minutes", tries)
		}
	})
}

// Nothing of a guest is taken, and what is somebody's waits for them.
func TestNobodyElsesEvents(t *testing.T) {
	run(t, "", func(t *testing.T, w *world) {
		w.hear()
		w.set(func() { w.down = true })
		w.submit(event("1", "music", "track"))
		w.gate.Activate(cardea.LinkID{})
		w.set(func() { w.down = false })
		if out := w.submit(event("2", "music", "track")); out[0].Accepted || out[0].Reason != cardea.ReasonGuest {
			t.Errorf("%+v", out)
		}
		sleep(30 * time.Minute)
		w.left(0)
		w.waits(1)
		w.gate.Activate(w.link.ID)
		sleep(time.Minute)
		w.left(1)
	})
}

// What lapses is held if it is of class C, for as long as the catalogue says, and
// deleted if it is of class A; what is denied is deleted at once.
func TestLapsedEvents(t *testing.T) {
	run(t, "heard again", func(t *testing.T, w *world) {
		w.hear()
		w.set(func() { w.down = true })
		w.submit(event("1", "music", "track"), event("2", "voice", "words"))
		sleep(61 * time.Minute)
		w.waits(1)
		if out := w.submit(event("3", "music", "track")); out[0].Accepted || out[0].Reason != cardea.ReasonStale {
			t.Errorf("%+v", out)
		}
		w.set(func() { w.down = false })
		sleep(10 * time.Minute)
		w.left(0)
		w.hear()
		sleep(time.Minute)
		w.left(1)
		if p, err := w.db.Purged(w.link.ID); err != nil || len(p.Keys) != 1 || p.Keys[0].Key != voice || p.Keys[0].Deleted != 1 {
			t.Errorf("%+v, %v", p, err)
		}
	})
	run(t, "too old", func(t *testing.T, w *world) {
		w.hear()
		w.set(func() { w.down = true })
		w.submit(event("1", "music", "track"))
		sleep(119 * time.Minute)
		w.waits(1)
		sleep(2 * time.Minute)
		w.waits(0)
	})
	run(t, "without a clock", func(t *testing.T, w *world) {
		w.hear()
		w.set(func() { w.down = true })
		w.submit(event("1", "music", "track"), event("2", "voice", "words"))
		w.stop()
		must(t, w.db.Close())
		w.begun = time.Now().Add(2 * time.Hour) // another boot, and its time is not known
		w.start()
		sleep(time.Minute)
		w.waits(1)
		sleep(2 * time.Hour)
		w.waits(0)
	})
	run(t, "denied", func(t *testing.T, w *world) {
		w.hear()
		w.set(func() { w.down = true })
		w.submit(event("1", "music", "track"))
		must(t, w.db.Deny(w.link.ID, no(music)))
		w.enforce()
		synctest.Wait()
		w.waits(0)
	})
	run(t, "barred", func(t *testing.T, w *world) { // is nobody's word
		w.hear()
		w.set(func() { w.down = true })
		w.submit(event("1", "music", "track"))
		must(t, w.db.Change(w.link.ID, func(l *devicedb.Link) error { l.Bar = cardea.ReasonUnknown; return nil }))
		w.enforce()
		sleep(time.Minute)
		w.waits(1)
	})
}

// A no that is said while a batch is on its way breaks it off.
func TestNoBreaksOff(t *testing.T) {
	run(t, "", func(t *testing.T, w *world) {
		w.hear()
		w.set(func() {
			w.during = func() {
				must(t, w.db.Deny(w.link.ID, no(music)))
				w.enforce()
				synctest.Wait()
			}
		})
		w.submit(event("1", "music", "track"))
		time.Sleep(time.Minute)
		w.left(0)
		w.waits(0)
	})
}

// Many hand in at once: the disk is written once a second.
func TestGroupCommit(t *testing.T) {
	run(t, "", func(t *testing.T, w *world) {
		w.hear()
		w.set(func() { w.down = true })
		before, _ := w.db.Purged(w.link.ID)
		if before != nil {
			t.Fatal("not a new queue")
		}
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 100 * time.Millisecond)
				w.submit(event(fmt.Sprint(i), "music", "track"))
			})
		}
		wg.Wait()
		w.waits(100)
		p, err := w.db.Purged(w.link.ID)
		if err != nil || p.N > 12 {
			t.Errorf("%d writes in 10 s, %v", p.N, err)
		}
	})
}

// A disk that takes nothing is told, and nothing is taken to be kept.
func TestDiskTakesNothing(t *testing.T) {
	run(t, "", func(t *testing.T, w *world) {
		w.hear()
		w.stop()
		must(t, w.db.Close())
		if _, err := w.Submit(t.Context(), "player", []client.Datum{event("1", "music", "track")}); err == nil {
			t.Error("accepted, and the database is closed")
		}
		if a := w.gate.Decide(cardea.Query{Key: music}); a.Verdict != cardea.Allow {
			t.Errorf("the gate says %s", a.Verdict)
		}
	})
}
