package stage

import (
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// A balancer passes TCP connections on to servers in turn. One that is not there
// is left out.
type balancer struct {
	listener net.Listener
	servers  []string
	next     atomic.Uint64
	wg       sync.WaitGroup

	mu    sync.Mutex
	open  map[net.Conn]bool
	ended bool
}

func newBalancer(listen string, servers ...string) (*balancer, error) {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("balancer: %w", err)
	}
	b := &balancer{listener: l, servers: servers, open: map[net.Conn]bool{}}
	b.wg.Go(b.accept)
	return b, nil
}

func (b *balancer) accept() {
	for {
		c, err := b.listener.Accept()
		if err != nil {
			return
		}
		b.wg.Go(func() { b.pass(c) })
	}
}

// dial reaches the server whose turn it is, or else the next.
func (b *balancer) dial() (net.Conn, error) {
	turn := b.next.Add(1)
	var err error
	for i := range b.servers {
		var c net.Conn
		if c, err = net.Dial("tcp", b.servers[(int(turn)+i)%len(b.servers)]); err == nil {
			return c, nil
		}
	}
	return nil, err
}

func (b *balancer) pass(in net.Conn) {
	defer in.Close()
	out, err := b.dial()
	if err != nil {
		return
	}
	defer out.Close()
	if !b.keep(in, out) {
		return
	}
	defer b.forget(in, out)
	var both sync.WaitGroup
	both.Go(func() { io.Copy(out, in); out.Close(); in.Close() })
	both.Go(func() { io.Copy(in, out); out.Close(); in.Close() })
	both.Wait()
}

func (b *balancer) keep(conns ...net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range conns {
		b.open[c] = true
	}
	return !b.ended
}

func (b *balancer) forget(conns ...net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range conns {
		delete(b.open, c)
	}
}

// Close ends the balancer and everything that goes through it.
func (b *balancer) Close() {
	b.listener.Close()
	b.mu.Lock()
	b.ended = true
	for c := range b.open {
		c.Close()
	}
	b.mu.Unlock()
	b.wg.Wait()
}
