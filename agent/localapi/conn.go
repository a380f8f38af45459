package localapi

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
)

// Bounds of the socket.
const (
	maxConns        = 512      // in all
	maxConnsPerUser = 64       // so that one program can not shut out the others
	sendBuffer      = 32 << 10 // what a slow watcher can be behind, in bytes
)

// A door wraps the listening socket: it finds out who connected before a byte
// is read, and closes what is over the bounds.
type door struct {
	net.Listener
	registry *Registry
	log      *slog.Logger

	mu    sync.Mutex
	conns map[uint32]int // by user
	total int
}

// A conn knows its caller for as long as it lives.
type conn struct {
	net.Conn
	caller caller
	once   sync.Once
	leave  func()
}

func (c *conn) Close() error {
	c.once.Do(c.leave)
	return c.Conn.Close()
}

// Accept returns the next connection that is let in.
func (d *door) Accept() (net.Conn, error) {
	for {
		raw, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c, err := d.greet(raw)
		if err == nil {
			return c, nil
		}
		d.log.Warn("connection refused", "err", err)
		raw.Close()
	}
}

var errTooMany = errors.New("too many connections of this user")

func (d *door) greet(raw net.Conn) (*conn, error) {
	peer, err := peerOf(raw, d.registry.units)
	if err != nil {
		return nil, err
	}
	if !d.enter(peer.UID) {
		return nil, errTooMany
	}
	raw.(*net.UnixConn).SetWriteBuffer(sendBuffer)
	program, _ := d.registry.Match(peer)
	return &conn{Conn: raw, caller: caller{peer, program, raw}, leave: func() { d.exit(peer.UID) }}, nil
}

func (d *door) enter(uid uint32) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.total >= maxConns || d.conns[uid] >= maxConnsPerUser {
		return false
	}
	d.total++
	d.conns[uid]++
	return true
}

func (d *door) exit(uid uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.total--
	if d.conns[uid]--; d.conns[uid] == 0 {
		delete(d.conns, uid)
	}
}

type callerKey struct{}

// withCaller carries the caller from the connection to the one place that takes
// it out again: http.Server offers no other way.
func withCaller(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, callerKey{}, c.(*conn).caller)
}
