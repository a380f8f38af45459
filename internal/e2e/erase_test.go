package e2e_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/owner"
	"github.com/cardea-id/cardea/internal/stage"
	"github.com/cardea-id/cardea/store/accountdb"
)

// An owner erases their account while one of their two devices is out of reach.
// The one in reach proves at once that it is erased; of the other a date is told,
// on a page that needs no account, and when it comes back it proves it too. The
// ledger verifies, and nothing personal is left: not in the cloud's database, its
// log of writes and its journal, and not on the devices.
func TestEraseEverywhere(t *testing.T) {
	const email, hideout = "ada.hinge@example.com", "Hideout of Ada H"
	s := newStage(t)
	phone := newPhone(t, s, email)
	near, away := newAgent(t, s, "near", "speaker"), newAgent(t, s, "away", "car")
	pair(t, near, phone)
	pair(t, away, phone)
	rename(t, s, phone, "Kitchen speaker", hideout)
	choose(t, s, phone, "Allow", recommend)
	answers(t, near, recommend, cardea.Allow)
	answers(t, away, recommend, cardea.Allow)
	nearLink, awayLink := status(t, near).Link, status(t, away).Link
	contains(t, "the page of devices", phone, s.URL+"/devices", hideout)

	must(t, away.Process.Stop())
	begun := time.Now()
	must(t, phone.Open(t.Context(), s.URL+"/leaving/erase"))
	for _, words := range []string{hideout, "It is in reach"} {
		if !strings.Contains(phone.Text(), words) {
			t.Errorf("the page that asks does not say %q:\n%s", words, phone.Text())
		}
	}
	must(t, phone.Press(t.Context(), "Erase everything", ""))
	proof := phone.URL()
	if proof.Path != "/erased" || !strings.Contains(phone.Text(), "Your account is erased") {
		t.Fatalf("led to %s:\n%s", proof.Path, phone.Text())
	}

	until(t, "the device in reach has erased itself", func() error { return erasedOn(near) })
	anyone := owner.New(s.Transport())
	until(t, "one device is still waited for", func() error {
		return pageSays(anyone, proof, "Erased. It has signed that it is", "1 device has still to erase")
	})
	day := begun.Add(cardea.MaxOfflineRetention)
	if by := byDay(anyone); by.Before(day.Truncate(24*time.Hour)) || by.After(day.Add(72*time.Hour)) {
		t.Errorf("the other erases itself by %v, which is not %v and a little", by, day)
	}
	leftIn(t, filepath.Join(near.Dir, "state"), nearLink[:], []byte(nearLink.String()), []byte(hideout))
	leftIn(t, filepath.Join(s.Dir, "cloud"), []byte(email), []byte(hideout))
	away.Network(false)
	must(t, away.Start(t.Context()))
	answers(t, away, recommend, cardea.Allow) // it has heard nothing, and stops by the time the owner was told
	must(t, phone.Open(t.Context(), s.URL+"/devices"))
	if phone.URL().Path != "/signin" {
		t.Errorf("still signed in, at %s", phone.URL().Path)
	}

	away.Network(true)
	until(t, "the device that was away has erased itself", func() error { return erasedOn(away) })
	until(t, "nothing is waited for", func() error { return pageSays(anyone, proof, "Nothing is left to wait for") })
	leftIn(t, filepath.Join(away.Dir, "state"), awayLink[:], []byte(awayLink.String()))
	must(t, s.Cloud.Stop())
	verifyErased(t, filepath.Join(s.Dir, "cloud"))
	leftIn(t, filepath.Join(s.Dir, "cloud"), []byte(email), []byte(hideout))
	leftIn(t, s.Dir, []byte(email), []byte(hideout), []byte(proof.Query().Get("proof"))) // logs and all
}

func rename(t *testing.T, s *stage.Stage, phone *owner.Owner, name, to string) {
	t.Helper()
	must(t, phone.Open(t.Context(), s.URL+"/devices"))
	must(t, phone.FollowNear(t.Context(), "Manage", name))
	phone.Fill("name", to)
	must(t, phone.Press(t.Context(), "Save the name", ""))
}

func contains(t *testing.T, what string, phone *owner.Owner, page, words string) {
	t.Helper()
	must(t, phone.Open(t.Context(), page))
	if !strings.Contains(phone.Text(), words) {
		t.Errorf("%s does not say %q:\n%s", what, words, phone.Text())
	}
}

// erasedOn is nil when a device holds no link and has nothing left to say.
func erasedOn(a *stage.Agent) error {
	status, err := a.Status(context.Background())
	if err != nil {
		return err
	}
	left, err := filepath.Glob(filepath.Join(a.Dir, "state", "*.farewell"))
	if err == nil && len(status.Links)+len(left) > 0 {
		err = fmt.Errorf("%d links, last words %v", len(status.Links), left)
	}
	return err
}

// pageSays is nil when a page says all of the words.
func pageSays(o *owner.Owner, page *url.URL, words ...string) error {
	if err := o.Open(context.Background(), page.String()); err != nil {
		return err
	}
	for _, w := range words {
		if !strings.Contains(o.Text(), w) {
			return fmt.Errorf("the page does not say %q:\n%s", w, o.Text())
		}
	}
	return nil
}

// byDay is the latest instant that a page tells.
func byDay(o *owner.Owner) (latest time.Time) {
	for _, text := range o.Times() {
		if at, err := time.Parse(time.RFC3339, text); err == nil && at.After(latest) {
			latest = at
		}
	}
	return latest
}

// leftIn looks for bytes in every file under a folder.
func leftIn(t *testing.T, dir string, parts ...[]byte) {
	t.Helper()
	files := 0
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		files++
		text, err := os.ReadFile(path)
		for _, part := range parts {
			if bytes.Contains(text, part) || bytes.Contains([]byte(e.Name()), part) {
				t.Errorf("%s still has %q", path, part)
			}
		}
		return err
	}))
	if files == 0 {
		t.Errorf("nothing to look through in %s", dir)
	}
}

// verifyErased opens the database of a cloud that has ended: the one account's
// chain verifies, it is erased, and its devices are.
func verifyErased(t *testing.T, dir string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "master.key"))
	must(t, err)
	master, err := base64.RawURLEncoding.DecodeString(strings.TrimSpace(string(text)))
	must(t, err)
	db, err := accountdb.Open(t.Context(), filepath.Join(dir, "cloud.db"), accountdb.Key(master))
	must(t, err)
	defer db.Close()
	must(t, db.View(t.Context(), func(tx *accountdb.Tx) error {
		all, err := tx.Accounts()
		if err != nil || len(all) != 1 {
			return fmt.Errorf("%d accounts: %w", len(all), err)
		}
		account, err := tx.Account(all[0])
		must(t, err)
		entries, err := tx.Entries(account.ID, 0)
		must(t, err)
		if head, err := cardea.VerifyChain(cardea.Position{}, entries); err != nil || head != account.Head || !account.Erased {
			t.Errorf("the chain ends at %v, the head is %v, erased: %t: %v", head, account.Head, account.Erased, err)
		}
		e, err := tx.ErasureOf(account.ID)
		for _, l := range e.Links {
			if l.Erased == 0 {
				t.Errorf("of %s there is no proof", l.Kind)
			}
		}
		return err
	}))
}
