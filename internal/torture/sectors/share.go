package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// share has the cases played by as many processes as there are jobs, or by this
// one.
func (o options) share(ctx context.Context, out io.Writer) (tally, error) {
	if o.jobs == 1 {
		return o.play(ctx, out)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var parts []*part
	for i := range o.jobs {
		p, err := o.start(ctx, i)
		if errors.Is(err, os.ErrPermission) && i == 0 {
			o.jobs = 1
			return o.play(ctx, out)
		}
		if err != nil {
			return tally{}, err
		}
		parts = append(parts, p)
	}
	var all sync.WaitGroup
	lines := &lockedWriter{out: out}
	for _, p := range parts {
		all.Go(func() {
			if p.read(lines); p.err != nil {
				stop()
			}
		})
	}
	all.Wait()
	var t tally
	var errs []error
	for _, p := range parts {
		t.add(p.tally)
		errs = append(errs, p.err)
	}
	return t, errors.Join(errs...)
}

// A part is a process that plays some of the cases.
type part struct {
	tally
	cmd *exec.Cmd
	out io.Reader
	err error
}

// start starts a process in a network of its own, in which nobody listens yet.
func (o options) start(ctx context.Context, i int) (*part, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-part", strconv.Itoa(i), "-jobs", strconv.Itoa(o.jobs), "-bin", o.bin,
		"-every", strconv.Itoa(o.every), "-match", o.match, "-seed", strconv.FormatUint(o.seed, 10), "-kept", o.kept, "-ports", o.ports)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &part{cmd: cmd, out: out}, cmd.Start()
}

// read passes on what the process says, and takes its tally, which comes last.
func (p *part) read(out io.Writer) {
	told := false
	for lines := bufio.NewScanner(p.out); lines.Scan(); {
		if told = strings.HasPrefix(lines.Text(), "{") && json.Unmarshal(lines.Bytes(), &p.tally) == nil; !told {
			fmt.Fprintln(out, lines.Text())
		}
	}
	if p.err = p.cmd.Wait(); p.err == nil && !told {
		p.err = errors.New("a process that plays cases did not say what came of them")
	}
}

type lockedWriter struct {
	mu  sync.Mutex
	out io.Writer
}

func (w *lockedWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(b)
}

// loopback has a network that was just made carry what a process says to itself.
func loopback() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	defer unix.Close(s)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	return nil
}
