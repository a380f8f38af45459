package slots

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// MaxValue is how much a slot holds, in bytes.
const MaxValue = maxPlain - 8

// A Slot is one value in a file of two pages. Whoever uses one path does so
// from one process and one goroutine at a time.
type Slot struct {
	path string
	seal sealer
}

// NewSlot is the slot at path. Nothing is read or made. name is sealed in: a file
// copied over another does not open there.
func NewSlot(path string, seal [32]byte, name string) Slot {
	return Slot{path, newSealer(seal, "value\x00"+name)}
}

// Read is the newest value that can be read, and its number, which every write
// raises. A file that is not there is fs.ErrNotExist; one in which nothing can
// be read is ErrDamaged.
func (s Slot) Read() (value []byte, number uint64, err error) {
	f, err := os.Open(s.path)
	if err != nil {
		return nil, 0, fmt.Errorf("read slot: %w", err)
	}
	defer f.Close()
	value, number, _, err = s.newest(f)
	if err == nil && number == 0 {
		err = ErrDamaged
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read slot: %w", err)
	}
	return value, number, nil
}

// newest reads both pages; page is where the newest value stands. Number 0 means
// that there is none.
func (s Slot) newest(f *os.File) (value []byte, number uint64, page int, err error) {
	for i := range 2 {
		sealed := make([]byte, pageSize)
		if _, err := f.ReadAt(sealed, int64(i)*pageSize); unreadable(err) {
			continue
		} else if err != nil {
			return nil, 0, 0, err
		}
		for _, plain := range s.seal.open(i, sealed) {
			if len(plain) < 8 {
				continue
			}
			if n := binary.BigEndian.Uint64(plain); n > number {
				value, number, page = plain[8:], n, i
			}
		}
	}
	return value, number, page, nil
}

// Write replaces the value and returns when it is on the disk. The value before
// it stays in the other page. Only the first write needs room.
func (s Slot) Write(value []byte) error {
	if err := s.write(value); err != nil {
		return fmt.Errorf("write slot: %w", err)
	}
	return nil
}

func (s Slot) write(value []byte) error {
	f, err := openSync(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s.first(value)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() != 2*pageSize {
		return errors.Join(err, s.first(value)) // cut off: made anew
	}
	_, number, page, err := s.newest(f)
	if err != nil {
		return err
	}
	page = 1 - page
	sealed, err := s.seal.seal(page, numbered(number+1, value))
	if err != nil {
		return err
	}
	_, err = f.WriteAt(sealed, int64(page)*pageSize)
	return err
}

// first makes the file. Its second page is no value yet.
func (s Slot) first(value []byte) error {
	_, number, err := s.Read() // of what is left of a damaged one
	if err != nil {
		number = 0
	}
	a, err := s.seal.seal(0, numbered(number+1, value))
	if err != nil {
		return err
	}
	b, err := s.seal.seal(1, numbered(0, nil))
	if err != nil {
		return err
	}
	return Create(s.path, append(a, b...))
}

func numbered(n uint64, value []byte) []byte {
	return append(binary.BigEndian.AppendUint64(nil, n), value...)
}
