package accountdb

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate applies the migrations the database has not seen, all in one
// transaction with the note that they were applied. Of several processes that
// start at once the first does it.
func (db *DB) migrate(ctx context.Context) error {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	return db.Update(ctx, func(tx *Tx) error {
		if err := tx.Hold("schema"); err != nil {
			return err
		}
		applied, err := tx.applied()
		if err != nil {
			return err
		}
		if applied > len(names) {
			return fmt.Errorf("%w: it has schema %d, this program knows %d; install the newer program", ErrNewer, applied, len(names))
		}
		for i := applied; i < len(names); i++ {
			if err := tx.apply(names[i], i+1); err != nil {
				return fmt.Errorf("migration %s: %w", names[i], err)
			}
		}
		return nil
	})
}

func (tx *Tx) applied() (n int, err error) {
	if err := tx.exec(tx.db.engine.script(`CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)`)); err != nil {
		return 0, err
	}
	err = tx.row(`SELECT COALESCE(MAX(version), 0) FROM schema_version`).Scan(&n)
	return n, err
}

func (tx *Tx) apply(name string, version int) error {
	script, err := migrations.ReadFile(name)
	if err != nil {
		return err
	}
	if err := tx.exec(tx.db.engine.script(string(script))); err != nil {
		return err
	}
	return tx.exec(`INSERT INTO schema_version (version) VALUES (?)`, version)
}
