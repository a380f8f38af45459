package mqttlink

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// What a broker may say.
var (
	accepted  = []byte{0x20, 2, 0, 0}
	granted   = []byte{0x90, 3, 0, 1, 0}
	forbidden = []byte{0x90, 3, 0, 1, refused}
	pong      = []byte{0xd0, 0}
	message1  = []byte{0x30, 5, 0, 1, 'd', 'h', 'i'}
	message2  = []byte{0x32, 7, 0, 1, 'd', 0, 9, 'h', 'o'} // QoS 1, although 0 was asked for
)

// answers gives the broker's word on each kind of packet, or nothing.
type answers map[byte][]byte

var polite = answers{packets.Connect: accepted, packets.Subscribe: granted, packets.Pingreq: pong}

// A scripted broker answers by kind and remembers what it was sent.
type scripted struct {
	heard []packets.ControlPacket
	ended chan struct{}
}

func (s *scripted) serve(conn net.Conn, a answers) {
	defer close(s.ended)
	for {
		p, err := packets.ReadPacket(conn)
		if err != nil {
			return
		}
		s.heard = append(s.heard, p)
		conn.Write(a[kind(p)])
	}
}

func kind(p packets.ControlPacket) byte {
	var b bytes.Buffer
	p.Write(&b)
	return b.Bytes()[0] >> 4
}

func (s *scripted) kinds() (all []byte) {
	for _, p := range s.heard {
		all = append(all, kind(p))
	}
	return all
}

// talkTo has a client talk to a broker with these answers until ctx ends.
func talkTo(ctx context.Context, a answers, cfg Config) (*scripted, error) {
	cfg.Device, cfg.Subscribe = "dev", "d"
	near, far := net.Pipe()
	s := &scripted{ended: make(chan struct{})}
	go s.serve(far, a)
	err := New(cfg).talk(ctx, limit(near, MaxPayload+maxTopic), "hush")
	<-s.ended
	far.Close()
	return s, err
}

func TestSpeaksAsItShould(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour-time.Second)
		defer cancel()
		s, err := talkTo(ctx, polite, Config{})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ended with %v", err)
		}
		want := append([]byte{packets.Connect, packets.Subscribe}, bytes.Repeat([]byte{packets.Pingreq}, 59)...)
		if got := s.kinds(); !bytes.Equal(got, append(want, packets.Disconnect)) {
			t.Errorf("sent %v", got)
		}
		hello := s.heard[0].(*packets.ConnectPacket)
		if !hello.CleanSession || hello.ProtocolVersion != 4 || hello.Keepalive != 60 || hello.Username != "dev" || string(hello.Password) != "hush" {
			t.Errorf("introduced itself with %v", hello)
		}
		if wish := s.heard[1].(*packets.SubscribePacket); !slices.Equal(wish.Topics, []string{"d"}) || wish.Qoss[0] != 0 {
			t.Errorf("subscribed with %v", wish)
		}
	})
}

func TestSilentBroker(t *testing.T) {
	for name, test := range map[string]struct {
		says  answers
		after time.Duration
	}{
		"from the start":   {nil, answerTimeout},
		"after connecting": {answers{packets.Connect: accepted}, answerTimeout},
		"later":            {answers{packets.Connect: accepted, packets.Subscribe: granted}, time.Minute + answerTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				_, err := talkTo(t.Context(), test.says, Config{})
				if took := time.Since(began); !errors.Is(err, os.ErrDeadlineExceeded) || took != test.after {
					t.Errorf("given up after %v with %v, want %v", took, err, test.after)
				}
			})
		})
	}
}

func TestBadBroker(t *testing.T) {
	for name, test := range map[string]struct {
		says answers
		want error
	}{
		"bad password":     {answers{packets.Connect: {0x20, 2, 0, 4}}, ErrRefused},
		"not authorised":   {answers{packets.Connect: {0x20, 2, 0, 5}}, ErrRefused},
		"no CONNACK":       {answers{packets.Connect: pong}, errProtocol},
		"no SUBACK":        {answers{packets.Connect: accepted, packets.Subscribe: pong}, errProtocol},
		"forbidden":        {answers{packets.Connect: accepted, packets.Subscribe: forbidden}, ErrForbidden},
		"a SUBACK of none": {answers{packets.Connect: accepted, packets.Subscribe: {0x90, 2, 0, 1}}, ErrForbidden},
		"too big":          {answers{packets.Connect: accepted, packets.Subscribe: {0x30, 0xff, 0xff, 0x7f}}, ErrTooBig},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if _, err := talkTo(t.Context(), test.says, Config{}); !errors.Is(err, test.want) {
					t.Errorf("ended with %v, want %v", err, test.want)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		if _, err := talkTo(t.Context(), answers{packets.Connect: {0x20, 2, 0, 3}}, Config{}); err == nil || errors.Is(err, ErrRefused) {
			t.Errorf("a broker that is not available: %v", err)
		}
	})
}

// A broker may deliver before it has confirmed the subscription.
func TestMessageBeforeTheSuback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var got []string
		a := answers{packets.Connect: accepted, packets.Subscribe: slices.Concat(message1, granted, message2)}
		_, err := talkTo(ctx, a, Config{OnMessage: func(b []byte) {
			if got = append(got, string(b)); len(got) == 2 {
				cancel()
			}
		}})
		if !errors.Is(err, context.Canceled) || !slices.Equal(got, []string{"hi", "ho"}) {
			t.Errorf("got %q, ended with %v", got, err)
		}
	})
}

// A connection that takes nothing holds nobody up for longer than a farewell.
func TestEndsAlthoughTheBrokerIsStuck(t *testing.T) {
	for name, reads := range map[string]int{"at once": 0, "after connecting": 1, "after subscribing": 2} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				defer far.Close()
				go func() {
					for i := range reads {
						packets.ReadPacket(far)
						far.Write([][]byte{accepted, granted}[i])
					}
				}()
				ctx, cancel := context.WithCancel(t.Context())
				c := New(Config{Device: "dev", Subscribe: "d"})
				ended := make(chan time.Time, 1)
				go func() { c.talk(ctx, near, "hush"); ended <- time.Now() }()
				synctest.Wait()
				c.Publish("u", []byte("nobody reads this"))
				synctest.Wait()
				cancel()
				if took := time.Since(<-ended); took > farewell {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

// A recording is a connection on which the broker's words are fixed.
type recording struct {
	net.Conn
	io.Reader
}

func (r recording) Read(p []byte) (int, error)     { return r.Reader.Read(p) }
func (recording) Write(p []byte) (int, error)      { return len(p), nil }
func (recording) SetDeadline(time.Time) error      { return nil }
func (recording) SetReadDeadline(time.Time) error  { return nil }
func (recording) SetWriteDeadline(time.Time) error { return nil }
func (recording) Close() error                     { return nil }

// FuzzTalk gives a client whatever a broker may say.
func FuzzTalk(f *testing.F) {
	f.Add(slices.Concat(accepted, granted, message1, pong))
	f.Add(slices.Concat(accepted, message2, forbidden))
	f.Add([]byte{0x20, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, said []byte) {
		c := New(Config{Device: "dev", Subscribe: "d"})
		if err := c.talk(t.Context(), limit(recording{Reader: bytes.NewReader(said)}, MaxPayload+maxTopic), "hush"); err == nil {
			t.Error("a connection ended without a reason")
		}
	})
}
