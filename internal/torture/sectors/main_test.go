package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/stage"
)

// TestMain is also the process that plays a part of the cases.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-part" {
		main()
		return
	}
	os.Exit(m.Run())
}

// A few cases with the real programs; all of those in which the stop itself is
// lost, and the owner is asked.
func TestFewCases(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "bin")
	if err := stage.Build(bin); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ flag, value, want string }{
		{"-every", "400", "cases=5 wrong-answers=0 panics=0 recovered=all"},
		{"-match", `^said: device.journal: (cut off at (0|1|512)|deleted|zeroed)$`, "cases=5 wrong-answers=0 panics=0 recovered=all asked-the-owner=5"},
		{"-match", `^said: device.db and .*: both`, "cases=4 wrong-answers=0 panics=0 recovered=all asked-the-owner=4"},
	} {
		t.Run(tt.value, func(t *testing.T) {
			var out bytes.Buffer
			if err := run(t.Context(), []string{"-bin", bin, tt.flag, tt.value}, &out, os.Stderr); err != nil {
				t.Errorf("%v: %s", err, out.String())
			}
			if !strings.Contains(out.String(), tt.want) {
				t.Errorf("printed %q, want %q", out.String(), tt.want)
			}
		})
	}
}

// Every sector of every file is zeroed and flipped once.
func TestCases(t *testing.T) {
	kept := t.TempDir()
	dir := filepath.Join(kept, "agent", "state")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int{"device.db": 2048, "device.journal": 1024, "device-x.slot": 512} {
		if err := os.WriteFile(filepath.Join(dir, name), bytes.Repeat([]byte{7}, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all, err := cases(kept, 1)
	if err != nil || len(all) != 2*(4+2+1)+3*(5+2)+6 {
		t.Fatalf("%d cases, %v", len(all), err)
	}
	for _, f := range all[:len(all)-6] {
		i := f.hurt[0]
		before, err := os.ReadFile(filepath.Join(dir, i.file))
		if err != nil {
			t.Fatal(err)
		}
		if after := i.do(bytes.Clone(before)); bytes.Equal(before, after) && !strings.Contains(f.name, "cut off at 512") {
			t.Errorf("%s changes nothing", f.name)
		}
	}
	for _, f := range all[len(all)-6:] {
		if len(f.hurt) != 2 || f.hurt[0].file != "device.db" || f.hurt[1].file != "device.journal" {
			t.Errorf("%s hurts %v", f.name, f.hurt)
		}
	}
	if _, err := cases(t.TempDir(), 1); err == nil {
		t.Error("an empty folder has cases")
	}
}

func TestWhatFails(t *testing.T) {
	if err := (tally{Cases: 2, Recovered: 2, Asked: 1}).err(); err != nil {
		t.Error(err)
	}
	for _, bad := range []tally{{}, {Cases: 2, Recovered: 1}, {Cases: 2, Recovered: 2, Wrong: 1}, {Cases: 2, Recovered: 2, Panics: 1}} {
		if bad.err() == nil {
			t.Errorf("%s passes", bad)
		}
	}
}
