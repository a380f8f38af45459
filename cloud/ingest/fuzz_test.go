package ingest_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/ingest"
)

// Whatever a crash, or somebody, has left of an unfinished file: it is gone on with
// after its last whole line, and what is written then is found again.
func FuzzFiles(f *testing.F) {
	whole := `{"id":"NSmUlLmCVXe7fmhyEo4RSg","data":{"track":"1"}}` + "\n"
	for _, left := range []string{"", whole, whole + whole[:20], "\n", "{}\n", whole + "\x00\x00\n" + whole, `{"id":1}` + "\n", `{"id":"NSmUlLmCVXe7fmhyEo4RSg"}{}` + "\n"} {
		f.Add([]byte(left))
	}
	f.Fuzz(func(t *testing.T, left []byte) {
		dir := t.TempDir()
		part := filepath.Join(dir, "events-one-20260101T000000.000000Z.part")
		must(t, os.WriteFile(part, left, 0o600))
		files, err := ingest.OpenFiles(dir, "one", 1<<20, time.Hour)
		must(t, err)
		before := files.Arrived()
		fresh := cardea.NewID[cardea.ItemID]()
		arrived, err := files.Deliver(t.Context(), []ingest.Line{{ID: fresh}})
		if err != nil || len(arrived) != 1 {
			t.Fatalf("%d arrived, %v", len(arrived), err)
		}
		must(t, files.Close())
		text, err := os.ReadFile(part)
		must(t, err)
		kept := text[:bytes.LastIndex(text[:len(text)-1], []byte("\n"))+1]
		if !bytes.HasPrefix(left, kept) {
			t.Errorf("what stood there is not as it was: %q, now %q", left, kept)
		}
		files, err = ingest.OpenFiles(dir, "one", 1<<20, time.Hour)
		must(t, err)
		if got := files.Arrived(); len(got) != len(before)+1 || !slices.Contains(got, fresh) {
			t.Errorf("%v, want %v and %v", got, before, fresh)
		}
		must(t, files.TakeBack([]cardea.ItemID{fresh}))
		must(t, files.Close())
		if text, err = os.ReadFile(part); err != nil || !bytes.Equal(text, kept) {
			t.Errorf("%q, want %q, %v", text, kept, err)
		}
	})
}
