package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/cloud/mail/mailtest"
	"github.com/cardea-id/cardea/internal/browser"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/stage"
	"github.com/cardea-id/cardea/pairing"
)

const (
	email     = "mara@example.com"
	password  = "a sentence nobody guesses"
	elsewhere = "127.0.0.9" // another network than the owner's browser is on
)

// A house is a cloud with an owner who has devices, and everything on its pages
// that there can be.
type house struct {
	*stage.Stage
	guest, owner *browser.Page
	label, other jose.PrivateKey // of a device without a screen: its label's, and its own
	asleep       jose.PrivateKey // a label's under which nobody asks
	browser      *browser.Browser
	elsewhere    *httptest.Server
	mail         *mailtest.Server // nil: nobody is written to
	dir          string
}

const configuration = `brand = "Hearth"`

const clients = `[[clients]]
id = "tv-app"
bearer = true
`

// newHouse starts a cloud. Its catalogue is the one that comes with it. With mail,
// accounts begin without a password, and owners are written to.
func newHouse(ctx context.Context, bin string, b *browser.Browser, mail bool) (*house, error) {
	module, err := stage.Module()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "looks-")
	if err != nil {
		return nil, err
	}
	h := &house{dir: dir, browser: b, elsewhere: newProvider(), label: jose.GenerateKey(), other: jose.GenerateKey(), asleep: jose.GenerateKey()}
	tables := clients + providerConfig(h.elsewhere.URL)
	if mail {
		if h.mail, err = mailtest.New(); err != nil {
			return nil, err
		}
		tables += mailConfig(h.mail.URL())
	}
	h.Stage, err = stage.Start(ctx, stage.Config{
		Bin: bin, Dir: dir, Host: "localhost", // where browsers have passkeys without TLS
		Catalogue: filepath.Join(module, "testdata/catalogue.yaml"), Clients: tables, More: configuration,
	})
	if err != nil {
		h.closeOthers()
		h.closeOthers()
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if h.guest, err = b.Page(browser.Look{}); err == nil {
		h.owner, err = b.Page(browser.Look{})
	}
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// Close stops everything and removes it.
func (h *house) Close() error {
	h.closeOthers()
	return errors.Join(h.Stage.Close(), os.RemoveAll(h.dir))
}

// closeOthers ends the servers that are somebody else's.
func (h *house) closeOthers() {
	h.elsewhere.Close()
	if h.mail != nil {
		h.mail.Down()
	}
}

// steps does one after the other, until one fails.
func steps(all ...func() error) error {
	for _, step := range all {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (h *house) register() error {
	return steps(
		func() error { return h.owner.Open(h.URL + "/register") },
		func() error { return h.owner.Fill("E-mail", email) },
		func() error {
			if h.mail != nil {
				return nil // it is asked for later, or never
			}
			return h.owner.Fill("Password", password)
		},
		func() error { return h.owner.Press("Create account") },
	)
}

// furnish fills the house: devices in step and behind, decisions and what
// crossed, and a notice that has changed since.
func (h *house) furnish(ctx context.Context) error {
	speaker, err := h.pair(ctx, "kitchen", "speaker", "Kitchen speaker")
	if err != nil {
		return err
	}
	car, err := h.pair(ctx, "car", "car", "Bob’s car")
	if err != nil {
		return err
	}
	for _, key := range []string{"recommendations/use", "recommendations/third_party", "presence/use", "precise_location/use", "voice_history/use"} {
		if err := h.decide(key, "allow"); err != nil {
			return err
		}
	}
	if err := h.until(ctx, "the car may say where it is", func() error {
		answer, err := car.Decide(ctx, "precise_location/use", "")
		if err == nil && answer.Verdict != "allow" {
			err = fmt.Errorf("it says %s", answer.Reason)
		}
		return err
	}); err != nil {
		return err
	}
	return steps(
		func() error { return h.changeNotice(ctx) },
		func() error { return h.bedroom(ctx) },
		func() error { return h.forgetful(ctx) },
		func() error {
			_, err := speaker.Withdraw(ctx, client.Withdrawal{Key: "voice_history/use", Reach: cardea.ReachDevice})
			return err
		},
		car.Process.Stop,
		func() error { return h.decide("precise_location/use", "deny") },
	)
}

// pair starts a device and links it to the owner.
func (h *house) pair(ctx context.Context, name, kind, called string) (*stage.Agent, error) {
	a, err := h.StartAgent(ctx, name, kind)
	if err != nil {
		return nil, err
	}
	shown, err := a.Pair(ctx)
	if err != nil {
		return nil, err
	}
	err = steps(
		func() error { return h.owner.Open(shown.VerificationURIComplete) },
		func() error { return h.owner.Fill("Call it", called) },
		func() error { return h.owner.Press("Approve") },
	)
	if err != nil {
		return nil, fmt.Errorf("pair %s: %w", name, err)
	}
	return a, h.until(ctx, name+" is linked", func() error {
		p, err := a.Pairing(ctx)
		if err == nil && p.State != client.PairLinked {
			err = fmt.Errorf("it is %s", p.State)
		}
		return err
	})
}

// decide presses one of the two buttons of a question.
func (h *house) decide(key, answer string) error {
	if err := h.owner.Open(h.URL + "/consents"); err != nil {
		return err
	}
	id := "c-" + strings.ReplaceAll(key, "/", "-")
	return h.owner.PressIn("#"+id, fmt.Sprintf("button[value=%s]", answer))
}

// bedroom is an app with an OAuth library of its own: it is paired, and no device.
func (h *house) bedroom(ctx context.Context) error {
	app := &pairing.Client{Issuer: h.URL, ClientID: "tv-app"}
	asks, err := app.Start(ctx, pairing.Device{Kind: "tv", Model: "Model Two", Serial: "0815"})
	if err != nil {
		return err
	}
	err = steps(
		func() error { return h.owner.Open(asks.VerificationURIComplete) },
		func() error { return h.owner.Press("Approve") },
	)
	if err != nil {
		return err
	}
	_, err = app.Wait(ctx, asks)
	return err
}

// forgetful is a device whose disk has lost what was said on it.
func (h *house) forgetful(ctx context.Context) error {
	a, err := h.pair(ctx, "hall", "speaker", "Hall radio")
	if err != nil {
		return err
	}
	if err := a.Process.Stop(); err != nil {
		return err
	}
	for _, pattern := range []string{"device.db", "*.journal"} {
		files, err := filepath.Glob(filepath.Join(a.Dir, "state", pattern))
		if err != nil {
			return err
		}
		for _, file := range files {
			if err := os.Remove(file); err != nil {
				return err
			}
		}
	}
	if err := a.Start(ctx); err != nil {
		return err
	}
	return h.until(ctx, "the radio has said what it lost", func() error {
		if err := h.owner.Open(h.URL + "/devices"); err != nil {
			return err
		}
		boxes, err := h.owner.Boxes(`a[href^="/devices/lost"]`)
		if err == nil && len(boxes) == 0 {
			err = errors.New("the page of devices does not ask")
		}
		return err
	})
}

// changeNotice has the brand ask for more than the owner said yes to.
func (h *house) changeNotice(ctx context.Context) error {
	text, err := os.ReadFile(h.Catalogue)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, h.URL+"/admin/v1/catalogue", strings.NewReader(nextCatalogue(string(text), time.Now())))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+h.AdminKey)
	r.Header.Set("Content-Type", "application/yaml")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if answer, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK {
		return fmt.Errorf("catalogue: %d %s %w", res.StatusCode, answer, err)
	}
	return nil
}

// until waits for something that other processes do.
func (h *house) until(ctx context.Context, what string, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w\n%s", what, err, h.Logs())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
