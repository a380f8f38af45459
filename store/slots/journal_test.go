package slots_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/slots"
)

func open(t testing.TB, path string) *slots.Journal {
	t.Helper()
	j, err := slots.OpenJournal(path, seal)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func denial(key string) cardea.LogEntry {
	return cardea.LogEntry{
		Event: cardea.NewID[cardea.EventID](), Act: cardea.ActDeny, Key: cardea.Key(key), Reach: cardea.ReachDevice,
		Base: cardea.Position{Era: 1, Seq: 7, Hash: cardea.Hash{7}},
	}
}

// A model is what the journal must hold.
type model struct {
	generation map[cardea.LinkID]uint64
	denials    map[cardea.LinkID][]slots.Denial
}

func newModel() model {
	return model{map[cardea.LinkID]uint64{}, map[cardea.LinkID][]slots.Denial{}}
}

func (m model) check(t *testing.T, j *slots.Journal) {
	t.Helper()
	if err := j.Doubt(); err != nil {
		t.Fatal(err)
	}
	if got := j.Links(); !maps.Equal(got, m.generation) {
		t.Fatalf("links %v, want %v", got, m.generation)
	}
	for id, want := range m.denials {
		if got := j.Denials(id); !(len(got) == 0 && len(want) == 0) && !reflect.DeepEqual(got, want) {
			t.Fatalf("holds %d denials, want %d", len(got), len(want))
		}
	}
}

func (m model) deny(t *testing.T, j *slots.Journal, id cardea.LinkID, entries ...cardea.LogEntry) {
	t.Helper()
	if err := j.Deny(id, m.generation[id]+1, entries...); err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		m.generation[id]++
		m.denials[id] = append(m.denials[id], slots.Denial{Link: id, Generation: m.generation[id], Entry: e})
	}
}

// acknowledge drops the oldest n and adds what the journal does not know yet.
func (m model) acknowledge(t *testing.T, j *slots.Journal, id cardea.LinkID, n int, more ...cardea.LogEntry) {
	t.Helper()
	m.denials[id] = m.denials[id][n:]
	for _, e := range more {
		m.generation[id]++
		m.denials[id] = append(m.denials[id], slots.Denial{Link: id, Generation: m.generation[id], Entry: e})
	}
	if len(more) == 0 {
		m.generation[id]++
	}
	var left []cardea.LogEntry
	for _, d := range m.denials[id] {
		left = append(left, d.Entry)
	}
	if err := j.Advance(id, m.generation[id], cardea.LossID{}, left); err != nil {
		t.Fatal(err)
	}
}

// Whatever is done in whatever order, also many times round the ring, a journal
// opened again holds it, and its file has not grown.
func TestJournalHoldsWhatCounts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deny.journal")
	j, m := open(t, path), newModel()
	if !j.Made() {
		t.Error("it was there")
	}
	r := rand.New(rand.NewPCG(1, 2))
	ids := []cardea.LinkID{cardea.NewID[cardea.LinkID](), cardea.NewID[cardea.LinkID](), cardea.NewID[cardea.LinkID]()}
	for step := range 800 {
		id := ids[r.IntN(len(ids))]
		held := len(m.denials[id])
		switch n := r.IntN(10); {
		case n < 4 && held < 60:
			m.deny(t, j, id, denial(fmt.Sprintf("key%d/use", step)))
		case n == 4 && held < 60:
			m.deny(t, j, id, denial("a/use"), denial("b/use"))
		case n == 5 && held < 60:
			m.acknowledge(t, j, id, r.IntN(held+1), denial("c/use"), denial("d/use"))
		case n == 6 && step%7 == 0:
			if err := j.Forget(id); err != nil {
				t.Fatal(err)
			}
			delete(m.generation, id)
			delete(m.denials, id)
		case n == 7 && step%5 == 0:
			if err := j.SetActive(id); err != nil {
				t.Fatal(err)
			}
		default:
			m.acknowledge(t, j, id, r.IntN(min(held, 3)+1))
		}
		m.check(t, j)
		if step%20 == 0 {
			active := j.Active()
			j.Close()
			j = open(t, path)
			m.check(t, j)
			if j.Active() != active || j.Made() {
				t.Fatal("the active link is another one")
			}
		}
	}
	if info, err := os.Stat(path); err != nil || info.Size() != slots.Pages*slots.PageSize {
		t.Errorf("%v, %v", info.Size(), err)
	}
}

// A full journal says so and keeps what it holds; once the cloud has heard some
// of it, it takes more.
func TestJournalFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deny.journal")
	j, m := open(t, path), newModel()
	id := cardea.NewID[cardea.LinkID]()
	for {
		e := denial("recommendations/use")
		err := j.Deny(id, m.generation[id]+1, e)
		if errors.Is(err, slots.ErrFull) {
			break
		}
		if err != nil || len(m.denials[id]) > 5000 {
			t.Fatalf("after %d: %v", len(m.denials[id]), err)
		}
		m.generation[id]++
		m.denials[id] = append(m.denials[id], slots.Denial{Link: id, Generation: m.generation[id], Entry: e})
	}
	t.Logf("%d denials fit", len(m.denials[id]))
	if len(m.denials[id]) < 500 {
		t.Errorf("only %d denials fit", len(m.denials[id]))
	}
	m.check(t, j)
	j.Close()
	j = open(t, path)
	m.check(t, j)
	m.acknowledge(t, j, id, 300)
	m.deny(t, j, id, denial("voice/use"))
	m.check(t, j)
	j.Close()
	m.check(t, open(t, path))
}

// history fills a journal some rounds of the ring.
func history(t *testing.T, path string) model {
	t.Helper()
	j, m := open(t, path), newModel()
	id := cardea.NewID[cardea.LinkID]()
	for i := range 3 * slots.Pages {
		m.deny(t, j, id, denial(fmt.Sprintf("key%d/use", i)))
		if len(m.denials[id]) > 5 {
			m.acknowledge(t, j, id, 1)
		}
	}
	j.Close()
	return m
}

// No sector lost costs anything.
func TestJournalSurvivesEverySector(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "deny.journal")
	m := history(t, path)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(whole); at += 512 {
		hurt := bytes.Clone(whole)
		clear(hurt[at : at+512])
		file := filepath.Join(dir, "hurt")
		if err := os.WriteFile(file, hurt, 0o600); err != nil {
			t.Fatal(err)
		}
		j := open(t, file)
		m.check(t, j)
		j.Close()
	}
}

// A whole page lost either held nothing that counts, or is told. A denial that
// can be read is never dropped for it.
func TestJournalTellsOfALostPage(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "deny.journal")
	m := history(t, path)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for page := range slots.Pages {
		hurt := bytes.Clone(whole)
		clear(hurt[page*slots.PageSize : (page+1)*slots.PageSize])
		file := filepath.Join(dir, "hurt")
		if err := os.WriteFile(file, hurt, 0o600); err != nil {
			t.Fatal(err)
		}
		j := open(t, file)
		if j.Doubt() == nil {
			m.check(t, j)
			j.Close()
			continue
		}
		told++
		j.Close()
		j = open(t, file)
		if !errors.Is(j.Doubt(), slots.ErrDoubt) {
			t.Error("the doubt is forgotten before it was settled")
		}
		loss, links := cardea.NewID[cardea.LossID](), j.Links()
		if err := j.Lose(loss, links); err != nil {
			t.Fatal(err)
		}
		j.Close()
		j = open(t, file)
		if err := j.Doubt(); err != nil {
			t.Errorf("after every link says so: %v", err)
		}
		for id := range links {
			if j.Losses()[id] != loss {
				t.Error("the loss is forgotten")
			}
		}
		for id, want := range m.denials {
			if got := j.Denials(id); len(got) < len(want)-2 {
				t.Errorf("%d of %d denials are left", len(got), len(want))
			}
		}
		j.Close()
	}
	if told == 0 || told == slots.Pages {
		t.Errorf("%d of %d lost pages were told", told, slots.Pages)
	}
}

// A write torn at any sector, as by a power cut, leaves what was confirmed before
// it and no doubt, also with dozens of denials that no cloud has heard of.
func TestJournalSurvivesTornWrites(t *testing.T) {
	dir := t.TempDir()
	path, file := filepath.Join(dir, "deny.journal"), filepath.Join(dir, "torn")
	j, m := open(t, path), newModel()
	id := cardea.NewID[cardea.LinkID]()
	var writes int
	for step := range 90 {
		disk, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		held := len(m.denials[id])
		j.Record(func(b []byte, off int64) {
			writes++
			for torn := 512 * (step%2 + 1); torn < len(b); torn += 1024 {
				hurt := bytes.Clone(disk)
				copy(hurt[off:], b[:torn])
				if err := os.WriteFile(file, hurt, 0o600); err != nil {
					t.Fatal(err)
				}
				again := open(t, file)
				if again.Doubt() != nil || len(again.Denials(id)) < held {
					t.Errorf("step %d torn at %d: %v, %d of %d denials", step, torn, again.Doubt(), len(again.Denials(id)), held)
				}
				again.Close()
			}
			copy(disk[off:], b)
		})
		switch {
		case step == 60: // everything into new records, as after damage
			j.Close()
			if err := os.Truncate(path, (slots.Pages+1)*slots.PageSize); err != nil {
				t.Fatal(err)
			}
			j = open(t, path)
			if err := j.Lose(cardea.NewID[cardea.LossID](), nil); err != nil {
				t.Fatal(err)
			}
			continue
		case step%3 == 2:
			m.deny(t, j, id, denial("recommendations/third_party"), denial("recommendations/use"))
		default:
			m.deny(t, j, id, denial(fmt.Sprintf("key%d/use", step)))
		}
		j.Close()
		j = open(t, path)
		m.check(t, j)
	}
	if writes < 90 {
		t.Errorf("only %d writes", writes)
	}
}

// Cut off, emptied or nonsense: told, and usable again.
func TestJournalCutOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deny.journal")
	for _, size := range []int64{0, 1, 5000, 20000, (slots.Pages - 1) * slots.PageSize, (slots.Pages + 1) * slots.PageSize} {
		m := history(t, path)
		if err := os.Truncate(path, size); err != nil {
			t.Fatal(err)
		}
		j := open(t, path)
		if j.Doubt() == nil {
			t.Errorf("%d bytes: nothing is said", size)
		}
		if err := j.Lose(cardea.NewID[cardea.LossID](), nil); err != nil {
			t.Error(err)
		}
		id := cardea.NewID[cardea.LinkID]()
		e := denial("voice/use")
		if err := j.Deny(id, 1, e); err != nil {
			t.Error(err)
		}
		j.Close()
		j = open(t, path)
		if got := j.Denials(id); j.Doubt() != nil || len(got) != 1 || got[0].Entry.Event != e.Event {
			t.Errorf("%d bytes: then holds %d, %v", size, len(got), j.Doubt())
		}
		if size > slots.Pages*slots.PageSize {
			for id, want := range m.denials {
				if got := j.Denials(id); len(got) != len(want) {
					t.Errorf("%d bytes: %d of %d denials are left", size, len(got), len(want))
				}
			}
		}
		j.Close()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, bytes.Repeat([]byte{7}, slots.Pages*slots.PageSize), 0o600); err != nil {
		t.Fatal(err)
	}
	if open(t, path).Doubt() == nil {
		t.Error("nonsense is believed")
	}
}

// A write that fails adds nothing, and tears nothing that counts.
func TestJournalWriteFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deny.journal")
	m := history(t, path)
	j := open(t, path)
	var id cardea.LinkID
	for id = range m.generation {
	}
	broken := errors.New("input/output error")
	j.Fail(broken)
	if err := j.Deny(id, m.generation[id]+1, denial("voice/use")); !errors.Is(err, broken) {
		t.Errorf("not told: %v", err)
	}
	m.check(t, j)
	j.Fail(nil)
	m.deny(t, j, id, denial("voice/use"))
	m.check(t, j)
	j.Close()
	m.check(t, open(t, path))
}

// A loss stays with its links, whatever else is written and also for one that the
// journal did not know, until a change names another one or none. That the
// database was put back is another thing, and ends apart.
func TestJournalKeepsLosses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deny.journal")
	j, m := open(t, path), newModel()
	known, other := cardea.NewID[cardea.LinkID](), cardea.NewID[cardea.LinkID]()
	m.deny(t, j, known, denial("voice/use"))
	loss := cardea.NewID[cardea.LossID]()
	if err := j.Lose(loss, map[cardea.LinkID]uint64{known: 0, other: 7}); err != nil {
		t.Fatal(err)
	}
	m.generation[other] = 7
	for range 2 * slots.Pages {
		m.deny(t, j, known, denial("a/use"))
		m.denials[known] = m.denials[known][1:]
		m.generation[known]++
		left := []cardea.LogEntry{m.denials[known][0].Entry}
		if err := j.Advance(known, m.generation[known], loss, left); err != nil {
			t.Fatal(err)
		}
	}
	j.Mistrust()
	if err := j.SetActive(known); err != nil {
		t.Fatal(err)
	}
	j.Close()
	j = open(t, path)
	m.check(t, j)
	if got := j.Losses(); len(got) != 2 || got[known] != loss || got[other] != loss || !j.Stale() {
		t.Errorf("losses %v, stale %t", got, j.Stale())
	}
	if err := errors.Join(j.Advance(known, m.generation[known], cardea.LossID{}, []cardea.LogEntry{m.denials[known][0].Entry}), j.Settle()); err != nil {
		t.Fatal(err)
	}
	j.Close()
	j = open(t, path)
	m.check(t, j)
	if got := j.Losses(); len(got) != 1 || got[other] != loss || j.Stale() {
		t.Errorf("then losses %v, stale %t", got, j.Stale())
	}
}

// A page that the disk does not give is a lost one, and no reason not to start.
func TestJournalPageNotGiven(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deny.journal")
	m := history(t, path)
	newest := 0
	for page := range slots.Pages {
		j := open(t, path)
		lost, err := j.LoadWithout(page)
		if err != nil || lost != page {
			t.Fatalf("page %d: %d, %v", page, lost, err)
		}
		if j.Doubt() != nil {
			newest++
			continue
		}
		m.check(t, j)
	}
	if newest == 0 || newest == slots.Pages {
		t.Errorf("%d of %d pages were told", newest, slots.Pages)
	}
}

func FuzzRecord(f *testing.F) {
	j := open(f, filepath.Join(f.TempDir(), "deny.journal"))
	f.Add(j.ExampleRecord())
	if err := j.Lose(cardea.NewID[cardea.LossID](), map[cardea.LinkID]uint64{cardea.NewID[cardea.LinkID](): 7}); err != nil {
		f.Fatal(err)
	}
	f.Add(j.ExampleRecord())
	if err := j.Deny(cardea.NewID[cardea.LinkID](), 1, denial("a/use"), denial("b/use")); err != nil {
		f.Fatal(err)
	}
	f.Add(j.ExampleRecord())
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		again, ok := slots.DecodeRecord(b)
		if ok && len(again) != len(b) {
			t.Errorf("%d bytes become %d", len(b), len(again))
		}
	})
}

func BenchmarkDeny(b *testing.B) {
	j := open(b, filepath.Join(b.TempDir(), "deny.journal"))
	id := cardea.NewID[cardea.LinkID]()
	for i := uint64(1); b.Loop(); i += 2 {
		if err := j.Deny(id, i, denial("voice/use")); err != nil {
			b.Fatal(err)
		}
		if err := j.Advance(id, i+1, cardea.LossID{}, nil); err != nil {
			b.Fatal(err)
		}
	}
}
