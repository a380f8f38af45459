package broker

import (
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/cardea-id/cardea"
)

// join uses servers of their own, which other clouds use as well.
func (b *Broker) join(c Config) error {
	s := secrets{c.Secret}
	issuer, err := s.issuer()
	if err != nil {
		return err
	}
	if b.nc, err = b.connect(c.URL, s, ownUser); err != nil {
		return err
	}
	if b.system, err = b.connect(c.URL, s, systemUser); err != nil {
		return err
	}
	who := newRoster(b.system, c.Log)
	b.who = who
	if err := who.listen(b); err != nil {
		return err
	}
	in := &callout{log: c.Log, verify: c.Verify, issuer: issuer, rates: map[cardea.DeviceID]time.Time{}}
	return in.listen(b)
}

func (b *Broker) connect(url string, s secrets, user string) (*nats.Conn, error) {
	nc, err := nats.Connect(url, nats.UserInfo(user, s.password(user)), nats.Name("cardea-cloud"), nats.NoEcho(),
		nats.MaxReconnects(-1), nats.ReconnectWait(250*time.Millisecond), nats.Timeout(startTimeout), nats.ErrorHandler(b.dropped),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				b.log.Warn("connection to the broker lost, another is tried", "err", err)
			}
		}))
	if errors.Is(err, nats.ErrAuthorization) {
		return nil, fmt.Errorf("broker: %w: configure its servers with what \"cardea-cloud broker config\" prints", err)
	}
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	return nc, nil
}

// told is where clouds on the same servers speak with each other. No device may
// publish or subscribe there.
const told = "cloud.told."

// Tell tells the other clouds of something by its kind. It may get lost: whoever
// relies on it also looks now and then.
func (b *Broker) Tell(kind string, what []byte) {
	if err := b.nc.Publish(told+kind, what); err != nil {
		b.log.Warn("other clouds not told", "kind", kind, "err", err)
	}
}

// OnTold has handle called with what the other clouds tell of a kind, one after
// the other. It must return soon.
func (b *Broker) OnTold(kind string, handle func(what []byte)) error {
	if _, err := b.nc.Subscribe(told+kind, func(m *nats.Msg) { handle(m.Data) }); err != nil {
		return fmt.Errorf("listen to other clouds: %w", err)
	}
	return b.nc.Flush()
}
