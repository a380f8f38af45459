package cloud_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud"
	"github.com/cardea-id/cardea/cloud/clock"
	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

// The operator's way out of a ledger that was written by a clock decades ahead.
func TestClockCommand(t *testing.T) {
	c := config(t)
	c.Clients = []cloud.Client{{ID: "agent"}}
	var out strings.Builder
	run := func(day string) (string, error) {
		out.Reset()
		err := cloud.Clock(t.Context(), c, day, &out, quiet())
		return out.String(), err
	}
	if _, err := run("show"); err == nil || !strings.Contains(err.Error(), "no cloud has run here yet") {
		t.Errorf("before the first start: %v", err)
	}
	stop := start(t, c)
	if _, err := run("show"); !errors.Is(err, accountdb.ErrLocked) {
		t.Errorf("while it runs: %v", err)
	}
	if said := asks(t, c); said != http.StatusOK {
		t.Fatalf("a pairing is answered %d", said)
	}
	stop()
	if said, err := run("show"); err != nil || !strings.Contains(said, "there is nothing to do") {
		t.Errorf("%q, %v", said, err)
	}
	decideLater(t, c)

	stop = start(t, c)
	if said := asks(t, c); said != http.StatusServiceUnavailable {
		t.Errorf("a pairing is answered %d by a cloud that recorded later things", said)
	}
	stop()
	today := time.Now().UTC().Format(time.DateOnly)
	said, err := run("show")
	if err != nil || !strings.Contains(said, "1 decisions of 1 accounts") || !strings.Contains(said, "cardea-cloud clock "+today) {
		t.Errorf("%q, %v", said, err)
	}
	if _, err := run("2001-01-01"); !errors.Is(err, clock.ErrOtherDay) {
		t.Errorf("on another day: %v", err)
	}
	if _, err := run(today); err != nil {
		t.Error(err)
	}
	start(t, c)
	if said := asks(t, c); said != http.StatusOK {
		t.Errorf("a pairing is answered %d by a cloud that was repaired", said)
	}
}

// asks for a pairing and returns the status of the answer.
func asks(t *testing.T, c cloud.Config) int {
	t.Helper()
	r, err := http.PostForm(c.Issuer+"/oauth/device_authorization", url.Values{"client_id": {"agent"}})
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	return r.StatusCode
}

// decideLater records a decision forty years after 2000.
func decideLater(t *testing.T, c cloud.Config) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.DataDir, "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	master, err := base64.RawURLEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(40 * 365 * 24 * time.Hour)
		db := accountdbtest.OpenAt(t, filepath.Join(c.DataDir, "cloud.db"), accountdb.Key(master))
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
}
