package broker_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/broker"
	"github.com/cardea-id/cardea/internal/wire"
)

const patience = 10 * time.Second

// tokens is a stand-in for the issuer: it knows tokens and who is revoked.
type tokens struct {
	mu      sync.Mutex
	life    time.Duration
	revoked map[cardea.DeviceID]bool
}

func tokenOf(d cardea.DeviceID) string { return "token of " + string(d) }

func (k *tokens) verify(token string) (cardea.DeviceID, time.Time, error) {
	device, ok := strings.CutPrefix(token, "token of ")
	k.mu.Lock()
	defer k.mu.Unlock()
	if !ok || k.revoked[cardea.DeviceID(device)] {
		return "", time.Time{}, errors.New("no such token")
	}
	return cardea.DeviceID(device), time.Now().Add(k.life), nil
}

func (k *tokens) revoke(d cardea.DeviceID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.revoked[d] = true
}

func newTokens() *tokens {
	return &tokens{life: time.Hour, revoked: map[cardea.DeviceID]bool{}}
}

func start(t testing.TB, c broker.Config) *broker.Broker {
	t.Helper()
	if c.Verify == nil {
		c.Verify = newTokens().verify
	}
	if c.MQTTAddr == "" {
		c.MQTTAddr = "127.0.0.1:0"
	}
	b, err := broker.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func newDevice() cardea.DeviceID {
	var b [32]byte
	rand.Read(b[:])
	return cardea.DeviceID(base64.RawURLEncoding.EncodeToString(b[:]))
}

func topic(d cardea.DeviceID, way string) string { return "cardea/1/" + string(d) + "/" + way }

// A client is a device's MQTT client in a test.
type client struct {
	mqtt.Client
	lost chan error
}

func options(b *broker.Broker, d cardea.DeviceID) *mqtt.ClientOptions {
	return mqtt.NewClientOptions().AddBroker("tcp://" + b.Addr().String()).SetClientID(rand.Text()).
		SetProtocolVersion(4).SetCleanSession(true).SetAutoReconnect(false).SetConnectTimeout(patience).
		SetUsername(string(d)).SetPassword(tokenOf(d))
}

func dial(t testing.TB, o *mqtt.ClientOptions) (*client, error) {
	t.Helper()
	c := &client{lost: make(chan error, 1)}
	c.Client = mqtt.NewClient(o.SetConnectionLostHandler(func(_ mqtt.Client, err error) { c.lost <- err }))
	token := c.Connect()
	if !token.WaitTimeout(patience) {
		t.Fatal("no answer to CONNECT")
	}
	t.Cleanup(func() { c.Disconnect(0) })
	return c, token.Error()
}

func connect(t testing.TB, b *broker.Broker, d cardea.DeviceID) *client {
	t.Helper()
	c, err := dial(t, options(b, d))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// subscribe returns the granted QoS, 0x80 for a refusal, and what arrives.
func (c *client) subscribe(t testing.TB, topic string, qos byte) (byte, <-chan string) {
	t.Helper()
	got := make(chan string, 100)
	token := c.Subscribe(topic, qos, func(_ mqtt.Client, m mqtt.Message) { got <- string(m.Payload()) })
	if !token.WaitTimeout(patience) {
		t.Fatal("no answer to SUBSCRIBE")
	}
	for _, granted := range token.(*mqtt.SubscribeToken).Result() {
		return granted, got // paho's key for a shared subscription is another topic
	}
	t.Fatalf("SUBSCRIBE %s: no result", topic)
	return 0, nil
}

func (c *client) publish(t testing.TB, topic string, qos byte, retain bool, payload any) {
	t.Helper()
	if !c.Publish(topic, qos, retain, payload).WaitTimeout(patience) {
		t.Fatal("PUBLISH hangs")
	}
}

func (c *client) waitLost(t testing.TB) {
	t.Helper()
	select {
	case <-c.lost:
	case <-time.After(patience):
		t.Fatal("the connection was not closed")
	}
}

type report struct {
	device  cardea.DeviceID
	payload string
}

func reports(t testing.TB, b *broker.Broker) <-chan report {
	t.Helper()
	got := make(chan report, 100)
	if err := b.OnUp(func(d cardea.DeviceID, p []byte) { got <- report{d, string(p)} }); err != nil {
		t.Fatal(err)
	}
	return got
}

func want[T comparable](t testing.TB, from <-chan T, want T) {
	t.Helper()
	select {
	case got := <-from:
		if got != want {
			t.Fatalf("got %v, want %v", got, want)
		}
	case <-time.After(patience):
		t.Fatalf("nothing came, want %v", want)
	}
}

func nothing[T any](t testing.TB, from <-chan T) {
	t.Helper()
	select {
	case got := <-from:
		t.Fatalf("got %v, want nothing", got)
	default:
	}
}

// works proves that a device gets a message to the cloud and one back, and
// that nothing sent before is still on its way.
func works(t testing.TB, b *broker.Broker, got <-chan report, d cardea.DeviceID) {
	t.Helper()
	c := connect(t, b, d)
	qos, down := c.subscribe(t, topic(d, "down"), 0)
	if qos != 0 {
		t.Fatalf("own topic refused: %#x", qos)
	}
	note := rand.Text()
	c.publish(t, topic(d, "up"), 0, false, note)
	want(t, got, report{d, note})
	if err := b.Publish(d, []byte(note)); err != nil {
		t.Fatal(err)
	}
	want(t, down, note)
}

func TestThereAndBack(t *testing.T) {
	b := start(t, broker.Config{StoreDir: t.TempDir()})
	got := reports(t, b)
	d := newDevice()
	if b.Connected(d) {
		t.Error("connected before it was")
	}
	works(t, b, got, d)
	if !b.Connected(d) {
		t.Error("not connected while it is")
	}
	if b.Connected(newDevice()) {
		t.Error("a stranger is connected")
	}
	if err := b.Publish(newDevice(), []byte("to nobody")); err != nil {
		t.Errorf("to a device that is not there: %v", err)
	}
}

func TestConnectedEnds(t *testing.T) {
	b := start(t, broker.Config{})
	d := newDevice()
	c := connect(t, b, d)
	c.Disconnect(0)
	eventually(t, "the device left", func() bool { return !b.Connected(d) })
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestForeignTopics(t *testing.T) {
	b := start(t, broker.Config{})
	got := reports(t, b)
	victim, other := newDevice(), newDevice()
	v := connect(t, b, victim)
	_, down := v.subscribe(t, topic(victim, "down"), 0)

	c := connect(t, b, other)
	for _, foreign := range []string{
		topic(victim, "down"), topic(victim, "up"), topic(other, "up"), topic(other, "down") + "/#",
		"cardea/1/+/down", "cardea/#", "#", "$SYS/#", "$MQTT/#", "$JS/#", "_INBOX/#", "$share/g/" + topic(victim, "down"),
	} {
		if qos, _ := c.subscribe(t, foreign, 0); qos != 0x80 {
			t.Errorf("SUBSCRIBE %s granted: %#x", foreign, qos)
		}
		if !c.IsConnected() {
			c = connect(t, b, other)
		}
	}
	for _, retain := range []bool{false, true} {
		for _, foreign := range []string{topic(victim, "down"), topic(victim, "up"), topic(other, "down"), "$JS/API/INFO", "_INBOX/x"} {
			c.publish(t, foreign, 0, retain, "forged")
			c.publish(t, foreign, 1, retain, "forged")
		}
	}
	works(t, b, got, other)
	nothing(t, down)
	nothing(t, got)

	// What was retained would be delivered to the next who subscribes.
	_, again := connect(t, b, victim).subscribe(t, topic(victim, "down"), 0)
	if err := b.Publish(victim, []byte("genuine")); err != nil {
		t.Fatal(err)
	}
	want(t, again, "genuine")
}

func TestForeignWill(t *testing.T) {
	b := start(t, broker.Config{})
	victim, other := newDevice(), newDevice()
	_, down := connect(t, b, victim).subscribe(t, topic(victim, "down"), 0)
	if _, err := dial(t, options(b, other).SetWill(topic(victim, "down"), "forged", 0, true)); err != nil {
		t.Fatal(err)
	}
	b.Kick(other)
	eventually(t, "the other left", func() bool { return !b.Connected(other) })
	if err := b.Publish(victim, []byte("genuine")); err != nil {
		t.Fatal(err)
	}
	want(t, down, "genuine")
}

func TestWhoIsRefused(t *testing.T) {
	k := newTokens()
	var said bytes.Buffer
	b := start(t, broker.Config{Verify: k.verify, Log: slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	mine, other, gone := newDevice(), newDevice(), newDevice()
	k.revoke(gone)
	for _, c := range []struct{ why, user, password string }{
		{"a wrong token", string(mine), "wrong"},
		{"somebody else's token", string(mine), tokenOf(other)},
		{"a revoked device", string(gone), tokenOf(gone)},
		{"no token", string(mine), ""},
		{"nobody", "", ""},
		{"no device id", "admin", tokenOf("admin")},
		{"the cloud's own name", "cloud", ""},
		{"a wildcard", "*", tokenOf("*")},
	} {
		o := options(b, mine).SetUsername(c.user).SetPassword(c.password)
		if _, err := dial(t, o); err == nil {
			t.Errorf("%s got in", c.why)
		}
	}
	if _, err := dial(t, options(b, mine).SetPassword("wrong")); err == nil || !strings.Contains(err.Error(), "not Authorized") {
		t.Errorf("%v, want CONNACK 5 so that a client fetches another token", err)
	}
	b.Close()
	text := strings.ReplaceAll(said.String(), b.Addr().String(), "its own address")
	if strings.Contains(text, "127.0.0.1") || strings.Contains(text, "token of") {
		t.Errorf("an address or a token was logged:\n%s", text)
	}
}

func TestTokenEnds(t *testing.T) {
	k := newTokens()
	k.life = 500 * time.Millisecond
	b := start(t, broker.Config{Verify: k.verify})
	d := newDevice()
	begin := time.Now()
	c := connect(t, b, d)
	c.waitLost(t)
	if open := time.Since(begin); open < k.life-50*time.Millisecond {
		t.Errorf("closed after %s, before the token's end", open)
	}
	if b.Connected(d) {
		t.Error("still connected")
	}
}

func TestKick(t *testing.T) {
	k := newTokens()
	b := start(t, broker.Config{Verify: k.verify})
	got := reports(t, b)
	bad, good := newDevice(), newDevice()
	first, second, bystander := connect(t, b, bad), connect(t, b, bad), connect(t, b, good)
	k.revoke(bad)
	b.Kick(bad)
	first.waitLost(t)
	second.waitLost(t)
	if b.Connected(bad) || !b.Connected(good) || !bystander.IsConnected() {
		t.Error("the wrong one was put out")
	}
	if _, err := dial(t, options(b, bad)); err == nil {
		t.Error("the device came back")
	}
	b.Kick(newDevice())
	works(t, b, got, good)
}

// TestKickDuringConnect revokes a device while its token is being looked at.
func TestKickDuringConnect(t *testing.T) {
	k := newTokens()
	d := newDevice()
	asked, revoked := make(chan bool), make(chan bool)
	var once sync.Once
	b := start(t, broker.Config{Verify: func(token string) (cardea.DeviceID, time.Time, error) {
		device, end, err := k.verify(token)
		once.Do(func() { close(asked); <-revoked })
		return device, end, err
	}})
	go func() {
		<-asked
		k.revoke(d)
		b.Kick(d)
		close(revoked)
	}()
	if _, err := dial(t, options(b, d)); err == nil {
		t.Error("a device revoked while it connected got in")
	}
	if b.Connected(d) {
		t.Error("and is connected")
	}
}

func TestSameClientID(t *testing.T) {
	b := start(t, broker.Config{})
	got := reports(t, b)
	mine, other := newDevice(), newDevice()
	first, err := dial(t, options(b, mine).SetClientID("same"))
	if err != nil {
		t.Fatal(err)
	}
	second, err := dial(t, options(b, other).SetClientID("same"))
	if err != nil {
		t.Fatal(err)
	}
	first.waitLost(t)
	if qos, _ := second.subscribe(t, topic(mine, "down"), 0); qos != 0x80 {
		t.Error("the session of the first was taken over with its rights")
	}
	works(t, b, got, mine)
}

func TestStaleConnections(t *testing.T) {
	b := start(t, broker.Config{})
	d := newDevice()
	oldest := connect(t, b, d)
	for range 4 {
		connect(t, b, d)
	}
	oldest.waitLost(t)
	if !b.Connected(d) {
		t.Error("the newer ones were closed as well")
	}
}

func TestConnectsTooOften(t *testing.T) {
	b := start(t, broker.Config{})
	got := reports(t, b)
	d := newDevice()
	n := 0
	for ; n < 100; n++ {
		c, err := dial(t, options(b, d))
		if err != nil {
			break
		}
		c.Disconnect(0)
	}
	if n < 20 || n == 100 {
		t.Errorf("%d connects at once, want some tens and then a refusal", n)
	}
	works(t, b, got, newDevice())
}

func TestOversizedPacket(t *testing.T) {
	b := start(t, broker.Config{})
	got := reports(t, b)
	d := newDevice()
	c := connect(t, b, d)
	c.publish(t, topic(d, "up"), 0, false, bytes.Repeat([]byte("x"), broker.MaxPayload+1))
	c.waitLost(t)
	works(t, b, got, d)
	nothing(t, got)
}

func TestStoredMessagesAreRefused(t *testing.T) {
	b := start(t, broker.Config{})
	got := reports(t, b)
	d := newDevice()
	c := connect(t, b, d)
	c.Publish(topic(d, "up"), 2, false, "hold this")
	c.waitLost(t)
	works(t, b, got, d)
}

// TestNothingOutlivesTheBroker: a retained message and a session are gone
// after a restart, and the folder's other content is left alone.
func TestNothingOutlivesTheBroker(t *testing.T) {
	dir := t.TempDir()
	keep := filepath.Join(dir, "keep")
	if err := os.WriteFile(keep, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d := newDevice()
	b := start(t, broker.Config{StoreDir: dir})
	c, err := dial(t, options(b, d).SetCleanSession(false).SetClientID("kept"))
	if err != nil {
		t.Fatal(err)
	}
	c.publish(t, topic(d, "up"), 1, true, "kept")
	b.Close()

	b = start(t, broker.Config{StoreDir: dir})
	got := reports(t, b)
	again := mqtt.NewClient(options(b, d).SetCleanSession(false).SetClientID("kept"))
	token := again.Connect().(*mqtt.ConnectToken)
	if !token.WaitTimeout(patience) || token.Error() != nil || token.SessionPresent() {
		t.Errorf("%v, session present %v, want a fresh one", token.Error(), token.SessionPresent())
	}
	again.Disconnect(0)
	works(t, b, got, d)
	if _, err := os.Stat(keep); err != nil {
		t.Error(err)
	}
}

func TestCannotListen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	begin := time.Now()
	for _, addr := range []string{taken.Addr().String(), "no port", "127.0.0.1:http", "127.0.0.1:99999"} {
		if b, err := broker.New(broker.Config{MQTTAddr: addr, Verify: newTokens().verify}); err == nil {
			b.Close()
			t.Errorf("%q: want an error", addr)
		}
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %s to say so", took)
	}
}

func TestTLS(t *testing.T) {
	keys := httptest.NewTLSServer(nil) // for its certificate
	defer keys.Close()
	b := start(t, broker.Config{TLS: &tls.Config{Certificates: keys.TLS.Certificates, MinVersion: tls.VersionTLS12}})
	d := newDevice()
	trust := keys.Client().Transport.(*http.Transport).TLSClientConfig
	o := options(b, d).SetTLSConfig(trust)
	o.Servers = nil
	if _, err := dial(t, o.AddBroker("ssl://"+b.Addr().String())); err != nil {
		t.Error(err)
	}
	if _, err := dial(t, options(b, d)); err == nil {
		t.Error("got in without TLS")
	}
}

func TestRunAndCloseTwice(t *testing.T) {
	b := start(t, broker.Config{})
	reports(t, b)
	c := connect(t, b, newDevice())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- b.Run(ctx) }()
	cancel()
	want(t, ended, nil)
	c.waitLost(t)
	b.Close()
	if err := b.Publish(newDevice(), nil); err == nil {
		t.Error("published after the end")
	}
	if err := b.OnUp(func(cardea.DeviceID, []byte) {}); err == nil {
		t.Error("subscribed after the end")
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	br := start(b, broker.Config{})
	d := newDevice()
	if err := br.OnUp(func(d cardea.DeviceID, p []byte) { br.Publish(d, p) }); err != nil {
		b.Fatal(err)
	}
	c := connect(b, br, d)
	_, down := c.subscribe(b, topic(d, "down"), 0)
	payload := strings.Repeat("x", 600)
	var took []time.Duration
	for b.Loop() {
		begin := time.Now()
		c.Publish(topic(d, "up"), 0, false, payload)
		<-down
		took = append(took, time.Since(begin))
	}
	p50, p99 := quantiles(took)
	b.ReportMetric(float64(p50.Microseconds()), "p50-us")
	b.ReportMetric(float64(p99.Microseconds()), "p99-us")
	fmt.Printf("device to cloud and back: n %d, p50 %s, p99 %s\n", len(took), p50, p99)
}

// TestTopics: the subjects of the broker are the topics of the protocol.
func TestTopics(t *testing.T) {
	d := newDevice()
	if wire.UpTopic(d) != topic(d, "up") || wire.DownTopic(d) != topic(d, "down") {
		t.Errorf("%s and %s are other topics than are tested here", wire.UpTopic(d), wire.DownTopic(d))
	}
}
