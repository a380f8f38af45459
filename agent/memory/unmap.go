package memory

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A mapping is a part of the address space that shows a file.
type mapping struct {
	start, end uintptr
	path       string
	writable   bool
	pristine   bool // no page of it was written: all stand in the file
}

// unmap takes the pages of the program's file out of this process. What is used
// next is mapped again, from the page cache, in pieces of 64 KB.
func unmap(proc string) error {
	program, err := os.Readlink(filepath.Join(proc, "exe"))
	if err != nil {
		return fmt.Errorf("give memory back: %w", err)
	}
	all, err := mappings(filepath.Join(proc, "smaps"))
	if err != nil {
		return fmt.Errorf("give memory back: %w", err)
	}
	for _, m := range all {
		if m.path != program || m.writable || !m.pristine {
			continue
		}
		if _, _, errno := unix.RawSyscall(unix.SYS_MADVISE, m.start, m.end-m.start, unix.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("give memory back: %w", errno)
		}
	}
	return nil
}

// mappings reads a file such as /proc/self/smaps (proc(5)). A mapping of which it
// is not said that it is pristine is not.
func mappings(path string) ([]mapping, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all []mapping
	for line := range strings.Lines(string(text)) {
		if m, ok := parse(line); ok {
			all = append(all, m)
		} else if rest, ok := strings.CutPrefix(line, "Anonymous:"); ok && len(all) > 0 {
			all[len(all)-1].pristine = strings.TrimSpace(rest) == "0 kB"
		}
	}
	return all, nil
}

// parse reads "00400000-007f3000 r-xp 00000000 fe:00 10133553    /usr/bin/agent".
func parse(line string) (m mapping, ok bool) {
	span, rest, _ := strings.Cut(line, " ")
	from, to, _ := strings.Cut(span, "-")
	start, err := strconv.ParseUint(from, 16, strconv.IntSize)
	end, err2 := strconv.ParseUint(to, 16, strconv.IntSize)
	if err != nil || err2 != nil || end <= start {
		return m, false
	}
	m.start, m.end = uintptr(start), uintptr(end)
	perms, rest, _ := strings.Cut(rest, " ")
	m.writable = strings.Contains(perms, "w")
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		m.path = strings.TrimSpace(rest[i:])
	}
	return m, true
}
