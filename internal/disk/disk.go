// Package disk has the one thing about files that the standard library leaves to
// its caller: that a new name is on the disk. A file that was written, flushed and
// renamed may have its old name after a power cut, or none, until its folder is
// flushed as well.
package disk

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// SyncDir returns when what was made, renamed or removed in a folder is on the
// disk. A file system that has no such thing is no error: its names are as sure as
// they can be.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, fs.ErrInvalid) || errors.Is(err, syscall.EINVAL) {
		err = nil
	}
	return errors.Join(err, d.Close())
}
