package cloud

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/broker"
	"github.com/cardea-id/cardea/cloud/clock"
	"github.com/cardea-id/cardea/store/accountdb"
)

// What clouds on the same servers tell each other, so that nobody waits for what
// happened at another. It may get lost; each also looks by itself.
const (
	toldDecided = "decided" // the hash of a code whose grant changed
	toldKeys    = "keys"    // a key was rotated, or a list published
	toldChanged = "changed" // by its stream: what there is to see of an account

	// lookEvery is how late a cloud may notice what it was not told.
	lookEvery = 2 * time.Second
	// mostSkew is how far a cloud's clock may be from the database's.
	mostSkew = time.Second
)

// brokerSecret is what servers of the broker are configured with. It follows
// from the master key, which every cloud of a database has.
func brokerSecret(master accountdb.Key) ([]byte, error) {
	return hkdf.Key(sha256.New, master[:], nil, "cardea broker", sha256.Size)
}

// BrokerConfig writes the configuration of nats-servers for this cloud and all
// others with its master key, which is made if there is none. what is "config".
func BrokerConfig(ctx context.Context, c Config, what string, out io.Writer, _ *slog.Logger) error {
	c, err := c.withDefaults()
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if what != "config" {
		return fmt.Errorf("broker: say config, not %.20q", what)
	}
	master, err := c.master(ctx)
	if err != nil {
		return err
	}
	secret, err := brokerSecret(master)
	if err != nil {
		return err
	}
	text, err := broker.ServerConfig(secret)
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, text)
	return err
}

func (c Config) checkBroker() error {
	switch {
	case c.Broker == "":
		return nil
	case !c.onServer():
		return errors.New("broker: servers of its own are for clouds that share a database: set database as well")
	case c.MQTTURL == "":
		return errors.New("broker: set mqtt_url to where devices find its servers")
	}
	return nil
}

// brokerConfig is that of the server inside, or of the servers outside.
func (c *cloud) brokerConfig() (broker.Config, error) {
	config := broker.Config{Log: c.log, Verify: c.mayConnect}
	if c.config.Broker == "" {
		config.MQTTAddr, config.TLS = c.config.MQTTListen, c.mqttTLS()
		return config, nil
	}
	master, err := readMasterKey(c.config.inData(masterKeyFile))
	if err != nil {
		return config, err
	}
	config.URL = c.config.Broker
	config.Secret, err = brokerSecret(master)
	return config, err
}

// mqttAddr is where devices connect, for the log.
func (c *cloud) mqttAddr() string {
	if addr := c.broker.Addr(); addr != nil {
		return addr.String()
	}
	return c.config.Broker
}

// tellDecided tells the other clouds that a code's grant changed.
func (c *cloud) tellDecided(code cardea.Hash) { c.broker.Tell(toldDecided, code[:]) }

// listenToOthers takes up what other clouds tell.
func (c *cloud) listenToOthers(ctx context.Context) error {
	if !c.config.onServer() {
		return nil
	}
	err := c.broker.OnTold(toldDecided, func(what []byte) {
		if len(what) == len(cardea.Hash{}) {
			c.issuer.Wake(cardea.Hash(what))
		}
	})
	if err != nil {
		return err
	}
	if err := c.broker.OnTold(toldChanged, c.onChanged); err != nil {
		return err
	}
	return c.broker.OnTold(toldKeys, func([]byte) {
		if err := c.keys.Follow(ctx); err != nil && ctx.Err() == nil {
			c.log.ErrorContext(ctx, "keys not followed", "err", err)
		}
	})
}

// follow looks for what other clouds have done and could not tell.
func (c *cloud) follow(ctx context.Context) {
	if !c.config.onServer() {
		return
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := errors.Join(c.keys.Follow(ctx), c.db.View(ctx, c.ledger.Catalogue.Follow))
		if err != nil && ctx.Err() == nil {
			c.log.ErrorContext(ctx, "other clouds not followed", "err", err)
		}
	}
}

// clockName tells this machine's clock from those of other clouds.
func (c Config) clockName() (string, error) {
	if !c.onServer() {
		return "", nil
	}
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("name of this machine: %w", err)
	}
	return " " + host, nil
}

// inTime says whether something may be signed at a moment: this machine's clock
// is right, and the database's, by which everything is recorded, agrees with it.
func (c *cloud) inTime(now time.Time) error {
	if skew := c.db.Skew(); skew.Abs() > mostSkew {
		return fmt.Errorf("%w: the database's is %v ahead of it", clock.ErrClock, skew)
	}
	return c.clock.Check(now)
}
