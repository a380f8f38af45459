package programs

import (
	"errors"
	"fmt"
	"net"
	"os/user"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// A Peer is the process at the other end of a connection, as the kernel knew it
// when it connected.
type Peer struct {
	PID  int32
	UID  uint32
	GID  uint32 // the effective group
	Unit string // the systemd unit, if any and if it was asked for

	began uint64 // when the process started, where that has to tell it from others
}

// ErrNotUnix is returned for a connection that is none of a Unix socket.
var ErrNotUnix = errors.New("not a Unix socket")

// PeerOf asks the kernel who is connected. The unit costs a file to read and is
// looked up only when wanted.
func PeerOf(conn net.Conn, unit bool) (p Peer, err error) {
	err = onSocket(conn, func(fd int) error {
		cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			return err
		}
		p = Peer{PID: cred.Pid, UID: cred.Uid, GID: cred.Gid}
		if !kernelHoldsPeers() {
			p.began, _ = startOf(p.PID) // 0: it has ended, and has no unit
		}
		if unit {
			p.Unit = p.unitOf(fd)
		}
		return nil
	})
	if err != nil {
		return Peer{}, fmt.Errorf("peer: %w", err)
	}
	return p, nil
}

// Located is the peer with its unit, looked up now if it was not before.
func (p Peer) Located(conn net.Conn) Peer {
	if p.Unit == "" {
		// A connection that is gone has no unit.
		onSocket(conn, func(fd int) error { p.Unit = p.unitOf(fd); return nil })
	}
	return p
}

func onSocket(conn net.Conn, do func(fd int) error) error {
	uc, ok := conn.(*net.UnixConn)
	if !ok {
		return ErrNotUnix
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = do(int(fd)) })
	return errors.Join(err, failed)
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
