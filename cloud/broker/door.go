package broker

import (
	"crypto/rand"
	"crypto/subtle"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
)

const (
	ownUser = "cloud"

	// A device has one connection, and for a while those whose end the
	// network has not told us. Of more the oldest is closed.
	maxConnections = 4

	// A device may connect this often at once and then once in this time. A
	// connect costs work, and one that asks for a session also room.
	connectBurst = 30
	connectEvery = 2 * time.Second
)

// A door decides who gets in, and knows who is.
type door struct {
	log    *slog.Logger
	verify func(token string) (cardea.DeviceID, time.Time, error)
	own    string // password of the cloud's own client
	srv    *server.Server

	mu      sync.Mutex
	devices map[cardea.DeviceID]*visitor
	visits  int // since the last sweep
	kicks   int // ever
}

// A visitor is what is known of one device.
type visitor struct {
	conns []uint64  // NATS connection ids, oldest first; some may have ended
	rate  time.Time // when its connects so far are worked off
}

func newDoor(verify func(string) (cardea.DeviceID, time.Time, error), log *slog.Logger) *door {
	return &door{log: log, verify: verify, own: rand.Text(), devices: map[cardea.DeviceID]*visitor{}}
}

// Check lets a device in whose user name is its id and whose password is its
// token, and the cloud's own client.
func (d *door) Check(c server.ClientAuthentication) bool {
	opts := c.GetOpts()
	if c.RemoteAddress().Network() == "pipe" {
		return opts.Username == ownUser && subtle.ConstantTimeCompare([]byte(opts.Password), []byte(d.own)) == 1
	}
	device, err := cardea.ParseDeviceID(opts.Username)
	if err != nil {
		d.log.Info("connection refused", "reason", "the user name is no device id")
		return false
	}
	kicks := d.kicked()
	owner, end, err := d.verify(opts.Password)
	if err != nil || owner != device || opts.Password == "" {
		d.log.Info("connection refused", "device", device, "reason", "the token is not this device's", "err", err)
		return false
	}
	if !d.enter(device, c.GetID(), time.Now()) {
		d.log.Warn("connection refused", "device", device, "reason", "it connects too often")
		return false
	}
	// Whoever was kicked since the token was looked at may have been this
	// device, and Kick could not find the connection yet.
	if d.kicked() != kicks {
		if _, _, err := d.verify(opts.Password); err != nil {
			d.log.Info("connection refused", "device", device, "reason", "revoked meanwhile")
			return false
		}
	}
	c.RegisterUser(&server.User{
		Username: string(device), ConnectionDeadline: end,
		Permissions: &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: []string{subject(wire.UpTopic(device))}},
			Subscribe: &server.SubjectPermission{Allow: []string{subject(wire.DownTopic(device))}},
		},
	})
	return true
}

// enter notes a connection of a device that has shown its token, and reports
// whether it may come in now.
func (d *door) enter(device cardea.DeviceID, id uint64, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sweepLocked(now)
	v := d.devices[device]
	if v == nil {
		v = new(visitor)
		d.devices[device] = v
	}
	if v.rate.Before(now) {
		v.rate = now
	}
	if v.rate.Sub(now) >= connectBurst*connectEvery {
		return false
	}
	v.rate = v.rate.Add(connectEvery)
	v.conns = append(d.live(v.conns), id)
	if len(v.conns) > maxConnections {
		go d.srv.DisconnectClientByID(v.conns[0])
		v.conns = v.conns[1:]
	}
	return true
}

// sweepLocked forgets devices that are gone. It runs once for as many visits
// as there are devices, so that a visit costs the same however many there are.
func (d *door) sweepLocked(now time.Time) {
	if d.visits++; d.visits <= len(d.devices)+1000 {
		return
	}
	d.visits = 0
	for device, v := range d.devices {
		if v.conns = d.live(v.conns); len(v.conns) == 0 && v.rate.Before(now) {
			delete(d.devices, device)
		}
	}
}

// live drops the connections that have ended.
func (d *door) live(conns []uint64) []uint64 {
	return slices.DeleteFunc(conns, func(id uint64) bool { return d.srv.GetClient(id) == nil })
}

func (d *door) connected(device cardea.DeviceID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	v := d.devices[device]
	if v == nil {
		return false
	}
	v.conns = d.live(v.conns)
	return len(v.conns) > 0
}

func (d *door) kick(device cardea.DeviceID) {
	d.mu.Lock()
	d.kicks++
	var conns []uint64
	if v := d.devices[device]; v != nil {
		conns = slices.Clone(v.conns)
	}
	d.mu.Unlock()
	for _, id := range conns {
		d.srv.DisconnectClientByID(id) // an error says it is gone already
	}
}

func (d *door) count() int { return max(0, d.srv.NumClients()-1) } // one is the cloud's own

func (d *door) kicked() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.kicks
}
