package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/stage"
)

// rotate is what an operator types beside the running cloud.
func rotate(t *testing.T, s *stage.Stage, key string) {
	t.Helper()
	out, err := exec.Command(filepath.Join(bin, "cardea-cloud"), "-config", filepath.Join(s.Dir, "cloud.toml"), "rotate", key).CombinedOutput()
	if err != nil {
		t.Fatalf("rotate %s: %v: %s", key, err, out)
	}
}

// TestRotateKeysUnderWay: every key but the root is rotated while a device is
// connected, and while it is away, and its owner notices nothing.
func TestRotateKeysUnderWay(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	a, err := s.StartAgent(context.Background(), "car", "car")
	must(t, err)
	phone := newPhone(t, s, "ada@example.com")
	pair(t, a, phone)
	choose(t, s, phone, "Allow", recommend)
	answers(t, a, recommend, cardea.Allow)

	for _, words := range []string{"Don’t allow", "Allow"} {
		rotate(t, s, "statement")
		rotate(t, s, "token")
		choose(t, s, phone, words, recommend)
		answers(t, a, recommend, map[string]cardea.Verdict{"Allow": cardea.Allow, "Don’t allow": cardea.Deny}[words])
	}

	must(t, a.Process.Stop())
	rotate(t, s, "statement")
	rotate(t, s, "statement")
	choose(t, s, phone, "Don’t allow", recommend)
	must(t, a.Start(context.Background()))
	until(t, "the device has heard of it", func() error {
		got, err := a.Decide(context.Background(), recommend, cardea.UseCollect)
		if err == nil && got.Reason != cardea.ReasonWithdrawn {
			err = fmt.Errorf("it answers %s (%s)", got.Verdict, got.Reason)
		}
		return err
	})
	until(t, "the device has confirmed", func() error {
		if !says(t, s, phone, "In force on your device.") {
			return errors.New(phone.Text())
		}
		return nil
	})
}
