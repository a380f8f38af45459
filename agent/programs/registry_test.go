package programs_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/agent/programs"
	"github.com/cardea-id/cardea/internal/config"
)

func writeFiles(t testing.TB, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i, text := range files {
		path := filepath.Join(dir, fmt.Sprintf("%02d.toml", i))
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var badPrograms = []struct{ why, text, says string }{
	{"no name", "user = \"root\"", "name"},
	{"an upper-case name", "name = \"UI\"\nuser = \"root\"", "name"},
	{"a name that begins with a dot", "name = \".ui\"\nuser = \"root\"", "name"},
	{"a name with a blank inside", "name = \"u i\"\nuser = \"root\"", "name"},
	{"a name without an end", "name = \"" + strings.Repeat("u", 65) + "\"\nuser = \"root\"", "name"},
	{"nobody is meant", "name = \"ui\"", "set user, group or unit"},
	{"a unit that is a path", "name = \"ui\"\nunit = \"a/b.service\"", "unit"},
	{"a unit without its kind", "name = \"ui\"\nunit = \"ui\"", "unit"},
	{"an unknown entitlement", "name = \"ui\"\nuser = \"root\"\nentitlements = [\"fly\"]", "fly"},
	{"a facet in purposes", "name = \"ui\"\nuser = \"root\"\npurposes = [\"voice/use\"]", "without a facet"},
	{"a bad preference key", "name = \"ui\"\nuser = \"root\"\npreferences = [\"A B\"]", "preferences"},
	{"an empty audience", "name = \"ui\"\nuser = \"root\"\naudiences = [\"\"]", "audiences"},
	{"an unknown key", "name = \"ui\"\nuser = \"root\"\nentitlement = []", "entitlement"},
	{"a wrong type", "name = \"ui\"\nuser = 0", "user"},
	{"no TOML", "{}", ""},
}

func TestParseProgramRefuses(t *testing.T) {
	for _, bad := range badPrograms {
		_, err := programs.ParseProgram(bad.text)
		if err == nil || !strings.Contains(err.Error(), bad.says) {
			t.Errorf("%s: %v", bad.why, err)
		}
	}
}

func TestOneBadFileLeavesTheOthers(t *testing.T) {
	dir := writeFiles(t,
		"name = \"good\"\nuser = \"4001\"",
		"name = \"typo\"\nuser = \"4002\"\npurpose = [\"voice\"]",
		"name = \"nobody-here\"\nuser = \"no-such-user-here\"",
		"name = \"no-group\"\ngroup = \"no-such-group-here\"",
		"name = \"good\"\nuser = \"4003\"",
		"name = \"same-callers\"\nuser = \"4001\"",
		"name = \"open\"\nuser = \"4004\"",
	)
	if err := os.Chmod(filepath.Join(dir, "06.toml"), 0o666); err != nil {
		t.Fatal(err)
	}
	r, err := programs.LoadRegistry(dir)
	if !errors.Is(err, config.ErrUnknownKey) || !errors.Is(err, programs.ErrProgram) {
		t.Errorf("the faults are not told: %v", err)
	}
	for _, file := range []string{"01", "02", "03", "04", "05", "06"} {
		if !strings.Contains(err.Error(), file+".toml") {
			t.Errorf("nothing is said of file %s: %v", file, err)
		}
	}
	if p, ok := r.Match(programs.Peer{UID: 4001}); !ok || p.Name != "good" {
		t.Errorf("the good file does not count: %v", p)
	}
	for _, uid := range []uint32{0, 4002, 4003, 4004} {
		if p, ok := r.Match(programs.Peer{UID: uid, GID: uid}); ok {
			t.Errorf("user %d is taken for %s", uid, p.Name)
		}
	}
}

func TestRegistryFolder(t *testing.T) {
	open := t.TempDir()
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{filepath.Join(open, "none"), open} {
		r, err := programs.LoadRegistry(dir)
		if err == nil {
			t.Errorf("%s: no error", dir)
		}
		if _, ok := r.Match(programs.Peer{}); ok {
			t.Errorf("%s: root is somebody", dir)
		}
	}
}

// The narrower rule counts, whatever the files are called.
func TestMatchTakesTheMostParticular(t *testing.T) {
	r, err := programs.LoadRegistry(writeFiles(t,
		"name = \"group\"\ngroup = \"7001\"",
		"name = \"user\"\nuser = \"7000\"",
		"name = \"both\"\nuser = \"7000\"\ngroup = \"7001\"",
		"name = \"unit\"\nunit = \"ui.service\"",
		"name = \"unit-and-user\"\nunit = \"ui.service\"\nuser = \"7000\"",
		"name = \"second-group\"\ngroup = \"7002\"",
	))
	if err != nil {
		t.Fatal(err)
	}
	for want, peer := range map[string]programs.Peer{
		"group":         {UID: 1, GID: 7001},
		"user":          {UID: 7000, GID: 1},
		"both":          {UID: 7000, GID: 7001},
		"unit":          {UID: 1, GID: 7001, Unit: "ui.service"},
		"unit-and-user": {UID: 7000, GID: 7001, Unit: "ui.service"},
		"second-group":  {UID: 1, GID: 7002, Unit: "other.service"},
	} {
		if p, ok := r.Match(peer); !ok || p.Name != want {
			t.Errorf("%+v is taken for %v, not for %s", peer, p, want)
		}
	}
	if p, ok := r.Match(programs.Peer{UID: 1, GID: 1}); ok {
		t.Errorf("a stranger is taken for %s", p.Name)
	}
}

// The examples that are shipped load as they are.
func TestShippedExamples(t *testing.T) {
	for _, dir := range []string{"../../testdata/apps.d", "../../deploy/apps.d"} {
		paths, err := filepath.Glob(dir + "/*.toml")
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: no files (%v)", dir, err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			p, err := programs.ParseProgram(string(text))
			if err != nil {
				t.Errorf("%s: %v", path, err)
			}
			if p.Name+".toml" != filepath.Base(path) {
				t.Errorf("%s is for %q", path, p.Name)
			}
		}
	}
}

func FuzzRegistry(f *testing.F) {
	f.Add("name = \"ui\"\nunit = \"ui.service\"\nuser = \"root\"\nentitlements = [\"decide\"]\npurposes = [\"*\"]")
	for _, bad := range badPrograms {
		f.Add(bad.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := programs.ParseProgram(text)
		if err != nil {
			return
		}
		if p.Name == "" || p.User == "" && p.Group == "" && p.Unit == "" {
			t.Errorf("%q makes a program of nobody", text)
		}
		for _, e := range p.Entitlements {
			if !p.May(e) {
				t.Errorf("%q: %q stands there and does not count", text, e)
			}
		}
	})
}
