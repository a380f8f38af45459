package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/stage"
)

// A few cases with the real programs.
func TestFewCases(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "bin")
	if err := stage.Build(bin); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-bin", bin, "-every", "250"}, &out, os.Stderr); err != nil {
		t.Errorf("%v: %s", err, out.String())
	}
	if !strings.Contains(out.String(), "wrong-answers=0 panics=0 recovered=all") {
		t.Errorf("printed %q", out.String())
	}
}

// Every sector of every file is zeroed and flipped once.
func TestCases(t *testing.T) {
	dir := t.TempDir()
	for name, size := range map[string]int{"device.db": 2048, "device.journal": 1024, "device-x.slot": 512} {
		if err := os.WriteFile(filepath.Join(dir, name), bytes.Repeat([]byte{7}, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all, err := cases(dir, rand.New(rand.NewPCG(1, 1)))
	if err != nil || len(all) != 2*(4+2+1)+3*5 {
		t.Fatalf("%d cases, %v", len(all), err)
	}
	for _, f := range all {
		before, err := os.ReadFile(filepath.Join(dir, f.file))
		if err != nil {
			t.Fatal(err)
		}
		if after := f.do(bytes.Clone(before)); bytes.Equal(before, after) && !strings.Contains(f.name, "cut off at 512") {
			t.Errorf("%s changes nothing", f.name)
		}
	}
	if _, err := cases(t.TempDir(), nil); err == nil {
		t.Error("an empty folder has cases")
	}
}

func TestWhatFails(t *testing.T) {
	if err := (tally{cases: 2, recovered: 2}).err(); err != nil {
		t.Error(err)
	}
	for _, bad := range []tally{{}, {cases: 2, recovered: 1}, {cases: 2, recovered: 2, wrong: 1}, {cases: 2, recovered: 2, panics: 1}} {
		if bad.err() == nil {
			t.Errorf("%s passes", bad)
		}
	}
}
