package command

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// programEnv has this binary be a program that waits until it is asked to end.
const programEnv = "CARDEA_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(programEnv) != "" {
		Main("waiter", func(ctx context.Context, args []string, stdout, _ io.Writer) error {
			fmt.Fprintln(stdout, strings.Join(args, " "))
			<-ctx.Done()
			return errors.New("was interrupted")
		})
	}
	os.Exit(m.Run())
}

func TestMainEndsOnASignal(t *testing.T) {
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		cmd := exec.Command(os.Args[0], "one", "two")
		cmd.Env = append(os.Environ(), programEnv+"=1")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line := make([]byte, len("one two\n"))
		if _, err := io.ReadFull(out, line); err != nil || string(line) != "one two\n" {
			t.Errorf("its arguments: %q, %v", line, err)
		}
		cmd.Process.Signal(signal)
		err = cmd.Wait()
		if end, ok := errors.AsType[*exec.ExitError](err); !ok || end.ExitCode() != 1 || stderr.String() != "waiter: was interrupted\n" {
			t.Errorf("%s: %v, %q", signal, err, stderr.String())
		}
	}
}

func TestCode(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
		says string
	}{
		{nil, 0, ""},
		{fmt.Errorf("flags: %w", flag.ErrHelp), 0, ""},
		{errors.New("no disk"), 1, "x: no disk\n"},
		{errors.Join(errors.New("no disk"), errors.New("no net")), 1, "x: no disk; no net\n"},
		{fmt.Errorf("two words: %w", ErrUsage), 2, "x: two words: see -help\n"},
	} {
		var stderr bytes.Buffer
		if got := code("x", c.err, &stderr); got != c.code || stderr.String() != c.says {
			t.Errorf("%v: %d, %q", c.err, got, stderr.String())
		}
	}
}

func TestVersion(t *testing.T) {
	var said bytes.Buffer
	err := Flags(flag.NewFlagSet("x", flag.ContinueOnError), []string{"-version"}, &said)
	if !errors.Is(err, flag.ErrHelp) || !strings.HasPrefix(said.String(), "x ") || !strings.Contains(said.String(), " go1.") {
		t.Errorf("%v, %q", err, said.String())
	}
}

// The list of flags is an answer to -help, and no part of an error.
func TestFlags(t *testing.T) {
	for arg, want := range map[string]error{"-help": flag.ErrHelp, "-nonsense": ErrUsage, "-on": nil} {
		flags := flag.NewFlagSet("x", flag.ContinueOnError)
		on := flags.Bool("on", false, "be on")
		var help bytes.Buffer
		err := Flags(flags, []string{arg}, &help)
		if !errors.Is(err, want) || *on != (err == nil) {
			t.Errorf("%s: %v, want %v", arg, err, want)
		}
		if told := strings.Contains(help.String(), "be on"); told != (arg == "-help") {
			t.Errorf("%s: told %q", arg, help.String())
		}
	}
}
