package mqttlink

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

const (
	dialTimeout  = 10 * time.Second
	writeTimeout = 10 * time.Second // without it a ping waits behind a stuck publish (paho #723)
	pingTimeout  = 10 * time.Second
	quiesce      = 100 * time.Millisecond
	maxTopic     = 1 << 10
	maxInbound   = 64
)

// connection makes one connection and returns why it ended.
func (c *Client) connection(ctx context.Context, fresh bool) error {
	password, err := c.cfg.Password(ctx, fresh)
	if err != nil {
		return fmt.Errorf("get the broker's password: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	inbound, lost := make(chan []byte, maxInbound), make(chan error, 1)
	client := mqtt.NewClient(c.options(ctx, password, inbound, lost))
	defer client.Disconnect(uint(quiesce.Milliseconds()))

	if err := await(ctx, lost, 2*dialTimeout, client.Connect); err != nil {
		return connectError(err)
	}
	select {
	case <-c.drop: // it was meant for an earlier connection
	default:
	}
	if err := c.subscribe(ctx, client, lost); err != nil {
		return err
	}
	c.setUp(true)
	defer c.setUp(false)
	done := make(chan struct{})
	defer func() { cancel(); <-done }()
	go func() {
		defer close(done)
		c.deliver(ctx, inbound)
	}()
	return c.send(ctx, client, lost)
}

// options switches off everything paho does on its own: each connection is one
// client that never reconnects.
func (c *Client) options(ctx context.Context, password string, inbound chan []byte, lost chan error) *mqtt.ClientOptions {
	o := mqtt.NewClientOptions().AddBroker(c.cfg.URL)
	o.SetProtocolVersion(4) // otherwise a refused CONNACK is tried again as 3.1
	o.SetClientID(rand.Text()[:22])
	o.SetCredentialsProvider(func() (string, string) { return c.cfg.Device, password })
	o.SetCleanSession(true).SetResumeSubs(false).SetStore(mqtt.NewOrderedMemoryStore())
	o.SetAutoReconnect(false).SetConnectRetry(false).SetMaxReconnectInterval(maxBackoff)
	o.SetConnectTimeout(dialTimeout).SetWriteTimeout(writeTimeout).SetPingTimeout(pingTimeout)
	o.SetKeepAlive(c.cfg.KeepAlive)
	o.SetOrderMatters(true)
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { c.enqueue(inbound, m) })
	o.SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost <- err })
	o.SetCustomOpenConnectionFn(func(u *url.URL, _ mqtt.ClientOptions) (net.Conn, error) { return c.dial(ctx, u) })
	return o
}

// enqueue must not block: paho would handle nothing more (paho #474).
func (c *Client) enqueue(inbound chan []byte, m mqtt.Message) {
	if m.Topic() != c.cfg.Subscribe || len(m.Payload()) > MaxPayload {
		c.cfg.Log.Warn("message dropped", "bytes", len(m.Payload()), "own_topic", m.Topic() == c.cfg.Subscribe)
		return
	}
	for {
		select {
		case inbound <- m.Payload():
			return
		default:
		}
		select {
		case <-inbound:
		default:
		}
	}
}

// subscribe reads the return code: a SUBACK with 0x80 is a refusal, not an
// error, to paho [MQTT-3.9.3-1].
func (c *Client) subscribe(ctx context.Context, client mqtt.Client, lost chan error) error {
	var token *mqtt.SubscribeToken
	err := await(ctx, lost, dialTimeout, func() mqtt.Token {
		t := client.Subscribe(c.cfg.Subscribe, 0, nil)
		token, _ = t.(*mqtt.SubscribeToken)
		return t
	})
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	granted, ok := token.Result()[c.cfg.Subscribe]
	if !ok || granted == 0x80 {
		return ErrForbidden
	}
	return nil
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

// send writes what Publish was given until the connection ends.
func (c *Client) send(ctx context.Context, client mqtt.Client, lost chan error) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-lost:
			return fmt.Errorf("connection lost: %w", err)
		case <-c.drop:
			return errors.New("connection dropped on request")
		case m := <-c.out:
			publish := func() mqtt.Token { return client.Publish(m.topic, 0, false, m.payload) }
			if err := await(ctx, lost, writeTimeout, publish); err != nil {
				return fmt.Errorf("publish: %w", err)
			}
		}
	}
}

// await never waits for ever: the call itself may block on a connection that
// has just gone, and its token may not complete at all (paho #613).
func await(ctx context.Context, lost chan error, timeout time.Duration, call func() mqtt.Token) error {
	done := make(chan error, 1)
	go func() {
		token := call()
		select {
		case <-token.Done():
			done <- token.Error()
		case <-time.After(timeout):
			done <- errNoAnswer
		}
	}()
	select {
	case err := <-done:
		return err
	case err := <-lost:
		return fmt.Errorf("connection lost: %w", err)
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(timeout):
		return errNoAnswer
	}
}

var errNoAnswer = errors.New("the broker does not answer")

// connectError tells a refused password (CONNACK 4 and 5) from everything else.
func connectError(err error) error {
	if errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword) || errors.Is(err, packets.ErrorRefusedNotAuthorised) {
		return ErrRefused
	}
	return fmt.Errorf("connect: %w", err)
}
