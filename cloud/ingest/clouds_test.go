package ingest_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/ingest"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/store/accountdb"
)

// A slow sink lets something happen when it has taken lines, before that is noted.
type slow struct {
	ingest.Sink
	after func()
}

func (f *slow) Deliver(ctx context.Context, lines []ingest.Line) ([]ingest.Line, error) {
	arrived, err := f.Sink.Deliver(ctx, lines)
	f.after()
	return arrived, err
}

// cloud is one more of the world's database.
func (w *world) cloud(node string, sink ingest.Sink) *ingest.Ingest {
	return ingest.New(ingest.Config{
		DB: w.db, Ledger: &ledger.Ledger{DB: w.db, Catalogue: w.ledger.Catalogue}, Sink: sink, Node: node, Overtake: time.Nanosecond, Log: slog.New(slog.DiscardHandler),
	})
}

// start runs a cloud until it is stopped, which waits for its end.
func start(in *ingest.Ingest) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); in.Run(ctx) }()
	return func() { cancel(); <-done }
}

// untilNoneWaits waits until everything of the account is passed on.
func (w *world) untilNoneWaits() {
	w.t.Helper()
	for range 5000 {
		n := 0
		w.update(func(tx *accountdb.Tx) (err error) { n, err = tx.EventsWaiting(w.account.ID); return err })
		if n == 0 {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
	w.t.Fatal("events wait for ever")
}

// A batch whose answer was lost comes to another cloud, or to two at the same
// time: each event is taken once.
func TestTakenOnceByAnyCloud(t *testing.T) {
	w := newWorld(t)
	at := w.decide(cardea.ActGrant, recommend)
	other := w.cloud("two", w.sink)
	for round := range 5 {
		var items []cardea.Item
		for n := range 10 {
			items = append(items, item(uint64(10*round+n+1), played, need(recommend, at)))
		}
		sealed := w.seal(items...)
		var both sync.WaitGroup
		for _, in := range []*ingest.Ingest{w.Ingest, other, w.Ingest, other} {
			both.Go(func() {
				if got, err := in.Take(t.Context(), sealed); err != nil || got.Stored != items[9].N || len(got.Refused) > 0 {
					t.Errorf("%+v, %v", got, err)
				}
			})
		}
		both.Wait()
		if got, err := other.Take(t.Context(), sealed); err != nil || got.Stored != items[9].N {
			t.Errorf("once more: %+v, %v", got, err)
		}
	}
	w.update(func(tx *accountdb.Tx) error {
		if n, err := tx.EventsWaiting(w.account.ID); err != nil || n != 50 {
			t.Errorf("%d wait of 50, %v", n, err)
		}
		return nil
	})
}

// What one cloud took any other passes on, and both at once pass each on once.
func TestPassedOnOnceByAnyCloud(t *testing.T) {
	w := newWorld(t)
	at := w.decide(cardea.ActGrant, recommend)
	first, second := new(sink), new(sink)
	one, two := w.cloud("one", first), w.cloud("two", second)
	one.Overtake, two.Overtake = time.Hour, time.Hour
	for n := range 20 {
		var items []cardea.Item
		for i := range 50 {
			items = append(items, item(uint64(50*n+i+1), played, need(recommend, at)))
		}
		w.take(items...)
	}
	stops := []func(){start(one), start(two)}
	w.untilNoneWaits()
	for _, stop := range stops {
		stop()
	}
	seen := map[cardea.ItemID]int{}
	for _, l := range slices.Concat(first.lines, second.lines) {
		if seen[l.ID]++; seen[l.ID] > 1 {
			t.Errorf("%s was passed on %d times", l.ID, seen[l.ID])
		}
	}
	if len(seen) != 1000 {
		t.Errorf("%d were passed on of 1000", len(seen))
	}
}

// inFiles names what stands in the files of a folder: cloud and event.
func inFiles(t *testing.T, dir string) (all []string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "events-*"))
	must(t, err)
	for _, name := range names {
		text, err := os.ReadFile(name)
		must(t, err)
		for line := range strings.Lines(string(text)) {
			all = append(all, filepath.Base(name)[len("events-"):][:3]+" "+line[len(`{"id":"`):][:22])
		}
	}
	slices.Sort(all)
	return all
}

// A cloud has written lines and is not heard of before that is noted: it hangs, or
// is gone. Another writes them too; as soon as the first is back, they are not in
// its file any more.
func TestOvertakenCloud(t *testing.T) {
	for name, dies := range map[string]bool{"hangs": false, "dies": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			at := w.decide(cardea.ActGrant, recommend)
			dir := t.TempDir()
			open := func(node string) *ingest.Files {
				f, err := ingest.OpenFiles(dir, node, 1<<20, time.Hour)
				must(t, err)
				return f
			}
			run := func(in *ingest.Ingest) {
				t.Helper()
				stop := start(in)
				w.untilNoneWaits()
				stop()
			}
			before, during, after := item(1, played, need(recommend, at)), item(2, played, need(recommend, at)), item(3, played, need(recommend, at))
			files, other := open("one"), w.cloud("two", open("two"))
			w.take(before)
			run(w.cloud("one", files))
			w.take(during)
			if dies {
				w.update(func(tx *accountdb.Tx) error { return tx.ClaimEvents("one", 10) })
				_, err := files.Deliver(t.Context(), []ingest.Line{{ID: during.ID}})
				must(t, err)
				must(t, files.Close())
				run(other)
				files = open("one")
			} else {
				stop := start(w.cloud("one", &slow{files, func() { run(other) }}))
				for len(inFiles(t, dir)) != 2 || !strings.HasPrefix(inFiles(t, dir)[1], "two") {
					time.Sleep(time.Millisecond)
				}
				stop()
			}
			w.take(after)
			run(w.cloud("one", files))
			want := []string{"one " + before.ID.String(), "one " + after.ID.String(), "two " + during.ID.String()}
			slices.Sort(want)
			if got := inFiles(t, dir); !slices.Equal(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}

// What has just been written when its account is erased is taken back, and nothing
// follows but the note that it was.
func TestErasedMeanwhile(t *testing.T) {
	w := newWorld(t)
	w.take(item(1, played, need(recommend, w.decide(cardea.ActGrant, recommend))))
	w.take(item(2, `{"version":"1.2"}`, need(security, cardea.Point{}))) // which needs no consent
	got := new(sink)
	once := sync.OnceFunc(func() {
		w.update(func(tx *accountdb.Tx) error {
			return tx.Erase(w.account.ID, cardea.Hash{1}, tx.Millis(), cardea.ChannelPortal)
		})
	})
	stop := start(w.cloud("one", &slow{got, once}))
	w.untilNoneWaits()
	stop()
	if len(got.lines) != 1 || got.lines[0].Erased == 0 || got.lines[0].Subject != w.account.Subject || got.lines[0].Data != nil {
		t.Errorf("%+v", got.lines)
	}
}
