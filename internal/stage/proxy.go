package stage

import (
	"fmt"
	"io"
	"net"
	"sync"
)

// A Proxy is a cable between a device and a server that can be pulled: it
// passes TCP connections on, or breaks those there are and refuses new ones.
type Proxy struct {
	listener net.Listener
	target   string
	wg       sync.WaitGroup

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]bool
	tap   func(conn int, sent []byte)
	made  int // connections
}

// NewProxy passes what comes to listen, host:port, on to target.
func NewProxy(listen, target string) (*Proxy, error) {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	p := &Proxy{listener: l, target: target, conns: map[net.Conn]bool{}}
	p.wg.Go(p.accept)
	return p, nil
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Cut pulls the cable, or plugs it in again.
func (p *Proxy) Cut(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = cut
	if !cut {
		return
	}
	for c := range p.conns {
		c.Close()
	}
}

// Tap has f told what those who connect from now on send, the bytes of each
// connection in their order.
func (p *Proxy) Tap(f func(conn int, sent []byte)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tap = f
}

// tapped is what a connection sends, on its way past the tap.
func (p *Proxy) tapped(c net.Conn) io.Reader {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.made++
	if p.tap == nil {
		return c
	}
	return io.TeeReader(c, tap{p.tap, p.made})
}

type tap struct {
	told func(conn int, sent []byte)
	conn int
}

func (t tap) Write(b []byte) (int, error) {
	t.told(t.conn, b)
	return len(b), nil
}

// Close ends the proxy and everything that goes through it.
func (p *Proxy) Close() {
	p.listener.Close()
	p.Cut(true)
	p.wg.Wait()
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.pass(c) })
	}
}

// pass joins c with a connection to the target until either ends.
func (p *Proxy) pass(c net.Conn) {
	defer c.Close()
	if !p.keep(c) {
		return
	}
	defer p.forget(c)
	out, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer out.Close()
	if !p.keep(out) {
		return
	}
	defer p.forget(out)
	var both sync.WaitGroup
	both.Go(func() { io.Copy(out, p.tapped(c)); out.Close(); c.Close() })
	both.Go(func() { io.Copy(c, out); out.Close(); c.Close() })
	both.Wait()
}

// keep remembers a connection so that Cut can break it; false while cut.
func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut {
		return false
	}
	p.conns[c] = true
	return true
}

func (p *Proxy) forget(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}
