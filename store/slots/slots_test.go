package slots_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/store/slots"
)

var seal = [32]byte{1, 2, 3}

func put(t *testing.T, s slots.Slot, value string) {
	t.Helper()
	if err := s.Write([]byte(value)); err != nil {
		t.Fatal(err)
	}
}

func reads(t *testing.T, s slots.Slot, want string) {
	t.Helper()
	got, _, err := s.Read()
	if err != nil || string(got) != want {
		t.Errorf("read %.40q, %v; want %.40q", got, err, want)
	}
}

// overwrite changes bytes of a file in place.
func overwrite(t *testing.T, path string, at int, with []byte) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copy(text[at:], with)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSlot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.slot")
	s := slots.NewSlot(path, seal, "a")
	if _, _, err := s.Read(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before the first write: %v", err)
	}
	for _, value := range []string{"one", "", strings.Repeat("two", 900), "three", strings.Repeat("x", slots.MaxValue)} {
		put(t, s, value)
		reads(t, s, value)
		if info, err := os.Stat(path); err != nil || info.Size() != 2*slots.PageSize || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
	}
	if err := s.Write(make([]byte, slots.MaxValue+1)); !errors.Is(err, slots.ErrTooBig) {
		t.Errorf("too much: %v", err)
	}
	reads(t, s, strings.Repeat("x", slots.MaxValue))
	if _, n, _ := s.Read(); n != 5 {
		t.Errorf("written 5 times, number %d", n)
	}
}

// A page lost leaves the value before; half a page lost leaves the newest.
func TestSlotDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.slot")
	s := slots.NewSlot(path, seal, "a")
	for _, value := range []string{"one", "two", "three"} {
		put(t, s, value) // three stands in the first page
	}
	overwrite(t, path, 100, []byte("damage"))
	reads(t, s, "three")
	overwrite(t, path, 3000, []byte("damage"))
	reads(t, s, "two")
	put(t, s, "four")
	reads(t, s, "four")
	if err := os.Truncate(path, 5000); err != nil {
		t.Fatal(err)
	}
	reads(t, s, "four")
	put(t, s, "five")
	reads(t, s, "five")
	overwrite(t, path, 0, make([]byte, 2*slots.PageSize))
	if _, _, err := s.Read(); !errors.Is(err, slots.ErrDamaged) {
		t.Errorf("nothing is left: %v", err)
	}
	put(t, s, "six")
	reads(t, s, "six")
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Read(); !errors.Is(err, slots.ErrDamaged) {
		t.Errorf("an empty file: %v", err)
	}
}

func TestSlotIsSealed(t *testing.T) {
	dir := t.TempDir()
	s := slots.NewSlot(filepath.Join(dir, "a"), seal, "a")
	put(t, s, "a refresh token")
	text, err := os.ReadFile(filepath.Join(dir, "a"))
	if err != nil || bytes.Contains(text, []byte("refresh")) {
		t.Errorf("it can be read, %v", err)
	}
	for name, other := range map[string]slots.Slot{
		"another key":  slots.NewSlot(filepath.Join(dir, "a"), [32]byte{9}, "a"),
		"another name": slots.NewSlot(filepath.Join(dir, "a"), seal, "b"),
	} {
		if _, _, err := other.Read(); !errors.Is(err, slots.ErrDamaged) {
			t.Errorf("with %s: %v", name, err)
		}
	}
}

func TestRemove(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	put(t, slots.NewSlot(path, seal, "a"), "x")
	for range 2 {
		if err := slots.Remove(path); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("still there: %v", err)
	}
}

// A slot can not be made in a folder that is not there.
func TestNoFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "below", "a")
	if err := slots.NewSlot(path, seal, "a").Write(nil); err == nil {
		t.Error("written")
	}
	if _, err := slots.OpenJournal(path, seal); err == nil {
		t.Error("opened")
	}
}
