package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/internal/owner"
	"github.com/cardea-id/cardea/internal/stage"
)

// A device is linked, and its owner has allowed a purpose.
type device struct {
	stage *stage.Stage
	agent *stage.Agent
	phone *owner.Owner
	key   cardea.Key // that is allowed
	dirs  []string
}

// The keys, and the words beside their buttons.
const (
	ordinary = cardea.Key("recommendations/use")
	presence = cardea.Key("presence/use") // 30 s old at most
)

var questions = map[cardea.Key]string{ordinary: "May we use what you play", presence: "know when you are near"}

const patience = 30 * time.Second

func open(ctx context.Context, bin, bundle string) (d *device, err error) {
	d = &device{}
	module, err := stage.Module()
	if err != nil {
		return d, err
	}
	c := stage.Config{Bin: bin, TLS: true, Catalogue: filepath.Join(module, "testdata/catalogue.yaml")}
	if c.Dir, err = d.scratch(""); err != nil {
		return d, err
	}
	if d.stage, err = stage.Start(ctx, c); err != nil {
		return d, err
	}
	if err := d.trust(bundle); err != nil {
		return d, err
	}
	if err := d.inMemory("speaker"); err != nil {
		return d, err
	}
	if d.agent, err = d.stage.StartAgent(ctx, "speaker", "speaker"); err != nil {
		return d, err
	}
	if err := d.link(ctx); err != nil {
		return d, err
	}
	if err := d.hold(ctx); err != nil {
		return d, err
	}
	return d, nil
}

// trust has the device find the cloud's authority in a system's bundle, if there
// is one.
func (d *device) trust(bundle string) error {
	if bundle == "" {
		return nil
	}
	system, err := os.ReadFile(bundle)
	if err != nil {
		return err
	}
	own, err := os.ReadFile(d.stage.CAFile)
	if err != nil {
		return err
	}
	d.stage.CAFile = ""
	path := filepath.Join(d.stage.Dir, "bundle.pem")
	return errors.Join(os.WriteFile(path, slices.Concat(system, own), 0o644), os.Setenv("SSL_CERT_FILE", path), os.Setenv("SSL_CERT_DIR", d.stage.Dir))
}

func (d *device) scratch(in string) (string, error) {
	dir, err := os.MkdirTemp(in, "cardea-")
	if err == nil {
		d.dirs = append(d.dirs, dir)
	}
	return dir, err
}

// inMemory puts what must not outlive the boot, and the log, which is somebody
// else's to write, where a device has them.
func (d *device) inMemory(name string) error {
	memory, err := d.scratch("/dev/shm")
	if err != nil {
		return err
	}
	dir := filepath.Join(d.stage.Dir, name)
	return errors.Join(os.Mkdir(dir, 0o755), os.Mkdir(filepath.Join(memory, "run"), 0o755),
		os.Symlink(filepath.Join(memory, "run"), filepath.Join(dir, "run")), os.Symlink(filepath.Join(memory, "agent.log"), filepath.Join(dir, "agent.log")))
}

// link has an owner link the device.
func (d *device) link(ctx context.Context) error {
	phone := owner.New(d.stage.Transport())
	d.phone = phone
	phone.Fill("email", "anna@example.com")
	phone.Fill("password", "a sentence nobody guesses")
	if err := errors.Join(phone.Open(ctx, d.stage.URL+"/register"), phone.Press(ctx, "Create account", "")); err != nil {
		return err
	}
	shown, err := d.agent.Pair(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(phone.Open(ctx, shown.VerificationURIComplete), phone.Press(ctx, "Approve", "")); err != nil {
		return err
	}
	linked := func() error {
		p, err := d.agent.Pairing(ctx)
		if err == nil && p.State != client.PairLinked {
			err = fmt.Errorf("pairing is %s: %s", p.State, p.Problem)
		}
		return err
	}
	if err := until(ctx, linked); err != nil {
		return err
	}
	return d.allow(ctx, ordinary)
}

// allow has the owner allow a key.
func (d *device) allow(ctx context.Context, key cardea.Key) error {
	if err := errors.Join(d.phone.Open(ctx, d.stage.URL+"/consents"), d.phone.Press(ctx, "Allow", questions[key])); err != nil {
		return err
	}
	d.key = key
	return d.works(ctx)
}

// hold asks for a page, which the agent keeps from then on.
func (d *device) hold(ctx context.Context) error {
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", d.agent.Socket)
	}}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://cardea/v1/page", nil)
	if err != nil {
		return err
	}
	answer, err := web.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the agent gives no page: %s", answer.Status)
	}
	return nil
}

// works is an error unless the key is allowed and the broker there. It leaves no
// connection behind.
func (d *device) works(ctx context.Context) error {
	defer d.agent.Client.Close()
	return until(ctx, func() error {
		answer, err := d.agent.Decide(ctx, d.key, cardea.UseCollect)
		if err == nil && !answer.Allowed() {
			err = fmt.Errorf("%s is answered %s (%s)", d.key, answer.Verdict, answer.Reason)
		}
		if err != nil {
			return err
		}
		status, err := d.agent.Status(ctx)
		if err == nil && !status.Connected {
			err = errors.New("the device has no broker")
		}
		return err
	})
}

func until(ctx context.Context, try func() error) error {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		if sleep(ctx, 5*time.Millisecond) != nil {
			return err
		}
	}
}

func (d *device) close() {
	if d.stage != nil {
		d.stage.Close()
	}
	for _, dir := range d.dirs {
		os.RemoveAll(dir)
	}
}
