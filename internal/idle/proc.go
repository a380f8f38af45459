package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A snapshot is what the kernel says of a process.
type snapshot struct {
	resident, anonymous, file float64        // kB
	wakes                     map[string]int // by thread
	written                   float64        // bytes, to a disk
	cpu                       float64        // ticks of 10 ms
}

// look takes a snapshot.
func look(pid int) (s snapshot, err error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	for _, f := range []struct {
		file, field string
		to          *float64
	}{
		{"status", "VmRSS", &s.resident}, {"status", "RssAnon", &s.anonymous}, {"status", "RssFile", &s.file}, {"io", "write_bytes", &s.written},
	} {
		if *f.to, err = field(filepath.Join(dir, f.file), f.field); err != nil {
			return s, err
		}
	}
	if s.cpu, err = ticks(filepath.Join(dir, "stat")); err != nil {
		return s, err
	}
	s.wakes, err = wakes(dir)
	return s, err
}

// wakes counts how often each thread of a process slept: each sleep but the last
// has ended with a wake-up.
func wakes(dir string) (map[string]int, error) {
	threads, err := filepath.Glob(filepath.Join(dir, "task/*/status")) // the pattern is well formed
	if err != nil || len(threads) == 0 {
		return nil, fmt.Errorf("no threads in %s", dir)
	}
	all := map[string]int{}
	for _, path := range threads {
		n, err := field(path, "voluntary_ctxt_switches")
		if errors.Is(err, fs.ErrNotExist) { // it has ended
			continue
		}
		if err != nil {
			return nil, err
		}
		all[path] = int(n)
	}
	return all, nil
}

// field reads the number behind a name.
func field(path, name string) (float64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			if words := strings.Fields(rest); len(words) > 0 {
				return strconv.ParseFloat(words[0], 64)
			}
		}
	}
	return 0, fmt.Errorf("%s has no %s", path, name)
}

// ticks is the processor time in a stat file, the 14th and 15th of its words
// (proc(5)); the second may hold spaces.
func ticks(path string) (float64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	words := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(words) < 13 {
		return 0, fmt.Errorf("%s is too short", path)
	}
	user, err := strconv.ParseFloat(words[11], 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseFloat(words[12], 64)
	return user + system, err
}

// A figure is a line of the table. Its goal is the most it may be; a goal of
// nothing counts where it must.
type figure struct {
	what, short string
	value, goal float64
	unit        string
	precision   int
	must        bool
}

func (f figure) text(v float64) string {
	return strings.TrimSpace(strconv.FormatFloat(v, 'f', f.precision, 64) + f.unit)
}

func (f figure) goalText() string {
	if f.goal == 0 && !f.must {
		return ""
	}
	return "at most " + strconv.FormatFloat(f.goal, 'f', -1, 64) + f.unit
}

const mega = 1024.0 / 1e6 // of kB

// figures is what happened between two snapshots.
func figures(before, after snapshot, length time.Duration) []figure {
	wakes := 0
	for thread, n := range after.wakes {
		wakes += n - before.wakes[thread] // a new thread began with none
	}
	return []figure{
		{what: "resident (RSS)", short: "rss", value: after.resident * mega, goal: 10, unit: "MB", precision: 2},
		{what: "  of it the program's file", value: after.file * mega, unit: "MB", precision: 2},
		{what: "  of it anonymous", short: "anonymous", value: after.anonymous * mega, goal: 2.5, unit: "MB", precision: 2},
		{what: "wake-ups a second", short: "wakeups", value: float64(wakes) / length.Seconds(), goal: 1, unit: "/s", precision: 2},
		{what: "written to the disk", short: "written", value: after.written - before.written, unit: "B", must: true},
		{what: "processor time", value: (after.cpu - before.cpu) * 10, unit: "ms"},
		{what: "threads", value: float64(len(after.wakes))},
	}
}
