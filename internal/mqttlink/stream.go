package mqttlink

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// A stream is one network connection that speaks MQTT 3.1.1. One goroutine may
// read while another writes.
type stream struct {
	conn net.Conn
	in   io.Reader
}

func newStream(conn net.Conn) *stream { return &stream{conn, bufio.NewReader(conn)} }

// interrupt leaves whoever reads or writes just the time for a farewell.
func (s *stream) interrupt() { s.conn.SetDeadline(time.Now().Add(farewell)) }

// read waits for the next packet.
func (s *stream) read(ctx context.Context, patience time.Duration) (packets.ControlPacket, error) {
	s.conn.SetReadDeadline(time.Now().Add(patience))
	if ctx.Err() != nil { // interrupt may have come before the deadline was moved
		s.interrupt()
	}
	return packets.ReadPacket(s.in)
}

func (s *stream) write(ctx context.Context, p packets.ControlPacket) error {
	s.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if ctx.Err() != nil {
		s.interrupt()
	}
	if err := p.Write(s.conn); err != nil {
		return err
	}
	// A deadline that nothing waits for would still wake the device.
	if ctx.Err() == nil {
		s.conn.SetWriteDeadline(time.Time{})
	}
	return nil
}

// connect introduces the device with a clean session and a new random id
// [MQTT-3.1.3-5]: one that another device took would throw that one out.
func (s *stream) connect(ctx context.Context, cfg Config, password string) error {
	hello := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	hello.ProtocolName, hello.ProtocolVersion = "MQTT", 4
	hello.CleanSession = true
	hello.ClientIdentifier = rand.Text()[:22]
	hello.UsernameFlag, hello.Username = true, cfg.Device
	hello.PasswordFlag, hello.Password = true, []byte(password)
	hello.Keepalive = uint16((cfg.KeepAlive + time.Second - 1) / time.Second)
	if err := s.write(ctx, hello); err != nil {
		return err
	}
	p, err := s.read(ctx, answerTimeout)
	if err != nil {
		return err
	}
	answer, ok := p.(*packets.ConnackPacket)
	if !ok {
		return fmt.Errorf("%w: want a CONNACK", errProtocol)
	}
	switch answer.ReturnCode {
	case packets.Accepted:
		return nil
	case packets.ErrRefusedBadUsernameOrPassword, packets.ErrRefusedNotAuthorised:
		return ErrRefused
	}
	return fmt.Errorf("the broker refused the connection with code %d", answer.ReturnCode)
}

// subscribe returns when the subscription stands. Messages may arrive before
// the broker has said so [MQTT-3.8.4-1].
func (s *stream) subscribe(ctx context.Context, topic string, message func(*packets.PublishPacket)) error {
	wish := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	wish.MessageID, wish.Topics, wish.Qoss = 1, []string{topic}, []byte{0}
	if err := s.write(ctx, wish); err != nil {
		return err
	}
	for {
		p, err := s.read(ctx, answerTimeout)
		if err != nil {
			return err
		}
		switch p := p.(type) {
		case *packets.PublishPacket:
			message(p)
		case *packets.SubackPacket:
			if len(p.ReturnCodes) != 1 || p.ReturnCodes[0] == refused {
				return ErrForbidden
			}
			return nil
		default:
			return fmt.Errorf("%w: want a SUBACK", errProtocol)
		}
	}
}

// listen hands on messages until the connection ends or falls silent: a living
// broker answers each ping.
func (s *stream) listen(ctx context.Context, patience time.Duration, message func(*packets.PublishPacket)) error {
	for {
		p, err := s.read(ctx, patience)
		if err != nil {
			return err
		}
		if p, ok := p.(*packets.PublishPacket); ok {
			message(p)
		}
	}
}

// refused is the return code of a SUBACK that says no [MQTT-3.9.3-1].
const refused = 0x80

var errProtocol = errors.New("the broker does not keep to MQTT 3.1.1")
