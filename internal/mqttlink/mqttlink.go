// Package mqttlink keeps one MQTT 3.1.1 connection to a broker alive and moves
// bytes over it: one topic in, one topic out, QoS 0, clean sessions. It is the
// only importer of the paho library, of which it uses the packets alone.
//
// Nothing is promised but effort: what was published may be lost, and whoever
// uses a [Client] asks again until the other side's own answer came. In return
// no call waits for the network, nothing is buffered without bound, and the
// broker is trusted with nothing: a packet over the limit ends the connection
// before it is allocated, a message of another topic is dropped.
//
// The library's client is left out: its reconnecting knows no jitter, its queues
// serve QoS 1 and 2, and with its web sockets and proxies it would be a twentieth
// of the agent.
package mqttlink

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/url"
	"sync"
	"time"
)

// MaxPayload is the largest payload of either direction, in bytes: what every
// managed broker takes.
const MaxPayload = 32 << 10

// Faults of Publish and, in the log, of a connection.
var (
	ErrDown      = errors.New("not connected to the broker")
	ErrBusy      = errors.New("the connection to the broker is too slow")
	ErrTooBig    = errors.New("over the size limit of an MQTT message")
	ErrRefused   = errors.New("the broker refused the password")
	ErrForbidden = errors.New("the broker refused the subscription")
	ErrPlain     = errors.New("a broker elsewhere needs tls://: the password would be readable on the way")
)

// How a connection is tried again.
const (
	minBackoff = time.Second
	maxBackoff = time.Minute
	// A connection that lives for shorter did not work: the broker may accept
	// everybody and throw them out again.
	stable = time.Minute
)

// Config says where and how to connect. URL, Device, Password and Subscribe
// must be set.
type Config struct {
	// URL is the broker: tls://host:8883, or tcp://host:1883 for a broker on
	// this machine.
	URL string

	// Device is the MQTT user name.
	Device string

	// Password is asked at every attempt. fresh means that the broker refused
	// the last answer, so a kept one must not be given again.
	Password func(ctx context.Context, fresh bool) (string, error)

	// Subscribe is the topic whose messages go to OnMessage.
	Subscribe string

	// OnUp is called each time the subscription stands; messages sent before
	// it are lost. OnMessage is called for each message, in order. Both may
	// take their time: what comes meanwhile waits, 64 messages at most, then
	// the oldest is dropped.
	OnUp      func()
	OnMessage func(payload []byte)

	// FirstDelay spreads the first attempt over a random part of it, for
	// devices that got their power back together. Zero: at once.
	FirstDelay time.Duration

	// KeepAlive is how often an idle connection is tried; 60 s by default.
	KeepAlive time.Duration

	// TLS is for tls:// URLs; by default the system's authorities decide.
	TLS *tls.Config

	// Plain allows tcp:// to another machine.
	Plain bool

	// Log gets what goes wrong; by default nothing is logged.
	Log *slog.Logger
}

// A Client keeps one connection, from Run to its end.
type Client struct {
	cfg  Config
	out  chan message
	drop chan struct{}

	mu  sync.Mutex
	up  bool
	tls *tls.ConnectionState
}

// A message waits to be written.
type message struct {
	topic   string
	payload []byte
}

// New makes a client; nothing happens before Run.
func New(cfg Config) *Client {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.KeepAlive == 0 {
		cfg.KeepAlive = time.Minute
	}
	if cfg.OnUp == nil {
		cfg.OnUp = func() {}
	}
	if cfg.OnMessage == nil {
		cfg.OnMessage = func([]byte) {}
	}
	return &Client{cfg: cfg, out: make(chan message, 16), drop: make(chan struct{}, 1)}
}

// Run connects, and connects again, until ctx is done. Whatever the broker does
// is no reason to return; only a URL that can not be used is.
func (c *Client) Run(ctx context.Context) error {
	if err := c.checkURL(); err != nil {
		return fmt.Errorf("connect to broker: %w", err)
	}
	if c.cfg.FirstDelay > 0 && !sleep(ctx, rand.N(c.cfg.FirstDelay)) {
		return ctx.Err()
	}
	fresh, wait := false, time.Duration(0)
	for ctx.Err() == nil {
		began := time.Now()
		err := c.connection(ctx, fresh)
		if ctx.Err() != nil {
			break
		}
		fresh = errors.Is(err, ErrRefused) || errors.Is(err, ErrForbidden)
		if time.Since(began) >= stable {
			wait = 0
		}
		wait = min(max(2*wait, minBackoff), maxBackoff)
		c.cfg.Log.Warn("broker connection ended", "err", err, "again_in_at_most", wait)
		sleep(ctx, jitter(wait))
	}
	return ctx.Err()
}

// jitter spreads clients that lost their broker together.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2) }

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// Publish hands payload over to the connection and returns at once: ErrDown
// while there is none, ErrBusy while it is stuck, ErrTooBig. Nil means tried.
func (c *Client) Publish(topic string, payload []byte) error {
	if len(payload) > MaxPayload {
		return fmt.Errorf("publish %d bytes: %w", len(payload), ErrTooBig)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.up {
		return ErrDown
	}
	select {
	case c.out <- message{topic, payload}:
		return nil
	default:
		return ErrBusy
	}
}

// Drop ends the present connection, if any, and has a new one made: after a
// suspend the old one may be dead and no timer has noticed.
func (c *Client) Drop() {
	select {
	case c.drop <- struct{}{}:
	default:
	}
}

// TLS is how the present connection is protected, the same pointer while it is
// the same connection; nil if it is not. A message given to OnMessage came by
// the connection that TLS tells of until OnMessage returns.
func (c *Client) TLS() *tls.ConnectionState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tls
}

func (c *Client) setTLS(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tls = nil
	if t, ok := conn.(*tls.Conn); ok {
		c.tls = new(t.ConnectionState())
	}
}

// setUp opens and closes Publish. What was left for an old connection is thrown
// away: an answer to it could only be late.
func (c *Client) setUp(up bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.up = up
	for !up && len(c.out) > 0 {
		<-c.out
	}
}

func (c *Client) checkURL() error {
	u, err := url.Parse(c.cfg.URL)
	if err != nil {
		return err
	}
	switch {
	case u.Host == "" || u.Port() == "":
		return fmt.Errorf("broker %q: want tls://host:port", c.cfg.URL)
	case secure(u.Scheme):
		return nil
	case u.Scheme != "tcp" && u.Scheme != "mqtt":
		return fmt.Errorf("broker scheme %q: want tls or tcp", u.Scheme)
	case !c.cfg.Plain && !loopback(u.Hostname()):
		return ErrPlain
	}
	return nil
}

func secure(scheme string) bool { return scheme == "tls" || scheme == "ssl" || scheme == "mqtts" }

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// dial opens the network connection under the inbound limit.
func (c *Client) dial(ctx context.Context) (net.Conn, error) {
	u, err := url.Parse(c.cfg.URL)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var conn net.Conn
	if secure(u.Scheme) {
		conn, err = (&tls.Dialer{Config: c.cfg.TLS}).DialContext(ctx, "tcp", u.Host)
	} else {
		conn, err = new(net.Dialer).DialContext(ctx, "tcp", u.Host)
	}
	if err != nil {
		return nil, err
	}
	c.setTLS(conn)
	return limit(conn, MaxPayload+maxTopic), nil
}
