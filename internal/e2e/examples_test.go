package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/internal/stage"
)

// An example is one of the programs beside the C client, running.
type example struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Scanner
}

// startExample builds an example as its first lines say.
func startExample(t *testing.T, name, socket string) *example {
	t.Helper()
	module, err := stage.Module()
	must(t, err)
	path := filepath.Join(t.TempDir(), name)
	build := exec.Command("gcc", "-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror", "-I..", "-o", path, name+".c", "../cardea.c")
	build.Dir = filepath.Join(module, "agent/client/c/examples")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build (it needs gcc): %v\n%s", err, out)
	}
	cmd := exec.Command(path, socket)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	return &example{t, in, bufio.NewScanner(out)}
}

// does gives the program a line and returns what it says it does about it. The
// last thing it says of one line follows with the next at the latest.
func (e *example) does(line string, lines int) string {
	e.t.Helper()
	fmt.Fprintln(e.in, line)
	var said []string
	for range lines {
		if !e.out.Scan() {
			e.t.Fatal("the example ended", e.out.Err())
		}
		said = append(said, e.out.Text())
	}
	return strings.Join(said, ", ")
}

func (e *example) expect(line, want string) {
	e.t.Helper()
	if got := e.does(line, 1+strings.Count(want, ", ")); got != want {
		e.t.Errorf("%s: %q, want %q", line, got, want)
	}
}

// The speaker plays all the time, and remembers while it may: not without an
// agent, not after a stop, and again with the next agent. Where there is no page it
// asks the socket.
func TestSpeakerExample(t *testing.T) {
	s := newStage(t)
	a := newAgent(t, s, "speaker", "speaker")
	e := startExample(t, "speaker", a.Socket)
	e.expect("one", "plays one")
	phone := newPhone(t, s, "ada@example.com")
	pair(t, a, phone)
	choose(t, s, phone, "Allow", recommend)
	answers(t, a, recommend, cardea.Allow)
	e.expect("two", "plays two, remembers two")
	a.Process.Kill()
	e.expect("three", "plays three")
	e.expect("four", "plays four")
	must(t, a.Start(context.Background()))
	answers(t, a, recommend, cardea.Allow)
	e.expect("five", "plays five, remembers five")
	_, err := a.Withdraw(context.Background(), client.Withdrawal{Key: recommend})
	must(t, err)
	e.expect("six", "plays six")
	e.expect("seven", "plays seven")
}

// The car navigates all the time, and sends its position while it may.
func TestCarExample(t *testing.T) {
	s := newStage(t)
	a := newAgent(t, s, "car", "car")
	e := startExample(t, "car", a.Socket)
	e.expect("1 1", "is at 1 1, forgets 0: guest")
	phone := newPhone(t, s, "ada@example.com")
	pair(t, a, phone)
	const where = cardea.Key("precise_location/use")
	must(t, phone.Open(context.Background(), s.URL+"/consents"))
	must(t, phone.Press(context.Background(), "Allow", "exact position of this car"))
	answers(t, a, where, cardea.Allow)
	e.expect("2 2", "is at 2 2, sends 2 2")
	_, err := a.Withdraw(context.Background(), client.Withdrawal{Key: where})
	must(t, err)
	e.expect("3 3", "is at 3 3, forgets 0: withdrawn")
}
