package devicedb

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
)

// Probe walks the whole file at path and returns ErrDamaged for the first
// inconsistency. A file of nonsense may also end the process, by a panic, a
// fault or endless recursion: it is for a process that may be lost. It needs no
// key and changes nothing. No file, or an empty one, is sound.
func Probe(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil
	}
	bolt, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout, ReadOnly: true, FreelistType: bbolt.FreelistMapType})
	if errors.Is(err, bbolterrors.ErrTimeout) {
		return ErrLocked
	}
	if err != nil {
		if _, ok := errors.AsType[*fs.PathError](err); ok {
			return fmt.Errorf("probe device database: %w", err)
		}
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	defer bolt.Close()
	return bolt.View(func(tx *bbolt.Tx) error {
		var first error
		for err := range tx.Check() {
			if first == nil {
				first = fmt.Errorf("%w: %w", ErrDamaged, err)
			}
		}
		if first != nil {
			return first
		}
		return tx.ForEach(func(_ []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(_, value []byte) error { readAll(value); return nil })
		})
	})
}

// readAll touches every byte, so that what was mapped and is not there shows.
func readAll(b []byte) (sum byte) {
	for _, x := range b {
		sum ^= x
	}
	return sum
}

// Ours reports whether the files beside the database at path are sealed with this
// key. A database that says it is another device's is then only damaged.
func Ours(path string, seal [32]byte) bool {
	db := &DB{key: seal, base: baseOf(path)}
	for _, id := range db.slotted() {
		if _, err := db.readSlot(id); err == nil {
			return true
		}
	}
	return false
}

// Beside are the files that belong to the database at path, itself aside.
func Beside(path string) []string {
	db := &DB{base: baseOf(path)}
	names := []string{db.base + journalSuffix}
	for _, id := range db.slotted() {
		names = append(names, db.slotPath(id))
	}
	for _, id := range db.named(farewellSuffix) {
		names = append(names, db.farewellPath(id))
	}
	return names
}
