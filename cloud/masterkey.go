package cloud

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cardea-id/cardea/internal/disk"
	"github.com/cardea-id/cardea/store/accountdb"
)

// readMasterKey reads the key that seals everything.
func readMasterKey(path string) (accountdb.Key, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return accountdb.Key{}, fmt.Errorf("master key: %w", err)
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(raw) != len(accountdb.Key{}) {
		return accountdb.Key{}, fmt.Errorf("master key: %s does not hold a key: put it back from its backup", path)
	}
	return accountdb.Key(raw), nil
}

// newMasterKey makes a key and has it on the disk before anything is sealed
// under it. It gets its name only when it is whole, so that a crash leaves a key
// or none; a key that somebody else has put there meanwhile stays.
func newMasterKey(path string) (accountdb.Key, error) {
	k := accountdb.NewKey()
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // 0600
	if err != nil {
		return k, fmt.Errorf("master key: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(base64.RawURLEncoding.EncodeToString(k[:]) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return k, fmt.Errorf("master key: %w", err)
	}
	if err = os.Link(f.Name(), path); err == nil {
		err = disk.SyncDir(filepath.Dir(path))
	}
	if err != nil {
		return k, fmt.Errorf("master key: %w", err)
	}
	return k, nil
}
