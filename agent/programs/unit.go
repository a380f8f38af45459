package programs

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// What is read in /proc is read by a process's id, which belongs to somebody else
// once the process has ended. So a unit counts only if the id still was the peer's
// after the reading:
//
//   - Linux 6.5 holds the peer of a socket by a pidfd, which tells whether it
//     lives, and is never another's.
//   - On an older kernel the id is the peer's as long as the process that has it
//     began when the peer did, which was noted when its connection was accepted.
//     An id that was given anew between the connecting and the accepting would
//     not be noticed; all ids there are would have to be used up meanwhile.

// peerPidfd, startOf and cgroupOf ask the kernel.
var (
	peerPidfd = func(fd int) (pidfd int, err error) {
		return unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEERPIDFD)
	}
	startOf  = readStart
	cgroupOf = func(pid int32) ([]byte, error) { return os.ReadFile(proc(pid, "cgroup")) }
)

func proc(pid int32, file string) string { return "/proc/" + strconv.Itoa(int(pid)) + "/" + file }

// unitOf names the peer's systemd unit, or "".
func (p Peer) unitOf(fd int) string {
	still, done := p.hold(fd)
	defer done()
	text, err := cgroupOf(p.PID)
	if err != nil || !still() {
		return ""
	}
	return parseUnit(string(text))
}

// hold returns what tells, after a reading, whether the id still is the peer's.
func (p Peer) hold(fd int) (still func() bool, done func()) {
	pidfd, err := peerPidfd(fd)
	switch {
	case err == nil:
		return func() bool { return lives(pidfd) }, func() { unix.Close(pidfd) }
	case p.began == 0: // it had ended, or the kernel would have held it
		return func() bool { return false }, func() {}
	}
	return func() bool { start, err := startOf(p.PID); return err == nil && start == p.began }, func() {}
}

func lives(pidfd int) bool {
	err := unix.PidfdSendSignal(pidfd, 0, nil, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// kernelHoldsPeers reports whether the kernel can hold a peer (Linux 6.5).
var kernelHoldsPeers = sync.OnceValue(func() bool {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	pidfd, err := peerPidfd(pair[0])
	if err != nil {
		return false
	}
	unix.Close(pidfd)
	return true
})

var errStat = errors.New("no stat of a process")

// readStart is when a process began: field 22 of /proc/<pid>/stat, in ticks
// since the boot (proc_pid_stat(5)).
func readStart(pid int32) (uint64, error) {
	text, err := os.ReadFile(proc(pid, "stat"))
	if err != nil {
		return 0, err
	}
	return parseStart(string(text))
}

// parseStart reads it. The second field is the program's name, in which anything
// may stand, so the fields are counted from its end.
func parseStart(stat string) (uint64, error) {
	end := strings.LastIndexByte(stat, ')')
	if end < 0 {
		return 0, errStat
	}
	fields := strings.Fields(stat[end+1:])
	const start = 22 - 3 // the first one here is the third
	if len(fields) <= start {
		return 0, errStat
	}
	ticks, err := strconv.ParseUint(fields[start], 10, 64)
	if err != nil || ticks == 0 {
		return 0, errStat
	}
	return ticks, nil
}

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
