package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/internal/stage"
)

// firmware is a program in C that asks through the client we ship.
type firmware struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Scanner
}

func newFirmware(t *testing.T, a *stage.Agent) *firmware {
	t.Helper()
	module, err := stage.Module()
	must(t, err)
	path, source := filepath.Join(t.TempDir(), "ask"), filepath.Join(module, "agent/client/c")
	build := exec.Command("gcc", "-std=c99", "-O2", "-I"+source, "-o", path,
		filepath.Join(module, "agent/page/testdata/ask.c"), filepath.Join(source, "cardea.c"))
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build (it needs gcc): %v\n%s", err, out)
	}
	cmd := exec.Command(path, a.Socket)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	return &firmware{t, in, bufio.NewScanner(out)}
}

// may asks whether what is recommended may be collected: the verdict, the
// reason, and whether the socket had to be asked.
func (f *firmware) may() (answer string) {
	f.t.Helper()
	fmt.Fprintf(f.in, "%s 0 0\n", recommend)
	if !f.out.Scan() {
		f.t.Fatal("the firmware ended", f.out.Err())
	}
	return f.out.Text()
}

func (f *firmware) hears(want string) {
	f.t.Helper()
	if got := f.may(); got != want {
		f.t.Errorf("the firmware hears %q, want %q", got, want)
	}
}

// A program in C reads its answers from memory: a no that was said here as soon
// as the call returned, and none from an agent that is dead.
func TestCClient(t *testing.T) {
	s := newStage(t)
	a := newAgent(t, s, "speaker", "speaker")
	f := newFirmware(t, a)
	f.hears("deny guest 0")
	phone := newPhone(t, s, "ada@example.com")
	pair(t, a, phone)
	choose(t, s, phone, "Allow", recommend)
	until(t, "the firmware may", f.allowed)

	a.Process.Kill()
	f.hears("deny no_agent 1")
	must(t, a.Start(context.Background()))
	until(t, "the firmware reads the new agent's page", f.allowed)

	_, err := a.Withdraw(context.Background(), client.Withdrawal{Key: recommend})
	must(t, err)
	f.hears("deny withdrawn 0")
}

func (f *firmware) allowed() error {
	if got := f.may(); got != "allow granted 0" {
		return fmt.Errorf("it hears %q", got)
	}
	return nil
}
