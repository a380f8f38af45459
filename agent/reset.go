package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/agent/session"
	"github.com/cardea-id/cardea/internal/disk"
	"github.com/cardea-id/cardea/store/devicedb"
	"github.com/cardea-id/cardea/store/slots"
)

// A reset makes the state folder of another device beside what is there, with a
// new key and the last words of every link, and then puts it in its place:
//
//   - as a draft it counts for nothing, and a start throws it away;
//   - once it is called ready the reset has happened: a start removes everything
//     else in the folder, and then calls it clean;
//   - of a clean one the files are moved to where they belong.
//
// Each step is one rename, and can be begun again after a power cut.
const (
	resetDraft = "reset.draft"
	resetReady = "reset.ready"
	resetClean = "reset.clean"
)

// errReset ends the parts of an agent whose device is another one now.
var errReset = errors.New("the device was reset")

// Reset ends all links and gives the device a new key. It needs no network.
func (a *agent) Reset(context.Context) (cardea.DeviceID, error) {
	return a.reset(func(state) error { return nil })
}

// NewOwner resets the device and leaves it with a pairing that waits for its new
// owner. If the server gives no code nothing has changed.
func (a *agent) NewOwner(ctx context.Context) (client.Pairing, error) {
	var p client.Pairing
	_, err := a.reset(func(next state) (err error) {
		p, err = session.Begin(ctx, a.sessionConfig(next))
		return err
	})
	return p, err
}

// reset makes the next device, which prepare may add to, and ends this one.
func (a *agent) reset(prepare func(state) error) (cardea.DeviceID, error) {
	a.resetting.Lock()
	defer a.resetting.Unlock()
	if a.gone {
		return "", session.ErrClosed
	}
	next, err := a.draft(prepare)
	if err != nil {
		return "", fmt.Errorf("reset: %w", err)
	}
	if err := a.session.Cancel(); err != nil {
		a.log.Warn("the pairing that waits can not be cancelled", "err", err)
	}
	if err := a.syncer.Abandon(func(last []devicedb.Farewell) error { return a.decide(next, last) }); err != nil {
		return "", errors.Join(fmt.Errorf("reset: %w", err), next.db.Close(), os.RemoveAll(a.stateFile(resetDraft)))
	}
	a.log.Warn("the device was reset", "device", next.key.ID())
	a.gone = true
	a.end(errReset)
	a.door.Close() // who connects from now on meets the new device
	return next.key.ID(), nil
}

func (a *agent) stateFile(name string) string { return filepath.Join(a.StateDir, name) }

// draft makes the folder of the next device.
func (a *agent) draft(prepare func(state) error) (next state, err error) {
	c := a.Config
	c.StateDir = a.stateFile(resetDraft)
	if err := os.RemoveAll(c.StateDir); err != nil {
		return next, err
	}
	if next, err = openState(c, a.log); err != nil {
		return next, errors.Join(err, os.RemoveAll(c.StateDir))
	}
	if err := prepare(next); err != nil {
		return next, errors.Join(err, next.db.Close(), os.RemoveAll(c.StateDir))
	}
	return next, nil
}

// decide keeps the last words with the next device and makes it the one. With an
// error the present one stays.
func (a *agent) decide(next state, last []devicedb.Farewell) error {
	for _, f := range last {
		f.Erased = true // once it is answered, not even its name stays
		if err := next.db.KeepFarewell(f); err != nil {
			return err
		}
	}
	if err := errors.Join(next.db.Close(), disk.SyncDir(a.stateFile(resetDraft))); err != nil {
		return err
	}
	if err := os.Rename(a.stateFile(resetDraft), a.stateFile(resetReady)); err != nil {
		return err
	}
	if err := disk.SyncDir(a.StateDir); err != nil {
		return errors.Join(err, os.Rename(a.stateFile(resetReady), a.stateFile(resetDraft)))
	}
	return nil
}

// finishReset does what is left of a reset. Without one it touches nothing.
func finishReset(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, "reset.*")) // the pattern is well formed
	if err != nil || len(left) == 0 {
		return nil
	}
	unlock, err := lockDir(dir)
	if err != nil {
		return fmt.Errorf("finish reset: %w", err)
	}
	defer unlock()
	if err := os.RemoveAll(filepath.Join(dir, resetDraft)); err != nil {
		return fmt.Errorf("finish reset: %w", err)
	}
	if err := clearOut(dir); err != nil {
		return fmt.Errorf("finish reset: %w", err)
	}
	if err := moveIn(dir); err != nil {
		return fmt.Errorf("finish reset: %w", err)
	}
	return nil
}

// clearOut removes all that the reset device held.
func clearOut(dir string) error {
	ready := filepath.Join(dir, resetReady)
	if _, err := os.Stat(ready); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	// Without the key whatever else a disk keeps of it can not be read.
	if err := slots.Wipe(filepath.Join(dir, keyFile)); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == resetReady || e.Name() == "lost+found" {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	if err := disk.SyncDir(dir); err != nil { // before the new files come to the same names
		return err
	}
	if err := os.Rename(ready, filepath.Join(dir, resetClean)); err != nil {
		return err
	}
	return disk.SyncDir(dir)
}

// moveIn puts the files of the next device in place.
func moveIn(dir string) error {
	clean := filepath.Join(dir, resetClean)
	entries, err := os.ReadDir(clean)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Rename(filepath.Join(clean, e.Name()), filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	if err := disk.SyncDir(dir); err != nil {
		return err
	}
	if err := os.Remove(clean); err != nil {
		return err
	}
	return disk.SyncDir(dir)
}

// lockDir keeps two agents from finishing the same reset.
func lockDir(dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return func() { d.Close() }, nil
}
