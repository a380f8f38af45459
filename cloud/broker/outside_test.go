package broker_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/broker"
)

var secret = []byte("what every cloud of this test has")

// An outside is a server of its own, started as an operator does, with two
// clouds on it.
type outside struct {
	url, mqtt string
	tokens    *tokens
	asked     atomic.Int64
	clouds    [2]*broker.Broker
}

func newOutside(t *testing.T) *outside {
	t.Helper()
	text, err := broker.ServerConfig(secret)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	text += fmt.Sprintf("listen: \"127.0.0.1:-1\"\nserver_name: one\njetstream { store_dir: %q }\nmqtt { listen: \"127.0.0.1:-1\" }\n", dir)
	path := filepath.Join(dir, "nats.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	opts, err := server.ProcessConfigFile(path)
	if err != nil {
		t.Fatal(err)
	}
	opts.NoSigs, opts.NoLog = true, true
	srv, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(patience) {
		t.Fatal("the server is not ready")
	}
	o := &outside{url: srv.ClientURL(), mqtt: fmt.Sprintf("tcp://127.0.0.1:%d", opts.MQTT.Port), tokens: newTokens()}
	for i := range o.clouds {
		o.clouds[i] = start(t, broker.Config{URL: o.url, Secret: secret, Verify: func(token string) (cardea.DeviceID, time.Time, error) {
			o.asked.Add(1)
			return o.tokens.verify(token)
		}})
	}
	return o
}

func (o *outside) options(d cardea.DeviceID) *mqtt.ClientOptions {
	return mqtt.NewClientOptions().AddBroker(o.mqtt).SetProtocolVersion(4).SetCleanSession(true).SetAutoReconnect(false).
		SetClientID(cardea.NewID[cardea.EventID]().String()).SetUsername(string(d)).SetPassword(tokenOf(d)).SetConnectTimeout(patience)
}

func (o *outside) connect(t *testing.T, d cardea.DeviceID) *client {
	t.Helper()
	c, err := dial(t, o.options(d))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Whatever a device says reaches one of the clouds, and each of them can answer.
func TestServersOfTheirOwn(t *testing.T) {
	o := newOutside(t)
	up := make(chan report, 100)
	for _, b := range o.clouds {
		if err := b.OnUp(func(d cardea.DeviceID, payload []byte) { up <- report{d, string(payload)} }); err != nil {
			t.Fatal(err)
		}
	}
	d := newDevice()
	c := o.connect(t, d)
	if o.asked.Load() != 1 {
		t.Errorf("%d clouds were asked, want one", o.asked.Load())
	}
	code, down := c.subscribe(t, topic(d, "down"), 0)
	if code != 0 {
		t.Fatalf("subscribed with %d", code)
	}
	for i := range 20 {
		c.publish(t, topic(d, "up"), 0, false, fmt.Sprint(i))
		want(t, up, report{d, fmt.Sprint(i)})
	}
	nothing(t, up) // none came twice
	for i, b := range o.clouds {
		if err := b.Publish(d, fmt.Append(nil, "from ", i)); err != nil {
			t.Fatal(err)
		}
		want(t, down, fmt.Sprint("from ", i))
	}
	if code, _ := c.subscribe(t, topic(newDevice(), "down"), 0); code != 0x80 {
		t.Errorf("subscribed to another's topic with %d", code)
	}
}

// Every cloud knows who is connected, also one that came later, and can put a
// device out that another let in.
func TestWhoIsThereOutside(t *testing.T) {
	o := newOutside(t)
	d, other := newDevice(), newDevice()
	c := o.connect(t, d)
	o.connect(t, other)
	late := start(t, broker.Config{URL: o.url, Secret: secret, Verify: o.tokens.verify})
	if !late.Connected(d) {
		t.Error("a cloud that came later does not know of the device")
	}
	for i, b := range o.clouds {
		eventually(t, fmt.Sprint("cloud ", i, " sees the device"), func() bool { return b.Connected(d) })
	}
	o.tokens.revoke(d)
	o.clouds[1].Kick(d)
	c.waitLost(t)
	for _, b := range []*broker.Broker{o.clouds[0], o.clouds[1], late} {
		eventually(t, "the device is gone", func() bool { return !b.Connected(d) })
		if !b.Connected(other) {
			t.Error("another device was taken for gone")
		}
	}
	if _, err := dial(t, o.options(d)); err == nil {
		t.Error("it was let in again")
	}
}

func TestOutsideTokenEnds(t *testing.T) {
	o := newOutside(t)
	o.tokens.life = 2 * time.Second
	o.connect(t, newDevice()).waitLost(t)
}

func TestWhoIsRefusedOutside(t *testing.T) {
	o := newOutside(t)
	d := newDevice()
	for what, spoil := range map[string]func(*mqtt.ClientOptions){
		"no token":       func(o *mqtt.ClientOptions) { o.SetPassword("") },
		"a wrong token":  func(o *mqtt.ClientOptions) { o.SetPassword("token") },
		"another's":      func(o *mqtt.ClientOptions) { o.SetPassword(tokenOf(newDevice())) },
		"our own user":   func(o *mqtt.ClientOptions) { o.SetUsername("cloud") },
		"the servers'":   func(o *mqtt.ClientOptions) { o.SetUsername("cloud-system") },
		"no device's id": func(o *mqtt.ClientOptions) { o.SetUsername("kitchen").SetPassword("token of kitchen") },
	} {
		opts := o.options(d)
		spoil(opts)
		if _, err := dial(t, opts); err == nil {
			t.Errorf("%s: let in", what)
		}
	}
	// Devices speak MQTT and nothing else.
	if nc, err := nats.Connect(o.url, nats.UserInfo(string(d), tokenOf(d))); err == nil {
		nc.Close()
		t.Error("a device came in by another protocol")
	}
	if b, err := broker.New(broker.Config{URL: o.url, Secret: []byte("another"), Verify: o.tokens.verify}); err == nil {
		b.Close()
		t.Error("a cloud with another secret came in")
	}
}

func TestConnectsTooOftenOutside(t *testing.T) {
	o := newOutside(t)
	d := newDevice()
	refused := false
	for i := 0; i < 80 && !refused; i++ { // two clouds count for themselves
		c, err := dial(t, o.options(d))
		refused = err != nil
		if err == nil {
			c.Disconnect(0)
		}
	}
	if !refused {
		t.Error("a device may connect as often as it likes")
	}
	o.connect(t, newDevice())
}

// What one cloud tells reaches the others, and not itself.
func TestTell(t *testing.T) {
	o := newOutside(t)
	var heard [2]chan string
	for i, b := range o.clouds {
		heard[i] = make(chan string, 10)
		if err := b.OnTold("test", func(what []byte) { heard[i] <- string(what) }); err != nil {
			t.Fatal(err)
		}
	}
	o.clouds[0].Tell("test", []byte("hello"))
	o.clouds[1].Tell("test", []byte("back"))
	want(t, heard[1], "hello")
	want(t, heard[0], "back")
	for _, h := range heard {
		nothing(t, h)
	}
}
