package cloud

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/cardea-id/cardea/store/accountdb"
)

// Backup copies the database to a new file, while the cloud runs or not. The
// master key is not in it.
func Backup(ctx context.Context, c Config, file string, log *slog.Logger) error {
	c, err := c.withDefaults()
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if c.onServer() {
		return errors.New("the database is on a server: back it up with pg_dump, see docs/backup.md")
	}
	if err := accountdb.Backup(ctx, c.inData(databaseFile), file); err != nil {
		return err
	}
	log.InfoContext(ctx, "backup is written and checked", "file", file)
	return nil
}

// Restore puts a backup in the place of the database, begins a new era, and
// makes a new statement key: the backup's may have been rotated away since, and
// devices that know of it would never believe what it signs. It is refused while
// the cloud runs.
func Restore(ctx context.Context, c Config, file string, log *slog.Logger) error {
	c, err := c.withDefaults()
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if c.onServer() {
		return errors.New("the database is on a server: put it back with pg_restore and then say: cardea-cloud era begin")
	}
	path, master, err := c.restorable(ctx)
	if err != nil {
		return err
	}
	found, err := accountdb.Restore(ctx, path, file, master)
	if err != nil {
		return err
	}
	tellReplay(ctx, log, found)
	if err := Rotate(ctx, c, "statement", log); err != nil {
		return fmt.Errorf("the backup is in place, but devices may not believe it: run cardea-cloud rotate statement: %w", err)
	}
	log.InfoContext(ctx, "backup is restored", "file", file, "era", found.Era, "replaced", path+".old")
	return nil
}

// restorable is the database's path, and its key, which must be there first.
func (c Config) restorable(ctx context.Context) (path string, master accountdb.Key, err error) {
	keyPath := c.inData(masterKeyFile)
	if _, err := os.Stat(keyPath); err != nil {
		return "", master, fmt.Errorf("master key: put %s back first, a backup can not be read without it: %w", keyPath, err)
	}
	master, err = c.master(ctx)
	return c.inData(databaseFile), master, err
}

// Era has a new era begin in a database on a server, which was put back to an
// earlier state by the server's own means. No cloud may run on it meanwhile.
func Era(ctx context.Context, c Config, what string, log *slog.Logger) error {
	c, err := c.withDefaults()
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if what != "begin" {
		return fmt.Errorf("era: say begin, not %.20q", what)
	}
	if !c.onServer() {
		return errors.New("the database is a file: cardea-cloud restore puts it back and begins an era")
	}
	_, master, err := c.restorable(ctx)
	if err != nil {
		return err
	}
	found, err := accountdb.BeginEra(ctx, c.Database, c.inData(stopsFile), master)
	if err != nil {
		return err
	}
	tellReplay(ctx, log, found)
	return nil
}

// tellReplay says what the stop journal was needed for, if it was.
func tellReplay(ctx context.Context, log *slog.Logger, found accountdb.Replay) {
	if found.Raised {
		log.WarnContext(ctx, "the database was put back to an earlier state: a new era begins, and what was stopped since is stopped again",
			"era", found.Era, "stopped_again", found.Appended, "of_unknown_accounts", found.Lost)
	}
	if found.Missing {
		log.ErrorContext(ctx, "the stop journal is not the one this database knows: what was stopped after a backup can not be taken from it")
	}
	if found.Damaged > 0 {
		log.ErrorContext(ctx, "lines of the stop journal can not be read", "lines", found.Damaged)
	}
}
