package memory

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// fileResident is what this process has mapped of files, in kB.
func fileResident(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "RssFile:"); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("no RssFile")
	return 0
}

// Less of the program is in memory afterwards, and all of it still works.
func TestGiveBack(t *testing.T) {
	program, err := os.ReadFile("/proc/self/exe") // so that it is in the page cache
	if err != nil {
		t.Fatal(err)
	}
	all, err := mappings("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	touched := byte(0)
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		if m.path == exe && !m.writable {
			touched += touch(m)
		}
	}
	before := fileResident(t)
	if err := GiveBack(); err != nil {
		t.Fatal(err)
	}
	if after := fileResident(t); after > before*3/4 {
		t.Errorf("%d kB of files are in memory, %d before (a program of %d bytes, %d)", after, before, len(program), touched)
	}
}

// What is not only in the file stays: pages that can be written, and those that
// were, as a loader does before it forbids it.
func TestOnlyWhatStandsInTheFile(t *testing.T) {
	const smaps = `00400000-007f3000 r-xp 00000000 fe:00 10133553                           /usr/bin/agent
Size:               4044 kB
Anonymous:             0 kB
007f3000-00bfb000 r--p 003f3000 fe:00 10133553                           /usr/bin/agent
Anonymous:             8 kB
00bfb000-00c50000 rw-p 007fb000 fe:00 10133553                           /usr/bin/agent
Anonymous:             0 kB
7ffd1000-7ffd3000 r-xp 00000000 00:00 0                                  [vdso]
`
	path := filepath.Join(t.TempDir(), "smaps")
	if err := os.WriteFile(path, []byte(smaps), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := mappings(path)
	want := []mapping{
		{0x400000, 0x7f3000, "/usr/bin/agent", false, true},
		{0x7f3000, 0xbfb000, "/usr/bin/agent", false, false},
		{0xbfb000, 0xc50000, "/usr/bin/agent", true, true},
		{0x7ffd1000, 0x7ffd3000, "", false, false},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := mappings(path + "-not"); err == nil {
		t.Error("read what is not there")
	}
	if err := unmap(t.TempDir()); err == nil {
		t.Error("a process that is not there gave memory back")
	}
}

func TestFrugal(t *testing.T) {
	procs, gc := runtime.GOMAXPROCS(0), debug.SetGCPercent(100)
	t.Cleanup(func() { runtime.GOMAXPROCS(procs); debug.SetGCPercent(gc) })
	t.Setenv("GOMAXPROCS", "2")
	t.Setenv("GOGC", "100")
	runtime.GOMAXPROCS(2)
	Frugal()
	if n, was := runtime.GOMAXPROCS(0), debug.SetGCPercent(100); n != 2 || was != 100 {
		t.Errorf("against the environment: %d threads at a time, garbage of %d %%", n, was)
	}
	os.Unsetenv("GOMAXPROCS")
	os.Unsetenv("GOGC")
	Frugal()
	if n := runtime.GOMAXPROCS(0); n != 1 {
		t.Errorf("%d threads at a time", n)
	}
	if was := debug.SetGCPercent(100); was != percent {
		t.Errorf("garbage of %d %%", was)
	}
}
