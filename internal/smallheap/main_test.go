package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The toolchain in use has the constants. If it does not, look what it has in their
// place, and measure (make idle).
func TestThisToolchain(t *testing.T) {
	var out, problem bytes.Buffer
	if err := run(t.Context(), []string{t.TempDir()}, &out, &problem); err != nil || problem.Len() > 0 {
		t.Fatalf("%v: %s", err, problem.String())
	}
	text, err := os.ReadFile(strings.TrimSpace(out.String()))
	if err != nil {
		t.Fatal(err)
	}
	var overlay struct{ Replace map[string]string }
	if err := json.Unmarshal(text, &overlay); err != nil || len(overlay.Replace) != 2 {
		t.Fatalf("%s: %v", text, err)
	}
	for of, by := range overlay.Replace {
		differ(t, of, by)
	}
}

// differ checks that one file is the other but for some constants.
func differ(t *testing.T, of, by string) {
	t.Helper()
	was, err := os.ReadFile(of)
	if err != nil {
		t.Fatal(err)
	}
	is, err := os.ReadFile(by)
	if err != nil {
		t.Fatal(err)
	}
	before, after := strings.Split(string(was), "\n"), strings.Split(string(is), "\n")
	if len(before) != len(after) {
		t.Fatalf("%s: %d lines, %d before", by, len(after), len(before))
	}
	lines := 0
	for i := range before {
		if before[i] != after[i] {
			lines++
		}
	}
	want := 0
	for _, c := range changes {
		if c.file == filepath.Base(of) {
			want++
		}
	}
	if lines != want {
		t.Errorf("%s: %d lines are other, want %d", by, lines, want)
	}
}

// A runtime that looks otherwise is left alone, and a program is built all the same.
func TestAnotherToolchain(t *testing.T) {
	runtime, dir := t.TempDir(), t.TempDir()
	const text = "package runtime\n\nconst spanSetBlockEntries = 64 // small by itself\n"
	for _, name := range []string{"mspanset.go", "mheap.go"} {
		if err := os.WriteFile(filepath.Join(runtime, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path, err := write(runtime, dir)
	if !errors.Is(err, errOther) {
		t.Fatal(err)
	}
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.Command("go", "build", "-overlay", path, "-o", filepath.Join(dir, "program"), source).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, said)
	}
	if _, err := write(filepath.Join(runtime, "none"), dir); err == nil || errors.Is(err, errOther) {
		t.Errorf("a runtime that is not there: %v", err)
	}
}
