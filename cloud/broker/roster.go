package broker

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/cardea-id/cardea"
)

const (
	// rollEvery is how often it is asked who is there: what a server that died
	// could not say is known after it.
	rollEvery = time.Minute
	// rollWait is how long servers may take to answer.
	rollWait = 500 * time.Millisecond
	rollPage = 1024
	// kickedFor is how long a device that was put out stays out, should it have
	// been on its way in.
	kickedFor = 5 * time.Second
)

// A roster knows who is connected to servers of their own: they tell of every
// connect and disconnect, and are asked for all of them now and then.
type roster struct {
	log *slog.Logger
	nc  *nats.Conn // in the system account

	mu     sync.Mutex
	there  map[cardea.DeviceID][]visit // oldest first
	kicked map[cardea.DeviceID]time.Time
}

// A visit is a connection to a server.
type visit struct {
	server string
	id     uint64
	seen   time.Time
}

func (v visit) is(other visit) bool { return v.server == other.server && v.id == other.id }

func newRoster(nc *nats.Conn, log *slog.Logger) *roster {
	return &roster{log: log, nc: nc, there: map[cardea.DeviceID][]visit{}, kicked: map[cardea.DeviceID]time.Time{}}
}

// listen follows the servers until the connection is closed.
func (r *roster) listen(b *Broker) error {
	account := "$SYS.ACCOUNT." + cloudAccount
	if _, err := r.nc.Subscribe(account+".CONNECT", r.entered); err != nil {
		return fmt.Errorf("subscribe to connects: %w", err)
	}
	if _, err := r.nc.Subscribe(account+".DISCONNECT", r.disconnected); err != nil {
		return fmt.Errorf("subscribe to disconnects: %w", err)
	}
	if err := r.roll(); err != nil {
		return err
	}
	b.workers.Go(func() {
		tick := time.NewTicker(rollEvery)
		defer tick.Stop()
		for {
			select {
			case <-b.done:
				return
			case <-tick.C:
				if err := r.roll(); err != nil {
					r.log.Warn("not told who is connected", "err", err)
				}
			}
		}
	})
	return nil
}

func (r *roster) entered(m *nats.Msg) {
	var e server.ConnectEventMsg
	if err := json.Unmarshal(m.Data, &e); err != nil {
		r.log.Error("a server's word can not be read", "err", err)
		return
	}
	if device, err := cardea.ParseDeviceID(e.Client.User); err == nil {
		r.enter(device, visit{e.Server.ID, e.Client.ID, time.Now()})
	}
}

func (r *roster) disconnected(m *nats.Msg) {
	var e server.DisconnectEventMsg
	if err := json.Unmarshal(m.Data, &e); err != nil {
		r.log.Error("a server's word can not be read", "err", err)
		return
	}
	if device, err := cardea.ParseDeviceID(e.Client.User); err == nil {
		r.leave(device, visit{server: e.Server.ID, id: e.Client.ID})
	}
}

// enter notes a connection. Of too many of one device the oldest is closed, and
// all of one that was put out while it was on its way in.
func (r *roster) enter(device cardea.DeviceID, v visit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	visits := r.there[device]
	if slices.ContainsFunc(visits, v.is) {
		return
	}
	visits = append(visits, v)
	if since, ok := r.kicked[device]; ok && v.seen.Sub(since) < kickedFor {
		r.end(v)
	} else if len(visits) > maxConnections {
		r.end(visits[0])
	}
	r.there[device] = visits
}

func (r *roster) leave(device cardea.DeviceID, v visit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leaveLocked(device, v.is)
}

func (r *roster) leaveLocked(device cardea.DeviceID, gone func(visit) bool) {
	visits := slices.DeleteFunc(r.there[device], gone)
	r.there[device] = visits
	if len(visits) == 0 {
		delete(r.there, device)
	}
}

// end asks a server to close a connection; its word that it is closed follows.
func (r *roster) end(v visit) {
	ask, err := json.Marshal(server.KickClientReq{CID: v.id})
	if err == nil {
		// The server does nothing for those who want no answer.
		err = r.nc.PublishRequest("$SYS.REQ.SERVER."+v.server+".KICK", r.nc.NewInbox(), ask)
	}
	if err != nil {
		r.log.Error("connection not ended", "err", err)
	}
}

func (r *roster) connected(device cardea.DeviceID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.there[device]) > 0
}

func (r *roster) count() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, visits := range r.there {
		n += len(visits)
	}
	return n
}

func (r *roster) kick(device cardea.DeviceID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for d, since := range r.kicked {
		if now.Sub(since) >= kickedFor {
			delete(r.kicked, d)
		}
	}
	r.kicked[device] = now
	for _, v := range r.there[device] {
		r.end(v)
	}
}

// roll asks every server who is connected, page by page, and forgets those who
// were there before it asked and are not on the pages.
func (r *roster) roll() error {
	began := time.Now()
	found := map[visit]bool{}
	for offset, more := 0, true; more; offset += rollPage {
		var err error
		if more, err = r.page(offset, found); err != nil {
			return fmt.Errorf("ask who is connected: %w", err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for device := range r.there {
		r.leaveLocked(device, func(v visit) bool {
			return v.seen.Before(began) && !found[visit{server: v.server, id: v.id}]
		})
	}
	return nil
}

// page asks all servers for a page each and reports whether one has another.
func (r *roster) page(offset int, found map[visit]bool) (more bool, err error) {
	ask, err := json.Marshal(server.ConnzOptions{Username: true, Account: cloudAccount, Offset: offset, Limit: rollPage})
	if err != nil {
		return false, err
	}
	answers, err := r.nc.SubscribeSync(r.nc.NewInbox())
	if err != nil {
		return false, err
	}
	defer answers.Unsubscribe()
	if err := r.nc.PublishRequest("$SYS.REQ.SERVER.PING.CONNZ", answers.Subject, ask); err != nil {
		return false, err
	}
	for {
		m, err := answers.NextMsg(rollWait)
		if err != nil { // the last has answered
			return more, nil
		}
		var page server.ServerAPIConnzResponse
		if err := json.Unmarshal(m.Data, &page); err != nil || page.Data == nil {
			return false, fmt.Errorf("a server's answer can not be read: %w", err)
		}
		for _, c := range page.Data.Conns {
			if device, err := cardea.ParseDeviceID(c.AuthorizedUser); err == nil {
				found[visit{server: page.Server.ID, id: c.Cid}] = true
				r.enter(device, visit{page.Server.ID, c.Cid, time.Now()})
			}
		}
		more = more || offset+len(page.Data.Conns) < page.Data.Total && len(page.Data.Conns) > 0
	}
}
