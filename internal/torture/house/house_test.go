package house_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/cardea-id/cardea/internal/torture/house"
)

func TestCopyHoldsNothingElse(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "to")
	for path, text := range map[string]string{filepath.Join(from, "a"): "new", filepath.Join(from, "below", "b"): "b"} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := house.Copy(from, to); err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(filepath.Join(to, "below", "b")); err != nil || string(text) != "b" {
			t.Errorf("%q, %v", text, err)
		}
		os.WriteFile(filepath.Join(to, "left"), nil, 0o600)
	}
	if err := house.Copy(from, to); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(to, "left")); err == nil {
		t.Error("something else is left")
	}
}

func TestUntil(t *testing.T) {
	n := 0
	if err := house.Until(t.Context(), func() error {
		if n++; n < 3 {
			return errors.New("not yet")
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := house.Until(ctx, func() error { return errors.New("never") }); err == nil {
		t.Error("worked")
	}
}
