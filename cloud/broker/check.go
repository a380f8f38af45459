package broker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"
)

// Check proves that messages pass through the broker, and that its door is open.
func (b *Broker) Check(ctx context.Context) error {
	if b.srv == nil { // what passes through servers of their own is for them to say
		if err := b.nc.FlushWithContext(ctx); err != nil {
			return fmt.Errorf("check broker: %w", err)
		}
		return nil
	}
	if err := b.pass(ctx); err != nil {
		return fmt.Errorf("check broker: %w", err)
	}
	if !b.srv.ReadyForConnections(time.Millisecond) {
		return errors.New("check broker: its door is shut")
	}
	return nil
}

// pass sends a message to itself.
func (b *Broker) pass(ctx context.Context) error {
	sub, err := b.nc.SubscribeSync("check." + rand.Text())
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	if err := b.nc.Publish(sub.Subject, nil); err != nil {
		return err
	}
	_, err = sub.NextMsgWithContext(ctx)
	return err
}

// Connections is how many connections of devices there are, on all servers.
func (b *Broker) Connections() int { return b.who.count() }
