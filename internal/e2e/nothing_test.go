package e2e_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/internal/owner"
	"github.com/cardea-id/cardea/internal/stage"
)

// A step is what a reader of the document types, and what they should see.
type step struct{ types, sees string }

var stepFence = regexp.MustCompile("(?s)```(shell|output)\n(.*?)```")

func steps(t *testing.T, path string) (all []step) {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	for _, block := range stepFence.FindAllStringSubmatch(string(text), -1) {
		if block[1] == "shell" {
			all = append(all, step{types: block[2]})
		} else {
			all[len(all)-1].sees = block[2]
		}
	}
	return all
}

// A shell is that of somebody who follows the document.
type shell struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Scanner
}

func newShell(t *testing.T, dir string) *shell {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "said"))
	must(t, err)
	bash := exec.Command("bash", "--norc", "--noprofile")
	bash.Dir, bash.Stderr = dir, log
	in, err := bash.StdinPipe()
	must(t, err)
	out, err := bash.StdoutPipe()
	must(t, err)
	must(t, bash.Start())
	t.Cleanup(func() {
		in.Close()
		bash.Wait() // the end of the shell is no step
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s", text)
		}
		log.Close()
	})
	// What was started in the background ends with the shell.
	fmt.Fprintln(in, "set -em; trap 'kill $(jobs -p); wait' EXIT")
	return &shell{t, in, bufio.NewScanner(out)}
}

// types types a step and returns what it prints.
func (m *shell) types(text string) (printed string) {
	m.t.Helper()
	fmt.Fprintf(m.in, "%s\necho '%s'\n", text, mark)
	for m.out.Scan() {
		if m.out.Text() == mark {
			return printed
		}
		printed += m.out.Text() + "\n"
	}
	m.t.Fatalf("the shell ended with %q", text)
	return ""
}

// TestIntegrateFromNothing follows the first part of docs/integrate.md in an empty
// folder, to the letter but for the source, which is here already, and the ports,
// which may be somebody's.
func TestIntegrateFromNothing(t *testing.T) {
	module, err := stage.Module()
	must(t, err)
	dir, err := os.MkdirTemp("", "new") // a socket's path is short
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	ports, err := stage.FreePorts(2)
	must(t, err)
	here := strings.NewReplacer("git clone https://github.com/cardea-id/cardea", "ln -s '"+module+"' cardea", ":8080", ":"+ports[0], ":1883", ":"+ports[1])
	reader := &reader{t: t, phone: owner.New(nil), cloud: "http://127.0.0.1:" + ports[0], agent: client.New(filepath.Join(dir, "run/agent.sock"))}
	t.Cleanup(reader.agent.Close)
	all, m := steps(t, filepath.Join(module, "docs/integrate.md")), newShell(t, dir)
	if len(all) != 7 {
		t.Fatalf("%d steps", len(all))
	}
	for _, s := range all {
		done := reader.before(s.types)
		got := m.types(here.Replace(s.types))
		done()
		if s.sees != "" && !strings.HasSuffix(got, s.sees) {
			t.Errorf("%s\nprints\n%s\nwant\n%s", s.types, got, s.sees)
		}
	}
}

// A reader does with a phone what the document says between the steps.
type reader struct {
	t     *testing.T
	phone *owner.Owner
	cloud string
	agent *client.Client
}

func (r *reader) before(step string) (done func()) {
	r.t.Helper()
	switch {
	case strings.HasPrefix(step, "cardea pair"):
		return r.links()
	case strings.Contains(step, "Giant Steps"):
		must(r.t, r.phone.Open(r.t.Context(), r.cloud+"/consents"))
		must(r.t, r.phone.Press(r.t.Context(), "Allow", questions[recommend]))
		until(r.t, "it is in force", func() error {
			a, err := r.agent.Decide(r.t.Context(), recommend, cardea.UseCollect)
			if err == nil && !a.Allowed() {
				err = fmt.Errorf("%s (%s)", a.Verdict, a.Reason)
			}
			return err
		})
	}
	return func() {}
}

// links waits for the code, creates an account and approves.
func (r *reader) links() (done func()) {
	r.t.Helper()
	until(r.t, "the cloud answers", func() error {
		answer, err := http.Get(r.cloud + "/register")
		if err == nil {
			answer.Body.Close()
		}
		return err
	})
	until(r.t, "the agent answers", func() error {
		_, err := r.agent.Status(r.t.Context())
		return err
	})
	approved := make(chan error, 1)
	go func() { approved <- r.approve(r.t.Context()) }()
	return func() { must(r.t, <-approved) }
}

func (r *reader) approve(ctx context.Context) error {
	r.phone.Fill("email", "new@example.com")
	r.phone.Fill("password", "a sentence nobody guesses")
	if err := errors.Join(r.phone.Open(ctx, r.cloud+"/register"), r.phone.Press(ctx, "Create account", "")); err != nil {
		return err
	}
	for ctx.Err() == nil {
		p, err := r.agent.Pairing(ctx)
		if err != nil {
			return err
		}
		if p.State == client.PairPending {
			return errors.Join(r.phone.Open(ctx, p.VerificationURIComplete), r.phone.Press(ctx, "Approve", ""))
		}
	}
	return ctx.Err()
}
