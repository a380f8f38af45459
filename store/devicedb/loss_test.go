package devicedb_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/devicedb"
	"github.com/cardea-id/cardea/store/devicedb/devicedbtest"
)

// What can become of a journal, each of which may take a denial with it.
var ruined = map[string]func(d *disk){
	"emptied":           func(d *disk) { os.Truncate(d.journal(), 0) },
	"cut off at 1":      func(d *disk) { os.Truncate(d.journal(), 1) },
	"cut off at 512":    func(d *disk) { os.Truncate(d.journal(), 512) },
	"cut off half-way":  func(d *disk) { os.Truncate(d.journal(), 16*4096) },
	"deleted":           func(d *disk) { os.Remove(d.journal()) },
	"zeroed":            func(d *disk) { os.WriteFile(d.journal(), make([]byte, 32*4096), 0o600) },
	"its newest zeroed": func(d *disk) { overwrite(d.t, d.journal(), d.newest(), make([]byte, 4096)) },
}

// newest is where the journal was written since the device was linked.
func (d *disk) newest() int64 {
	d.t.Helper()
	now, err := os.ReadFile(d.journal())
	if err != nil {
		d.t.Fatal(err)
	}
	for at := len(now) - 4096; at >= 0; at -= 4096 {
		if !bytes.Equal(now[at:at+4096], d.linked[at:at+4096]) {
			return int64(at)
		}
	}
	d.t.Fatal("nothing was written")
	return 0
}

// overwrite changes a file in place.
func overwrite(t *testing.T, path string, at int64, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

// Something was stopped, and the journal is lost before the file followed: that
// this is so is known from then on, whatever else is lost, until it is confirmed,
// and then no more.
func TestLossUntilConfirmed(t *testing.T) {
	for name, hurt := range ruined {
		t.Run(name, func(t *testing.T) {
			d := newDisk(t)
			old := d.link().Log.ID
			d.deny(no("voice/use"))
			before := copyOf(t, d.path)
			d.restart(func() { hurt(d) })
			loss := d.link().Loss
			if loss.IsZero() || d.link().Log.ID == old {
				t.Fatalf("loss %s, new log %t", loss, d.link().Log.ID != old)
			}
			stays := func(when string) {
				t.Helper()
				if got := d.link(); got.Loss != loss || got.Barred() == "" {
					t.Errorf("after %s: loss %s, barred by %q", when, got.Loss, got.Barred())
				}
			}
			d.restart(func() {})
			stays("a restart")
			d.change(func(l *devicedb.Link) { l.Bar = "" })
			stays("an answer")
			d.deny(no("a/use"))
			d.restart(func() {})
			stays("a denial")
			d.restart(before)
			stays("the file was put back")
			d.restart(func() { os.Remove(d.journal()) })
			if got := d.link().Loss; got.IsZero() || got == loss {
				t.Error("a second loss is not another one")
			}
			d.change(func(l *devicedb.Link) { l.Bar, l.Loss = "", cardea.LossID{} })
			d.restart(func() {})
			if got := d.link(); !got.Loss.IsZero() || got.Barred() != "" || len(d.db.Found()) != 0 {
				t.Errorf("confirmed, and then loss %s, barred by %q", got.Loss, got.Barred())
			}
		})
	}
}

func (d *disk) change(f func(*devicedb.Link)) {
	d.t.Helper()
	if err := d.db.Change(d.id, func(l *devicedb.Link) error { f(l); return nil }); err != nil {
		d.t.Fatal(err)
	}
}

// The confirmation is in the file, and the agent is killed before the journal has
// it: it is not asked for again. The other way round nothing is confirmed.
func TestConfirmedAndKilled(t *testing.T) {
	d := newDisk(t)
	d.restart(func() { os.Truncate(d.journal(), 0) })
	loss := d.link().Loss
	journal, file := copyOf(t, d.journal()), copyOf(t, d.path)
	d.change(func(l *devicedb.Link) { l.Bar, l.Loss = "", cardea.LossID{} })
	after := copyOf(t, d.journal())
	d.restart(journal)
	if l := d.link(); !l.Loss.IsZero() || l.Barred() != "" {
		t.Errorf("loss %s, barred by %q", l.Loss, l.Barred())
	}
	d.restart(func() { journal(); file() })
	if l := d.link(); l.Loss != loss {
		t.Errorf("loss %s", l.Loss)
	}
	d.restart(func() { after(); file() })
	if l := d.link(); l.Barred() == "" {
		t.Error("a file that was put back allows")
	}
}

// Database and journal both lost: the link comes back by its tokens, and the loss
// with it.
func TestLossOfEverything(t *testing.T) {
	for name, hurt := range ruined {
		t.Run(name, func(t *testing.T) {
			d := newDisk(t)
			whole := d.link()
			d.deny(no("voice/use"))
			d.restart(func() { hurt(d); os.Remove(d.path) })
			if lost := d.db.Lost(); len(lost) != 1 || lost[0].Link != d.id {
				t.Fatalf("lost %v", lost)
			}
			d.restart(func() {})
			if err := d.db.Join(devicedb.Link{ID: d.id, Key: whole.Key, Issuer: whole.Issuer}, tokens()); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if l := d.link(); l.Loss.IsZero() || l.Bar != cardea.ReasonStore || l.Log.ID == whole.Log.ID {
					t.Errorf("loss %s, barred by %q", l.Loss, l.Bar)
				}
				d.restart(func() {})
			}
		})
	}
}

// What an ordinary life and its power cuts leave is no loss.
func TestNoLoss(t *testing.T) {
	whole := func(t *testing.T, d *disk) {
		t.Helper()
		if l := d.link(); !l.Loss.IsZero() || l.Barred() != "" {
			t.Errorf("loss %s, barred by %q", l.Loss, l.Barred())
		}
	}
	t.Run("journal ahead", func(t *testing.T) {
		d := newDisk(t)
		file := copyOf(t, d.path)
		d.deny(no("voice/use"))
		if err := d.db.Follow(d.id); err != nil {
			t.Fatal(err)
		}
		d.restart(file)
		whole(t, d)
	})
	t.Run("file one ahead", func(t *testing.T) {
		d := newDisk(t)
		journal := copyOf(t, d.journal())
		d.change(func(l *devicedb.Link) { l.Revision++ })
		d.restart(journal)
		whole(t, d)
	})
	t.Run("a denial torn in the middle", func(t *testing.T) {
		d := newDisk(t)
		d.deny(no("voice/use"))
		for at := 0; at < 32*4096; at += 4096 { // none of these was confirmed
			d.restart(func() { overwrite(t, d.journal(), int64(at), make([]byte, 1536)) })
			whole(t, d)
		}
	})
	t.Run("new device", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "device.db")
		d := &disk{t: t, path: path, db: devicedbtest.OpenAt(t, path)}
		d.restart(func() { os.Remove(d.journal()) })
		if len(d.db.Found()) != 0 {
			t.Errorf("found %v", d.db.Found())
		}
		d.restart(func() { os.Truncate(d.journal(), 0) })
		d.join()
		whole(t, d)
	})
	t.Run("pairing under way", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "device.db")
		d := &disk{t: t, path: path, db: devicedbtest.OpenAt(t, path)}
		if err := d.db.PutPairing(devicedb.Pairing{Issuer: "x", Tokens: new(tokens())}); err != nil {
			t.Fatal(err)
		}
		d.join()
		slot := copyOf(t, slotOf(t, d))
		if err := d.db.Delete(d.id); err != nil {
			t.Fatal(err)
		}
		if err := d.db.PutPairing(devicedb.Pairing{Issuer: "x", Tokens: new(tokens())}); err != nil {
			t.Fatal(err)
		}
		d.restart(func() { slot(); os.Remove(d.journal()) }) // tokens are written before the link
		d.join()
		whole(t, d)
	})
}

func slotOf(t *testing.T, d *disk) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(filepath.Dir(d.path), "*.slot"))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	return names[0]
}

// join links the device, or gives it its link back.
func (d *disk) join() {
	d.t.Helper()
	l := full()
	if !d.id.IsZero() {
		l.ID = d.id
	}
	l.Log, l.Bar = cardea.NewLog(), ""
	d.id = l.ID
	if err := d.db.Join(l, tokens()); err != nil {
		d.t.Fatal(err)
	}
}
