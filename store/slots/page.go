// Package slots is what a device writes where nothing may fail: preallocated
// files, in which a change is one synchronous write of one page of 4 KB in
// place. Such a write needs no room on the disk and moves no other data.
//
// A [Slot] holds one small value, such as a refresh token, in two pages that
// are written in turn: the newest that can be read counts, so a page lost in a
// power cut leaves the value before it. A [Journal] holds what was denied on the
// device and is not known to the cloud yet, and up to where the state of each
// link has come.
//
// Every page is sealed with AES-256-GCM and bound to its file and place. What
// fits in half a page stands in it twice, so that the loss of a sector loses
// nothing. A page is never believed in part.
package slots

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/cardea-id/cardea/internal/disk"
)

var (
	// ErrDamaged is returned for a file in which nothing can be read.
	ErrDamaged = errors.New("a slot can not be read")
	// ErrTooBig is returned for a value that does not fit.
	ErrTooBig = errors.New("too big for a slot")
)

const (
	pageSize = 4096
	half     = pageSize / 2
	overhead = 12 + 16 + 2 // nonce, tag, length
	maxPlain = pageSize - overhead
)

// A sealer seals the pages of one file.
type sealer struct {
	aead  cipher.AEAD
	label string
}

func newSealer(key [32]byte, label string) sealer {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // the key has the right size
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return sealer{aead, label}
}

// place binds a copy to its file, page and part: 0 and 1 are the halves, 2 is
// the whole page.
func (s sealer) place(page, part int) []byte {
	return fmt.Appendf(nil, "cardea slot\x00%s\x00%d\x00%d", s.label, page, part)
}

// seal makes a page of a value, twice in it if there is room.
func (s sealer) seal(page int, plain []byte) ([]byte, error) {
	switch {
	case len(plain) > maxPlain:
		return nil, ErrTooBig
	case len(plain) > half-overhead:
		return s.part(nil, page, 2, pageSize, plain), nil
	}
	out := s.part(make([]byte, 0, pageSize), page, 0, half, plain)
	return s.part(out, page, 1, half, plain), nil
}

// part appends one sealed copy of exactly size bytes.
func (s sealer) part(out []byte, page, part, size int, plain []byte) []byte {
	padded := make([]byte, size-overhead+2)
	binary.BigEndian.PutUint16(padded, uint16(len(plain)))
	copy(padded[2:], plain)
	return s.aead.Seal(out, nil, padded, s.place(page, part))
}

// open returns every copy of a page that can be read.
func (s sealer) open(page int, sealed []byte) (copies [][]byte) {
	if len(sealed) != pageSize {
		return nil
	}
	for part, text := range [][]byte{sealed[:half], sealed[half:], sealed} {
		padded, err := s.aead.Open(nil, nil, text, s.place(page, part))
		if err != nil {
			continue
		}
		if n := int(binary.BigEndian.Uint16(padded)); n <= len(padded)-2 {
			copies = append(copies, padded[2:2+n])
		}
	}
	return copies
}

// unreadable reports whether reading a page failed because it is cut off, or the
// disk does not give it.
func unreadable(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, syscall.EIO) }

// openSync opens a file whose writes return after they are on the disk.
func openSync(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|syscall.O_DSYNC, 0o600)
}

// Create writes a file whole, for the eyes of its owner only: it appears complete,
// with its name, or not at all.
func Create(path string, content []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".slot-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it has its name
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return disk.SyncDir(dir)
}

// Wipe overwrites a file of this package with zeros, on the disk, and deletes it.
// A flash that writes elsewhere than it is told keeps what it keeps. One that is
// not there is no error.
func Wipe(path string) error {
	if err := Zero(path); err != nil {
		return err
	}
	return Remove(path)
}

// Zero overwrites a file with zeros, on the disk. One that is not there is no
// error.
func Zero(path string) error {
	f, err := openSync(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("overwrite: %w", err)
	}
	if err := errors.Join(ZeroFile(f), f.Close()); err != nil {
		return fmt.Errorf("overwrite: %w", err)
	}
	return nil
}

// ZeroFile overwrites an open file with zeros and flushes it.
func ZeroFile(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	for at, zeros := int64(0), make([]byte, 64<<10); at < info.Size(); at += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), info.Size()-at)], at); err != nil {
			return err
		}
	}
	return f.Sync()
}

// Remove deletes a file of this package. One that is not there is no error.
func Remove(path string) error {
	if err := os.Remove(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("remove slot: %w", err)
	}
	return disk.SyncDir(filepath.Dir(path))
}
