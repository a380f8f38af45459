package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
)

// briefly bounds an attempt, in seconds: what is to come comes in milliseconds.
const briefly = "2"

// A trick is something a hostile device tries.
type trick struct {
	what string
	try  func(ctx context.Context) (string, error)
}

// hostile tries everything and looks after each trick whether anybody was harmed.
func (m *mqtt) hostile(ctx context.Context) error {
	victim := m.honest.id
	down, up := wire.DownTopic(victim), wire.UpTopic(victim)
	tricks := []trick{
		{"listens to what another device is told", m.listens(down)},
		{"listens to what another device reports", m.listens(up)},
		{"listens to all devices by wildcards", m.listens("#", "+/#", "cardea/#", "cardea/1/+/down", "cardea/1/+/+", "/#")},
		{"listens as one of a share", m.listens("$share/cloud/cardea/1/+/up", "$share/cloud/#")},
		{"listens to the broker itself", m.listens("$SYS/#", "$SYS/broker/clients/total", "$MQTT/#", "$JS/#", "_INBOX/#")},
		{"reports for another device", m.publishes(up, []byte("forged"))},
		{"reports for another device, what that one sealed", m.replays(up)},
		{"reports on its own topic what another device sealed", m.replays(wire.UpTopic(m.eve.id))},
		{"speaks as the cloud to another device", m.publishes(down, []byte("forged"))},
		{"speaks as the cloud, by QoS 1", m.publishes(down, []byte("forged"), "-q", "1")},
		{"leaves a retained message for another device", m.publishes(down, []byte("forged"), "-r")},
		{"leaves a retained message for itself", m.retains},
		{"speaks to the broker's own machinery", m.publishes("$JS/API/STREAM/DELETE/$MQTT_sess", []byte("{}"))},
		{"has a will for another device", m.wills(down)},
		{"has a retained will for another device", m.wills(down, "--will-retain")},
		{"sends 64 KB", m.publishes(wire.UpTopic(m.eve.id), make([]byte, 64<<10))},
		{"sends 16 MB", m.publishes(wire.UpTopic(m.eve.id), make([]byte, 16<<20))},
		{"publishes by QoS 2", m.publishes(wire.UpTopic(m.eve.id), []byte("x"), "-q", "2")},
		{"sends nonsense for a report, by QoS 1", m.publishes(wire.UpTopic(m.eve.id), []byte("x"), "-q", "1")},
		{"wants a session that is kept, by QoS 2", m.keepsSession},
		{"takes the client id of a connection it was told of", m.stealsID},
		{"takes the id of another device for a client id", m.takesID},
	}
	doors, err := m.doors()
	if err != nil {
		return err
	}
	for _, t := range append(tricks, doors...) {
		seen, err := t.try(ctx)
		if err == nil {
			err = m.unharmed(ctx)
		}
		m.check(t.what, seen, err)
	}
	return m.nothingKept(ctx)
}

// nothingKept subscribes anew: whatever was retained would come at once. By now
// the honest device, too, has connected so often that it may have to wait.
func (m *mqtt) nothingKept(ctx context.Context) error {
	args := m.as(m.honest).args(append(format, "--retained-only", "-W", briefly, "-t", wire.DownTopic(m.honest.id))...)
	var o outcome
	err := until(ctx, func() error {
		if o = attempt(ctx, 10*time.Second, "mosquitto_sub", nil, args...); !strings.Contains(o.text, "Subscribed (mid: 1): 0") {
			return errors.New("it is not let in")
		}
		return nil
	})
	if err == nil && len(o.messages) > 0 {
		err = fmt.Errorf("%d messages were kept", len(o.messages))
	}
	m.check("and after all that the broker has kept nothing for others", o.text, err)
	return nil
}

// listens tries to hear on topics while the honest device is answered.
func (m *mqtt) listens(topics ...string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		args := append(format, "-W", briefly)
		for _, t := range topics {
			args = append(args, "-t", t)
		}
		heard := make(chan outcome, 1)
		go func() {
			heard <- attempt(ctx, 10*time.Second, "mosquitto_sub", nil, m.as(m.eve).args(args...)...)
		}()
		time.Sleep(500 * time.Millisecond) // by then it listens, if it may
		_, err := m.answered(ctx)
		o := <-heard
		if len(o.messages) > 0 {
			err = fmt.Errorf("it heard %d messages", len(o.messages))
		}
		return o.text, err
	}
}

func (m *mqtt) publishes(topic string, payload []byte, more ...string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		o := attempt(ctx, 5*time.Second, "mosquitto_pub", payload, m.as(m.eve).args(append(more, "-t", topic, "-s")...)...)
		return o.text, nil // who was reached by it, unharmed finds
	}
}

// replays publishes what the honest device sealed and never sent. If it went
// through, the answer would come.
func (m *mqtt) replays(topic string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		sealed, nonce, err := m.honest.report()
		if err != nil {
			return "", err
		}
		seen, _ := m.publishes(topic, sealed)(ctx)
		if _, err := m.next(2*time.Second, func(d cardea.Down) bool { return d.Nonce == nonce }); err == nil {
			return seen, errors.New("it was taken for the device's own")
		} else if !errors.Is(err, errSilence) {
			return seen, err
		}
		return seen, nil
	}
}

// retains leaves something on its own topics and comes back for it.
func (m *mqtt) retains(ctx context.Context) (string, error) {
	down, up := wire.DownTopic(m.eve.id), wire.UpTopic(m.eve.id)
	var seen []string
	for _, topic := range []string{up, down} {
		text, _ := m.publishes(topic, []byte("kept"), "-r")(ctx)
		seen = append(seen, text)
	}
	o := attempt(ctx, 10*time.Second, "mosquitto_sub", nil, m.as(m.eve).args(append(format, "-W", briefly, "-t", down)...)...)
	for _, got := range o.messages {
		if got.retained || bytes.Equal(got.payload, []byte("kept")) {
			return o.text, errors.New("it was kept")
		}
	}
	return strings.Join(append(seen, "nothing was kept"), "; "), nil
}

// wills is killed, for its will to be done.
func (m *mqtt) wills(topic string, more ...string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		args := append(more, format...)
		args = append(args, "--will-topic", topic, "--will-payload", "forged", "-t", wire.DownTopic(m.eve.id))
		o := attempt(ctx, time.Second, "mosquitto_sub", nil, m.as(m.eve).args(args...)...)
		return o.text + "; killed", nil
	}
}

// keepsSession subscribes for a session that outlives the connection, and comes
// back for what was said meanwhile.
func (m *mqtt) keepsSession(ctx context.Context) (string, error) {
	v := m.as(m.eve)
	v.id = "kept"
	args := v.args(append(format, "-c", "-q", "2", "-W", briefly, "-t", wire.DownTopic(m.eve.id))...)
	first := attempt(ctx, 10*time.Second, "mosquitto_sub", nil, args...)
	sealed, nonce, err := m.eve.report()
	if err != nil {
		return "", err
	}
	// The cloud answers to a connection that is gone.
	attempt(ctx, 5*time.Second, "mosquitto_pub", sealed, m.as(m.eve).args("-t", wire.UpTopic(m.eve.id), "-s")...)
	time.Sleep(500 * time.Millisecond)
	for _, got := range attempt(ctx, 10*time.Second, "mosquitto_sub", nil, args...).messages {
		if d, err := m.eve.open(got.payload); err != nil || d.Nonce == nonce {
			return first.text, errors.New("the broker kept what was said meanwhile")
		}
	}
	return first.text, nil
}

// stealsID takes the client id of the honest device's connection, which nobody
// but the broker knows: agents draw a new one for each connect.
func (m *mqtt) stealsID(ctx context.Context) (string, error) {
	v := m.as(m.honest)
	v.id = "known-to-a-thief"
	sub, err := listen(ctx, v, wire.DownTopic(m.honest.id))
	if err != nil {
		return "", err
	}
	defer sub.close()
	thief := m.as(m.eve)
	thief.id = v.id
	o := attempt(ctx, 10*time.Second, "mosquitto_sub", nil, thief.args(append(format, "-W", "1", "-t", wire.DownTopic(m.honest.id))...)...)
	begun := time.Now()
	err = until(ctx, func() error {
		if n := sub.connections(); n < 2 {
			return fmt.Errorf("the honest client connected %d times", n)
		}
		return nil
	})
	if err == nil && len(o.messages) > 0 {
		err = errors.New("the thief heard something")
	}
	return fmt.Sprintf("%s; the honest client was put out, and back %d ms after the thief left", o.text, time.Since(begun).Milliseconds()), err
}

// takesID connects under a client id that anybody could guess: the name of the
// agent's device.
func (m *mqtt) takesID(ctx context.Context) (string, error) {
	before, err := m.agent.Status(ctx)
	if err != nil {
		return "", err
	}
	thief := m.as(m.eve)
	thief.id = string(before.Device)
	o := attempt(ctx, 10*time.Second, "mosquitto_sub", nil, thief.args(append(format, "-W", "1", "-t", wire.DownTopic(before.Device))...)...)
	if s, err := m.agent.Status(ctx); err != nil || !s.Connected || len(o.messages) > 0 {
		return o.text, fmt.Errorf("the agent is connected: %v, messages: %d: %w", s.Connected, len(o.messages), err)
	}
	return o.text, nil
}
