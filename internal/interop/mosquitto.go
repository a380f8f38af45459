package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/cloud/token"
	"github.com/cardea-id/cardea/internal/owner"
	"github.com/cardea-id/cardea/internal/stage"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/store/accountdb"
)

// An mqtt is the cloud's broker with an honest device that Mosquitto's clients
// carry, an agent beside it, and a device of somebody else's, which is hostile.
type mqtt struct {
	*house
	phone   *owner.Owner
	honest  *book
	sub     *listener
	agent   *stage.Agent
	eve     *book
	expired string // eve's token of two days ago, with the cloud's own signature
}

// playMosquitto plays mosquitto_sub and mosquitto_pub.
func playMosquitto(ctx context.Context, h *house) error {
	// There is no option for the version alone, and help ends with an error.
	help, _ := exec.CommandContext(ctx, "mosquitto_sub", "--help").CombinedOutput()
	_, version, ok := strings.Cut(string(help), "mosquitto_sub version ")
	if !ok {
		return errors.New("no mosquitto_sub (apt-get install mosquitto-clients)")
	}
	version = strings.Trim(strings.SplitN(version, "\n", 2)[0], ". ")
	m := &mqtt{house: h}
	if err := m.setUp(ctx); err != nil {
		return err
	}
	defer m.sub.close()
	h.peer("mosquitto_sub and mosquitto_pub", version+", as a device that has no agent")
	if err := m.honestly(ctx); err != nil {
		return err
	}
	h.peer("mosquitto_sub and mosquitto_pub", version+", as a hostile device with a token of its own")
	return m.hostile(ctx)
}

func (m *mqtt) setUp(ctx context.Context) (err error) {
	if m.phone, err = register(ctx, m.cloud, "mqtt@example.com"); err != nil {
		return err
	}
	eve, err := register(ctx, m.cloud, "eve@example.com")
	if err != nil {
		return err
	}
	if m.honest, err = newBook(ctx, m.cloud, m.phone, "By the book"); err != nil {
		return err
	}
	if m.eve, err = newBook(ctx, m.cloud, eve, "Hostile"); err != nil {
		return err
	}
	if err := m.mint(ctx); err != nil {
		return err
	}
	if m.agent, err = m.cloud.StartAgent(ctx, "bystander", "speaker"); err != nil {
		return err
	}
	if err := m.pairAgent(ctx); err != nil {
		return err
	}
	m.sub, err = listen(ctx, m.as(m.honest), wire.DownTopic(m.honest.id))
	return err
}

// as is a device that connects as it should.
func (m *mqtt) as(b *book) visitor {
	return visitor{broker: m.cloud.MQTT, user: string(b.id), password: b.token.Reveal(), ca: m.cloud.CAFile}
}

// mint makes a token that has expired, with the cloud's own key: nobody waits a
// day for one. The cloud is stopped meanwhile, because the database is one
// process's.
func (m *mqtt) mint(ctx context.Context) error {
	if err := m.cloud.Cloud.Stop(); err != nil {
		return err
	}
	dir := filepath.Join(m.cloud.Dir, "cloud")
	text, err := os.ReadFile(filepath.Join(dir, "master.key"))
	if err != nil {
		return err
	}
	master, err := base64.RawURLEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(master) != len(accountdb.Key{}) {
		return fmt.Errorf("master key: %w", err)
	}
	db, err := accountdb.Open(ctx, filepath.Join(dir, "cloud.db"), accountdb.Key(master))
	if err != nil {
		return err
	}
	keys, err := token.Open(ctx, m.cloud.URL, db.Secrets())
	if err == nil {
		var old pairing.Secret
		old, _, err = keys.MintDevice(m.eve.id, time.Now().Add(-48*time.Hour))
		m.expired = old.Reveal()
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	return m.cloud.StartCloud(ctx)
}

func (m *mqtt) pairAgent(ctx context.Context) error {
	shown, err := m.agent.Pair(ctx)
	if err != nil {
		return err
	}
	if err := m.phone.Open(ctx, shown.VerificationURIComplete); err != nil {
		return err
	}
	m.phone.Fill("name", "The bystander")
	if err := m.phone.Press(ctx, "Approve", ""); err != nil {
		return err
	}
	return until(ctx, func() error {
		s, err := m.agent.Status(ctx)
		if err == nil && !s.Connected {
			err = errors.New("the bystander is not connected")
		}
		return err
	})
}

// recommend is the key the owner decides, and the words of its question.
const (
	recommend = cardea.Key("recommendations/use")
	question  = "May we use what you play"
)

// honestly has the device report, be answered, and hear of a decision.
func (m *mqtt) honestly(ctx context.Context) error {
	for _, qos := range []string{"0", "1"} {
		took, err := m.answered(ctx, "-q", qos)
		m.check("publishes its report by QoS "+qos+", and the sealed answer comes to its topic", fmt.Sprintf("%d ms", took.Milliseconds()), err)
		if err != nil {
			return err
		}
	}
	took, err := m.told(ctx, "Allow", true)
	m.check("is told of a yes said on the owner's page", fmt.Sprintf("%d ms after the button", took.Milliseconds()), err)
	took, err = m.told(ctx, "Don’t allow", false)
	m.check("and of the no that follows", fmt.Sprintf("%d ms after the button", took.Milliseconds()), err)
	err = m.phone.Open(ctx, m.cloud.URL+"/devices")
	if err == nil && strings.Count(m.phone.Text(), "Connected now") != 2 {
		err = fmt.Errorf("the page says: %s", m.phone.Text())
	}
	m.check("the owner's page says that both devices are connected", "", err)
	return nil
}

// answered has the honest device report until the answer comes, as the protocol
// demands, and reads all that comes meanwhile.
func (m *mqtt) answered(ctx context.Context, more ...string) (time.Duration, error) {
	begun := time.Now()
	for time.Since(begun) < patience {
		sealed, nonce, err := m.honest.report()
		if err != nil {
			return 0, err
		}
		pub := attempt(ctx, 5*time.Second, "mosquitto_pub", sealed, m.as(m.honest).args(append(more, "-t", wire.UpTopic(m.honest.id), "-s")...)...)
		if d, err := m.next(2*time.Second, func(d cardea.Down) bool { return d.Nonce == nonce }); err == nil {
			return time.Since(begun), nil
		} else if !errors.Is(err, errSilence) {
			return 0, fmt.Errorf("%w (%+v, mosquitto_pub: %s)", err, d, pub.text)
		}
	}
	return 0, errSilence
}

var errSilence = errors.New("nothing comes from the cloud")

// next reads what comes to the honest device until it is what is looked for. A
// message that is not the cloud's is an error.
func (m *mqtt) next(limit time.Duration, is func(cardea.Down) bool) (cardea.Down, error) {
	end := time.After(limit)
	for {
		select {
		case got := <-m.sub.messages:
			d, err := m.honest.open(got.payload)
			if err != nil {
				return d, fmt.Errorf("a message that is not the cloud's reached the honest device: %w", err)
			}
			if got.retained {
				return d, errors.New("a retained message reached the honest device")
			}
			if is(d) {
				return d, nil
			}
		case <-end:
			return cardea.Down{}, errSilence
		}
	}
}

// told presses a button of the owner's page and waits for the statement.
func (m *mqtt) told(ctx context.Context, button string, allowed bool) (time.Duration, error) {
	if err := m.phone.Open(ctx, m.cloud.URL+"/consents"); err != nil {
		return 0, err
	}
	var took time.Duration
	done := make(chan error, 1)
	begun := time.Now()
	go func() {
		_, err := m.next(patience, func(d cardea.Down) bool { return !d.Renewal() && allows(d, recommend) == allowed })
		took = time.Since(begun)
		done <- err
	}()
	err := m.phone.Press(ctx, button, question)
	return took, errors.Join(err, <-done)
}

// unharmed checks that nothing was done to the others: the honest device is
// answered and has got nothing but the cloud's words, the bystander is connected.
func (m *mqtt) unharmed(ctx context.Context) error {
	if _, err := m.answered(ctx); err != nil {
		return err
	}
	s, err := m.agent.Status(ctx)
	if err == nil && (!s.Connected || s.Clock != cardea.ClockSynced) {
		err = fmt.Errorf("the bystander: connected %v, clock %s", s.Connected, s.Clock)
	}
	if err != nil {
		return err
	}
	p, err := m.agent.Pairing(ctx)
	if err == nil && p.State != client.PairLinked {
		err = fmt.Errorf("the bystander is %s", p.State)
	}
	return err
}
