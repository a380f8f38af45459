package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/stage"
)

// unpack reads an archive as the kernel does: by its header's sizes.
func unpack(t *testing.T, packed []byte) (names []string, files map[string]file) {
	t.Helper()
	files = map[string]file{}
	up := func(n int) int { return (n + 3) &^ 3 }
	for len(packed) > 0 {
		number := func(i int) int {
			n, err := strconv.ParseUint(string(packed[6+8*i:14+8*i]), 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			return int(n)
		}
		if string(packed[:6]) != "070701" {
			t.Fatalf("no header at %q", packed[:min(20, len(packed))])
		}
		const header = 110
		size, named := number(6), number(11)
		name := string(packed[header : header+named-1])
		body := up(header + named)
		if name == "TRAILER!!!" {
			return names, files
		}
		names = append(names, name)
		files[name] = file{uint32(number(1)), packed[body : body+size]}
		packed = packed[up(body+size):]
	}
	t.Fatal("the archive has no end")
	return nil, nil
}

func TestArchive(t *testing.T) {
	names, files := unpack(t, archive(map[string]file{
		"init":          {0o755, []byte("the program")},
		"etc/a/b":       {0o600, []byte("12345")},
		"etc/empty":     {0o644, []byte{}},
		"modules/00-ko": {0o644, bytes.Repeat([]byte{7}, 1001)},
	}))
	if !slices.Equal(names, []string{"etc", "etc/a", "etc/a/b", "etc/empty", "init", "modules", "modules/00-ko"}) {
		t.Errorf("%q: a folder must come before what is in it", names)
	}
	for name, want := range map[string]file{
		"etc": {0o040755, nil}, "init": {0o100755, []byte("the program")}, "etc/a/b": {0o100600, []byte("12345")},
		"etc/empty": {0o100644, nil}, "modules/00-ko": {0o100644, bytes.Repeat([]byte{7}, 1001)},
	} {
		if got := files[name]; got.mode != want.mode || !bytes.Equal(got.text, want.text) {
			t.Errorf("%s: %o, %d bytes", name, got.mode, len(got.text))
		}
	}
}

func TestFindKernel(t *testing.T) {
	root := t.TempDir()
	if _, err := findKernel(root); !errors.Is(err, ErrMissing) {
		t.Errorf("no kernel: %v", err)
	}
	write := func(path, text string) {
		path = filepath.Join(root, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	write("boot/vmlinuz-6.1.0-55-cloud-amd64", "old")
	write("boot/vmlinuz-6.1.0-56-cloud-amd64", "new")
	if _, err := findKernel(root); !errors.Is(err, ErrMissing) {
		t.Errorf("no modules: %v", err)
	}
	const dir = "lib/modules/6.1.0-56-cloud-amd64/"
	write(dir+"modules.dep", "v/virtio_ring.ko:\nv/virtio-pci.ko: v/virtio.ko v/virtio_ring.ko\nn/virtio_net.ko.xz: n/failover.ko v/virtio.ko v/virtio_ring.ko\nx/virtio_blk_other.ko: x/nothing.ko\n")
	k, err := findKernel(root)
	if err != nil || k.version != "6.1.0-56-cloud-amd64" || !strings.HasSuffix(k.image, "56-cloud-amd64") {
		t.Fatalf("%+v, %v", k, err)
	}
	var names []string
	for _, m := range k.modules {
		names = append(names, filepath.Base(m))
	}
	if want := []string{"virtio_ring.ko", "virtio.ko", "virtio-pci.ko", "failover.ko", "virtio_net.ko.xz"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q: what is needed first, each once, and nothing for what is built in", names, want)
	}
	if _, err := initramfs(k, map[string]file{}); err == nil {
		t.Error("modules that are not there were packed")
	}
	for i, m := range k.modules {
		write(strings.TrimPrefix(m, root), strconv.Itoa(i))
	}
	packed, err := initramfs(k, map[string]file{"init": {0o755, []byte("x")}})
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := unpack(t, packed); !slices.Contains(got, "modules/03-failover.ko") {
		t.Errorf("%q", got)
	}
}

func TestMakeDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk")
	if err := makeDisk(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || len(text) != diskBytes || binary.LittleEndian.Uint16(text[0x438:]) != 0xEF53 {
		t.Errorf("%d bytes without ext4 on it, %v", len(text), err)
	}
	if err := makeDisk(filepath.Join(path, "none")); err == nil {
		t.Error("made a disk in a file")
	}
}

// qemu plays the machine's end of the monitor.
func qemu(t *testing.T, answers map[string]string) (*monitor, error) {
	t.Helper()
	here, there := net.Pipe()
	t.Cleanup(func() { here.Close(); there.Close() })
	go func() {
		io.WriteString(there, `{"QMP": {"version": {}}}`+"\n")
		for in := json.NewDecoder(there); ; {
			var order struct{ Execute string }
			if in.Decode(&order) != nil {
				return
			}
			answer, known := answers[order.Execute]
			if !known {
				answer = `{"return": {}}`
			}
			io.WriteString(there, answer+"\n")
		}
	}()
	return newMonitor(here)
}

func TestMonitor(t *testing.T) {
	m, err := qemu(t, map[string]string{
		"stop": `{"event": "STOP", "timestamp": {}} {"return": {}}`,
		"jump": `{"error": {"class": "CommandNotFound", "desc": "no such command"}}`,
		"cont": `{"return": {}} {"event": "RESUME"} {"event": "WAKEUP"}`,
		"quit": `{"retu`,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.do("stop", nil); err != nil || m.events["STOP"] != 1 {
		t.Errorf("%v, %v", err, m.events)
	}
	if err := m.do("jump", map[string]any{"high": true}); err == nil || !strings.Contains(err.Error(), "no such command") {
		t.Errorf("%v", err)
	}
	if err := errors.Join(m.do("cont", nil), m.await("WAKEUP", 1), m.await("STOP", 1)); err != nil {
		t.Error(err)
	}
	go func() {
		time.Sleep(50 * time.Millisecond)
		m.conn.Close()
	}()
	if err := m.do("quit", nil); err == nil {
		t.Error("an answer that broke off was taken")
	}
}

func TestMonitorNeedsAMachine(t *testing.T) {
	ended := make(chan struct{})
	close(ended)
	if _, err := dialMonitor(filepath.Join(t.TempDir(), "none"), ended); err == nil {
		t.Error("a monitor without a machine")
	}
}

func TestForward(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, "echo"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.Copy(c, c)
			c.Close()
		}
	}()
	ports, err := stage.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	addr := "127.0.0.1:" + ports[0]
	if err := forward("tcp", addr, "unix", filepath.Join(dir, "echo")); err != nil {
		t.Fatal(err)
	}
	if err := forward("tcp", addr, "unix", "x"); err == nil {
		t.Error("two forwards at one address")
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write([]byte("ping"))
	got := make([]byte, 4)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "ping" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestWardenTellsTheClocks(t *testing.T) {
	s := httptest.NewServer(warden())
	defer s.Close()
	m := &machine{warden: s.URL}
	r, err := m.clocks(t.Context())
	if err != nil || r.Boot < r.Monotonic-time.Second || r.Monotonic <= 0 || time.Since(r.Wall) > time.Minute {
		t.Errorf("%+v, %v", r, err)
	}
	if err := m.ask(t.Context(), "GET", "/nothing", nil, nil); err == nil {
		t.Error("an answer to a question there is not")
	}
}

// A cut machine is gone, and whoever waits for it hears so.
func TestAMachineThatEnds(t *testing.T) {
	m := &machine{qemu: exec.Command("sleep", "60"), ended: make(chan struct{}), dir: t.TempDir()}
	if err := m.qemu.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		m.qemu.Wait()
		close(m.ended)
	}()
	m.kill()
	err := m.until(t.Context(), "it sings", func() error { return errors.New("it is silent") })
	if err == nil || !strings.Contains(err.Error(), "ended") || !strings.Contains(err.Error(), "silent") {
		t.Error(err)
	}
}

func TestRunRefuses(t *testing.T) {
	for _, args := range [][]string{{"now"}, {"-nonsense"}, {"-cuts", "x"}} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}
