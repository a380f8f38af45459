package ingest_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/catalogue"
	"github.com/cardea-id/cardea/cloud/ingest"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

const (
	recommend = cardea.Key("recommendations/use")
	third     = cardea.Key("recommendations/third_party")
	security  = cardea.Key("device_security/use")
)

// A world is a cloud with one account, and a device of theirs.
type world struct {
	*ingest.Ingest
	t       *testing.T
	db      *accountdb.DB
	ledger  *ledger.Ledger
	account accountdb.Account
	link    accountdb.Link
	key     *ecdsa.PrivateKey
	linkKey wire.LinkKey
	queue   cardea.QueueID
	sink    *sink
}

// A sink remembers what it got, and takes nothing while it is broken.
type sink struct {
	lines  []ingest.Line
	broken error
}

func (s *sink) Deliver(_ context.Context, lines []ingest.Line) ([]ingest.Line, error) {
	if s.broken != nil {
		return nil, s.broken
	}
	s.lines = append(s.lines, lines...)
	return lines, nil
}

func (s *sink) Arrived() []cardea.ItemID { return nil }
func (s *sink) Settled() error           { return nil }

func (s *sink) TakeBack(ids []cardea.ItemID) error {
	s.lines = slices.DeleteFunc(s.lines, func(l ingest.Line) bool { return slices.Contains(ids, l.ID) })
	return nil
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	text, err := os.ReadFile("../../testdata/catalogue.yaml")
	must(t, err)
	cat, err := catalogue.Parse(text)
	must(t, err)
	w := &world{t: t, db: accountdbtest.Open(t), linkKey: wire.NewLinkKey(), queue: cardea.NewID[cardea.QueueID](), sink: new(sink)}
	w.account = accountdbtest.Account(t, w.db)
	w.ledger = &ledger.Ledger{DB: w.db, Catalogue: catalogue.New(cat)}
	w.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	w.link = accountdb.Link{ID: cardea.NewID[cardea.LinkID](), Account: w.account.ID, Device: cardea.DeviceID(jose.Thumbprint(&w.key.PublicKey))}
	w.update(func(tx *accountdb.Tx) error {
		if err := tx.PutDevice(accountdb.Device{ID: w.link.Device, PublicKey: jose.JWK(&w.key.PublicKey), Kind: "speaker"}); err != nil {
			return err
		}
		return tx.CreateLink(w.link, w.linkKey, "Kitchen")
	})
	w.Ingest = ingest.New(ingest.Config{DB: w.db, Ledger: w.ledger, Sink: w.sink, Node: "one", Log: slog.New(slog.DiscardHandler)})
	return w
}

func (w *world) update(f func(*accountdb.Tx) error) {
	w.t.Helper()
	must(w.t, w.db.Update(context.Background(), f))
}

// decide is the owner's word in the portal; it returns where it stands.
func (w *world) decide(act cardea.Act, key cardea.Key) cardea.Point {
	w.t.Helper()
	var head cardea.Position
	w.update(func(tx *accountdb.Tx) error {
		a, err := tx.Account(w.account.ID)
		head = a.Head
		return err
	})
	cat, _ := w.ledger.Catalogue.Current()
	p, _ := cat.Purpose(key.Purpose())
	d := cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: act, Key: key, Base: head}
	if act == cardea.ActGrant {
		d.Version, d.Notice = p.Version, p.Notice("en")
	}
	e, err := w.ledger.Decide(context.Background(), w.account.ID, cardea.ChannelPortal, cardea.Scope{}, d)
	must(w.t, err)
	return e.Position.Point()
}

// item is one that was collected under keys decided there.
func item(n uint64, data string, needs ...cardea.Need) cardea.Item {
	return cardea.Item{
		N: n, ID: cardea.NewID[cardea.ItemID](), Purpose: needs[0].Key.Purpose(), Needs: needs, Source: "player",
		Method: cardea.MethodObserved, Collected: 1_800_000_000_000, Data: []byte(data),
	}
}

func need(key cardea.Key, at cardea.Point) cardea.Need { return cardea.Need{Key: key, Decided: at} }

func (w *world) seal(items ...cardea.Item) []byte {
	w.t.Helper()
	sealed, err := wire.SealBatch(cardea.Batch{Device: w.link.Device, Link: w.link.ID, Queue: w.queue, Items: items}, w.key, w.linkKey)
	must(w.t, err)
	return sealed
}

func (w *world) take(items ...cardea.Item) ingest.Taken {
	w.t.Helper()
	taken, err := w.Take(context.Background(), w.seal(items...))
	must(w.t, err)
	return taken
}

// pass lets what waits be passed on.
func (w *world) pass() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); w.Run(ctx) }()
	for range 500 {
		if !w.due() {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	cancel()
	<-done
}

// due reports whether something is due, or is being passed on.
func (w *world) due() (due bool) {
	w.t.Helper()
	w.update(func(tx *accountdb.Tx) error {
		claimed, err := tx.ClaimedEvents("one")
		if err != nil {
			return err
		}
		next, ok, err := tx.NextEvent("one", time.Hour)
		due = len(claimed) > 0 || ok && next <= tx.Millis()
		return err
	})
	return due
}

const played = `{"track":"4711"}`

// What is given is passed on once, with by what it was given; what is not is
// refused by its number and kept nowhere.
func TestTakenOnce(t *testing.T) {
	w := newWorld(t)
	at := w.decide(cardea.ActGrant, recommend)
	use := need(recommend, at)
	first := item(3, played, use)
	batch := []cardea.Item{
		first, item(5, played, need(third, at), use), item(6, `{"track":"1","gps":"2"}`, use), item(7, played, need("offers/use", at)),
		item(9, `{"version":"1.2"}`, need(security, cardea.Point{})),
	}
	want := ingest.Taken{Stored: 9, Refused: []ingest.Refused{{5, cardea.ReasonNotAsked}, {6, cardea.ReasonNotAsked}, {7, cardea.ReasonNotAsked}}}
	if got := w.take(batch...); got.Stored != want.Stored || !slices.Equal(got.Refused, want.Refused) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if again := w.take(batch...); again.Stored != 9 || len(again.Refused) != 0 {
		t.Errorf("once more: %+v", again)
	}
	w.pass()
	w.pass()
	if len(w.sink.lines) != 2 {
		t.Fatalf("%+v", w.sink.lines)
	}
	l := w.sink.lines[0]
	if l.ID != first.ID || l.Decision.IsZero() || l.Subject != w.account.Subject || l.Source != "player" || l.Method != cardea.MethodObserved ||
		l.LegalBasis != "consent" || string(l.Data) != played || !slices.Equal(l.Facets, []cardea.Facet{cardea.FacetUse}) || l.Device != w.link.Device {
		t.Errorf("%+v", l)
	}
	if b := l.Consents[0]; b.Key != recommend || b.Version != 1 || b.Event.IsZero() || b.Notice.IsZero() || b.Decided != at {
		t.Errorf("%+v", b)
	}
	if n := w.sink.lines[1]; n.Decision.IsZero() || n.Consents[0].Key != security || !n.Consents[0].Event.IsZero() || n.Decision == l.Decision {
		t.Errorf("%+v", n)
	}
}

// A recipient gets what its facets are given for, and nobody else is one.
func TestRecipients(t *testing.T) {
	w := newWorld(t)
	use, passed := w.decide(cardea.ActGrant, recommend), w.decide(cardea.ActGrant, third)
	to := func(i cardea.Item, recipient string) cardea.Item { i.Recipient = recipient; return i }
	got := w.take(
		to(item(1, played, need(recommend, use)), "Music service"), // without the key it takes
		to(item(2, played, need(third, passed), need(recommend, use)), "Music service"),
		to(item(3, played, need(recommend, use)), "Nobody I know"),
	)
	if want := []ingest.Refused{{1, cardea.ReasonUnknown}, {3, cardea.ReasonUnknown}}; !slices.Equal(got.Refused, want) {
		t.Errorf("%+v", got)
	}
	w.decide(cardea.ActDeny, third)
	w.pass()
	if len(w.sink.lines) != 0 {
		t.Errorf("%+v", w.sink.lines)
	}
}

// A no between the cloud's taking an event and passing it on stops it; a new yes
// counts for what is collected from then on.
func TestNoStopsWhatWaits(t *testing.T) {
	w := newWorld(t)
	use := need(recommend, w.decide(cardea.ActGrant, recommend))
	if got := w.take(item(1, played, use)); len(got.Refused) != 0 {
		t.Fatalf("%+v", got)
	}
	w.decide(cardea.ActDeny, recommend)
	w.pass()
	again := need(recommend, w.decide(cardea.ActGrant, recommend))
	got := w.take(item(2, played, use), item(3, played, again))
	if want := []ingest.Refused{{2, cardea.ReasonWithdrawn}}; got.Stored != 3 || !slices.Equal(got.Refused, want) {
		t.Errorf("%+v", got)
	}
	w.pass()
	if len(w.sink.lines) != 1 || w.sink.lines[0].Consents[0].Decided != again.Decided {
		t.Errorf("%+v", w.sink.lines)
	}
}

// What nobody can take waits, and is tried again more and more rarely, for a week.
func TestRetriesForAWeek(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		use := need(recommend, w.decide(cardea.ActGrant, recommend))
		w.sink.broken = errors.New("the disk is full")
		w.take(item(1, played, use))
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); w.Run(ctx) }()
		waiting := func() (n int) {
			synctest.Wait()
			w.update(func(tx *accountdb.Tx) (err error) { n, err = tx.EventsWaiting(w.account.ID); return err })
			return n
		}
		time.Sleep(6 * 24 * time.Hour)
		if n := waiting(); n != 1 {
			t.Errorf("%d wait after six days", n)
		}
		time.Sleep(2 * 24 * time.Hour)
		if n := waiting(); n != 0 {
			t.Errorf("%d wait after eight days", n)
		}
		cancel()
		<-done
	})
}

func TestHandler(t *testing.T) {
	w := newWorld(t)
	use := need(recommend, w.decide(cardea.ActGrant, recommend))
	post := func(media string, body []byte) (int, string) {
		r := httptest.NewRequest(http.MethodPost, "/v1/ingest", bytes.NewReader(body))
		r.Header.Set("Content-Type", media)
		rec := httptest.NewRecorder()
		w.Handler().ServeHTTP(rec, r)
		return rec.Code, rec.Body.String()
	}
	good := w.seal(item(1, played, use))
	stranger := *w
	stranger.link.ID = cardea.NewID[cardea.LinkID]()
	other := *w
	other.linkKey = wire.NewLinkKey()
	for name, test := range map[string]struct {
		media, word string
		body        []byte
		status      int
	}{
		"good":          {"application/cose", `"stored":1`, good, 200},
		"text":          {"text/plain", "unsupported_media_type", good, 415},
		"nonsense":      {"application/cose", "malformed", []byte("nonsense"), 400},
		"too big":       {"application/cose", "too_big", make([]byte, cardea.MaxBatchBytes+1), 413},
		"unknown link":  {"application/cose", "unknown_link", stranger.seal(item(1, played, use)), 404},
		"another's key": {"application/cose", "signature", other.seal(item(1, played, use)), 403},
	} {
		if status, text := post(test.media, test.body); status != test.status || !strings.Contains(text, test.word) {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
	w.update(func(tx *accountdb.Tx) error { return tx.SetForked(w.link.ID, true) })
	if status, text := post("application/cose", w.seal(item(2, played, use))); status != 403 || !strings.Contains(text, "forked") {
		t.Errorf("forked: %d %s", status, text)
	}
	w.update(func(tx *accountdb.Tx) error {
		return tx.SetState(w.link.ID, accountdb.LinkClosing, cardea.NewID[cardea.OrderID]())
	})
	if status, text := post("application/cose", w.seal(item(2, played, use))); status != 403 || !strings.Contains(text, "invalid_token") {
		t.Errorf("ended: %d %s", status, text)
	}
}

// Lines stand in the file once, whatever a crash leaves of it, and a finished file
// has its name.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	line := func(id cardea.ItemID) ingest.Line { return ingest.Line{ID: id, Data: json.RawMessage(played)} }
	one, two, three := cardea.NewID[cardea.ItemID](), cardea.NewID[cardea.ItemID](), cardea.NewID[cardea.ItemID]()
	open := func() *ingest.Files {
		f, err := ingest.OpenFiles(dir, "node", 100, time.Hour)
		must(t, err)
		return f
	}
	deliver := func(f *ingest.Files, ids ...cardea.ItemID) {
		var lines []ingest.Line
		for _, id := range ids {
			lines = append(lines, line(id))
		}
		arrived, err := f.Deliver(t.Context(), lines)
		if err != nil || len(arrived) != len(lines) {
			t.Errorf("%d arrived, %v", len(arrived), err)
		}
	}
	names := func(pattern string) []string {
		all, err := filepath.Glob(filepath.Join(dir, pattern))
		must(t, err)
		return all
	}
	f := open()
	deliver(f, one, two, one)
	deliver(f, two)
	must(t, f.Close())
	part := names("*.part")[0]
	half, err := os.OpenFile(part, os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	half.WriteString(`{"id":"` + three.String())
	half.Close()
	f = open()
	if got := f.Arrived(); len(got) != 2 || !slices.Contains(got, one) || !slices.Contains(got, two) {
		t.Errorf("%v", got)
	}
	deliver(f, one, three)
	must(t, f.Settled())
	done, left := names("*.ndjson"), names("*.part")
	if len(done) != 1 || len(left) != 1 || len(f.Arrived()) != 0 {
		t.Fatalf("%v %v", done, left)
	}
	text, err := os.ReadFile(done[0])
	must(t, err)
	for _, id := range []cardea.ItemID{one, two, three} {
		if bytes.Count(text, []byte(id.String())) != 1 {
			t.Errorf("%s stands there %d times", id, bytes.Count(text, []byte(id.String())))
		}
	}
	if bytes.Count(text, []byte("\n")) != 3 {
		t.Errorf("%s", text)
	}
	must(t, f.Settled()) // nothing is in it
	must(t, f.Close())
	if _, err := ingest.OpenFiles(filepath.Join(dir, "nowhere"), "node", 1, 1); err == nil {
		t.Error("a folder that is not there")
	}
}
