package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/binary"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/agent/keys"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/store/devicedb"
)

// A capture is all that a device has sent, by connection.
type capture struct {
	mu    sync.Mutex
	conns map[string]*bytes.Buffer
}

func (c *capture) tap(kind string) func(int, []byte) {
	return func(conn int, sent []byte) {
		c.mu.Lock()
		defer c.mu.Unlock()
		name := fmt.Sprint(kind, " ", conn)
		if c.conns[name] == nil {
			c.conns[name] = new(bytes.Buffer)
		}
		c.conns[name].Write(sent)
	}
}

// messages reads what was sent as messages, counted by kind, and returns the
// sealed reports among them.
func (c *capture) messages(t *testing.T) (kinds map[string]int, size int, ups [][]byte) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	kinds = map[string]int{}
	for name, sent := range c.conns {
		size += sent.Len()
		b := bytes.NewReader(sent.Bytes())
		if strings.HasPrefix(name, "mqtt") {
			ups = append(ups, mqttMessages(t, b, kinds)...)
		} else {
			ups = append(ups, httpMessages(t, b, kinds)...)
		}
	}
	return kinds, size, ups
}

func httpMessages(t *testing.T, b *bytes.Reader, kinds map[string]int) (ups [][]byte) {
	t.Helper()
	for r := bufio.NewReader(b); ; {
		req, err := http.ReadRequest(r)
		if err != nil {
			return ups // the end, or cut off
		}
		var body bytes.Buffer
		body.ReadFrom(req.Body)
		kinds["HTTP "+req.Method+" "+req.URL.Path]++
		if req.URL.Path == "/v1/up" {
			ups = append(ups, body.Bytes())
		}
	}
}

// mqttMessages reads control packets of MQTT 3.1.1, Section 2.2.
func mqttMessages(t *testing.T, b *bytes.Reader, kinds map[string]int) (ups [][]byte) {
	t.Helper()
	for {
		head, err := b.ReadByte()
		if err != nil {
			return ups
		}
		length, err := binary.ReadUvarint(b)
		if err != nil || length > uint64(b.Len()) {
			return ups
		}
		packet := make([]byte, length)
		b.Read(packet)
		kind := fmt.Sprintf("MQTT %d", head>>4)
		if head>>4 == 3 { // PUBLISH, QoS 0
			n := int(binary.BigEndian.Uint16(packet))
			topic := string(packet[2 : 2+n])
			if _, err := wire.ParseUpTopic(topic); err != nil {
				t.Errorf("published to %s", topic)
			}
			kind = "MQTT 3 up"
			ups = append(ups, packet[2+n:])
		}
		kinds[kind]++
	}
}

// What a device may say that nobody has allowed anything: who it is, what it has
// been told, and what was decided on it.
var necessary = map[string]bool{
	"HTTP GET /.well-known/oauth-authorization-server": true,
	"HTTP POST /oauth/device_authorization":            true,
	"HTTP POST /oauth/token":                           true,
	"HTTP POST /v1/links":                              true,
	"HTTP POST /v1/up":                                 true,
	"HTTP GET /v1/keys":                                true,
	"MQTT 1":                                           true, "MQTT 3 up": true, "MQTT 8": true, "MQTT 12": true, "MQTT 14": true, // CONNECT, PUBLISH, SUBSCRIBE, PINGREQ, DISCONNECT
}

// 1,000 events are handed in while nobody is linked, while a guest uses the
// device, and for a purpose that is denied. What leaves meanwhile is captured on
// the wire, reports are opened, and everything is compared with a list of what is
// necessary. At the end one event that is allowed is seen to leave.
func TestGuestEgress(t *testing.T) {
	c := newCollecting(t)
	sent := &capture{conns: map[string]*bytes.Buffer{}}
	c.TapBroker(sent.tap("mqtt"))
	c.agent.Tap(sent.tap("http"))
	submitted := 0
	submit := func(events int) {
		for range events / 50 {
			var batch []client.Datum
			for range 50 {
				batch = append(batch, song(fmt.Sprintf("marker-%d", submitted)))
				submitted++
			}
			if n := c.collect(t, batch...); n != 0 {
				t.Fatalf("%d events of nobody were accepted", n)
			}
		}
	}
	ctx := context.Background()
	submit(250)
	c.pair(t)
	submit(250) // not asked
	_, err := c.agent.Guest(ctx)
	must(t, err)
	submit(250)
	links, err := c.agent.Links(ctx)
	must(t, err)
	id := links.Links[0].Link
	_, err = c.agent.Activate(ctx, id)
	must(t, err)
	c.allow(t)
	_, err = c.agent.Withdraw(ctx, client.Withdrawal{Key: recommend})
	must(t, err)
	submit(250)
	nothingPending(t, c.agent)

	kinds, size, ups := sent.messages(t)
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		t.Logf("%5d %s", kinds[kind], kind)
		if !necessary[kind] {
			t.Errorf("%s is not among what is necessary", kind)
		}
	}
	if len(c.arrived(t)) != 0 {
		t.Errorf("arrived: %v", c.arrived(t))
	}

	c.allow(t) // and this one would have been seen
	if n := c.collect(t, song("allowed")); n != 1 {
		t.Fatal("an event that is allowed was not accepted")
	}
	until(t, "the event that is allowed has arrived", func() error {
		if len(c.arrived(t)["allowed"]) != 1 {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	if after, _, _ := sent.messages(t); after["HTTP POST /v1/ingest"] == 0 {
		t.Error("the capture does not see what leaves")
	}

	must(t, c.agent.Process.Stop())
	opened := c.openUps(t, id, ups)
	if submitted != 1000 || opened == 0 { // how many there are depends on what one of them could say at once
		t.Errorf("%d events, %d reports", submitted, opened)
	}
	t.Logf("submitted=%d left=0 captured-bytes=%d kinds=%d reports-opened=%d", submitted, size, len(kinds), opened)
}

// openUps opens the reports with the device's own keys and looks at every word.
func (c *collecting) openUps(t *testing.T, id cardea.LinkID, ups [][]byte) (opened int) {
	t.Helper()
	key, err := keys.Open(filepath.Join(c.agent.Dir, "state", "device.key"))
	must(t, err)
	db, err := devicedb.Open(filepath.Join(c.agent.Dir, "state", "device.db"), key.SealKey())
	must(t, err)
	defer db.Close()
	link, err := db.Link(id)
	must(t, err)
	for _, sealed := range ups {
		up, err := wire.OpenUp(sealed, key.ID(), id, link.Key, ecdsaOf(key))
		must(t, err)
		opened++
		for _, e := range up.Entries {
			if e.Act != cardea.ActDeny || e.Key != recommend || e.Value != "" || e.Preference != "" {
				t.Errorf("a report says %+v", e)
			}
		}
		if up.Purged != nil && len(up.Purged.Keys) > 0 {
			t.Errorf("a report counts %+v", up.Purged)
		}
		if len(up.Held) > 0 || up.Device != key.ID() {
			t.Errorf("%+v", up)
		}
	}
	return opened
}

func ecdsaOf(key *keys.Key) *ecdsa.PublicKey {
	pub, _ := key.Public().(*ecdsa.PublicKey)
	return pub
}
