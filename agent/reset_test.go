package agent_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
)

// A reset device is another one, at once and after a restart, and answers at the
// same socket all the while. Without a server a new owner changes nothing.
func TestReset(t *testing.T) {
	d := newDevice(t)
	c, stop := d.start(t)
	before, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.PairNewOwner(t.Context())
	if refusal, ok := errors.AsType[*client.Error](err); !ok || refusal.Code != "offline" {
		t.Errorf("for a new owner, without a server: %v", err)
	}
	if st, err := c.Status(t.Context()); err != nil || st.Device != before.Device {
		t.Errorf("it was reset all the same: %+v, %v", st, err)
	}
	reset, err := c.Reset(t.Context())
	if err != nil || !reset.Reset || reset.Device == before.Device {
		t.Fatalf("%+v, %v", reset, err)
	}
	for range 2 {
		st, err := c.Status(t.Context())
		if err != nil || st.Device != reset.Device || len(st.Links) != 0 || st.Bar != cardea.ReasonGuest {
			t.Errorf("%+v, %v", st, err)
		}
		stop()
		c, stop = d.start(t)
	}
	if left, _ := filepath.Glob(filepath.Join(d.StateDir, "reset.*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A power cut at any step of a reset leaves the old device or the new one, never
// something between, and nothing of the old one beside the new.
func TestResetIsCutOff(t *testing.T) {
	for at, step := range map[string]struct {
		cut   func(t *testing.T, dir, next string) // next holds the new device's folder
		reset bool
	}{
		"before it was decided": {func(t *testing.T, dir, next string) {
			move(t, next, filepath.Join(dir, "reset.draft"))
		}, false},
		"once it was decided": {func(t *testing.T, dir, next string) {
			move(t, next, filepath.Join(dir, "reset.ready"))
		}, true},
		"while the old one is removed": {func(t *testing.T, dir, next string) {
			move(t, next, filepath.Join(dir, "reset.ready"))
			if err := os.Remove(filepath.Join(dir, "device.key")); err != nil {
				t.Fatal(err)
			}
		}, true},
		"when the old one is gone": {func(t *testing.T, dir, next string) {
			empty(t, dir)
			move(t, next, filepath.Join(dir, "reset.clean"))
		}, true},
		"while the new one moves in": {func(t *testing.T, dir, next string) {
			empty(t, dir)
			move(t, next, filepath.Join(dir, "reset.clean"))
			move(t, filepath.Join(dir, "reset.clean", "device.key"), filepath.Join(dir, "device.key"))
		}, true},
		"when the new one has moved in": {func(t *testing.T, dir, next string) {
			empty(t, dir)
			entries, err := os.ReadDir(next)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				move(t, filepath.Join(next, e.Name()), filepath.Join(dir, e.Name()))
			}
			if err := os.Mkdir(filepath.Join(dir, "reset.clean"), 0o700); err != nil {
				t.Fatal(err)
			}
		}, true},
	} {
		t.Run(at, func(t *testing.T) {
			old, other := newDevice(t), newDevice(t)
			ids := map[*device]cardea.DeviceID{}
			for _, d := range []*device{old, other} {
				c, stop := d.start(t)
				st, err := c.Status(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				ids[d] = st.Device
				stop()
			}
			secret := filepath.Join(old.StateDir, "of-the-old-owner")
			if err := os.WriteFile(secret, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			step.cut(t, old.StateDir, other.StateDir)
			want := ids[old]
			if step.reset {
				want = ids[other]
			}
			c, _ := old.start(t)
			if st, err := c.Status(t.Context()); err != nil || st.Device != want {
				t.Errorf("%+v, %v", st, err)
			}
			if left, _ := filepath.Glob(filepath.Join(old.StateDir, "reset.*")); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
			if _, err := os.Stat(secret); step.reset != os.IsNotExist(err) {
				t.Errorf("reset is %v, and of the old one's files: %v", step.reset, err)
			}
		})
	}
}

func move(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func empty(t *testing.T, dir string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
}
