package cloud

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// lastHandshakes is how long connections that are being made may still be
	// taken, when no new ones are.
	lastHandshakes = 100 * time.Millisecond
	// lastAnswers is how long requests under way may take.
	lastAnswers = 20 * time.Second
)

// A listener can stop being connected to without resetting anybody: closing it
// alone would reset whoever is connected and was not yet accepted.
type listener struct{ *net.TCPListener }

// listen listens at an address, as "host:port".
func listen(ctx context.Context, address string) (*listener, error) {
	var c net.ListenConfig
	c.SetMultipathTCP(false) // whose sockets take no filter
	l, err := c.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &listener{TCPListener: l.(*net.TCPListener)}, nil
}

// Accept ends, as after Close, when everybody is in who was there at Finish.
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.TCPListener.Accept()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, net.ErrClosed
	}
	return c, err
}

// Finish lets nobody new in. The kernel drops the first packet of a connection,
// which its sender repeats after a second: by then another process may listen,
// or nobody, and the connection is refused. An error says that this kernel does
// not, and that the last to come may be reset.
func (l *listener) Finish() error {
	err := l.dropSYN()
	return errors.Join(err, l.SetDeadline(time.Now().Add(lastHandshakes)))
}

// dropSYN has the kernel look at the flags of each packet to the listening
// socket; they are in byte 13 of the TCP header (RFC 9293, Section 3.1).
func (l *listener) dropSYN() error {
	const flags, syn = 13, 2
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: flags},
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: syn, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},          // drop
		{Code: unix.BPF_RET | unix.BPF_K, K: ^uint32(0)}, // pass
	}
	raw, err := l.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
		failed = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program)
	})
	return errors.Join(err, failed)
}

// drain ends HTTP in an order in which nobody is cut off: balancers are told to
// look elsewhere and given time to, held requests are answered, nobody new is let
// in, and whoever is in has an answer.
func (c *cloud) drain(served <-chan struct{}) error {
	c.health.Drain()
	time.Sleep(c.config.DrainWait)
	c.issuer.Close()
	close(c.ending)
	c.live.Close()
	return c.shut(c.door, c.http, served)
}

// shut lets nobody in at a door any more and waits for those who are. served is
// closed when the server accepts nobody.
func (c *cloud) shut(door *listener, s *http.Server, served <-chan struct{}) error {
	if err := door.Finish(); err != nil {
		c.log.Warn("the last connections may be reset", "err", err)
	}
	<-served
	end, cancel := context.WithTimeout(context.Background(), lastAnswers)
	defer cancel()
	return s.Shutdown(end)
}

// parting tells who is answered while the cloud is about to end to connect anew
// for the next request, so that no connection is closed in the middle of one.
func (c *cloud) parting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.health.Draining() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}
