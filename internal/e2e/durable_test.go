package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/internal/stage"
)

const presence = cardea.Key("presence/use")

// given is a device that is allowed two purposes by its owner.
func given(t *testing.T) (*stage.Stage, *stage.Agent) {
	t.Helper()
	s := newStage(t)
	a, err := s.StartAgent(context.Background(), "kitchen", "speaker")
	must(t, err)
	phone := newPhone(t, s, "anna@example.com")
	pair(t, a, phone)
	for _, key := range []cardea.Key{recommend, presence} {
		choose(t, s, phone, "Allow", key)
		answers(t, a, key, cardea.Allow)
	}
	return s, a
}

// trace attaches strace to a process until the returned function is called, which
// gives what it saw.
func trace(t *testing.T, pid int, args ...string) (stop func() string) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command("strace", append([]string{"-f", "-tt", "-y", "-s", "64", "-o", out, "-p", fmt.Sprint(pid)}, args...)...)
	said := make(lines, 64)
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatalf("strace: %v (install it: make strace)", err)
	}
	select {
	case line := <-said:
		if !strings.Contains(line, "attached") {
			t.Fatalf("strace can not attach: %s (these tests run as root)", line)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("strace does not attach")
	}
	stopped := false
	stop = func() string {
		if !stopped {
			stopped = true
			cmd.Process.Signal(os.Interrupt)
			cmd.Wait()
		}
		text, err := os.ReadFile(out)
		must(t, err)
		return string(text)
	}
	t.Cleanup(func() { stop() })
	return stop
}

// lines hands over what is written to it, and drops what nobody takes.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	select {
	case l <- string(b):
	default:
	}
	return len(b), nil
}

// A call is one system call that has ended.
type call struct{ began, ended, text string }

var (
	unfinished = regexp.MustCompile(`^(\d+) +(\S+) (.*) <unfinished \.\.\.>$`)
	resumed    = regexp.MustCompile(`^(\d+) +(\S+) <\.\.\. \w+ resumed>(.*)$`)
	whole      = regexp.MustCompile(`^\d+ +(\S+) (.*)$`)
)

// calls joins the halves of calls that others ran into.
func calls(text string) (all []call) {
	open := map[string]call{}
	for sc := bufio.NewScanner(strings.NewReader(text)); sc.Scan(); {
		line := sc.Text()
		if m := unfinished.FindStringSubmatch(line); m != nil {
			open[m[1]] = call{began: m[2], text: m[3]}
		} else if m := resumed.FindStringSubmatch(line); m != nil {
			c := open[m[1]]
			c.ended, c.text = m[2], c.text+m[3]
			all = append(all, c)
		} else if m := whole.FindStringSubmatch(line); m != nil {
			all = append(all, call{m[1], m[1], m[2]})
		}
	}
	return all
}

func has(c call, words ...string) bool {
	for _, w := range words {
		if !strings.Contains(c.text, w) {
			return false
		}
	}
	return true
}

// Between the request to stop something and its answer stands a write that the
// disk has taken: to the journal, whose file is open so that a write returns
// when it is on the disk.
func TestFsyncBeforeReply(t *testing.T) {
	t.Parallel()
	t.Run("cloud", cloudFlushes)
	t.Run("agent", func(t *testing.T) {
		_, a := given(t)
		a.Network(false)
		pid := a.Process.Pid()
		stop := trace(t, pid, "-e", "trace=read,write,pwrite64,fdatasync,fsync")
		_, err := a.Withdraw(context.Background(), client.Withdrawal{Key: recommend})
		must(t, err)
		_, err = a.Status(context.Background()) // by then the end of the answer's write was seen
		must(t, err)
		seen := calls(stop())
		var asked, kept, replied string
		for _, c := range seen {
			switch {
			case has(c, "read(", "POST /v1/consents/withdraw"):
				asked = c.ended
			case asked != "" && kept == "" && has(c, "pwrite64(", "device.journal>", "4096", "= 4096"):
				kept = c.ended
				synchronous(t, pid, c.text)
			case asked != "" && replied == "" && has(c, "write(", "HTTP/1.1 200"):
				replied = c.began
			}
		}
		if asked == "" || kept == "" || replied == "" || !(asked <= kept && kept <= replied) {
			t.Errorf("asked at %q, kept at %q, replied at %q, in %d calls", asked, kept, replied, len(seen))
		}
	})
}

// synchronous checks that the file of a call is open with O_DSYNC.
func synchronous(t *testing.T, pid int, text string) {
	t.Helper()
	fd := regexp.MustCompile(`\((\d+)<`).FindStringSubmatch(text)
	if fd == nil {
		t.Fatalf("no file in %s", text)
	}
	info, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%s", pid, fd[1]))
	must(t, err)
	var flags uint64
	for line := range bytes.Lines(info) {
		fmt.Sscanf(string(line), "flags:\t%o", &flags)
	}
	const dsync = 0o10000 // O_DSYNC, <asm-generic/fcntl.h>
	if flags&dsync == 0 {
		t.Errorf("the file is open with flags %o: a write to it may return before it is on the disk", flags)
	}
}

// A disk that gives an error: the caller is told, and everything on the link is
// denied until the disk has taken the no.
func TestEIOFailsClosed(t *testing.T) {
	_, a := given(t)
	stop := trace(t, a.Process.Pid(), "-e", "trace=pwrite64", "-e", "inject=pwrite64:error=EIO")
	if _, err := a.Withdraw(context.Background(), client.Withdrawal{Key: recommend}); err == nil {
		t.Error("confirmed, although the disk has failed")
	}
	for _, key := range []cardea.Key{recommend, presence} {
		got, err := a.Decide(context.Background(), key, cardea.UseCollect)
		if err != nil || got.Verdict != cardea.Deny || got.Reason != cardea.ReasonStore {
			t.Errorf("%s is answered %s, %s: %v", key, got.Verdict, got.Reason, err)
		}
	}
	if !strings.Contains(stop(), "EIO (Input/output error) (INJECTED)") {
		t.Error("no error was injected")
	}
	answers(t, a, presence, cardea.Allow) // once the disk takes it
	answers(t, a, recommend, cardea.Deny)
}

// A disk that is full takes no change of the database. A no is kept all the
// same, survives the power cut that follows, and reaches the cloud.
func TestFullDiskTakesANo(t *testing.T) {
	t.Parallel()
	_, a := given(t)
	a.Network(false)
	stop := trace(t, a.Process.Pid(), "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=ENOSPC")
	_, err := a.Withdraw(context.Background(), client.Withdrawal{Key: recommend})
	must(t, err)
	answers(t, a, recommend, cardea.Deny)
	stop()
	a.Process.Kill()
	must(t, a.Start(context.Background()))
	answers(t, a, recommend, cardea.Deny)
	a.Network(true)
	nothingPending(t, a)
	answers(t, a, presence, cardea.Allow)
	answers(t, a, recommend, cardea.Deny)
}

// The files of a device are lost in every combination after a no that the cloud
// has not heard of: it comes back without a pairing, and with the no.
func TestLostFilesComeBack(t *testing.T) {
	t.Parallel()
	_, a := given(t)
	a.Network(false)
	_, err := a.Withdraw(context.Background(), client.Withdrawal{Key: recommend})
	must(t, err)
	db := filepath.Join(a.Dir, "state", "device.db")
	for name, hurt := range map[string]func() error{
		"gone":     func() error { return os.Remove(db) },
		"emptied":  func() error { return os.Truncate(db, 0) },
		"cut off":  func() error { return os.Truncate(db, 9000) },
		"nonsense": func() error { return os.WriteFile(db, bytes.Repeat([]byte{7}, 40000), 0o600) },
	} {
		a.Process.Kill()
		must(t, hurt())
		must(t, a.Start(context.Background()))
		got, err := a.Decide(context.Background(), recommend, cardea.UseCollect)
		if err != nil || got.Verdict != cardea.Deny {
			t.Errorf("%s: %s, %v", name, got.Verdict, err)
		}
		a.Network(true)
		linked(t, a)
		answers(t, a, presence, cardea.Allow)
		nothingPending(t, a)
		answers(t, a, recommend, cardea.Deny)
		a.Network(false)
	}
}
