// Package broker is the pipe to the devices: a NATS server inside the process
// with its MQTT 3.1.1 door, and the cloud's own client of it, which needs no
// socket; or the same servers outside, one or a cluster, which several clouds
// share. Those ask the clouds who gets in, and each report goes to one of them.
//
// The pipe is trusted with nothing and keeps nothing. A device gets in with a
// token of its own, may publish to its one topic and subscribe to its other,
// and is put out when the token ends or at once by Kick. What one connection
// does wrong ends that connection and harms no other. A message may get lost,
// come twice or out of order; whoever sends it repeats it until the other
// side's signed answer comes.
//
// It is the only importer of the NATS modules.
package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
)

const (
	// MaxPayload bounds a packet, in bytes. It is what managed MQTT brokers
	// allow; cardea.MaxReportBytes is well below.
	MaxPayload = 32 << 10

	maxSubs      = 8 // of one connection
	startTimeout = 10 * time.Second
	waiting      = 1024 // reports that may wait for a handler; more are dropped, and sent again
)

// Config says how the broker runs.
type Config struct {
	// MQTTAddr is where devices connect, as "host:port". Port 0 takes a free
	// one, which Addr tells.
	MQTTAddr string

	// TLS is what the door shows. Without it the door speaks plain TCP, which
	// shows a device's token to the network: for loopback, or behind something
	// that ends TLS.
	TLS *tls.Config

	// StoreDir is a folder for the server's bookkeeping. Nothing in it
	// matters: what a former run left is removed. Empty means a temporary
	// folder, removed by Close.
	StoreDir string

	// AuthTimeout is how long a socket may stay without having shown a token.
	// Zero means 5 s.
	AuthTimeout time.Duration

	// Log gets what the server has to say. Nil discards it.
	Log *slog.Logger

	// URL is where servers of their own are, such as "nats://broker:4222", or
	// several after commas. They are configured with what ServerConfig gives for
	// Secret. MQTTAddr, TLS, StoreDir and AuthTimeout are then theirs. Empty: the
	// server inside.
	URL    string
	Secret []byte

	// Verify says which device a token belongs to and when the token ends. It
	// is asked at every connect and must refuse a device that is revoked,
	// whatever its token says. Calls run concurrently.
	Verify func(token string) (cardea.DeviceID, time.Time, error)
}

// A Broker is a running broker. It is safe for concurrent use.
type Broker struct {
	log  *slog.Logger
	srv  *server.Server
	door *door
	who  visitors
	nc   *nats.Conn
	addr net.Addr

	system *nats.Conn // nil for the server inside
	temp   string     // removed by Close

	done    chan struct{}
	close   sync.Once
	workers sync.WaitGroup
}

// visitors are the devices that are connected.
type visitors interface {
	connected(device cardea.DeviceID) bool
	kick(device cardea.DeviceID)
	count() int
}

// New starts a broker. When it returns, devices can connect.
func New(c Config) (*Broker, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	b := &Broker{log: c.Log, done: make(chan struct{})}
	if c.URL != "" {
		if err := b.join(c); err != nil {
			b.Close()
			return nil, err
		}
		return b, nil
	}
	if c.StoreDir == "" {
		dir, err := os.MkdirTemp("", "cardea-broker-")
		if err != nil {
			return nil, fmt.Errorf("broker's folder: %w", err)
		}
		c.StoreDir, b.temp = dir, dir
	}
	if err := b.start(c); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

func (b *Broker) start(c Config) error {
	if err := os.RemoveAll(filepath.Join(c.StoreDir, server.JetStreamStoreDir)); err != nil {
		return fmt.Errorf("clear broker's folder: %w", err)
	}
	b.door = newDoor(c.Verify, c.Log)
	b.who = b.door
	opts, err := options(c, b.door)
	if err != nil {
		return err
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	b.srv, b.door.srv = srv, srv
	said := &serverLog{log: c.Log, fatal: make(chan string, 1)}
	srv.SetLoggerV2(said, false, false, false)
	srv.Start()
	if err := ready(srv, said); err != nil {
		return err
	}
	b.addr = &net.TCPAddr{IP: net.ParseIP(opts.MQTT.Host), Port: opts.MQTT.Port}
	b.nc, err = nats.Connect("", nats.InProcessServer(srv), nats.UserInfo(ownUser, b.door.own),
		nats.MaxReconnects(-1), nats.ErrorHandler(b.dropped))
	if err != nil {
		return fmt.Errorf("connect to own broker: %w", err)
	}
	return nil
}

// ready waits until the door is open, or says why it is not.
func ready(srv *server.Server, said *serverLog) error {
	up := make(chan bool, 1)
	go func() { up <- srv.ReadyForConnections(startTimeout) }()
	select {
	case ok := <-up:
		if ok {
			return nil
		}
		return fmt.Errorf("broker: not ready after %s", startTimeout)
	case why := <-said.fatal:
		return fmt.Errorf("broker: %s", why)
	}
}

func options(c Config, d *door) (*server.Options, error) {
	host, text, err := net.SplitHostPort(c.MQTTAddr)
	if err != nil {
		return nil, fmt.Errorf("MQTT address: %w", err)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("MQTT address: port: %w", err)
	}
	if c.AuthTimeout == 0 {
		c.AuthTimeout = 5 * time.Second
	}
	o := &server.Options{
		ServerName: "cardea", DontListen: true, NoSigs: true, DisableJetStreamBanner: true,
		CustomClientAuthentication: d,
		// The MQTT door keeps its sessions in JetStream. Ours are clean and
		// leave nothing, so the limits only meet those who try otherwise.
		JetStream: true, StoreDir: c.StoreDir, JetStreamMaxMemory: 16 << 20, JetStreamMaxStore: 256 << 20,
		MaxPayload: MaxPayload, MaxPending: 8 << 20, MaxSubs: maxSubs, MaxControlLine: 1024,
		// A device that does not read is put out, and holds up nobody.
		WriteDeadline: 4 * time.Second, NoFastProducerStall: true,
		MQTT: server.MQTTOpts{
			Host: host, Port: int(port), TLSConfig: c.TLS, TLSTimeout: c.AuthTimeout.Seconds(), AuthTimeout: c.AuthTimeout.Seconds(),
		},
	}
	if port == 0 {
		o.MQTT.Port = server.RANDOM_PORT
	}
	// A QoS 2 message would be stored until its sender releases it. This can
	// only be switched off in NATS's own configuration language.
	if err := o.ProcessConfigString("mqtt { reject_qos2_publish: true, downgrade_qos2_subscribe: true }"); err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	return o, nil
}

// Run keeps the broker until ctx ends and then closes it.
func (b *Broker) Run(ctx context.Context) error {
	<-ctx.Done()
	b.Close()
	return nil
}

// Close puts every device out and waits until no handler runs any more.
func (b *Broker) Close() {
	b.close.Do(func() {
		close(b.done)
		for _, nc := range []*nats.Conn{b.nc, b.system} {
			if nc != nil {
				nc.Close()
			}
		}
		b.workers.Wait()
		if b.srv != nil {
			b.srv.Shutdown()
			b.srv.WaitForShutdown()
		}
		if b.temp != "" {
			os.RemoveAll(b.temp)
		}
	})
}

// Addr is where devices connect; nil for servers of their own.
func (b *Broker) Addr() net.Addr { return b.addr }

// Publish sends a message to a device if it is connected. It does not wait and
// a nil error is no receipt.
func (b *Broker) Publish(device cardea.DeviceID, payload []byte) error {
	if err := b.nc.Publish(subject(wire.DownTopic(device)), payload); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return nil
}

// OnUp has handle called with every message a device publishes. The device is
// the one whose token opened the connection, which proves nothing of the
// payload. Calls run concurrently, at most one for each processor. When several clouds
// share a broker, each message goes to one of them.
func (b *Broker) OnUp(handle func(device cardea.DeviceID, payload []byte)) error {
	queue := make(chan *nats.Msg, waiting)
	if _, err := b.nc.ChanQueueSubscribe(subject(wire.UpTopic("*")), "cardea", queue); err != nil {
		return fmt.Errorf("subscribe to reports: %w", err)
	}
	if err := b.nc.Flush(); err != nil {
		return fmt.Errorf("subscribe to reports: %w", err)
	}
	for range max(2, runtime.GOMAXPROCS(0)) {
		b.workers.Go(func() { b.work(queue, handle) })
	}
	return nil
}

func (b *Broker) work(queue <-chan *nats.Msg, handle func(cardea.DeviceID, []byte)) {
	for {
		select {
		case m := <-queue:
			if device, ok := sender(m.Subject); ok {
				handle(device, m.Data)
			}
		case <-b.done:
			return
		}
	}
}

func (b *Broker) dropped(_ *nats.Conn, _ *nats.Subscription, err error) {
	if errors.Is(err, nats.ErrSlowConsumer) {
		b.log.Warn("reports dropped, their devices will send them again")
		return
	}
	b.log.Error("broker client", "err", err)
}

// Connected reports whether the device has a connection now.
func (b *Broker) Connected(device cardea.DeviceID) bool { return b.who.connected(device) }

// Kick ends every connection of the device. To keep it out, make Verify refuse
// it first: a connect under way meets one of the two.
func (b *Broker) Kick(device cardea.DeviceID) { b.who.kick(device) }

// subject is the NATS form of a topic. A device id is base64url and so has no
// character that NATS would replace.
func subject(topic string) string { return strings.ReplaceAll(topic, "/", ".") }

func sender(subject string) (cardea.DeviceID, bool) {
	device, err := wire.ParseUpTopic(strings.ReplaceAll(subject, ".", "/"))
	return device, err == nil
}
