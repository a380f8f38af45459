package localapi

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/cardea-id/cardea/agent/programs"
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
	registry *programs.Registry
	log      *slog.Logger

	mu    sync.Mutex
	conns map[uint32]int // by user
	total int
}

// A conn knows its caller for as long as it lives.
type conn struct {
	net.Conn
	caller caller
	carry  *carrier
	once   sync.Once
	leave  func()
}

func (c *conn) Close() error {
	c.once.Do(c.leave)
	c.carry.give(nil)
	return c.Conn.Close()
}

// A carrier holds a file that goes with the next bytes to the caller.
type carrier struct {
	mu   sync.Mutex
	file *os.File
}

// give takes a file to be carried, which is closed whether it arrives or not.
func (c *carrier) give(file *os.File) {
	if old := c.take(); old != nil {
		old.Close()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.file = file
}

func (c *carrier) take() *os.File {
	c.mu.Lock()
	defer c.mu.Unlock()
	file := c.file
	c.file = nil
	return file
}

// Write sends the file that is carried along with the first byte (SCM_RIGHTS,
// unix(7)).
func (c *conn) Write(b []byte) (int, error) {
	file := c.carry.take()
	if file == nil {
		return c.Conn.Write(b)
	}
	defer file.Close()
	n, _, err := c.Conn.(*net.UnixConn).WriteMsgUnix(b, unix.UnixRights(int(file.Fd())), nil)
	if err != nil || n == len(b) {
		return n, err
	}
	more, err := c.Conn.Write(b[n:])
	return n + more, err
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
	peer, err := programs.PeerOf(raw, d.registry.Units())
	if err != nil {
		return nil, err
	}
	if !d.enter(peer.UID) {
		return nil, errTooMany
	}
	raw.(*net.UnixConn).SetWriteBuffer(sendBuffer)
	program, _ := d.registry.Match(peer)
	carry := new(carrier)
	return &conn{Conn: raw, caller: caller{peer, program, raw, carry}, carry: carry, leave: func() { d.exit(peer.UID) }}, nil
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
