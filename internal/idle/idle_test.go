package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What the kernel says of a process is found: a sleeper does nothing and writes
// nothing, and one that is told to write has written.
func TestLook(t *testing.T) {
	sleeper := exec.Command("sleep", "1000")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { sleeper.Process.Kill(); sleeper.Wait() }()
	s, err := look(sleeper.Process.Pid)
	if err != nil || s.resident <= 0 || s.written != 0 || len(s.wakes) != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	file := filepath.Join(t.TempDir(), "file")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(bytes.Repeat([]byte("x"), 1<<16)); err != nil {
		t.Fatal(err)
	}
	if s, err := look(os.Getpid()); err != nil || s.written == 0 || s.anonymous >= s.resident || s.file >= s.resident {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := look(-1); err == nil {
		t.Error("looked at a process that is not there")
	}
}

func TestFigures(t *testing.T) {
	before := snapshot{wakes: map[string]int{"a": 10, "b": 5}, written: 100, cpu: 7}
	after := snapshot{resident: 9000, anonymous: 2000, file: 7000, wakes: map[string]int{"a": 40, "b": 5, "new": 30}, written: 100, cpu: 9}
	var out bytes.Buffer
	alone := figures(before, after, time.Minute)
	if err := tell(&out, alone, alone); err != nil {
		t.Error(err)
	}
	benchmark(&out, "LeftAlone", alone)
	if !strings.Contains(out.String(), "BenchmarkLeftAlone\t1\t9.216 rss\t2.048 anonymous\t1 wakeups\t0 written\n") {
		t.Error(out.String())
	}
	if !strings.Contains(out.String(), "idle: rss=9.22MB anonymous=2.05MB wakeups=1.00/s written=0B missed=0 load=") {
		t.Error(out.String())
	}
	for what, spoil := range map[string]func(*snapshot){
		"resident":  func(s *snapshot) { s.resident = 9800 },
		"anonymous": func(s *snapshot) { s.anonymous = 2500 },
		"wakes":     func(s *snapshot) { s.wakes = map[string]int{"a": 71} },
		"written":   func(s *snapshot) { s.written++ },
	} {
		s := after
		spoil(&s)
		out.Reset()
		got := figures(before, s, time.Minute)
		if err := tell(&out, got, alone); !errors.Is(err, errMissed) || !strings.Contains(out.String(), "missed=1") {
			t.Errorf("%s: %v:\n%s", what, err, out.String())
		}
	}
}

// A name with spaces is no more than a name.
func TestTicks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stat")
	if err := os.WriteFile(path, []byte("7 (a (b) c) S 1 7 7 0 -1 4194560 167 0 0 0 12 30 0 0 20 0 1 0"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n, err := ticks(path); err != nil || n != 42 {
		t.Errorf("%v, %v", n, err)
	}
}
