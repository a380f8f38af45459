package checkup_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/agent/checkup"
	"github.com/cardea-id/cardea/agent/client"
)

func look(t *testing.T, m checkup.Machine, check string) client.Finding {
	t.Helper()
	for _, f := range m.Check(t.Context()) {
		if f.Check == check {
			if (f.State == client.FindAct) != (f.Remedy != "") {
				t.Errorf("%+v: whoever has to act is told how, and nobody else", f)
			}
			return f
		}
	}
	t.Fatalf("no finding %s", check)
	return client.Finding{}
}

func TestSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "cardea")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	m := checkup.Machine{StateDir: dir, Socket: path}
	for mode, want := range map[os.FileMode]string{
		0o660: client.FindOK, 0o666: client.FindAct, 0o662: client.FindAct, 0o600: client.FindAct, 0o620: client.FindAct,
	} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if f := look(t, m, "socket"); f.State != want {
			t.Errorf("mode %o: %+v", mode, f)
		}
	}
	m.Socket = ""
	if f := look(t, m, "socket"); f.State != client.FindOK {
		t.Errorf("no path: %+v", f)
	}
	m.Socket = filepath.Join(dir, "none")
	if f := look(t, m, "socket"); f.State != client.FindAct || !strings.Contains(f.Found, "gone") {
		t.Errorf("no socket: %+v", f)
	}
}

func TestFilesAndFlush(t *testing.T) {
	dir := t.TempDir()
	m := checkup.Machine{StateDir: dir}
	if f := look(t, m, "flush"); f.Figures["median_us"] <= 0 || f.Figures["worst_us"] < f.Figures["median_us"] {
		t.Errorf("%+v", f)
	}
	if f := look(t, m, "files"); f.Figures["free_bytes"] <= 0 || !strings.Contains(f.Found, dir) {
		t.Errorf("%+v", f)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	m.StateDir = filepath.Join(dir, "none")
	for _, check := range []string{"files", "flush"} {
		if f := look(t, m, check); f.State != client.FindAct {
			t.Errorf("no folder: %+v", f)
		}
	}
}

// What forgets at power-off is no place for a stop.
func TestMemoryIsNoDisk(t *testing.T) {
	if f := look(t, checkup.Machine{StateDir: "/dev/shm"}, "files"); f.State != client.FindAct || !strings.Contains(f.Found, "tmpfs") {
		t.Errorf("%+v", f)
	}
}

func TestSlowDisk(t *testing.T) {
	if f := checkup.Flushed(150*time.Millisecond, time.Second); f.State != client.FindAct || f.Figures["median_us"] != 150_000 {
		t.Errorf("%+v", f)
	}
	// One slow flush among fast ones is another program's.
	if f := checkup.Flushed(2*time.Millisecond, time.Second); f.State != client.FindOK {
		t.Errorf("%+v", f)
	}
}

func TestGivesUpMeasuring(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, f := range (checkup.Machine{StateDir: t.TempDir()}).Check(ctx) {
		if f.Check == "flush" && f.Figures["median_us"] != f.Figures["worst_us"] {
			t.Errorf("measured more than once: %+v", f)
		}
	}
}

func TestKinds(t *testing.T) {
	for magic, want := range map[int64]string{0xEF53: "ext4", 0x794C7630: "overlay", -0x6EDC97C2: "btrfs", 0x1: "a file system 0x1"} {
		if got := checkup.KindOf(magic); got != want {
			t.Errorf("%#x: %q, want %q", magic, got, want)
		}
	}
}
