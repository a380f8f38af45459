package broker_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/broker"
)

func raw(t testing.TB, b *broker.Broker) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", b.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// closed reports whether the broker hangs up within d.
func closed(c net.Conn, d time.Duration) bool {
	c.SetReadDeadline(time.Now().Add(d))
	_, err := io.Copy(io.Discard, c)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

func text(s string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...)
}

// connectPacket is a CONNECT of MQTT 3.1.1 with a clean session.
func connectPacket(d cardea.DeviceID) []byte {
	body := slices.Concat(text("MQTT"), []byte{4, 0xc2, 0, 60}, text("raw"), text(string(d)), text(tokenOf(d)))
	return append([]byte{0x10, byte(len(body))&0x7f | 0x80, byte(len(body) >> 7)}, body...)
}

func TestSilentSocketIsClosed(t *testing.T) {
	b := start(t, broker.Config{AuthTimeout: 200 * time.Millisecond})
	silent, slow := raw(t, b), raw(t, b)
	slow.Write(connectPacket(newDevice())[:20])
	if !closed(silent, patience) || !closed(slow, patience) {
		t.Error("a socket that shows no token stays open")
	}
}

func TestMalformedPackets(t *testing.T) {
	b := start(t, broker.Config{AuthTimeout: time.Second})
	got := reports(t, b)
	d := newDevice()
	bystander := connect(t, b, newDevice())
	for name, packet := range map[string][]byte{
		"a CONNECT of 256 MB":          {0x10, 0xff, 0xff, 0xff, 0x7f},
		"an endless length":            {0x10, 0xff, 0xff, 0xff, 0xff, 0xff},
		"a PUBLISH first":              append([]byte{0x30, 3}, text("a")...),
		"a web request":                []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"TLS":                          {0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3},
		"MQTT 5":                       append([]byte{0x10, 13}, append(text("MQTT"), 5, 2, 0, 60, 0, 0, 0)...),
		"a client id over its end":     append([]byte{0x10, 12}, append(text("MQTT"), 4, 2, 0, 60, 0xff, 0xff)...),
		"a NUL in the user name":       append([]byte{0x10, 17}, slices.Concat(text("MQTT"), []byte{4, 0x82, 0, 60}, text("a"), text("\x00"))...),
		"an unknown type":              {0x00, 0},
		"a NATS client":                []byte("CONNECT {\"user\":\"cloud\"}\r\nSUB > 1\r\n"),
		"a reserved type once let in":  append(connectPacket(d), 0xf0, 0),
		"CONNECT twice":                slices.Concat(connectPacket(d), connectPacket(d)),
		"a truncated SUBSCRIBE":        append(connectPacket(d), 0x82, 2, 0, 1),
		"a SUBSCRIBE with wrong flags": append(connectPacket(d), 0x80, 2, 0, 1),
		"a topic over its end":         append(connectPacket(d), 0x30, 4, 0xff, 0xff, 'a', 'b'),
		"a PUBLISH with a wildcard":    append(connectPacket(d), append([]byte{0x30, 3}, text("#")...)...),
		"a PUBLISH with no topic":      append(connectPacket(d), 0x30, 2, 0, 0),
		"a PUBLISH of QoS 3":           append(connectPacket(d), append([]byte{0x36, 5}, append(text("a"), 0, 1)...)...),
		"a PUBLISH of 256 MB":          append(connectPacket(d), 0x30, 0xff, 0xff, 0xff, 0x7f),
	} {
		c := raw(t, b)
		if _, err := c.Write(packet); err != nil {
			t.Fatal(err)
		}
		if !closed(c, patience) {
			t.Errorf("%s: the connection stays open", name)
		}
	}
	if !bystander.IsConnected() {
		t.Error("a bystander was disconnected")
	}
	works(t, b, got, newDevice())
	nothing(t, got)
}

// TestStuckReader: a device that does not read delays nobody.
func TestStuckReader(t *testing.T) {
	b := start(t, broker.Config{})
	got := reports(t, b)
	stuck := newDevice()
	c := raw(t, b)
	c.Write(connectPacket(stuck))
	if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	filter := text(topic(stuck, "down"))
	c.Write(slices.Concat([]byte{0x82, byte(len(filter) + 3), 0, 1}, filter, []byte{0}))
	if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	for range 4000 {
		if err := b.Publish(stuck, make([]byte, cardea.MaxMessageBytes)); err != nil {
			t.Fatal(err)
		}
	}
	works(t, b, got, newDevice())
	eventually(t, "the stuck device is put out", func() bool { return !b.Connected(stuck) })
}

func quantiles(took []time.Duration) (p50, p99 time.Duration) {
	slices.Sort(took)
	return took[len(took)/2], took[len(took)*99/100]
}
