package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/gate"
	"github.com/cardea-id/cardea/agent/page"
)

// A tally is what the kills came to.
type tally struct {
	kills int
	alive int // pages that still answered after the agent's death
	torn  int // pages that said neither the old nor the new
}

// killed starts a writer that publishes without end, kills it at some moment and
// judges the page it left.
func (t *tally) killed(r *rand.Rand) error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(pair[0])
	theirs := os.NewFile(uintptr(pair[1]), "theirs")
	defer theirs.Close()
	writer := exec.Command("/proc/self/exe", "-writer", "-1")
	writer.ExtraFiles = []*os.File{theirs}
	writer.Stderr = os.Stderr
	if err := writer.Start(); err != nil {
		return err
	}
	memory, err := receive(pair[0])
	if err == nil {
		time.Sleep(time.Duration(r.Int64N(int64(300 * time.Microsecond))))
	}
	writer.Process.Kill()
	writer.Wait() // it was killed, which is an error
	if err != nil {
		return err
	}
	defer unix.Munmap(memory)
	t.judge(memory)
	return nil
}

func (t *tally) judge(memory []byte) {
	t.kills++
	if given := read(memory); given != "neither" {
		t.alive++
	}
	// What would a reader see that does not know of the death?
	left := make([]byte, page.Size)
	copy(left, memory)
	*(*uint32)(unsafe.Pointer(&left[page.OwnerOffset])) = 1
	if given := read(left); given != "a" && given != "b" {
		t.torn++
	}
}

var boot = gate.BootTime

// read is which of the two keys is given.
func read(memory []byte) string {
	now := boot()
	a := page.Read(memory, cardea.Query{Key: "a/use"}, now)
	b := page.Read(memory, cardea.Query{Key: "b/use"}, now)
	switch {
	case a.Verdict == cardea.Allow && b.Verdict == cardea.Deny && !b.Ask:
		return "a"
	case b.Verdict == cardea.Allow && a.Verdict == cardea.Deny && !a.Ask:
		return "b"
	case a.Verdict == cardea.Allow:
		return "both"
	}
	return "neither"
}

func receive(from int) ([]byte, error) {
	rights := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(from, make([]byte, 1), rights, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return nil, err
	}
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	if err != nil || len(messages) != 1 {
		return nil, fmt.Errorf("no page came: %d messages, %v", len(messages), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return nil, err
	}
	defer unix.Close(fds[0])
	return unix.Mmap(fds[0], 0, page.Size, unix.PROT_READ, unix.MAP_SHARED)
}
