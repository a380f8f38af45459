package localapi_test

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/cardea-id/cardea/agent/localapi"
)

func TestSocketModeAndGroup(t *testing.T) {
	group := strconv.Itoa(os.Getgid())
	if os.Getuid() == 0 {
		group = "65534"
	}
	path := filepath.Join(t.TempDir(), "s")
	l, err := localapi.Listen(path, group)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != fs.ModeSocket|0o660 {
		t.Errorf("mode %v", info.Mode())
	}
	if gid := info.Sys().(*syscall.Stat_t).Gid; strconv.Itoa(int(gid)) != group {
		t.Errorf("group %d, not %s", gid, group)
	}
}

func TestSocketOfADeadAgentIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	dead, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	dead.Close()
	l, err := localapi.Listen(path, "")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestSocketFaults(t *testing.T) {
	dir := t.TempDir()
	taken, file := filepath.Join(dir, "taken"), filepath.Join(dir, "file")
	alive, err := net.Listen("unix", taken)
	if err != nil {
		t.Fatal(err)
	}
	defer alive.Close()
	if err := os.WriteFile(file, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{
		taken: localapi.ErrInUse, file: localapi.ErrNotSocket, filepath.Join(dir, "none", "s"): fs.ErrNotExist,
	} {
		if _, err := localapi.Listen(path, ""); !errors.Is(err, want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := localapi.Listen(filepath.Join(dir, "s"), "no-such-group-here"); err == nil {
		t.Error("an unknown group is no error")
	}
	if text, _ := os.ReadFile(file); string(text) != "kept" {
		t.Error("the file was touched")
	}
	if _, err := net.Dial("unix", taken); err != nil {
		t.Errorf("the other agent's socket was touched: %v", err)
	}
}

// systemd sets LISTEN_PID to the process it starts; a shell that replaces itself
// can do the same.
func activate(t *testing.T, fds string, passed ...*os.File) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `LISTEN_PID=$$ exec "$0"`, exe)
	cmd.Env = append(os.Environ(), "CARDEA_TEST_CHILD=activated", "LISTEN_FDS="+fds)
	cmd.ExtraFiles = passed
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

func TestSocketActivation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// Connected before anybody accepts, as with systemd.
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if out := activate(t, "1", f); out != "" {
		t.Fatal(out)
	}
	if text, err := io.ReadAll(conn); err != nil || string(text) != `activated ""` {
		t.Errorf("%q, %v", text, err)
	}
}

func TestSocketActivationFaults(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	f, err := tcp.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if out := activate(t, "1", f); !strings.Contains(out, "not a Unix socket") {
		t.Errorf("a TCP socket: %s", out)
	}
	if out := activate(t, "2", f, f); !strings.Contains(out, "one socket is wanted") {
		t.Errorf("two sockets: %s", out)
	}
	if out := activate(t, "0"); !strings.Contains(out, "one socket is wanted") {
		t.Errorf("no socket: %s", out)
	}
}
