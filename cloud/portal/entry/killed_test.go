package entry_test

import (
	"context"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/portal"
	"github.com/cardea-id/cardea/cloud/portal/portaltest"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/store/accountdb"
)

// victim names the folder and the key of the database of a cloud that is killed.
const victim = "CARDEA_TEST_VICTIM"

// deadly takes a yes and is killed before it can say so.
type deadly struct{ *portaltest.Issuer }

func (d deadly) Approve(ctx context.Context, account cardea.AccountID, code pairing.UserCode, name string) (pairing.GrantID, error) {
	grant, err := d.Issuer.Approve(ctx, account, code, name)
	if err == nil {
		err = errors.Join(syscall.Kill(os.Getpid(), syscall.SIGKILL), errors.New("still alive"))
	}
	return grant, err
}

// A cloud that is killed right after the commit of a yes has told its owner: the
// letter is in the database, and the next cloud sends it. Its link works.
func TestKilledBetweenTheYesAndItsLetter(t *testing.T) {
	if dir, text, is := strings.Cut(os.Getenv(victim), "|"); is {
		die(t, dir, text)
		return
	}
	dir, key := t.TempDir(), accountdb.NewKey()
	h, post := openMailIn(t, dir, key)
	b := h.Browser(t)
	account := confirmed(t, b, post, portaltest.Email)
	setPassword(t, b)
	find(t, post, "password")
	h.DB.Close()

	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), victim+"="+dir+"|"+hex.EncodeToString(key[:]))
	out, err := child.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the cloud was not killed while it approved: %v\n%s", err, out)
	}
	h, post = openMailIn(t, dir, key)
	letter := find(t, post, "Kitchen was added")
	d := h.Link(t, account, hub.Device{Name: "Kitchen", Kind: "speaker", Grant: string(portaltest.TheGrant)})
	phone := h.Browser(t)
	phone.Press(undo(t, phone, letter), "Put it out")
	if len(h.Devices.Unlinked) != 1 || h.Devices.Unlinked[0] != d.Link {
		t.Errorf("unlinked %v", h.Devices.Unlinked)
	}
}

// die approves a device over the database of another cloud.
func die(t *testing.T, dir, text string) {
	var key accountdb.Key
	if _, err := hex.Decode(key[:], []byte(text)); err != nil {
		t.Fatal(err)
	}
	h := portaltest.OpenIn(t, dir, key, func(c *portal.Config) {
		c.Mail = func() {}
		c.Pairings = deadly{c.Pairings.(*portaltest.Issuer)}
	})
	code := h.ASpeaker()
	b := h.Browser(t)
	b.Press(b.Get("/signin"), "Sign in", "email", portaltest.Email, "password", portaltest.Password)
	d := b.Press(b.Get("/pair?code="+string(code)), "Approve", "name", "Kitchen")
	t.Fatalf("not killed: status %d\n%s", d.Status, d.Text)
}

// What is refused is not told of, however often it was tried.
func TestNothingIsToldOfWhatWasNotLetIn(t *testing.T) {
	h, post := openMail(t)
	b := h.Browser(t)
	account := confirmed(t, b, post, portaltest.Email)
	code := h.ASpeaker()
	h.Pairings.DB = nil // its grant is approved nowhere
	page := b.Get("/pair?code=" + string(code))
	for range 3 {
		b.Press(page, "Approve", "name", "Kitchen")
	}
	update := func(f func(*accountdb.Tx) error) {
		t.Helper()
		if err := h.DB.Update(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	update(func(tx *accountdb.Tx) error {
		if _, err := tx.ClaimMail(1); !errors.Is(err, accountdb.ErrNotFound) {
			t.Errorf("a letter is to be sent: %v", err)
		}
		return nil
	})
	update(func(tx *accountdb.Tx) error { return tx.Approved(account, portaltest.TheGrant) })
	update(func(tx *accountdb.Tx) error {
		if bag, err := tx.Mailbag(); err != nil || bag.Waiting > 1 {
			t.Errorf("%d letters about one device, %v", bag.Waiting, err)
		}
		return nil
	})
}

// Neither the address nor the secret of a link stands in the database's files as
// it is, from the letter's post to long after it was sent.
func TestLettersAreSealed(t *testing.T) {
	dir, key := t.TempDir(), accountdb.NewKey()
	h, post := openMailIn(t, dir, key)
	b := h.Browser(t)
	confirmed(t, b, post, portaltest.Email)
	setPassword(t, b)
	letter := find(t, post, "password")
	secret := letter.Link()[strings.LastIndex(letter.Link(), "/")+1:]
	post.Down()
	code := h.ASpeaker()
	b.Press(b.Get("/pair?code="+string(code)), "Approve", "name", "Kitchen of Ada")
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{portaltest.Email, "Kitchen of Ada", secret, "/undo/"} {
			if strings.Contains(string(text), part) {
				t.Errorf("%s has %q", filepath.Base(name), part)
			}
		}
	}
}
