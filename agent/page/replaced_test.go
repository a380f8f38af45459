package page_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cardea-id/cardea/agent/page"
)

// impostor answers in the agent's place until the test ends: a page with the file
// that give returns, and a no to every question.
func impostor(t *testing.T, socket string, give func() int) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.AcceptUnix()
			if err != nil {
				return
			}
			request, _ := bufio.NewReader(conn).ReadString('\n')
			var rights []byte
			body := `{"verdict":"deny","reason":"not_asked"}`
			if strings.HasPrefix(request, "GET /v1/page") {
				body = "{}"
				if fd := give(); fd >= 0 {
					rights = unix.UnixRights(fd)
				}
			}
			conn.WriteMsgUnix(fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body), rights, nil)
			conn.Close()
		}
	}()
}

// firmware is a program that asks at a socket.
func firmware(t *testing.T, path, socket string) *program {
	t.Helper()
	return start(t, exec.Command(path, socket))
}

// memory is a file of a size in no folder, with the first bytes of a text.
func memory(t *testing.T, text []byte, size int64, seals int) int {
	t.Helper()
	fd, err := unix.MemfdCreate("page", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err == nil {
		err = unix.Ftruncate(fd, size)
	}
	if err == nil {
		_, err = unix.Pwrite(fd, text[:min(int64(len(text)), size)], 0)
	}
	if err == nil && seals != 0 {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// TestFilesThatAreNoPage: in the place of a page comes a file that can be
// truncated under its reader, one that is too short, or one of another kind. The
// firmware asks the socket instead, and neither dies of it nor takes its yes.
func TestFilesThatAreNoPage(t *testing.T) {
	path := buildC(t, "ask")
	w := livingWorld(t)
	good := w.file()
	text := make([]byte, page.Size)
	if _, err := good.ReadAt(text, 0); err != nil {
		t.Fatal(err)
	}
	onDisk := filepath.Join(t.TempDir(), "page")
	if err := os.WriteFile(onDisk, text, 0o600); err != nil {
		t.Fatal(err)
	}
	opened := func(path string) int {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return int(f.Fd())
	}
	const sealed = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW
	for name, test := range map[string]struct {
		fd    int
		hears string
	}{
		"a page":                  {int(good.Fd()), "allow granted 0"},
		"none":                    {-1, "deny not_asked 1"},
		"one that can be shorter": {memory(t, text, page.Size, 0), "deny not_asked 1"},
		"a shorter one":           {memory(t, text, page.Size/2, sealed), "deny not_asked 1"},
		"an empty one":            {memory(t, nil, 0, sealed), "deny not_asked 1"},
		"zeros":                   {memory(t, nil, page.Size, sealed), "deny not_asked 1"},
		"noise":                   {memory(t, []byte(strings.Repeat("\xa5\x5a\xff", page.Size/3)), page.Size, sealed), "deny not_asked 1"},
		"a file on the disk":      {opened(onDisk), "deny not_asked 1"},
		"a folder":                {opened(filepath.Dir(onDisk)), "deny not_asked 1"},
		"a device":                {opened("/dev/zero"), "deny not_asked 1"},
	} {
		t.Run(name, func(t *testing.T) {
			socket := filepath.Join(t.TempDir(), "s")
			impostor(t, socket, func() int { return test.fd })
			p := firmware(t, path, socket)
			for range 2 {
				if got := p.ask("voice/use", 0, 0); got != test.hears {
					t.Errorf("the firmware hears %q, want %q", got, test.hears)
				}
			}
			unix.Ftruncate(test.fd, 0) // fails where it is sealed, or no file
			if strings.Contains(name, "disk") {
				os.Truncate(onDisk, 0)
			}
			if got := p.ask("voice/use", 0, 0); got != test.hears {
				t.Errorf("truncated: the firmware hears %q, want %q", got, test.hears)
			}
		})
	}
}

// TestSocketIsUnlinkedAndReplaced: what is mapped already stays an answer while its
// agent lives; who comes after the socket is gone hears that there is no agent, and
// who comes after it was replaced asks the one that is there.
func TestSocketIsUnlinkedAndReplaced(t *testing.T) {
	path := buildC(t, "ask")
	w := livingWorld(t)
	good := int(w.file().Fd())
	socket := filepath.Join(t.TempDir(), "s")
	impostor(t, socket, func() int { return good })
	before := firmware(t, path, socket)
	hears := func(p *program, want string) {
		t.Helper()
		if got := p.ask("voice/use", 0, 0); got != want {
			t.Errorf("the firmware hears %q, want %q", got, want)
		}
	}
	hears(before, "allow granted 0")
	if err := os.Remove(socket); err != nil {
		t.Fatal(err)
	}
	hears(before, "allow granted 0")
	hears(firmware(t, path, socket), "deny no_agent 1")
	impostor(t, socket, func() int { return -1 })
	hears(firmware(t, path, socket), "deny not_asked 1")
	hears(before, "allow granted 0")
}
