package localapi

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/cardea-id/cardea/agent/programs"
)

// Faults of the socket.
var (
	// ErrInUse: somebody answers at the socket's path.
	ErrInUse = errors.New("another agent answers there: stop it, or choose another socket")
	// ErrNotSocket: the path is something else, which is left alone.
	ErrNotSocket = errors.New("is there and no socket: move it away, or choose another path")
)

// Listen opens the agent's socket: the one systemd hands over, if it does, or
// else the one at path with mode 0660 and the group, a name or a number; ""
// leaves the process's own. A socket left behind by an agent that died is
// replaced.
func Listen(path, group string) (net.Listener, error) {
	if l, err := activated(); l != nil || err != nil {
		return queued(l, err)
	}
	if err := removeStale(path); err != nil {
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	if err := openTo(path, group); err != nil {
		l.Close()
		return nil, fmt.Errorf("socket: %w", err)
	}
	return queued(l, nil)
}

// maxQueue is how many connections wait to be accepted at most. Whoever comes
// after them waits too, and is served in their turn; with the kernel's own bound,
// 4096, one program's flood is what everybody stands behind.
const maxQueue = 128

func queued(l net.Listener, err error) (net.Listener, error) {
	if err != nil {
		return nil, err
	}
	raw, err := l.(*net.UnixListener).SyscallConn()
	if err == nil {
		var failed error
		err = raw.Control(func(fd uintptr) { failed = syscall.Listen(int(fd), maxQueue) })
		err = errors.Join(err, failed)
	}
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("socket: %w", err)
	}
	return l, nil
}

// removeStale removes a socket nobody listens at. Two agents that start at once
// can not both come here: the device database is locked by then.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return ErrNotSocket
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		conn.Close()
		return ErrInUse
	}
	// Only a refusal proves that nobody listens; a full queue is an answer.
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%w (%w)", ErrInUse, err)
	}
	return os.Remove(path)
}

func openTo(path, group string) error {
	if group != "" {
		gid, err := programs.GroupID(group)
		if err != nil {
			return err
		}
		if err := os.Chown(path, -1, int(gid)); err != nil {
			return err
		}
	}
	return os.Chmod(path, 0o660)
}

// activated takes the listening socket systemd passes as descriptor 3
// (sd_listen_fds(3)); nil if there is none. Mode and group are then the
// socket unit's.
func activated() (net.Listener, error) {
	pid, n := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS")
	if pid != strconv.Itoa(os.Getpid()) || n == "" {
		return nil, nil
	}
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		os.Unsetenv(name) // a child must not take it for its own
	}
	if n != "1" {
		return nil, fmt.Errorf("socket activation: one socket is wanted, %.8q were passed: set one ListenStream=", n)
	}
	const firstFD = 3
	syscall.CloseOnExec(firstFD)
	f := os.NewFile(firstFD, "LISTEN_FDS")
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("socket activation: %w", err)
	}
	if _, ok := l.(*net.UnixListener); !ok {
		l.Close()
		return nil, fmt.Errorf("socket activation: %w: set ListenStream= to a path", programs.ErrNotUnix)
	}
	return l, nil
}
