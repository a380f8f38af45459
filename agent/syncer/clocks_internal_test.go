package syncer

import (
	"testing"
	"time"
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
		now := clocks{last.wall + c.wall, last.running + c.running, last.boot + c.boot, last.resumes + c.resumes}
		if suspended, ahead := now.since(last); suspended != c.suspended || ahead != c.ahead {
			t.Errorf("%s: suspended %v, ahead %v; want %v, %v", c.what, suspended, ahead, c.suspended, c.ahead)
		}
	}
}
