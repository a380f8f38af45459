package gate

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestCountsSuspend(t *testing.T) {
	for _, c := range []struct {
		ahead    time.Duration
		suspends uint64
		rtc      bool
		want     bool
		why      string
	}{
		{0, 0, false, false, "never suspended, and nothing that would tell"},
		{0, 0, true, true, "an RTC tells how long a suspend took"},
		{time.Hour, 3, false, true, "it has counted one already"},
		{0, 3, true, false, "it has missed three, RTC or not"},
	} {
		if got := countsSuspend(c.ahead, c.suspends, c.rtc); got != c.want {
			t.Errorf("%s: %v", c.why, got)
		}
	}
}

func TestCountFrom(t *testing.T) {
	path := filepath.Join(t.TempDir(), "success")
	count := countFrom(path)
	write := func(text string) uint64 {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return count()
	}
	if n := write("3\n"); n != 3 {
		t.Errorf("read %d", n)
	}
	if n := write("4\n"); n != 4 {
		t.Errorf("read %d", n)
	}
	if n := write("none\n"); n == 4 || n == 3 {
		t.Errorf("what can not be read counts as %d", n)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if n := count(); n == 4 {
		t.Error("a file that is gone has not moved")
	}
	if _, ok := readCount(path); ok {
		t.Error("read what is not there")
	}
}

// A hypervisor is told by any of what the kernels of the architectures say.
func TestVirtual(t *testing.T) {
	for _, c := range []struct {
		path, text string
		want       bool
	}{
		{"proc/cpuinfo", "flags\t\t: fpu vme hypervisor lahf_lm\n", true},
		{"proc/cpuinfo", "flags\t\t: fpu vme lahf_lm\n", false},
		{"sys/hypervisor/type", "xen\n", true},
		{"proc/device-tree/hypervisor/compatible", "linux,kvm", true},
		{"proc/version", "Linux", false},
	} {
		root := t.TempDir()
		path := filepath.Join(root, c.path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(c.text), 0o644)); err != nil {
			t.Fatal(err)
		}
		if got := virtual(root); got != c.want {
			t.Errorf("%s %q: %t", c.path, c.text, got)
		}
	}
	if read := RTC(); read != nil && read() < 0 {
		t.Error("the RTC shows less than nothing")
	}
}
