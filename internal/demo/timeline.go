package demo

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// A timeline prints what happened, each line with the time since the one
// before.
type timeline struct {
	mu    sync.Mutex
	out   io.Writer
	color bool
	last  time.Time
	told  []line
	wake  chan struct{}
}

type line struct{ what, detail string }

func newTimeline(out io.Writer, color bool) *timeline {
	return &timeline{out: out, color: color, wake: make(chan struct{})}
}

// mark prints that something has happened now.
func (t *timeline) mark(what, detail string) { t.markAt(time.Now(), what, detail) }

// once is mark for what may have been told already.
func (t *timeline) once(what, detail string) {
	if !t.has(what, "") {
		t.mark(what, detail)
	}
}

func (t *timeline) markAt(at time.Time, what, detail string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	took := ""
	if !t.last.IsZero() {
		took = duration(at.Sub(t.last))
	}
	t.last = at
	t.told = append(t.told, line{what, detail})
	when, text := fmt.Sprintf("%s  %10s", at.Format("15:04:05.000"), took), strings.TrimRight(fmt.Sprintf("%-24s %s", what, detail), " ")
	if t.color {
		when, text = faint+when+plain, tone(what, detail)+text+plain
	}
	fmt.Fprintf(t.out, "  %s  %s\n", when, text)
	close(t.wake)
	t.wake = make(chan struct{})
}

// The terminal's own colours, which fit its ground.
const (
	faint  = "\x1b[2m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	plain  = "\x1b[0m"
)

// tone is the colour of a line: green for what opens something, yellow for what
// shuts it.
func tone(what, detail string) string {
	says := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(what+"  "+detail, w) })
	}
	switch {
	case says("deny", "withdrawn", "declined", "denied", "network off", "unlinked", "expired"):
		return yellow
	case says("allow ", ": allow", "approved", "tokens stored", "statement applied", "network on"):
		return green
	}
	return ""
}

// has reports whether a line was told, with this in its detail.
func (t *timeline) has(what, detail string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.ContainsFunc(t.told, func(l line) bool { return l.what == what && strings.Contains(l.detail, detail) })
}

// next is closed at the next line.
func (t *timeline) next() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.wake
}

func duration(d time.Duration) string {
	switch {
	case d < 0:
		return "0 ms"
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	case d < 2*time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
