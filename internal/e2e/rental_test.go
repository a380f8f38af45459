package e2e_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/internal/owner"
	"github.com/cardea-id/cardea/internal/stage"
)

// traces are what there is to know of somebody, and how it could be written.
type traces map[string][]byte

func (tr traces) add(what string, value []byte) {
	tr[what] = value
	tr[what+" in hexadecimal"] = []byte(hex.EncodeToString(value))
	tr[what+" in base64"] = []byte(base64.RawURLEncoding.EncodeToString(value))
}

// life is a whole use of a device by somebody: a pairing, a yes, a setting, a
// token. What it leaves is what must not be found later.
func life(t *testing.T, s *stage.Stage, a *stage.Agent, phone *owner.Owner) (cardea.LinkID, traces) {
	t.Helper()
	pair(t, a, phone)
	choose(t, s, phone, "Allow", recommend)
	answers(t, a, recommend, cardea.Allow)
	must2(a.SetPreference(t.Context(), client.PreferenceChange{Key: "voice_speed", Value: []byte("137")}))(t)
	nothingPending(t, a)
	token := must1(a.Token(t.Context(), client.TokenRequest{Audience: s.URL}))(t)
	who := must1(a.Identity(t.Context()))(t)
	key, err := os.ReadFile(filepath.Join(a.Dir, "state", "device.key"))
	must(t, err)
	found := traces{}
	found.add("the subject", []byte(who.Subject))
	found.add("the token", []byte(token.AccessToken.Reveal()))
	found.add("the token's signature", []byte(token.AccessToken.Reveal()[len(token.AccessToken.Reveal())-40:]))
	found.add("the device key", bytes.TrimSpace(key))
	found.add("the setting", []byte(`voice_speed`))
	found.add("the choice", []byte(recommend))
	return who.Link, found
}

// scan looks through all files in a device's folders.
func scan(t *testing.T, a *stage.Agent, found traces) {
	t.Helper()
	for _, dir := range []string{"state", "run"} {
		must(t, filepath.WalkDir(filepath.Join(a.Dir, dir), func(path string, e os.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			text, err := os.ReadFile(path)
			for what, value := range found {
				if bytes.Contains(text, value) {
					t.Errorf("%s has %s", path, what)
				}
			}
			return err
		}))
	}
}

// configure adds a line to a device's configuration and starts it anew.
func configure(t *testing.T, a *stage.Agent, line string) {
	t.Helper()
	must(t, a.Process.Stop())
	path := filepath.Join(a.Dir, "agent.toml")
	text, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, fmt.Appendf(text, "\n%s\n", line), 0o600))
	must(t, a.Start(t.Context()))
}

// A rented device is given back without a network: nothing of who had it is in its
// files, the next one finds a device that knows nobody, and the first one's page
// shows that it is gone once it can be told.
func TestRentedDeviceIsGivenBack(t *testing.T) {
	s := newStage(t)
	ada, bob := newPhone(t, s, "ada@example.com"), newPhone(t, s, "bob@example.com")
	a := newAgent(t, s, "a", "car")
	link, left := life(t, s, a, ada)
	before := status(t, a)
	a.Network(false)
	code, out := tool(t, a, "return", "--yes")
	if code != 0 || !strings.Contains(out, link.String()) || !strings.Contains(out, string(before.Device)) {
		t.Errorf("%d: %s", code, out)
	}
	verdict(t, a, cardea.Deny, cardea.ReasonGuest)
	scan(t, a, left)

	a.Network(true)
	noDevices(t, s, ada)
	pair(t, a, bob)
	answers(t, a, recommend, cardea.Deny)
	verdict(t, a, cardea.Deny, cardea.ReasonNotAsked)
	after := status(t, a)
	if after.Device == before.Device || len(after.Links) != 1 || after.Link == link {
		t.Errorf("%+v after %+v", after, before)
	}
	for _, p := range must1(a.Preferences(t.Context()))(t).Preferences {
		if string(p.Value) == "137" {
			t.Errorf("the next one has the last one's setting: %+v", p)
		}
	}
	if _, err := a.Activate(t.Context(), link); err == nil {
		t.Error("the last one can be called back")
	}
	forgotten(t, a, link)
	noDevices(t, s, ada)
}

// A rental ends by itself, with nobody at the device, offline, and over a restart:
// the agent counts, and is reset.
func TestRentalEndsByItself(t *testing.T) {
	s := newStage(t)
	ada := newPhone(t, s, "ada@example.com")
	a := newAgent(t, s, "a", "car")
	link, left := life(t, s, a, ada)
	a.Network(false)
	configure(t, a, `rent_for = "1s"`)
	until(t, "the rental is over", func() error {
		st, err := a.Status(t.Context())
		if err == nil && len(st.Links) > 0 {
			err = errors.New("somebody is linked")
		}
		return err
	})
	scan(t, a, left)
	a.Network(true)
	noDevices(t, s, ada)
	forgotten(t, a, link)
}

// forgotten waits until not even the name of a link is in a device's files, which
// is once its last words were answered.
func forgotten(t *testing.T, a *stage.Agent, link cardea.LinkID) {
	t.Helper()
	until(t, "the link's name is gone", func() error {
		return filepath.WalkDir(filepath.Join(a.Dir, "state"), func(path string, e os.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return nil // it has just been replaced
			}
			if text, err := os.ReadFile(path); err == nil && bytes.Contains(text, link[:]) {
				return fmt.Errorf("%s has it", path)
			}
			return nil
		})
	})
}
