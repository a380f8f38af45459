package mqttlink

import (
	"fmt"
	"net"
)

// limit wraps a connection so that no packet announces more than max bytes.
// paho allocates what a packet's header says, up to 256 MB; here the announcement
// never reaches it.
func limit(conn net.Conn, max int) net.Conn {
	return &limitedConn{Conn: conn, framer: framer{max: max}}
}

type limitedConn struct {
	net.Conn
	framer
}

// Read passes on what was read only after its headers were looked at.
func (c *limitedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if fault := c.scan(p[:n]); fault != nil {
		c.Conn.Close()
		return 0, fault
	}
	return n, err
}

// A framer follows the packets of an MQTT stream: a type byte, the remaining
// length in one to four bytes of seven bits each, then that many bytes
// [MQTT-2.2.3].
type framer struct {
	max    int
	body   int // bytes of the packet still to come
	inHead bool
	length int
	shift  int
}

func (f *framer) scan(p []byte) error {
	for len(p) > 0 {
		if f.body > 0 {
			n := min(f.body, len(p))
			f.body, p = f.body-n, p[n:]
			continue
		}
		b := p[0]
		p = p[1:]
		if !f.inHead {
			f.inHead, f.length, f.shift = true, 0, 0
			continue
		}
		f.length |= int(b&0x7f) << f.shift
		f.shift += 7
		if f.length > f.max || f.shift > 21 && b&0x80 != 0 {
			return fmt.Errorf("a packet of %d bytes or more: %w", f.length, ErrTooBig)
		}
		if b&0x80 == 0 {
			f.inHead, f.body = false, f.length
		}
	}
	return nil
}
