package client

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

const (
	// dialTime is how long a place in the agent's queue is waited for.
	dialTime = 5 * time.Second
	// dialPart is how long before it is looked whether anybody still wants it.
	dialPart = 100 * time.Millisecond
)

// dial waits where so many connect at once that the kernel's queue is full.
func dial(ctx context.Context, socket string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if !errors.Is(err, syscall.EAGAIN) {
		return conn, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	for ctx.Err() == nil {
		if conn, err = inQueue(socket); !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR) {
			return conn, err
		}
	}
	return nil, err
}

// inQueue connects as connect(2) does where it may block: the kernel wakes it when
// there is a place, and those who only try again and again have no advantage.
func inQueue(socket string) (net.Conn, error) {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	file := os.NewFile(uintptr(fd), socket)
	defer file.Close()
	wait := syscall.NsecToTimeval(int64(dialPart))
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, &wait); err != nil {
		return nil, os.NewSyscallError("setsockopt", err)
	}
	if err := syscall.Connect(fd, &syscall.SockaddrUnix{Name: socket}); err != nil {
		return nil, os.NewSyscallError("connect", err)
	}
	return net.FileConn(file)
}
