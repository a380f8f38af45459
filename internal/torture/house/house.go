// Package house is a cloud, a device and its owner, set up for the programs that
// torture them: two purposes are allowed, and everything can be killed, copied
// and started again.
package house

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/internal/owner"
	"github.com/cardea-id/cardea/internal/stage"
)

// The two purposes: one is withdrawn, the other one stays.
const (
	Withdrawn = cardea.Key("recommendations/use")
	Kept      = cardea.Key("presence/use")
)

// Words stand on the page beside the buttons of a key.
var Words = map[cardea.Key]string{Withdrawn: "May we use what you play", Kept: "know when you are near"}

// Patience is how long what comes by itself may take.
const Patience = 30 * time.Second

// A House is set up by New.
type House struct {
	*stage.Stage
	Agent *stage.Agent
	Phone *owner.Owner
}

// New sets a house up with the programs in bin.
func New(ctx context.Context, bin string) (*House, error) {
	h, err := open(ctx, bin, "", [3]string{})
	if err != nil {
		return h, err
	}
	return h, h.pair(ctx)
}

// Again is a house on the files that Keep kept, at the ports of that house, which
// must be free here.
func Again(ctx context.Context, bin, kept string, ports [3]string) (*House, error) {
	return open(ctx, bin, kept, ports)
}

func open(ctx context.Context, bin, kept string, ports [3]string) (*House, error) {
	module, err := stage.Module()
	if err != nil {
		return nil, err
	}
	h := &House{Phone: owner.New(nil)}
	h.Phone.Fill("email", "anna@example.com")
	h.Phone.Fill("password", "a sentence nobody guesses")
	c := stage.Config{Bin: bin, Catalogue: filepath.Join(module, "testdata/catalogue.yaml"), Ports: ports}
	if c.Dir, err = os.MkdirTemp("", "cardea-"); err != nil {
		return nil, err
	}
	if kept != "" {
		if err := errors.Join(Copy(filepath.Join(kept, "cloud"), filepath.Join(c.Dir, "cloud")), Copy(filepath.Join(kept, "agent"), filepath.Join(c.Dir, "kitchen"))); err != nil {
			return nil, err
		}
	}
	if h.Stage, err = stage.Start(ctx, c); err != nil {
		return nil, errors.Join(err, os.RemoveAll(c.Dir))
	}
	h.Agent, err = h.StartAgent(ctx, "kitchen", "speaker")
	return h, err
}

// Keep keeps what cloud and agent have on the disk in a folder, for PutBack. Both
// must have been killed.
func (h *House) Keep(kept string) error {
	return errors.Join(
		Copy(filepath.Join(h.Dir, "cloud"), filepath.Join(kept, "cloud")),
		Copy(h.State(), filepath.Join(kept, "agent", "state")),
		Copy(filepath.Join(h.Agent.Dir, "run"), filepath.Join(kept, "agent", "run")))
}

// PutBack has both find what Keep kept.
func (h *House) PutBack(kept string) error {
	return errors.Join(
		Copy(filepath.Join(kept, "cloud"), filepath.Join(h.Dir, "cloud")),
		Copy(filepath.Join(kept, "agent", "state"), h.State()),
		Copy(filepath.Join(kept, "agent", "run"), filepath.Join(h.Agent.Dir, "run")))
}

// State is the folder of what the agent keeps over a reboot.
func (h *House) State() string { return filepath.Join(h.Agent.Dir, "state") }

func (h *House) pair(ctx context.Context) error {
	if err := h.Phone.Open(ctx, h.URL+"/register"); err != nil {
		return err
	}
	if err := h.Phone.Press(ctx, "Create account", ""); err != nil {
		return err
	}
	shown, err := h.Agent.Pair(ctx)
	if err != nil {
		return err
	}
	if err := h.Phone.Open(ctx, shown.VerificationURIComplete); err != nil {
		return err
	}
	if err := h.Phone.Press(ctx, "Approve", ""); err != nil {
		return err
	}
	for _, key := range []cardea.Key{Withdrawn, Kept} {
		if err := h.Allow(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// Allow has the owner allow a key, and waits until the device does.
func (h *House) Allow(ctx context.Context, key cardea.Key) error {
	return Until(ctx, func() error {
		if a, err := h.Agent.Decide(ctx, key, cardea.UseCollect); err == nil && a.Allowed() {
			return nil
		}
		if err := h.Choose(ctx, "Allow", key); err != nil {
			return err
		}
		// A stop that was said on the device stands there until it is taken back.
		if err := h.Choose(ctx, "Allow on this device", key); err != nil && !errors.Is(err, owner.ErrNoButton) {
			return err
		}
		return settles(ctx, func() error { return h.Answers(ctx, key, cardea.Allow) })
	})
}

// settles tries for a while that a device needs.
func settles(ctx context.Context, try func() error) error {
	ctx, stop := context.WithTimeout(ctx, 3*time.Second)
	defer stop()
	return until(ctx, try)
}

// Choose presses a button of a key on the owner's page.
func (h *House) Choose(ctx context.Context, button string, key cardea.Key) error {
	if err := h.Phone.Open(ctx, h.URL+"/consents"); err != nil {
		return err
	}
	return h.Phone.Press(ctx, button, Words[key])
}

// Answers is an error unless the device gives this answer.
func (h *House) Answers(ctx context.Context, key cardea.Key, verdict cardea.Verdict) error {
	a, err := h.Agent.Decide(ctx, key, cardea.UseCollect)
	if err == nil && a.Verdict != verdict {
		err = fmt.Errorf("%s is answered %s (%s)", key, a.Verdict, a.Reason)
	}
	return err
}

// Withdraw says no on the device.
func (h *House) Withdraw(ctx context.Context) error {
	_, err := h.Agent.Withdraw(ctx, client.Withdrawal{Key: Withdrawn})
	return err
}

// Confirm has the owner look at the devices and, if they are asked, say what this
// one may do again: the key that stays.
func (h *House) Confirm(ctx context.Context) (asked bool, err error) {
	if err := h.Phone.Open(ctx, h.URL+"/signin"); err != nil {
		return false, err
	}
	if err := h.Phone.Press(ctx, "Sign in", ""); err != nil && !errors.Is(err, owner.ErrNoButton) { // signed in already
		return false, err
	}
	if err := h.Phone.Open(ctx, h.URL+"/devices"); err != nil {
		return false, err
	}
	if err := h.Phone.Follow(ctx, "Say what it may do again"); errors.Is(err, owner.ErrNoButton) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	h.Phone.Tick(string(Kept))
	return true, h.Phone.Press(ctx, "Confirm", "")
}

// InStep is an error while the device has something to say, or its link is
// barred.
func (h *House) InStep(ctx context.Context) error {
	st, err := h.Agent.Status(ctx)
	if err == nil && (st.Pending != 0 || st.Bar != "") {
		err = fmt.Errorf("%d decisions are pending, barred by %q", st.Pending, st.Bar)
	}
	return err
}

// Panicked reports whether the agent's log has a panic or a fault of memory.
func (h *House) Panicked() bool {
	text, err := os.ReadFile(filepath.Join(h.Agent.Dir, "agent.log"))
	if err != nil {
		return true
	}
	for _, word := range []string{"panic:", "fatal error:", "SIGBUS", "SIGSEGV"} {
		if strings.Contains(string(text), word) {
			return true
		}
	}
	return false
}

// Until tries until it works, as long as Patience.
func Until(ctx context.Context, try func() error) error {
	ctx, stop := context.WithTimeout(ctx, Patience)
	defer stop()
	return until(ctx, try)
}

func until(ctx context.Context, try func() error) error {
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Copy makes the folder to hold what from holds, and nothing else, for the eyes
// of its owner only.
func Copy(from, to string) error {
	if err := errors.Join(os.RemoveAll(to), os.CopyFS(to, os.DirFS(from))); err != nil {
		return err
	}
	return filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return os.Chmod(path, 0o600)
	})
}
