package disk_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/cardea-id/cardea/internal/disk"
)

func TestSyncDir(t *testing.T) {
	dir := t.TempDir()
	if err := disk.SyncDir(dir); err != nil {
		t.Error(err)
	}
	if err := disk.SyncDir(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

// procfs has folders that can not be flushed.
func TestAFileSystemWithoutFlushing(t *testing.T) {
	if err := disk.SyncDir("/proc/self/fd"); err != nil {
		t.Error(err)
	}
}
