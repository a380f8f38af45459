package localapi

import (
	"context"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cardea-id/cardea/agent/programs"
)

// sendBuffer is what a slow watcher can be behind, in bytes.
const sendBuffer = 32 << 10

// A door wraps the listening socket: it finds out who connected before a byte
// is read, and closes what is over the bounds.
type door struct {
	net.Listener
	registry *programs.Registry
	log      *slog.Logger
	crowd    *crowd
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
		raw.Close()
	}
}

func (d *door) greet(raw net.Conn) (*conn, error) {
	peer, err := programs.PeerOf(raw, d.registry.Units())
	if err != nil {
		d.log.Debug("connection refused", "err", err)
		return nil, err
	}
	program, known := d.registry.Match(peer)
	most := maxConnsOfUser
	if !known {
		most = maxConnsOfStranger
	}
	u, now := d.crowd.of(peer.UID), time.Now()
	if err := u.enter(most, now); err != nil {
		if with, write := u.refusal(now); write {
			d.log.LogAttrs(context.Background(), slog.LevelWarn, "connection refused",
				append(with, slog.Any("err", err), slog.Uint64("uid", uint64(peer.UID)), slog.Int("pid", int(peer.PID)))...)
		}
		return nil, err
	}
	raw.(*net.UnixConn).SetWriteBuffer(sendBuffer)
	carry := new(carrier)
	return &conn{Conn: raw, caller: caller{peer, program, raw, carry, u}, carry: carry, leave: u.leave}, nil
}

type callerKey struct{}

// withCaller carries the caller from the connection to the one place that takes
// it out again: http.Server offers no other way.
func withCaller(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, callerKey{}, c.(*conn).caller)
}
