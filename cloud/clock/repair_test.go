package clock_test

import (
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/clock"
	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

// A cloud whose clock stood decades ahead, as that of a bubble that has slept so
// long, signs nothing when it is right again until it is told what day it is.
func TestRepair(t *testing.T) {
	path, master := filepath.Join(t.TempDir(), "cloud.db"), accountdb.NewKey()
	boot := func() time.Duration { return time.Hour }
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(40 * 365 * 24 * time.Hour)
		db := accountdbtest.OpenAt(t, path, master)
		if _, err := clock.New(t.Context(), clock.Config{DB: db, BootID: "one", Boot: boot}); err != nil {
			t.Fatal(err)
		}
		account := accountdbtest.Account(t, db)
		err := db.Update(t.Context(), func(tx *accountdb.Tx) error {
			_, err := tx.Append(account.ID, cardea.Entry{
				Decision: cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActDeny, Key: "recommendations/use"},
				By:       cardea.Owner, Channel: cardea.ChannelPortal,
			})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})

	db := accountdbtest.OpenAt(t, path, master)
	check := func() error {
		g, err := clock.New(t.Context(), clock.Config{DB: db, BootID: "one", Boot: boot})
		if err != nil {
			t.Fatal(err)
		}
		return g.Check(time.Now())
	}
	if err := check(); !errors.Is(err, clock.ErrClock) {
		t.Fatalf("signs below what was recorded: %v", err)
	}
	now, found, err := clock.Survey(t.Context(), db)
	if err != nil || found.Decisions != 1 || found.Latest.Time().Before(now) {
		t.Errorf("%+v, %v", found, err)
	}
	for _, day := range []string{"", "today", now.UTC().AddDate(0, 0, 1).Format(time.DateOnly), now.UTC().AddDate(10, 0, 0).Format(time.DateOnly)} {
		if _, err := clock.Repair(t.Context(), db, day); !errors.Is(err, clock.ErrOtherDay) {
			t.Errorf("%q: %v", day, err)
		}
	}
	if err := check(); !errors.Is(err, clock.ErrClock) {
		t.Errorf("repaired by a wrong day: %v", err)
	}
	repair := func() int {
		found, err := clock.Repair(t.Context(), db, time.Now().UTC().Format(time.DateOnly))
		if err != nil {
			t.Fatal(err)
		}
		return found.Decisions
	}
	if n := repair(); n != 1 {
		t.Errorf("%d decisions", n)
	}
	if err := check(); err != nil {
		t.Error(err)
	}
	if n := repair(); n != 0 {
		t.Errorf("%d decisions the second time", n)
	}
}
