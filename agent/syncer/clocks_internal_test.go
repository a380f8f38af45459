package syncer

import (
	"testing"
	"time"

	"github.com/cardea-id/cardea/agent/gate"
)

func TestClocksApart(t *testing.T) {
	last := clocks{wall: 1000 * time.Hour, running: 2 * time.Hour, boot: 3 * time.Hour, resumes: 4}
	for _, c := range []struct {
		what                string
		wall, running, boot time.Duration
		resumes             uint64
		suspended           bool
		ahead               time.Duration
	}{
		{"an hour passes", time.Hour, time.Hour, time.Hour, 0, false, 0},
		{"and the clocks drift", time.Hour + 4*time.Second, time.Hour, time.Hour, 0, false, 0},
		{"suspended for an hour", time.Hour, time.Second, time.Hour, 0, true, 0},
		{"suspended, and the boot clock has missed it", time.Hour, time.Second, time.Second, 1, true, time.Hour - time.Second},
		{"suspended, and all clocks have missed it", time.Second, time.Second, time.Second, 1, true, 0},
		{"a virtual machine was paused for an hour", time.Hour, time.Second, time.Second, 0, false, time.Hour - time.Second},
		{"somebody set the clock ahead", 2 * time.Hour, time.Second, time.Second, 0, false, 2*time.Hour - time.Second},
		{"somebody set the clock back", -2 * time.Hour, time.Second, time.Second, 0, false, -2*time.Hour - time.Second},
		{"the time came from the network", 50 * 365 * 24 * time.Hour, 0, 0, 0, false, 50 * 365 * 24 * time.Hour},
	} {
		now := clocks{wall: last.wall + c.wall, running: last.running + c.running, boot: last.boot + c.boot, resumes: last.resumes + c.resumes}
		if suspended, ahead := now.since(last); suspended != c.suspended || ahead != c.ahead {
			t.Errorf("%s: suspended %v, ahead %v; want %v, %v", c.what, suspended, ahead, c.suspended, c.ahead)
		}
	}
}

// A virtual machine was paused: none of the kernel's clocks has counted it.
func TestOnlyTheRTCWentOn(t *testing.T) {
	last := clocks{wall: time.Hour, running: time.Minute, boot: time.Minute, rtc: 50 * time.Hour}
	for _, c := range []struct{ rtc, boot, ahead time.Duration }{
		{time.Hour + 5*time.Second, 5 * time.Second, time.Hour},
		{9 * time.Second, 5 * time.Second, 0}, // it counts whole seconds
		{-50 * time.Hour, 5 * time.Second, 0}, // it can not be read any more
	} {
		now := clocks{wall: last.wall + c.boot, running: last.running + c.boot, boot: last.boot + c.boot, rtc: last.rtc + c.rtc}
		if suspended, ahead := now.since(last); suspended || ahead != c.ahead {
			t.Errorf("%+v: suspended %v, ahead %v", c, suspended, ahead)
		}
	}
}

func TestNap(t *testing.T) {
	g := gate.New(gate.Config{BootID: "one"})
	if s := (&Syncer{cfg: Config{Gate: g}}); s.nap() <= look {
		t.Error("a machine that is never paused wakes for nothing")
	}
	s := &Syncer{cfg: Config{Gate: g, RTC: func() time.Duration { return time.Hour }}}
	if got := s.clocks(time.Now()).rtc; got != time.Hour {
		t.Errorf("the RTC shows %v", got)
	}
	if got := s.nap(); got > look {
		t.Errorf("a machine that can be paused is not looked at for %v", got)
	}
}
