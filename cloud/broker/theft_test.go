package broker_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cardea-id/cardea/cloud/broker"
	"github.com/cardea-id/cardea/internal/listentest"
	"github.com/cardea-id/cardea/internal/mqttlink"
)

// A wiretap stands between a device and the broker and notes the client id of
// every connection.
type wiretap struct {
	addr string

	mu  sync.Mutex
	ids []string
}

func tap(t *testing.T, b *broker.Broker) *wiretap {
	t.Helper()
	w := new(wiretap)
	w.addr = listentest.Serve(t, func(in net.Conn) { w.carry(in, b.Addr().String()) }).Addr().String()
	return w
}

func (w *wiretap) carry(in net.Conn, to string) {
	out, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer out.Close()
	r := bufio.NewReader(in)
	if id, ok := clientID(r); ok {
		w.mu.Lock()
		w.ids = append(w.ids, id)
		w.mu.Unlock()
	}
	go func() {
		defer in.Close()
		io.Copy(in, out)
	}()
	io.Copy(out, r)
}

// clientID reads it in a CONNECT of MQTT 3.1.1, which stays to be read.
func clientID(r *bufio.Reader) (string, bool) {
	if _, err := r.Peek(1); err != nil {
		return "", false
	}
	head, _ := r.Peek(r.Buffered())
	_, length := binary.Uvarint(head[1:])
	at := 1 + length + 10 // after the protocol's name and level, flags and keep-alive
	if length <= 0 || len(head) < at+2 {
		return "", false
	}
	end := at + 2 + int(binary.BigEndian.Uint16(head[at:]))
	if len(head) < end {
		return "", false
	}
	return string(head[at+2 : end]), true
}

func (w *wiretap) last(t *testing.T, n int) string {
	t.Helper()
	var id string
	eventually(t, "the device connects", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.ids) >= n {
			id = w.ids[n-1]
		}
		return id != ""
	})
	return id
}

// Another device, with a token of its own, takes the client id of a device's
// connection. The device is back by itself under an id nobody could know, and
// none of its messages goes to the thief or comes from it.
func TestClientIDTheft(t *testing.T) {
	b := start(t, broker.Config{})
	got := reports(t, b)
	victim, thief := newDevice(), newDevice()
	wire := tap(t, b)
	messages := make(chan string, 10)
	var ups atomic.Int32
	device := mqttlink.New(mqttlink.Config{
		URL: "tcp://" + wire.addr, Plain: true, Device: string(victim), Subscribe: topic(victim, "down"),
		Password:  func(context.Context, bool) (string, error) { return tokenOf(victim), nil },
		OnUp:      func() { ups.Add(1) },
		OnMessage: func(m []byte) { messages <- string(m) },
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- device.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	first := wire.last(t, 1)
	eventually(t, "the device is subscribed", func() bool { return ups.Load() == 1 })
	if len(first) < 20 || strings.Contains(string(victim), first) || strings.Contains(first, string(victim)[:8]) {
		t.Errorf("the client id %q can be guessed", first)
	}

	stolen, err := dial(t, options(b, thief).SetClientID(first))
	if err != nil {
		t.Fatal(err)
	}
	second := wire.last(t, 2)
	eventually(t, "the device is back", func() bool { return ups.Load() == 2 })
	if second == first {
		t.Error("it came back under the id that was taken")
	}
	if granted, _ := stolen.subscribe(t, topic(victim, "down"), 0); granted != 0x80 {
		t.Errorf("the thief may listen to the device: %#x", granted)
	}
	if !stolen.IsConnected() { // a refusal may end the connection
		if stolen, err = dial(t, options(b, thief).SetClientID(first)); err != nil {
			t.Fatal(err)
		}
	}
	stolen.publish(t, topic(victim, "up"), 0, false, "forged")
	if err := b.Publish(victim, []byte("for the device alone")); err != nil {
		t.Fatal(err)
	}
	want(t, messages, "for the device alone")
	// The old id again and again: it is nobody's by now. That the broker refuses
	// some of that is the thief's own loss.
	for range 3 {
		dial(t, options(b, thief).SetClientID(first))
	}
	if err := device.Publish(topic(victim, "up"), []byte("still here")); err != nil {
		t.Fatal(err)
	}
	want(t, got, report{victim, "still here"})
	if n := ups.Load(); n != 2 {
		t.Errorf("the device was put out %d times, not once", n-1)
	}
}
