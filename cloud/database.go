package cloud

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cardea-id/cardea/store/accountdb"
)

// Files in the data folder.
const (
	databaseFile  = "cloud.db"
	masterKeyFile = "master.key"
	// stopsFile is the stop journal of a process whose database is on a server.
	stopsFile = "cloud.stops"
)

// onServer reports whether the database is not a file.
func (c Config) onServer() bool { return c.Database != "" }

// openDatabase opens the database with the key that opens it, which is made
// before the first start.
func (c Config) openDatabase(ctx context.Context) (*accountdb.DB, error) {
	master, err := c.master(ctx)
	if err != nil {
		return nil, err
	}
	if c.onServer() {
		return accountdb.OpenServer(ctx, c.Database, c.inData(stopsFile), master)
	}
	return accountdb.Open(ctx, c.inData(databaseFile), master)
}

// master is the key that seals everything. A database without its key is
// refused: a new key would open nothing.
func (c Config) master(ctx context.Context) (accountdb.Key, error) {
	if err := c.makeDataDir(); err != nil {
		return accountdb.Key{}, err
	}
	path := c.inData(masterKeyFile)
	key, err := readMasterKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	used, err := c.used(ctx)
	if err != nil {
		return key, err
	}
	if used {
		return key, fmt.Errorf("master key: %s is not there but its database is: put the key back from its backup, or take it from another process of this database", path)
	}
	return newMasterKey(path)
}

// used reports whether the database has something that a key sealed.
func (c Config) used(ctx context.Context) (bool, error) {
	if c.onServer() {
		return accountdb.Used(ctx, c.Database)
	}
	_, err := os.Stat(c.inData(databaseFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (c Config) makeDataDir() error {
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	return nil
}

// inData is the path of a file in the data folder.
func (c Config) inData(name string) string { return filepath.Join(c.DataDir, name) }

// errNoCloud: there is nothing yet to work on.
var errNoCloud = errors.New("no cloud has run here yet")

// hasRun refuses to work on a database that is not there.
func (c Config) hasRun() error {
	name := databaseFile
	if c.onServer() {
		name = stopsFile
	}
	if _, err := os.Stat(c.inData(name)); err != nil {
		return fmt.Errorf("%w: %w", errNoCloud, err)
	}
	return nil
}
