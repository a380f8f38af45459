package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

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
	db, err := openDB(c.StateDir, key, log)
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

// openDB opens the database. One that came with the key of another machine, in
// an image written to many devices, belongs to that machine: it is set aside as
// the key was, also when the agent was stopped between the two.
func openDB(dir string, key *keys.Key, log *slog.Logger) (*devicedb.DB, error) {
	path := filepath.Join(dir, dbFile)
	db, err := devicedb.Open(path, key.SealKey())
	if !errors.Is(err, devicedb.ErrSeal) {
		return db, err
	}
	others, _ := filepath.Glob(filepath.Join(dir, keyFile+".*")) // the pattern is well formed
	if len(others) == 0 {
		return nil, err
	}
	aside := path + strings.TrimPrefix(others[len(others)-1], filepath.Join(dir, keyFile))
	log.Warn("the state of another machine is set aside", "to", aside)
	if err := os.Rename(path, aside); err != nil {
		return nil, fmt.Errorf("set the database of another machine aside: %w", err)
	}
	return devicedb.Open(path, key.SealKey())
}
