package accountdb

import (
	"context"
	"errors"
	"fmt"

	"github.com/cardea-id/cardea/store/stopjournal"
)

// Secrets keeps the cloud's own keys, sealed under the master key. Each method
// is one transaction.
type Secrets struct{ db *DB }

// Secrets is the part of the database that keeps the cloud's own keys.
func (db *DB) Secrets() Secrets { return Secrets{db} }

// Secret returns what is kept under name. If there is nothing, it keeps and
// returns what fresh makes; fresh may be nil, then it is ErrNotFound.
func (s Secrets) Secret(ctx context.Context, name string, fresh func() []byte) (plain []byte, err error) {
	err = s.db.Update(ctx, func(tx *Tx) error {
		if err := tx.Hold(secretLabel(name)); err != nil {
			return err
		}
		plain, err = tx.secret(name)
		if fresh == nil || !errors.Is(err, ErrNotFound) {
			return err
		}
		plain = fresh()
		return tx.putSecret(name, plain)
	})
	if err != nil {
		return nil, fmt.Errorf("secret %s: %w", name, err)
	}
	return plain, nil
}

// Replace keeps plain under name, and what stood there under former.
func (s Secrets) Replace(ctx context.Context, name, former string, plain []byte) error {
	err := s.db.Update(ctx, func(tx *Tx) error {
		if err := tx.Hold(secretLabel(name)); err != nil {
			return err
		}
		old, err := tx.secret(name)
		if err == nil {
			err = tx.putSecret(former, old)
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		return tx.putSecret(name, plain)
	})
	if err != nil {
		return fmt.Errorf("replace secret %s: %w", name, err)
	}
	return nil
}

// Change keeps under name what next makes of what stands there, which must be
// something. The list of keys that next returns beside it stands in the stop
// journal too, see [Secrets.Noted]. If next returns an error nothing is changed.
func (s Secrets) Change(ctx context.Context, name string, next func(plain []byte) (kept, list []byte, err error)) error {
	err := s.db.Update(ctx, func(tx *Tx) error {
		if err := tx.Hold(secretLabel(name)); err != nil {
			return err
		}
		plain, err := tx.secret(name)
		if err != nil {
			return err
		}
		plain, list, err := next(plain)
		if err != nil {
			return err
		}
		era, err := tx.Era()
		if err != nil {
			return err
		}
		tx.stops = append(tx.stops, stopjournal.Record{Era: era, Keys: list})
		return tx.putSecret(name, plain)
	})
	if err != nil {
		return fmt.Errorf("change secret %s: %w", name, err)
	}
	return nil
}

// Noted is every list of keys there was, oldest first, also those that this
// database has forgotten because it was put back to an earlier state.
func (s Secrets) Noted(context.Context) (lists [][]byte, err error) {
	err = s.db.stops.Since(stopjournal.Mark{}, func(r stopjournal.Record) error {
		if r.Keys != nil {
			lists = append(lists, r.Keys)
		}
		return nil
	})
	return lists, err
}

func (tx *Tx) secret(name string) ([]byte, error) {
	sealed, err := one(tx, scanBytes, `SELECT sealed FROM secrets WHERE name = ?`, name)
	if err != nil {
		return nil, err
	}
	return tx.OpenMaster(secretLabel(name), sealed)
}

func (tx *Tx) putSecret(name string, plain []byte) error {
	return tx.exec(`INSERT INTO secrets (name, sealed, created) VALUES (?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, created = excluded.created`,
		name, tx.SealMaster(secretLabel(name), plain), tx.Millis())
}

func secretLabel(name string) string { return "secret " + name }
