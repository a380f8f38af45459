// Package listentest is for tests that need somebody who listens: it promises an
// address of this machine's loopback, until the test ends.
package listentest

import (
	"net"
	"testing"
)

// Serve hands each connection over, on a goroutine of its own, and closes it when
// it is handed back. Closing the listener lets nobody in any more.
func Serve(t testing.TB, serve func(net.Conn)) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
	return l
}
