package mqttlink

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

const (
	dialTimeout   = 10 * time.Second
	answerTimeout = 10 * time.Second // for CONNACK, SUBACK and PINGRESP
	writeTimeout  = 10 * time.Second
	farewell      = 100 * time.Millisecond
	maxTopic      = 1 << 10
	maxInbound    = 64
)

// connection makes one connection and returns why it ended.
func (c *Client) connection(ctx context.Context, fresh bool) error {
	password, err := c.cfg.Password(ctx, fresh)
	if err != nil {
		return fmt.Errorf("get the broker's password: %w", err)
	}
	conn, err := c.dial(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return c.talk(ctx, conn, password)
}

// talk speaks MQTT on conn, which it closes.
func (c *Client) talk(ctx context.Context, conn net.Conn, password string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := newStream(conn)
	defer conn.Close()
	defer context.AfterFunc(ctx, s.interrupt)()

	if err := s.connect(ctx, c.cfg, password); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	select {
	case <-c.drop: // it was meant for an earlier connection
	default:
	}
	inbound := make(chan []byte, maxInbound)
	message := func(p *packets.PublishPacket) { c.enqueue(inbound, p) }
	if err := s.subscribe(ctx, c.cfg.Subscribe, message); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	c.setUp(true)
	defer c.setUp(false)
	return c.run(ctx, s, inbound, message)
}

// run moves messages both ways until the connection ends, and waits for what it
// started.
func (c *Client) run(ctx context.Context, s *stream, inbound chan []byte, message func(*packets.PublishPacket)) error {
	ctx, cancel := context.WithCancel(ctx)
	lost, delivered := make(chan error, 1), make(chan struct{})
	go func() { lost <- s.listen(ctx, c.cfg.KeepAlive+answerTimeout, message) }()
	go func() {
		defer close(delivered)
		c.deliver(ctx, inbound)
	}()
	err := c.send(ctx, s, lost)
	cancel()
	if !errors.Is(err, errLost) {
		s.write(ctx, packets.NewControlPacket(packets.Disconnect))
		s.conn.Close()
		<-lost
	}
	<-delivered
	return err
}

// enqueue never blocks: the oldest message makes room, and the answers to pings
// are still read.
func (c *Client) enqueue(inbound chan []byte, p *packets.PublishPacket) {
	if p.TopicName != c.cfg.Subscribe || len(p.Payload) > MaxPayload {
		c.cfg.Log.Warn("message dropped", "bytes", len(p.Payload), "own_topic", p.TopicName == c.cfg.Subscribe)
		return
	}
	for {
		select {
		case inbound <- p.Payload:
			return
		default:
		}
		select {
		case <-inbound:
		default:
		}
	}
}

// deliver hands messages over one by one.
func (c *Client) deliver(ctx context.Context, inbound chan []byte) {
	c.cfg.OnUp()
	for {
		select {
		case <-ctx.Done():
			return
		case payload := <-inbound:
			c.cfg.OnMessage(payload)
		}
	}
}

var errLost = errors.New("connection lost")

// send writes what Publish was given, and a ping each KeepAlive, until the
// connection ends.
func (c *Client) send(ctx context.Context, s *stream, lost <-chan error) error {
	ping := time.NewTicker(c.cfg.KeepAlive)
	defer ping.Stop()
	for {
		var next packets.ControlPacket
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-lost:
			return fmt.Errorf("%w: %w", errLost, err)
		case <-c.drop:
			return errors.New("connection dropped on request")
		case <-ping.C:
			next = packets.NewControlPacket(packets.Pingreq)
		case m := <-c.out:
			next = m.packet()
		}
		if err := s.write(ctx, next); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
}

// packet is the message at QoS 0: sent once, never acknowledged.
func (m message) packet() packets.ControlPacket {
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.TopicName, p.Payload = m.topic, m.payload
	return p
}
