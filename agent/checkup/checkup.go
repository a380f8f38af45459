// Package checkup looks at the machine an agent runs on: whether the file system
// below its state can do what the agent needs, how long the disk takes to keep
// something, and who may open its socket. What can be tried is tried, in a file
// of its own that it removes; a name is only believed where nothing else tells.
package checkup

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cardea-id/cardea/agent/client"
)

// A Machine is what is looked at.
type Machine struct {
	StateDir string // where the agent keeps its state
	Socket   string // its path; "" if it has none
}

// Bounds of what is well.
const (
	slowFlush  = 100 * time.Millisecond // whoever says stop waits for one
	littleRoom = 4 << 20                // bytes
)

const (
	flushes  = 5
	pageSize = 4096
)

// Check looks at everything, and gives up measuring when ctx ends.
func (m Machine) Check(ctx context.Context) []client.Finding {
	return []client.Finding{m.socket(), m.files(), m.flush(ctx)}
}

func act(check, found, remedy string) client.Finding {
	return client.Finding{Check: check, State: client.FindAct, Found: found, Remedy: remedy}
}

// socket looks at who may open it. What each may ask then is for apps.d.
func (m Machine) socket() client.Finding {
	f := client.Finding{Check: "socket", State: client.FindOK, Found: "handed over without a path"}
	if m.Socket == "" {
		return f
	}
	info, err := os.Lstat(m.Socket)
	if err != nil || info.Mode().Type() != fs.ModeSocket {
		return act("socket", m.Socket+" is gone, though the agent listens", "restart the agent, and see who removes it")
	}
	mode := info.Mode().Perm()
	group := groupOf(info)
	f.Found = fmt.Sprintf("%s, mode %04o, group %s", m.Socket, mode, group)
	switch {
	case mode&0o006 != 0:
		return act("socket", f.Found+": everybody may open it", "chmod 0660 it, or SocketMode=0660 in the socket unit")
	case mode&0o060 != 0o060:
		return act("socket", f.Found+": only root and the agent may open it", "set socket_group, or SocketGroup= and SocketMode=0660 in the socket unit")
	}
	return f
}

func groupOf(info fs.FileInfo) string {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "unknown"
	}
	id := strconv.FormatUint(uint64(st.Gid), 10)
	if g, err := user.LookupGroupId(id); err == nil {
		return g.Name
	}
	return id
}

// files tries whether files can be mapped, and looks at where they lie.
func (m Machine) files() client.Finding {
	var st unix.Statfs_t
	if err := unix.Statfs(m.StateDir, &st); err != nil {
		return act("files", "the state folder can not be looked at", "see whether "+m.StateDir+" is still mounted")
	}
	kind := kindOf(int64(st.Type))
	room := int64(st.Bavail) * int64(st.Bsize)
	f := client.Finding{Check: "files", State: client.FindOK, Found: fmt.Sprintf("%s on %s, files can be mapped, %d MB free", m.StateDir, kind, room>>20)}
	switch {
	case slices.Contains(inMemory, kind):
		f = act("files", fmt.Sprintf("%s is on %s, which forgets at power-off", m.StateDir, kind), "set state_dir to a folder on the disk")
	case slices.Contains(elsewhere, kind):
		f = act("files", fmt.Sprintf("%s is on %s, which can not be relied on to keep what it said it kept", m.StateDir, kind), "set state_dir to a folder on the device's own disk")
	case room < littleRoom:
		f = act("files", fmt.Sprintf("%s has %d KB left", m.StateDir, room>>10), "make room: a stop is still kept, other decisions may not be")
	default:
		if err := mapped(m.StateDir); err != nil {
			f = act("files", fmt.Sprintf("%s on %s: files can not be mapped", m.StateDir, kind), "set state_dir to a folder on ext4, f2fs or ubifs")
		}
	}
	f.Figures = map[string]int64{"free_bytes": room}
	return f
}

// scratch makes a file beside the state, which has no name any more when f
// sees it.
func scratch(dir string, f func(*os.File) error) error {
	file, err := os.CreateTemp(dir, ".check-*")
	if err != nil {
		return err
	}
	defer file.Close()
	if err := os.Remove(file.Name()); err != nil {
		return err
	}
	return f(file)
}

// mapped maps a page as the database does.
func mapped(dir string) error {
	return scratch(filepath.Clean(dir), func(file *os.File) error {
		if err := file.Truncate(pageSize); err != nil {
			return err
		}
		page, err := unix.Mmap(int(file.Fd()), 0, pageSize, unix.PROT_READ, unix.MAP_SHARED)
		if err != nil {
			return err
		}
		return unix.Munmap(page)
	})
}

// flush measures what a stop waits for: one page, written and on the disk.
func (m Machine) flush(ctx context.Context) client.Finding {
	var took []uint64 // a type of its own would bring a sort of its own
	err := scratch(m.StateDir, func(file *os.File) error {
		page := make([]byte, pageSize)
		for i := range flushes {
			page[0] = byte(i + 1)
			began := time.Now()
			if _, err := file.WriteAt(page, 0); err != nil {
				return err
			}
			if err := unix.Fdatasync(int(file.Fd())); err != nil {
				return err
			}
			took = append(took, uint64(time.Since(began)))
			if ctx.Err() != nil {
				break
			}
		}
		return nil
	})
	if err != nil {
		return act("flush", "the disk does not take a page: "+cause(err), "make room, or replace the storage: until then nothing new is allowed")
	}
	slices.Sort(took)
	return flushed(time.Duration(took[len(took)/2]), time.Duration(took[len(took)-1]))
}

// flushed judges by the median: one flush in five may meet another program's.
func flushed(median, worst time.Duration) client.Finding {
	f := client.Finding{Check: "flush", State: client.FindOK, Found: fmt.Sprintf("a page is on the disk in %s, at worst %s", short(median), short(worst))}
	if median > slowFlush {
		f = act("flush", f.Found, "a stop takes as long: see what else writes to this disk, or choose a faster one")
	}
	f.Figures = map[string]int64{"median_us": median.Microseconds(), "worst_us": worst.Microseconds()}
	return f
}

func short(d time.Duration) string {
	if d < time.Millisecond {
		return d.Round(time.Microsecond).String()
	}
	return d.Round(100 * time.Microsecond).String()
}

// cause is the system's word alone: the path is nobody's business here.
func cause(err error) string {
	for {
		inner, ok := err.(interface{ Unwrap() error })
		if !ok {
			return err.Error()
		}
		err = inner.Unwrap()
	}
}
