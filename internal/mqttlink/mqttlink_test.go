package mqttlink_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/mqttlink"
)

// A probe is a running client and what it told.
type probe struct {
	*mqttlink.Client
	ups      chan struct{}
	messages chan string
}

// run starts a client that ends with the test.
func run(t *testing.T, cfg mqttlink.Config) *probe {
	p := &probe{ups: make(chan struct{}, 16), messages: make(chan string, 256)}
	cfg.Device, cfg.Subscribe = device, down
	cfg.OnUp = func() { p.ups <- struct{}{} }
	if cfg.OnMessage == nil {
		cfg.OnMessage = func(b []byte) { p.messages <- string(b) }
	}
	if cfg.Password == nil {
		cfg.Password = func(context.Context, bool) (string, error) { return "right", nil }
	}
	p.Client = mqttlink.New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := receive(t, done, "end of Run"); !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
	})
	return p
}

func receive[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("no %s", what)
		panic("unreachable")
	}
}

func subject(topic string) string { return strings.ReplaceAll(topic, "/", ".") }

func TestBothWays(t *testing.T) {
	b := startBroker(t)
	cloud := b.cloud()
	reports, err := cloud.SubscribeSync(subject(up))
	if err != nil {
		t.Fatal(err)
	}
	cloud.Flush()
	p := run(t, mqttlink.Config{URL: b.url()})
	receive(t, p.ups, "subscription")
	if err := p.Publish(up, []byte("report")); err != nil {
		t.Fatal(err)
	}
	m, err := reports.NextMsg(10 * time.Second)
	if err != nil || string(m.Data) != "report" {
		t.Fatalf("the cloud got %v, %v", m, err)
	}
	for _, text := range []string{"one", "two", "three"} {
		cloud.Publish(subject(down), []byte(text))
	}
	for _, want := range []string{"one", "two", "three"} {
		if got := receive(t, p.messages, "message"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestBrokerKilledAndStartedAgain(t *testing.T) {
	b := startBroker(t)
	p := run(t, mqttlink.Config{URL: b.url()})
	receive(t, p.ups, "subscription")
	first := b.conns()[0].MQTTClient
	b.kill()
	for end := time.Now().Add(10 * time.Second); p.Publish(up, nil) == nil && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if err := p.Publish(up, []byte("lost")); !errors.Is(err, mqttlink.ErrDown) {
		t.Fatalf("publishing without a broker: %v", err)
	}
	b.start()
	receive(t, p.ups, "subscription after the restart")
	b.cloud().Publish(subject(down), []byte("again"))
	if got := receive(t, p.messages, "message"); got != "again" {
		t.Errorf("got %q", got)
	}
	for _, info := range b.conns() {
		if info.MQTTClient == first {
			t.Error("the client id was used twice")
		}
	}
}

func TestBrokerDownAtStart(t *testing.T) {
	b := startBroker(t)
	b.kill()
	p := run(t, mqttlink.Config{URL: b.url()})
	if err := p.Publish(up, nil); !errors.Is(err, mqttlink.ErrDown) {
		t.Fatalf("publishing without a broker: %v", err)
	}
	b.start()
	receive(t, p.ups, "subscription")
}

// A refused password is not given twice, and the protocol is not lowered: each
// refusal is one connection.
func TestWrongPassword(t *testing.T) {
	b := startBroker(t)
	var asked []bool
	p := run(t, mqttlink.Config{URL: b.url(), Password: func(_ context.Context, fresh bool) (string, error) {
		asked = append(asked, fresh)
		if fresh {
			return "right", nil
		}
		return "wrong", nil
	}})
	receive(t, p.ups, "subscription")
	if len(asked) != 2 || asked[0] || !asked[1] {
		t.Errorf("the password was asked %v, want an old one and then a fresh one", asked)
	}
	if n := b.connects.Load(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

func TestPasswordNotToBeHad(t *testing.T) {
	b := startBroker(t)
	var tries atomic.Int64
	p := run(t, mqttlink.Config{URL: b.url(), Password: func(context.Context, bool) (string, error) {
		if tries.Add(1) == 1 {
			return "", errors.New("no network")
		}
		return "right", nil
	}})
	receive(t, p.ups, "subscription")
	if b.connects.Load() != 1 {
		t.Error("connected without a password")
	}
}

// A SUBACK of 0x80 is an answer without an error. Taking it for a yes would
// leave the device deaf.
func TestRefusedSubscription(t *testing.T) {
	b := startBroker(t)
	b.topic.Store("cardea.1.other.down")
	p := run(t, mqttlink.Config{URL: b.url(), Password: func(_ context.Context, fresh bool) (string, error) {
		if fresh {
			b.topic.Store("cardea.1.dev.down")
		}
		return "right", nil
	}})
	receive(t, p.ups, "subscription")
	if n := b.connects.Load(); n != 2 {
		t.Errorf("%d connections, want a refused one and a good one", n)
	}
	if len(p.ups) != 0 {
		t.Error("a refused subscription was reported as up")
	}
}

// While a message is handled others wait, at most 64 of them; the newest are
// kept. A blocking handler would stop paho itself.
func TestSlowHandler(t *testing.T) {
	b := startBroker(t)
	cloud := b.cloud()
	gate, got := make(chan struct{}), make(chan string, 1024)
	p := run(t, mqttlink.Config{URL: b.url(), OnMessage: func(m []byte) {
		<-gate
		got <- string(m)
	}})
	receive(t, p.ups, "subscription")
	for range 500 {
		cloud.Publish(subject(down), []byte("old"))
	}
	cloud.Publish(subject(down), []byte("last"))
	cloud.Flush()
	time.Sleep(time.Second) // for all to reach the queue; if some come later, the handler is merely not as slow
	close(gate)
	n := 0
	for receive(t, got, "message") != "last" {
		n++
	}
	if n > 70 {
		t.Errorf("%d messages were kept", n)
	}
}

func TestDropMakesAnotherConnection(t *testing.T) {
	b := startBroker(t)
	p := run(t, mqttlink.Config{URL: b.url()})
	receive(t, p.ups, "subscription")
	p.Drop()
	receive(t, p.ups, "second subscription")
	if n := b.clients(); n != 1 {
		t.Errorf("%d connections stand", n)
	}
}

func TestTooBig(t *testing.T) {
	b := startBroker(t)
	p := run(t, mqttlink.Config{URL: b.url()})
	receive(t, p.ups, "subscription")
	if err := p.Publish(up, make([]byte, mqttlink.MaxPayload+1)); !errors.Is(err, mqttlink.ErrTooBig) {
		t.Errorf("publishing too much: %v", err)
	}
	cloud := b.cloud()
	cloud.Publish(subject(down), make([]byte, mqttlink.MaxPayload))
	if got := receive(t, p.messages, "message"); len(got) != mqttlink.MaxPayload {
		t.Errorf("got %d bytes", len(got))
	}
	cloud.Publish(subject(down), make([]byte, 2*mqttlink.MaxPayload))
	receive(t, p.ups, "new connection after a packet over the limit")
	if len(p.messages) != 0 {
		t.Error("a message over the limit was delivered")
	}
}

// A broker that accepts everybody and throws them out must not be hammered.
func TestShortConnectionsBackOff(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var connects atomic.Int64
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			connects.Add(1)
			c.Write([]byte{0x20, 2, 0, 0}) // CONNACK, accepted
			c.Read(make([]byte, 1024))
			c.Close()
		}
	}()
	run(t, mqttlink.Config{URL: "tcp://" + l.Addr().String()})
	time.Sleep(3 * time.Second)
	if n := connects.Load(); n < 1 || n > 4 {
		t.Errorf("%d connections in 3 s", n)
	}
}

func TestURLs(t *testing.T) {
	password := func(context.Context, bool) (string, error) { return "", errors.New("not asked") }
	for _, url := range []string{"", "127.0.0.1:1883", "tcp://127.0.0.1", "http://127.0.0.1:80", "tcp://broker.example:1883", "tcp://10.0.0.1:1883"} {
		c := mqttlink.New(mqttlink.Config{URL: url, Device: device, Subscribe: down, Password: password})
		if err := c.Run(t.Context()); err == nil || errors.Is(err, context.Canceled) {
			t.Errorf("%q was accepted", url)
		}
	}
	c := mqttlink.New(mqttlink.Config{URL: "tcp://broker.example:1883", Device: device, Subscribe: down, Password: password})
	if err := c.Run(t.Context()); !errors.Is(err, mqttlink.ErrPlain) {
		t.Errorf("a readable password: %v", err)
	}
}
