package stopjournal_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/stopjournal"
)

func open(t *testing.T, path string) *stopjournal.Journal {
	t.Helper()
	j, err := stopjournal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func denial(seq uint64) stopjournal.Record {
	e := cardea.Entry{
		Decision: cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActDeny, Key: "recommendations/use"},
		Scope:    cardea.Scope{Device: "kitchen"}, By: cardea.Owner, Channel: cardea.ChannelDevice,
		Link: cardea.NewID[cardea.LinkID](), Log: cardea.NewID[cardea.LogID](), N: seq, Recorded: 1790000000000,
	}
	e = e.Chain(3, cardea.Position{Era: 3, Seq: seq - 1, Hash: cardea.Hash{byte(seq)}})
	return stopjournal.Record{Era: 3, Account: cardea.NewID[cardea.AccountID](), Entry: &e}
}

func since(t *testing.T, j *stopjournal.Journal, m stopjournal.Mark) (all []stopjournal.Record) {
	t.Helper()
	err := j.Since(m, func(r stopjournal.Record) error {
		if r.Journal == nil {
			all = append(all, r)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestWhatWasAppendedIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stops")
	j := open(t, path)
	want := []stopjournal.Record{denial(1), {Era: 3, Grant: "g1"}, denial(2), {Era: 4}}
	if err := j.Append(want[0], want[1]); err != nil {
		t.Fatal(err)
	}
	middle := j.End()
	if err := j.Append(want[2:]...); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := since(t, j, stopjournal.Mark{}); !reflect.DeepEqual(got, want) {
			t.Errorf("read %+v, want %+v", got, want)
		}
		if got := since(t, j, middle); !reflect.DeepEqual(got, want[2:]) {
			t.Errorf("after the mark: %+v", got)
		}
		if got := since(t, j, j.End()); len(got) != 0 || j.Era() != 4 || j.Damaged() != 0 {
			t.Errorf("after the end: %+v, era %d, damaged %d", got, j.Era(), j.Damaged())
		}
		j.Close()
		j = open(t, path)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// A mark of a file that was lost, or longer, is before everything.
func TestForeignMark(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "stops"))
	if err := j.Append(denial(1)); err != nil {
		t.Fatal(err)
	}
	far := j.End()
	far.Offset += 1000
	for _, m := range []stopjournal.Mark{{}, far, {Journal: cardea.NewID[cardea.EventID](), Offset: j.End().Offset}} {
		if got := since(t, j, m); len(got) != 1 || j.Knows(m) {
			t.Errorf("%+v: %d records, known %t", m, len(got), j.Knows(m))
		}
	}
	if !j.Knows(j.End()) {
		t.Error("its own end is not known")
	}
}

// The file is cut anywhere: what was whole is read, what was not is gone,
// and what is appended then stands after it.
func TestCutAnywhere(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "stops")
	j := open(t, path)
	var ends []int64
	for n := range uint64(3) {
		if err := j.Append(denial(n + 1)); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, j.End().Offset)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := int64(0); cut <= int64(len(whole)); cut += 5 {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := stopjournal.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		want := 0
		for _, end := range ends {
			if cut >= end {
				want++
			}
		}
		if err := j.Append(denial(9)); err != nil {
			t.Fatal(err)
		}
		if got := since(t, j, stopjournal.Mark{}); len(got) != want+1 || got[want].Entry.N != 9 {
			t.Errorf("cut at %d of %d: %d records, want %d", cut, len(whole), len(got), want+1)
		}
		j.Close()
	}
}

// A line that is damaged takes no other with it.
func TestDamageIsPassedOverAndCounted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stops")
	j := open(t, path)
	if err := j.Append(denial(1)); err != nil {
		t.Fatal(err)
	}
	begin := j.End().Offset
	if err := j.Append(denial(2)); err != nil {
		t.Fatal(err)
	}
	end := j.End().Offset
	if err := j.Append(denial(3)); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := begin; at < end-1; at += 7 {
		broken := bytes.Clone(whole)
		broken[at] ^= 1
		if err := os.WriteFile(path, broken, 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := stopjournal.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		got := since(t, j, stopjournal.Mark{})
		if len(got) != 2 || got[0].Entry.N != 1 || got[1].Entry.N != 3 || j.Damaged() == 0 {
			t.Errorf("a bit flipped at %d: %d records, %d damaged", at, len(got), j.Damaged())
		}
		j.Close()
	}
}

// What can not be written is an error, and leaves nothing that spoils the next.
func TestFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stops")
	j := open(t, path)
	if err := j.Append(denial(1)); err != nil {
		t.Fatal(err)
	}
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	small := old
	small.Cur = uint64(j.End().Offset) + 100
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &small); err != nil {
		t.Fatal(err)
	}
	err := j.Append(denial(2))
	if back := unix.Setrlimit(unix.RLIMIT_FSIZE, &old); back != nil {
		t.Fatal(back)
	}
	if err == nil {
		t.Fatal("what did not fit was taken")
	}
	if err := j.Append(denial(3)); err != nil {
		t.Fatal(err)
	}
	if got := since(t, j, stopjournal.Mark{}); len(got) != 2 || got[1].Entry.N != 3 {
		t.Errorf("%d records", len(got))
	}
}

// After a failed flush nothing more is taken: nobody knows what the disk holds.
func TestBroken(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "stops"))
	j.Close() // every system call fails now
	if err := j.Append(denial(1)); err == nil {
		t.Error("written to a closed file")
	}
	if err := j.Append(denial(1)); !errors.Is(err, stopjournal.ErrBroken) {
		t.Errorf("again: %v, want ErrBroken", err)
	}
}

// FuzzOpen: whatever stands in the file, it opens, keeps what can be read and
// takes more.
func FuzzOpen(f *testing.F) {
	path := filepath.Join(f.TempDir(), "stops")
	j, err := stopjournal.Open(path)
	if err != nil {
		f.Fatal(err)
	}
	if err := errors.Join(j.Append(denial(1), denial(2)), j.Close()); err != nil {
		f.Fatal(err)
	}
	seed, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte("\n\n{}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "stops")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		j := open(t, path)
		before := len(since(t, j, stopjournal.Mark{}))
		if err := j.Append(denial(7)); err != nil {
			t.Fatal(err)
		}
		if got := since(t, j, stopjournal.Mark{}); len(got) != before+1 || got[before].Entry.N != 7 {
			t.Errorf("%d records before, %d after", before, len(got))
		}
	})
}

func TestCheck(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stops")
	j := open(t, path)
	for range 2 {
		if err := j.Check(); err != nil {
			t.Error(err)
		}
		if err := j.Append(denial(1)); err != nil {
			t.Error(err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Size() != j.End().Offset {
		t.Errorf("the file has grown by being checked: %v, %v", info.Size(), err)
	}
	j.Close()
	if err := j.Check(); err == nil {
		t.Error("a closed journal is well")
	}
	if err := j.Append(denial(1)); err == nil {
		t.Error("written to a closed file")
	}
	if err := j.Check(); !errors.Is(err, stopjournal.ErrBroken) {
		t.Errorf("a journal that refuses everything is checked with %v", err)
	}
}
