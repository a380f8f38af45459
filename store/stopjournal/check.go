package stopjournal

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// room is what must be left for the next records, in bytes; it is set aside.
const room = 64 << 10

// Check proves that the disk has room for the next records and still flushes.
// After a flush that failed everything is refused, as after [Journal.Append].
func (j *Journal) Check() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken {
		return ErrBroken
	}
	err := unix.Fallocate(int(j.file.Fd()), unix.FALLOC_FL_KEEP_SIZE, j.size, room)
	if err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("stop journal: no room for what is stopped next: %w", err)
	}
	if err := j.file.Sync(); err != nil {
		j.broken = true
		return fmt.Errorf("stop journal: %w", err)
	}
	return nil
}
