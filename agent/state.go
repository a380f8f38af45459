package agent

import (
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cardea-id/cardea/agent/gate"
	"github.com/cardea-id/cardea/agent/keys"
	"github.com/cardea-id/cardea/store/devicedb"
)

const (
	keyFile   = "device.key"
	dbFile    = "device.db"
	clockFile = "clock.json"
	goodFile  = "last-known-good" // of the time
)

// A state is what the device keeps, open.
type state struct {
	key *keys.Key
	db  *devicedb.DB
}

// openState makes the folders and opens the key and the database.
func openState(c Config, log *slog.Logger) (state, error) {
	if err := makeDir(c.StateDir, 0o700); err != nil {
		return state{}, fmt.Errorf("state_dir: %w", err)
	}
	if err := makeDir(c.RunDir, 0o755); err != nil {
		return state{}, fmt.Errorf("run_dir: %w", err)
	}
	key, err := keys.Open(filepath.Join(c.StateDir, keyFile))
	if err != nil {
		return state{}, err
	}
	db, err := openDB(c, key, log)
	return state{key, db}, err
}

// makeDir makes a folder and makes sure that files can be made in it, so that
// one the agent's user may not write is told now and by its name.
func makeDir(dir string, mode fs.FileMode) error {
	if err := os.MkdirAll(dir, mode); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return fmt.Errorf("the agent's user must be able to write %s: %w", dir, errors.Unwrap(err))
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// openDB opens the database. A file that is doubtful is probed first, where it
// can do no harm; one that is damaged is set aside, and the session fetches what
// the cloud knows. One that came with the key of another machine, in an image
// written to many devices, belongs to that machine: it is set aside as the key
// was, also when the agent was stopped between the two.
func openDB(c Config, key *keys.Key, log *slog.Logger) (*devicedb.DB, error) {
	path := filepath.Join(c.StateDir, dbFile)
	err := c.probe(path)
	var db *devicedb.DB
	if err == nil {
		db, err = devicedb.Open(path, key.SealKey())
	}
	switch {
	case err == nil:
		return db, nil
	case errors.Is(err, devicedb.ErrSeal) && !devicedb.Ours(path, key.SealKey()):
		others, _ := filepath.Glob(filepath.Join(c.StateDir, keyFile+".*")) // the pattern is well formed
		if len(others) == 0 {
			return nil, err
		}
		suffix := strings.TrimPrefix(others[len(others)-1], filepath.Join(c.StateDir, keyFile))
		log.Warn("the state of another machine is set aside", "to", path+suffix)
		for _, name := range devicedb.Beside(path) {
			if err := os.Rename(name, name+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("set the state of another machine aside: %w", err)
			}
		}
		if err := os.Rename(path, path+suffix); err != nil {
			return nil, fmt.Errorf("set the database of another machine aside: %w", err)
		}
	case errors.Is(err, devicedb.ErrSeal) || errors.Is(err, devicedb.ErrDamaged):
		aside := path + ".damaged-" + time.Now().UTC().Format("20060102T150405Z")
		log.Error("the device database is damaged and set aside, what the cloud knows is fetched again", "to", aside, "err", err)
		if err := setAside(path, aside); err != nil {
			return nil, err
		}
	default:
		return nil, err
	}
	return devicedb.Open(path, key.SealKey())
}

// setAside keeps one damaged file for whoever wants to know, and no more: the
// disk is small.
func setAside(path, aside string) error {
	older, _ := filepath.Glob(path + ".damaged-*") // at worst one stays
	for _, name := range older {
		os.Remove(name)
	}
	if err := os.Rename(path, aside); err != nil {
		return fmt.Errorf("set the damaged database aside: %w", err)
	}
	return nil
}

// cleanFile says, with the name of the boot, that the agent before this one
// closed its database.
const cleanFile = "db.clean"

// probe has a doubtful database read in a child process. Doubtful is every one
// that was not closed by an agent of this boot.
func (c Config) probe(path string) error {
	mark := filepath.Join(c.RunDir, cleanFile)
	boot, err := os.ReadFile(mark)
	os.Remove(mark)
	if err == nil && len(boot) > 0 && string(boot) == gate.BootID() || c.Prober == "" {
		return nil
	}
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		return nil // there is none
	}
	return probeIn(c.Prober, path)
}

// close lets go of the database and says so to the next agent.
func (s state) close(c Config) {
	if s.db.Close() == nil {
		os.WriteFile(filepath.Join(c.RunDir, cleanFile), []byte(gate.BootID()), 0o600) // without it the file is probed
	}
}

// label is the key of the label on the device, nil if it has none.
func (c Config) label() (crypto.Signer, error) {
	if c.LabelKey == "" {
		return nil, nil
	}
	// A label is printed: a key that is made now would be of no label there is.
	if _, err := os.Stat(c.LabelKey); err != nil {
		return nil, fmt.Errorf("label_key: %w: make it, and the label, with cardea label", err)
	}
	return keys.OpenOn(c.LabelKey, "")
}
