package client

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"
)

// dialTime is how long a place in the agent's queue is waited for.
const dialTime = 5 * time.Second

// dial waits where so many connect at once that the kernel's queue is full, as a
// blocking connect(2) does.
func dial(ctx context.Context, socket string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	for pause := time.Millisecond; ; pause = min(2*pause, 4*time.Millisecond) {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
		if !errors.Is(err, syscall.EAGAIN) {
			return conn, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, err
		}
	}
}
