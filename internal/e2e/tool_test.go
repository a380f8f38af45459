package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/internal/owner"
	"github.com/cardea-id/cardea/internal/stage"
	"github.com/cardea-id/cardea/pairing/qr/qrtest"
)

// tool runs the program cardea against an agent and returns what it printed.
func tool(t testing.TB, a *stage.Agent, args ...string) (code int, out string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, "cardea"), args...)
	cmd.Env = append(os.Environ(), "CARDEA_SOCKET="+a.Socket)
	text, err := cmd.CombinedOutput()
	exit, ended := errors.AsType[*exec.ExitError](err)
	switch {
	case ended:
		return exit.ExitCode(), string(text)
	case err != nil:
		t.Fatal(err)
	}
	return 0, string(text)
}

// A terminal is what somebody sees who has started a program in one.
type terminal struct {
	*exec.Cmd
	mu     sync.Mutex
	screen bytes.Buffer
	read   chan struct{}
}

// inTerminal starts the program in a terminal of its own.
func inTerminal(t testing.TB, a *stage.Agent, args ...string) *terminal {
	t.Helper()
	near, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	must(t, err)
	must(t, unix.IoctlSetPointerInt(int(near.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(near.Fd()), unix.TIOCGPTN)
	must(t, err)
	far, err := os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	term := &terminal{Cmd: exec.Command(filepath.Join(bin, "cardea"), args...), read: make(chan struct{})}
	term.Env = append(os.Environ(), "CARDEA_SOCKET="+a.Socket, "TERM=xterm-256color", "NO_COLOR=")
	term.Stdin, term.Stdout, term.Stderr = far, far, far
	must(t, term.Start())
	must(t, far.Close())
	go func() {
		defer close(term.read)
		io.Copy(term, near) // it ends with an error when the program has
	}()
	t.Cleanup(func() { term.Process.Kill(); near.Close() })
	return term
}

func (t *terminal) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.screen.Write(b)
}

func (t *terminal) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.screen.String()
}

// ends waits for the program and returns its exit code.
func (t *terminal) ends() int {
	t.Wait()
	<-t.read
	return t.ProcessState.ExitCode()
}

// A whole life at the terminal: pair by what is on the screen, look, stop, look
// again, and be told what is wrong.
func TestToolAtATerminal(t *testing.T) {
	s := newStage(t)
	a, err := s.StartAgent(t.Context(), "device", "speaker")
	must(t, err)
	if code, out := tool(t, a, "check"); code != 0 && !strings.Contains(out, "flush") { // a slow disk is one
		t.Errorf("check: %d\n%s", code, out)
	}
	term := inTerminal(t, a, "pair")
	var link string
	until(t, "the code can be scanned from the screen", func() (err error) {
		if !strings.Contains(term.text(), "counts") {
			return errors.New("no countdown yet")
		}
		link, err = qrtest.DecodeTerminal(term.text())
		return err
	})
	if !strings.Contains(link, "/P/") {
		t.Errorf("scanned %q", link)
	}
	phone := newPhone(t, s, "mara@example.com")
	must(t, phone.Open(t.Context(), link))
	must(t, phone.Press(t.Context(), "Approve", ""))
	if code := term.ends(); code != 0 || !strings.Contains(term.text(), "is linked") {
		t.Errorf("pair: %d\n%s", code, term.text())
	}
	choose(t, s, phone, "Allow", recommend)
	answers(t, a, recommend, cardea.Allow)
	for _, test := range []struct{ line, says string }{
		{"status", "uses this device"},
		{"consents", "● recommendations/use"},
		{"whoami", "You are"},
		{"withdraw recommendations/use", "is stopped on this device"},
		{"consents", "○ recommendations/use"},
		{"prefs", "voice_speed"},
	} {
		if code, out := tool(t, a, strings.Fields(test.line)...); code != 0 || !strings.Contains(out, test.says) {
			t.Errorf("cardea %s: %d\n%s", test.line, code, out)
		}
	}
	nothingPending(t, a)
	cancelled := inTerminal(t, a, "pair")
	until(t, "the code is on the screen", func() error {
		if !strings.Contains(cancelled.text(), "Ctrl-C cancels") {
			return errors.New("no code yet")
		}
		return nil
	})
	must(t, cancelled.Process.Signal(os.Interrupt))
	if code := cancelled.ends(); code != 130 || !strings.Contains(cancelled.text(), "counts no more") {
		t.Errorf("Ctrl-C: %d\n%s", code, cancelled.text())
	}
	if p, err := a.Pairing(t.Context()); err != nil || p.State == client.PairPending {
		t.Errorf("the code counts on: %+v, %v", p, err)
	}
	must(t, a.Process.Stop())
	if code, out := tool(t, a, "status"); code != 3 || !strings.Contains(out, "start the agent") {
		t.Errorf("no agent: %d\n%s", code, out)
	}
}

// relabel gives a device a label, as its factory does, and returns what the
// label's QR code says.
func relabel(t testing.TB, s *stage.Stage, a *stage.Agent) string {
	t.Helper()
	key, drawing := filepath.Join(a.Dir, "label.key"), filepath.Join(a.Dir, "label.svg")
	if code, out := tool(t, a, "label", key, "--issuer", s.URL, "--svg", drawing); code != 0 {
		t.Fatalf("label: %d %s", code, out)
	}
	picture, err := exec.Command("rsvg-convert", "-w", "900", drawing).Output()
	if err != nil {
		t.Fatalf("rsvg-convert: %v (run make tools)", err)
	}
	link, err := qrtest.DecodePNG(picture)
	must(t, err)
	config := filepath.Join(a.Dir, "agent.toml")
	text, err := os.ReadFile(config)
	must(t, err)
	must(t, os.WriteFile(config, fmt.Appendf(text, "label_key = %q\n", key), 0o600))
	must(t, a.Process.Stop())
	must(t, a.Start(context.Background()))
	return link
}

// presses reads from the owner's page how often to press.
func presses(t testing.TB, phone *owner.Owner) int {
	t.Helper()
	for n, words := range map[int]string{2: "twice", 3: "three times", 4: "four times", 5: "five times"} {
		if strings.Contains(phone.Text(), "Press its button "+words) {
			return n
		}
	}
	t.Fatalf("the page does not say how often: %s", phone.Text())
	return 0
}

func state(t testing.TB, a *stage.Agent, want string) {
	t.Helper()
	until(t, "the pairing is "+want, func() error {
		p, err := a.Pairing(context.Background())
		if err == nil && p.State != want {
			err = fmt.Errorf("it is %s: %s", p.State, p.Problem)
		}
		return err
	})
}

// A speaker without a screen: its label is scanned, and its button says that the
// phone is beside it.
func TestPairByLabel(t *testing.T) {
	s := newStage(t)
	a, err := s.StartAgent(t.Context(), "device", "speaker")
	must(t, err)
	label := relabel(t, s, a)
	mara, eve := newPhone(t, s, "mara@example.com"), newPhone(t, s, "eve@example.com")
	must(t, mara.Open(t.Context(), label)) // before the device was woken
	if !strings.Contains(mara.Text(), "Wake the device") {
		t.Errorf("asleep: %s", mara.Text())
	}
	wake := func() {
		_, err := a.Pair(t.Context())
		must(t, err)
	}
	wake()
	// Eve has photographed the label and is quicker. Mara is told, and her finger
	// has no number.
	must(t, eve.Open(t.Context(), label))
	must(t, eve.Press(t.Context(), "Approve", ""))
	presses(t, eve)
	state(t, a, client.PairConfirm)
	must(t, mara.Open(t.Context(), label))
	if !strings.Contains(mara.Text(), "do not press it now") {
		t.Errorf("Mara is not warned: %s", mara.Text())
	}
	if p, err := a.ConfirmPairing(t.Context(), 1); err != nil || p.State != client.PairDenied {
		t.Errorf("an impatient finger: %+v, %v", p, err)
	}
	// Woken again, it is Mara's.
	wake()
	must(t, mara.Open(t.Context(), label))
	must(t, mara.Press(t.Context(), "Approve", ""))
	times := presses(t, mara)
	state(t, a, client.PairConfirm)
	if code, out := tool(t, a, "pair", "--confirm", strconv.Itoa(times)); code != 0 || !strings.Contains(out, "is linked") {
		t.Errorf("pressed %d times: %d %s", times, code, out)
	}
	linked(t, a)
	must(t, mara.Open(t.Context(), label))
	if !strings.Contains(mara.Text(), "is yours") {
		t.Errorf("afterwards: %s", mara.Text())
	}
	choose(t, s, mara, "Allow", recommend)
	answers(t, a, recommend, cardea.Allow)
}
