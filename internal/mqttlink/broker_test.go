package mqttlink_test

import (
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

const (
	device = "dev"
	down   = "cardea/1/dev/down"
	up     = "cardea/1/dev/up"
)

// A broker is a real one, inside the test, that can be killed and started again
// at the same address.
type broker struct {
	t        testing.TB
	dir      string
	port     int
	server   *server.Server
	password atomic.Value // string
	topic    atomic.Value // string: what the device may subscribe to, as a subject
	connects atomic.Int64
}

func startBroker(t testing.TB) *broker {
	b := &broker{t: t, dir: t.TempDir(), port: freePort(t)}
	b.password.Store("right")
	b.topic.Store("cardea.1.dev.down")
	b.start()
	t.Cleanup(b.kill)
	return b
}

func freePort(t testing.TB) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (b *broker) start() {
	b.t.Helper()
	s, err := server.NewServer(&server.Options{
		ServerName: "test", DontListen: true, JetStream: true, StoreDir: b.dir, NoSigs: true, NoLog: true,
		MQTT:                       server.MQTTOpts{Host: "127.0.0.1", Port: b.port},
		CustomClientAuthentication: b,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		b.t.Fatal("the broker does not start")
	}
	b.server = s
}

func (b *broker) kill() {
	b.server.Shutdown()
	b.server.WaitForShutdown()
}

func (b *broker) url() string { return fmt.Sprintf("tcp://127.0.0.1:%d", b.port) }

// Check lets the cloud in without a name, and the device with its password to
// its own two topics.
func (b *broker) Check(c server.ClientAuthentication) bool {
	opts := c.GetOpts()
	if opts.Username == "" && opts.Name == "cloud" {
		return true
	}
	b.connects.Add(1)
	if opts.Username != device || opts.Password != b.password.Load() {
		return false
	}
	c.RegisterUser(&server.User{Permissions: &server.Permissions{
		Subscribe: &server.SubjectPermission{Allow: []string{b.topic.Load().(string)}},
		Publish:   &server.SubjectPermission{Allow: []string{"cardea.1.dev.up"}},
	}})
	return true
}

// cloud is a client of the broker's other side.
func (b *broker) cloud() *nats.Conn {
	b.t.Helper()
	c, err := nats.Connect("", nats.InProcessServer(b.server), nats.Name("cloud"))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(c.Close)
	return c
}

// clients is the number of MQTT connections.
func (b *broker) clients() int {
	n := 0
	for _, info := range b.conns() {
		if info.MQTTClient != "" {
			n++
		}
	}
	return n
}

func (b *broker) conns() []*server.ConnInfo {
	z, err := b.server.Connz(&server.ConnzOptions{Username: true})
	if err != nil {
		b.t.Fatal(err)
	}
	return z.Conns
}
