package slots_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/slots"
)

// What is written to a file that was removed would be confirmed and lost.
func TestARemovedJournalTakesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "journal")
	j, err := slots.OpenJournal(path, [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	link := cardea.NewID[cardea.LinkID]()
	deny := func(generation uint64) error {
		return j.Deny(link, generation, cardea.LogEntry{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActDeny, Key: "voice/use", Reach: cardea.ReachDevice})
	}
	if err := deny(1); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".moved"); err != nil {
		t.Fatal(err)
	}
	if err := deny(2); err != nil {
		t.Errorf("under another name: %v", err)
	}
	if err := os.Remove(path + ".moved"); err != nil {
		t.Fatal(err)
	}
	if err := deny(3); !errors.Is(err, slots.ErrRemoved) {
		t.Errorf("removed: %v", err)
	}
	if n := len(j.Denials(link)); n != 2 {
		t.Errorf("%d denials count as kept", n)
	}
}
