package localapi

import (
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/cardea-id/cardea/internal/web"
)

// Bounds of the socket. Those of one user of the system keep a program of theirs
// from shutting out everybody else's.
const (
	maxConns           = 512 // in all
	maxConnsOfUser     = 64
	maxConnsOfStranger = 8 // for whom no file is: they may ask who they are
	maxWatchesOfUser   = 16
	maxRemoteOfUser    = 32 // calls that wait for the server

	// A user connects so often in a row after a rest, and once in so long.
	connBurst = 1000
	connEvery = 250 * time.Microsecond

	// The refusals of a user are written into the log so often in so long; what is
	// over is counted, and told with the next one.
	maxRefusals  = 20
	refusalsTime = time.Minute

	maxUsers = 256 // that are remembered while they are not connected
)

var (
	errTooMany  = errors.New("too many connections of this user")
	errTooOften = errors.New("this user connects too often")
)

// A crowd is the users of the system that are connected, or were.
type crowd struct {
	mu    sync.Mutex
	users map[uint32]*user
	total int // connections
}

func newCrowd() *crowd { return &crowd{users: map[uint32]*user{}} }

// A user is one of the system's, with all that is theirs.
type user struct {
	crowd                  *crowd
	uid                    uint32
	conns, watches, remote int

	next time.Time // when the connections there were are made up for

	refused            time.Time // the first of those that were counted
	written, unwritten int
}

// of is the user with the number.
func (c *crowd) of(uid uint32) *user {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := c.users[uid]
	if u == nil {
		c.forget()
		u = &user{crowd: c, uid: uid}
		c.users[uid] = u
	}
	return u
}

// forget makes room. Somebody is many users; what they have open still counts.
func (c *crowd) forget() {
	if len(c.users) < maxUsers {
		return
	}
	for uid, u := range c.users {
		if u.conns == 0 {
			delete(c.users, uid)
		}
	}
}

// enter lets another connection of the user in, of so many at most.
func (u *user) enter(most int, now time.Time) error {
	u.crowd.mu.Lock()
	defer u.crowd.mu.Unlock()
	if u.crowd.total >= maxConns || u.conns >= most {
		return errTooMany
	}
	if u.next.Sub(now) > connBurst*connEvery {
		return errTooOften
	}
	if u.next.Before(now) {
		u.next = now
	}
	u.next = u.next.Add(connEvery)
	u.crowd.total++
	u.conns++
	u.crowd.users[u.uid] = u // if they were forgotten meanwhile
	return nil
}

func (u *user) leave() {
	u.crowd.mu.Lock()
	defer u.crowd.mu.Unlock()
	u.crowd.total--
	u.conns--
}

// refusal reports whether another refusal of the user's is written down, and with
// what. A log stays readable, and does not fill a disk, while somebody is refused
// over and over.
func (u *user) refusal(now time.Time) (with []slog.Attr, write bool) {
	u.crowd.mu.Lock()
	defer u.crowd.mu.Unlock()
	if now.Sub(u.refused) >= refusalsTime {
		if u.unwritten > 0 {
			with = append(with, slog.Int("unwritten", u.unwritten))
		}
		u.refused, u.written, u.unwritten = now, 0, 0
	}
	if u.written == maxRefusals {
		u.unwritten++
		return nil, false
	}
	u.written++
	return with, true
}

// watching counts a watch until done is called.
func (c *call) watching() (done func(), err error) {
	u := c.caller.user
	return u.take(&u.watches, maxWatchesOfUser, "watches")
}

// remote counts a call that waits for the server.
func (c *call) remote() (done func(), err error) {
	u := c.caller.user
	return u.take(&u.remote, maxRemoteOfUser, "calls that wait for the server")
}

func (u *user) take(n *int, most int, what string) (give func(), err error) {
	u.crowd.mu.Lock()
	defer u.crowd.mu.Unlock()
	if *n >= most {
		return nil, web.Errorf(http.StatusTooManyRequests, "too_many", "your user %d has %d %s already: end one, and share what it tells", u.uid, most, what)
	}
	*n++
	return func() {
		u.crowd.mu.Lock()
		defer u.crowd.mu.Unlock()
		*n--
	}, nil
}
