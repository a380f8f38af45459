package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
)

// calloutSubject is where servers ask who gets in. Of the clouds one is asked.
const calloutSubject = "$SYS.REQ.USER.AUTH"

// A callout lets devices into servers of their own, as the door does into ours.
type callout struct {
	log    *slog.Logger
	verify func(token string) (cardea.DeviceID, time.Time, error)
	issuer nkeys.KeyPair

	mu    sync.Mutex
	rates map[cardea.DeviceID]time.Time // when its connects so far are worked off
}

// listen answers until the connection is closed. Verifying waits for the
// database, so several are at it.
func (c *callout) listen(b *Broker) error {
	asked := make(chan *nats.Msg, waiting)
	if _, err := b.nc.ChanQueueSubscribe(calloutSubject, "cardea", asked); err != nil {
		return fmt.Errorf("subscribe to connects: %w", err)
	}
	for range max(2, runtime.GOMAXPROCS(0)) {
		b.workers.Go(func() {
			for {
				select {
				case m := <-asked:
					if err := c.answer(m); err != nil {
						c.log.Error("connect not answered", "err", err)
					}
				case <-b.done:
					return
				}
			}
		})
	}
	return b.nc.Flush()
}

func (c *callout) answer(m *nats.Msg) error {
	asked, err := jwt.DecodeAuthorizationRequestClaims(string(m.Data))
	if err != nil {
		return err
	}
	answer := jwt.NewAuthorizationResponseClaims(asked.UserNkey)
	answer.Audience = asked.Server.ID
	if answer.Jwt, err = c.admit(asked); err != nil {
		c.log.Info("connection refused", "reason", err)
		answer.Error = "refused"
	}
	text, err := answer.Encode(c.issuer)
	if err != nil {
		return err
	}
	return m.Respond([]byte(text))
}

var (
	errNoDevice = errors.New("it is no device that speaks MQTT")
	errForeign  = errors.New("the token is not this device's")
	errTooOften = errors.New("it connects too often")
)

// admit says what a device may do, if it may come in.
func (c *callout) admit(asked *jwt.AuthorizationRequestClaims) (string, error) {
	device, err := cardea.ParseDeviceID(asked.ConnectOptions.Username)
	if err != nil || asked.ClientInformation.Type != "mqtt" {
		return "", errNoDevice
	}
	token := asked.ConnectOptions.Password
	owner, end, err := c.verify(token)
	if err != nil {
		return "", fmt.Errorf("%s: %w", device, err)
	}
	if owner != device || token == "" {
		return "", fmt.Errorf("%s: %w", device, errForeign)
	}
	if !c.inTime(device, time.Now()) {
		return "", fmt.Errorf("%s: %w", device, errTooOften)
	}
	user := jwt.NewUserClaims(asked.UserNkey)
	user.Name, user.Audience, user.Expires = string(device), cloudAccount, end.Unix()
	user.AllowedConnectionTypes.Add(jwt.ConnectionTypeMqtt)
	user.Permissions.Pub.Allow.Add(subject(wire.UpTopic(device)))
	user.Permissions.Sub.Allow.Add(subject(wire.DownTopic(device)))
	user.Limits.Subs, user.Limits.Payload = maxSubs, MaxPayload
	return user.Encode(c.issuer)
}

// inTime reports whether the device may connect once more now.
func (c *callout) inTime(device cardea.DeviceID, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.rates) > 10_000 {
		for d, rate := range c.rates {
			if rate.Before(now) {
				delete(c.rates, d)
			}
		}
	}
	rate := c.rates[device]
	if rate.Before(now) {
		rate = now
	}
	if rate.Sub(now) >= connectBurst*connectEvery {
		return false
	}
	c.rates[device] = rate.Add(connectEvery)
	return true
}
