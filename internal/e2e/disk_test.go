package e2e_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/internal/stage"
)

// smallDisk is a linked device whose state is on a disk of its own.
func smallDisk(t *testing.T) (a *stage.Agent, state string) {
	t.Helper()
	s := newStage(t)
	state = filepath.Join(s.Dir, "a", "state")
	must(t, os.MkdirAll(state, 0o700))
	must(t, unix.Mount("tmpfs", state, "tmpfs", 0, "size=4m,mode=700"))
	t.Cleanup(func() { unix.Unmount(state, unix.MNT_DETACH) })
	phone := newPhone(t, s, "ada@example.com")
	a = newAgent(t, s, "a", "speaker")
	pair(t, a, phone)
	for _, key := range []cardea.Key{recommend, presence} {
		choose(t, s, phone, "Allow", key)
		answers(t, a, key, cardea.Allow)
	}
	return a, state
}

// log is what the agent has written.
func logOf(t *testing.T, a *stage.Agent) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(a.Dir, "agent.log"))
	must(t, err)
	return string(text)
}

// fill leaves no byte on a disk.
func fill(t *testing.T, dir string) (path string) {
	t.Helper()
	path = filepath.Join(dir, "filler")
	f, err := os.Create(path)
	must(t, err)
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(bytes.Repeat([]byte{1}, size)); err != nil {
			size /= 2
		}
	}
	return path
}

// A disk without a free byte: a no is taken and kept over a power cut, a yes is
// not taken, and with room again the cloud hears of the no.
func TestDiskIsFull(t *testing.T) {
	a, state := smallDisk(t)
	filler := fill(t, state)
	a.Network(false)
	must2(a.Withdraw(t.Context(), client.Withdrawal{Key: recommend}))(t)
	verdict(t, a, cardea.Deny, cardea.ReasonWithdrawn)
	a.Process.Kill()
	must(t, a.Start(t.Context()))
	answers(t, a, recommend, cardea.Deny)
	must(t, os.Remove(filler))
	a.Network(true)
	nothingPending(t, a)
	answers(t, a, recommend, cardea.Deny)
	answers(t, a, presence, cardea.Allow)
}

// A disk that can not be written: the agent does not start, and says in one line
// where it must be able to write; with the disk back all is as it was.
func TestDiskIsReadOnly(t *testing.T) {
	a, state := smallDisk(t)
	must(t, a.Process.Stop())
	must(t, unix.Mount("", state, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	out, err := exec.CommandContext(t.Context(), filepath.Join(bin, "cardea-agent"), "-config", filepath.Join(a.Dir, "agent.toml")).CombinedOutput()
	last := strings.TrimSpace(string(out))
	last = last[strings.LastIndexByte(last, '\n')+1:]
	if err == nil || !strings.Contains(last, state) || !strings.Contains(last, "read-only") {
		t.Errorf("%v: %s", err, out)
	}
	must(t, unix.Mount("", state, "", unix.MS_REMOUNT, ""))
	must(t, a.Start(t.Context()))
	answers(t, a, recommend, cardea.Allow)
}

// The folder is removed while the agent runs: a no that could only be written to
// where nobody finds it again is not confirmed, and everything is denied.
func TestDiskIsRemoved(t *testing.T) {
	t.Parallel()
	a, state := smallDisk(t)
	entries, err := os.ReadDir(state)
	must(t, err)
	for _, e := range entries {
		must(t, os.RemoveAll(filepath.Join(state, e.Name())))
	}
	if _, err := a.Withdraw(t.Context(), client.Withdrawal{Key: recommend}); err == nil {
		t.Error("confirmed, and written to a file without a name")
	}
	for _, key := range []cardea.Key{recommend, presence} {
		if got, err := a.Decide(t.Context(), key, cardea.UseCollect); err != nil || got.Verdict != cardea.Deny || got.Reason != cardea.ReasonStore {
			t.Errorf("%s: %s, %s, %v", key, got.Verdict, got.Reason, err)
		}
	}
	if text := logOf(t, a); !strings.Contains(text, "the deny journal was removed while the agent ran") {
		t.Errorf("nothing is said of it:\n%s", text)
	}
}
