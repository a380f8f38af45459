package localapi

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Peer is the process at the other end of a connection, as the kernel knew it
// when it connected.
type Peer struct {
	PID  int32
	UID  uint32
	GID  uint32 // the effective group
	Unit string // the systemd unit, if any and if a rule asks for one
}

var errNotUnix = errors.New("not a Unix socket")

// peerOf asks the kernel who is connected. The unit costs a file to read and is
// looked up only when wanted.
func peerOf(conn net.Conn, unit bool) (Peer, error) {
	uc, ok := conn.(*net.UnixConn)
	if !ok {
		return Peer{}, errNotUnix
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return Peer{}, fmt.Errorf("peer: %w", err)
	}
	var p Peer
	var failed error
	err = raw.Control(func(fd uintptr) {
		var cred *unix.Ucred
		if cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); failed != nil {
			return
		}
		p = Peer{PID: cred.Pid, UID: cred.Uid, GID: cred.Gid}
		if unit {
			p.Unit = unitOf(int(fd), cred.Pid)
		}
	})
	if err = errors.Join(err, failed); err != nil {
		return Peer{}, fmt.Errorf("peer: %w", err)
	}
	return p, nil
}

// unitOf names the peer's systemd unit, or "". A process id alone could by now
// belong to somebody else, so the peer is held by a pidfd while its cgroup is
// read. A kernel before 6.5 has none for sockets; no unit matches there.
func unitOf(fd int, pid int32) string {
	pidfd, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEERPIDFD)
	if err != nil {
		return ""
	}
	defer unix.Close(pidfd)
	text, err := os.ReadFile("/proc/" + strconv.Itoa(int(pid)) + "/cgroup")
	if err != nil {
		return ""
	}
	// Still alive after the reading: what was read was the peer's.
	if err := unix.PidfdSendSignal(pidfd, 0, nil, 0); err != nil && !errors.Is(err, syscall.EPERM) {
		return ""
	}
	return parseUnit(string(text))
}

// kernelNamesUnits reports whether the kernel can hold a peer (Linux 6.5).
var kernelNamesUnits = sync.OnceValue(func() bool {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	pidfd, err := unix.GetsockoptInt(pair[0], unix.SOL_SOCKET, unix.SO_PEERPIDFD)
	if err != nil {
		return false
	}
	unix.Close(pidfd)
	return true
})

// parseUnit finds the unit in /proc/<pid>/cgroup: the first part of systemd's
// path that is no slice. What follows it is the unit's own to name and counts
// for nothing, so that "user@1000.service/speaker-ui.service" is not the
// system's speaker-ui.service.
func parseUnit(cgroup string) string {
	for line := range strings.Lines(cgroup) {
		// "0::/path" is the unified hierarchy, "1:name=systemd:/path" the one before.
		_, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		controllers, path, ok := strings.Cut(rest, ":")
		if !ok || controllers != "" && controllers != "name=systemd" {
			continue
		}
		if unit := firstUnit(path); unit != "" {
			return unit
		}
	}
	return ""
}

func firstUnit(path string) string {
	path, ok := strings.CutPrefix(path, "/")
	if !ok {
		return ""
	}
	for part := range strings.SplitSeq(path, "/") {
		switch {
		case strings.HasSuffix(part, ".slice"):
		case isUnit(part):
			return part
		default:
			return ""
		}
	}
	return ""
}

func isUnit(name string) bool {
	return len(name) <= 255 && (strings.HasSuffix(name, ".service") || strings.HasSuffix(name, ".scope")) && !strings.HasPrefix(name, ".")
}

// inGroup reports whether the peer runs as the group or the user database puts
// its user there.
func (p Peer) inGroup(gid uint32) bool {
	if p.GID == gid {
		return true
	}
	u, err := user.LookupId(strconv.FormatUint(uint64(p.UID), 10))
	if err != nil {
		return false
	}
	groups, err := u.GroupIds()
	return err == nil && slices.Contains(groups, strconv.FormatUint(uint64(gid), 10))
}
