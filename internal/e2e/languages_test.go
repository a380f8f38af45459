package e2e_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/internal/stage"
)

// A language is how a program of the document becomes one that can be run. %s is
// its source file; the working folder is the module's.
type language struct {
	file  string
	build []string // to out; none: it is run as it is
	run   []string
}

var languages = map[string]language{
	"c/0":      {"page.c", []string{"gcc", "-std=c99", "-Wall", "-Werror", "-I", "agent/client/c", "-o", "OUT", "SOURCE", "agent/client/c/cardea.c"}, []string{"OUT"}},
	"c/1":      {"curl.c", []string{"gcc", "-Wall", "-Werror", "-o", "OUT", "SOURCE", "-lcurl"}, []string{"OUT"}},
	"c/2":      {"collect.c", []string{"gcc", "-Wall", "-Werror", "-o", "OUT", "SOURCE", "-lcurl"}, []string{"OUT"}},
	"go/0":     {"may.go", []string{"go", "build", "-o", "OUT", "SOURCE"}, []string{"OUT"}},
	"python/0": {"may.py", nil, []string{"python3", "SOURCE"}},
	"bash/0":   {"may.sh", nil, []string{"bash", "SOURCE"}},
}

var program = regexp.MustCompile("(?ms)^```(c|go|python|bash)\n(.*?)^```")

// prepare makes the programs of the document ready to be run.
func prepare(t *testing.T, module string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(module, "docs/integrate.md"))
	must(t, err)
	dir, count, ready := t.TempDir(), map[string]int{}, map[string][]string{}
	for _, block := range program.FindAllSubmatch(text, -1) {
		name := string(block[1]) + "/" + string('0'+rune(count[string(block[1])]))
		count[string(block[1])]++
		l, known := languages[name]
		if !known {
			t.Fatalf("it is not said how %s is run", name)
		}
		source, out := filepath.Join(dir, l.file), filepath.Join(dir, l.file+".out")
		must(t, os.WriteFile(source, block[2], 0o600))
		fill := func(args []string) (filled []string) {
			for _, a := range args {
				filled = append(filled, map[string]string{"SOURCE": source, "OUT": out}[a])
				if filled[len(filled)-1] == "" {
					filled[len(filled)-1] = a
				}
			}
			return filled
		}
		if l.build != nil {
			build := exec.CommandContext(t.Context(), l.build[0], fill(l.build)[1:]...)
			build.Dir = module
			if said, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v: %s", name, err, said)
			}
		}
		ready[name] = fill(l.run)
	}
	if len(ready) != len(languages) {
		t.Fatalf("%d programs in the document, want %d", len(ready), len(languages))
	}
	return ready
}

// TestIntegrateLanguages builds and runs the programs of docs/integrate.md: a yes
// is a yes, and everything else a no.
func TestIntegrateLanguages(t *testing.T) {
	module, err := stage.Module()
	must(t, err)
	programs := prepare(t, module)
	s := newStage(t)
	phone := newPhone(t, s, "languages@example.com")
	a, err := s.StartAgent(t.Context(), "speaker", "speaker")
	must(t, err)
	pair(t, a, phone)
	choose(t, s, phone, "Allow", recommend)
	answers(t, a, recommend, cardea.Allow)
	all := func(when, socket string, want int) {
		t.Helper()
		for name, args := range programs {
			run := exec.CommandContext(t.Context(), args[0], args[1:]...)
			run.Env = append(os.Environ(), "S="+socket)
			said, err := run.CombinedOutput()
			if end, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended || ended && end.ExitCode() != 1 {
				t.Errorf("%s, %s: %v: %s", name, when, err, said)
			} else if run.ProcessState.ExitCode() != want {
				t.Errorf("%s, %s: ended with %d: %s", name, when, run.ProcessState.ExitCode(), said)
			}
		}
	}
	all("allowed", a.Socket, 0)
	_, err = a.Withdraw(t.Context(), client.Withdrawal{Key: recommend})
	must(t, err)
	all("withdrawn", a.Socket, 1)
	all("nobody there", a.Socket+"-not", 1)
}
