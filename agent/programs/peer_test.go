package programs_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cardea-id/cardea/agent/programs"
)

const speaker = "speaker-ui.service"

// TestMain lets a test start this binary as another program of the device.
func TestMain(m *testing.M) {
	switch os.Getenv("CARDEA_TEST_CHILD") {
	case "connects":
		connects(os.Args[1])
	case "waits":
		io.Copy(io.Discard, os.Stdin)
	default:
		os.Exit(m.Run())
	}
}

// connects makes a connection, leaves it to whoever listens, so that it outlives
// this process, and ends when its input does.
func connects(socket string) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	file, err := conn.(*net.UnixConn).File()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	conn.(*net.UnixConn).WriteMsgUnix([]byte{1}, unix.UnixRights(int(file.Fd())), nil)
	io.Copy(io.Discard, os.Stdin)
}

// A child runs until end is called.
type child struct {
	pid int
	in  io.Closer
	cmd *exec.Cmd
}

func start(t *testing.T, as string, args ...string) *child {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = []string{"CARDEA_TEST_CHILD=" + as}
	cmd.Stderr = t.Output()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{cmd.Process.Pid, in, cmd}
	t.Cleanup(c.end)
	return c
}

func (c *child) end() {
	c.in.Close()
	c.cmd.Wait()
}

// connected is a child's connection, accepted, which stays when the child ends.
func connected(t *testing.T) (*child, *net.UnixConn) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	c := start(t, "connects", l.Addr().String())
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	conn := accepted.(*net.UnixConn)
	t.Cleanup(func() { conn.Close() })
	rights := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := conn.ReadMsgUnix(make([]byte, 1), rights)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	if err != nil || len(messages) != 1 {
		t.Fatalf("the child's end did not come: %v", err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[0]) })
	return c, conn
}

// began is when a process did, in the ticks that older kernels tell it in.
func (c *child) began(t *testing.T) uint64 {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.pid))
	if err != nil {
		t.Fatal(err)
	}
	ticks, err := programs.ParseStart(string(stat))
	if err != nil {
		t.Fatal(err)
	}
	return ticks
}

// again starts processes until one has the id of a process that has ended. To
// come round to an id takes longer than a tick of the clock where nobody helps.
func again(t *testing.T, pid int, ended uint64) {
	t.Helper()
	for {
		c := start(t, "waits")
		now := c.began(t)
		c.end()
		if now > ended {
			break
		}
	}
	for range 1000 {
		if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", fmt.Append(nil, pid-1), 0); err != nil {
			t.Fatalf("ids can not be given again: %v (run the tests as root)", err)
		}
		c := start(t, "waits")
		if c.pid == pid {
			return
		}
		c.end()
	}
	t.Fatalf("id %d is not given again", pid)
}

// The kernels there are.
var kernels = map[string]func(testing.TB){
	"a kernel that holds peers": func(testing.TB) {},
	"an older kernel":           programs.OnAnOlderKernel,
}

// A unit is the caller's while the caller lives, and nobody inherits it with the
// caller's id.
func TestUnitIsNotInheritedWithAnID(t *testing.T) {
	for name, kernel := range kernels {
		t.Run(name, func(t *testing.T) {
			kernel(t)
			c, conn := connected(t)
			before, err := programs.PeerOf(conn, false)
			if err != nil || int(before.PID) != c.pid || before.UID != uint32(os.Getuid()) || before.Unit != "" {
				t.Fatalf("%+v, %v", before, err)
			}
			programs.InUnit(t, speaker)
			if p := before.Located(conn); p.Unit != speaker {
				t.Errorf("of the unit and alive: %+v", p)
			}
			if p, err := programs.PeerOf(conn, true); err != nil || p.Unit != speaker {
				t.Errorf("of the unit and alive: %+v, %v", p, err)
			}
			began := c.began(t)
			c.end()
			if p := before.Located(conn); p.Unit != "" {
				t.Errorf("it has ended: %+v", p)
			}
			again(t, c.pid, began)
			if p := before.Located(conn); p.Unit != "" || int(p.PID) != c.pid || p.UID != before.UID {
				t.Errorf("another process has the id: %+v", p)
			}
		})
	}
}

// What the kernel tells of the socket itself stays true whatever becomes of the
// process.
func TestPeerOfAnEndedProcess(t *testing.T) {
	for name, kernel := range kernels {
		t.Run(name, func(t *testing.T) {
			kernel(t)
			c, conn := connected(t)
			c.end()
			programs.InUnit(t, speaker)
			p, err := programs.PeerOf(conn, true)
			if err != nil || int(p.PID) != c.pid || p.UID != uint32(os.Getuid()) || p.GID != uint32(os.Getgid()) || p.Unit != "" {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
}

func TestOwnStart(t *testing.T) {
	text, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	if ticks, err := programs.ParseStart(string(text)); err != nil || ticks == 0 {
		t.Errorf("%d, %v", ticks, err)
	}
}

func TestPeerOfSomethingElse(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if _, err := programs.PeerOf(a, true); err == nil {
		t.Error("a pipe has a peer")
	}
	_, conn := connected(t)
	conn.Close()
	if _, err := programs.PeerOf(conn, true); err == nil {
		t.Error("a closed connection has a peer")
	}
	if p := (programs.Peer{PID: 1}).Located(conn); p.Unit != "" {
		t.Errorf("%+v", p)
	}
}

// Names of programs hold brackets and blanks, and are no way to feign a start.
func TestParseStart(t *testing.T) {
	rest := " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21"
	for stat, want := range map[string]uint64{
		"12 (ui)" + rest:                 4711,
		"12 (u) S 1 2 (i)" + rest + "\n": 4711,
		"12 (" + rest + ")" + rest:       4711,
		"12 (ui" + rest:                  0,
		"12 (ui) S 1 2 3":                0,
		"12 (ui)" + rest[:len(rest)-11]:  0,
		"":                               0, "12 (ui)" + strings.ReplaceAll(rest, "4711", "0"): 0,
		"12 (ui)" + strings.ReplaceAll(rest, "4711", "-1"): 0,
	} {
		if got, err := programs.ParseStart(stat); got != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %d, %v; want %d", stat, got, err, want)
		}
	}
}

func FuzzStart(f *testing.F) {
	f.Add("12 (ui) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21")
	f.Add("12 (u) i) S")
	f.Fuzz(func(t *testing.T, stat string) {
		if ticks, err := programs.ParseStart(stat); err == nil && ticks == 0 {
			t.Errorf("%q: a start that none is", stat)
		}
	})
}
