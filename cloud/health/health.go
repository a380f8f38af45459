// Package health says whether a cloud can do its work, to whoever starts and
// balances clouds.
//
// What is asked is the work itself: a write to the database, a message through
// the broker. A process that runs and can not work is neither healthy nor ready.
// /healthz fails when something fails that a new process may not have; /readyz
// fails besides while the clock can not be right, because a restart would make
// an operator's decision about it, and from the moment the cloud is told to end.
//
// The checks are made at most once a second, however often and by whomever they
// are asked for, and each has its time. An answer names what failed and nothing
// else; why it failed stands in the log, once for each change.
package health

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/cardea-id/cardea/internal/web"
)

const (
	// fresh is for how long an answer is given again.
	fresh = time.Second
	// patience is how long a check may take: an owner would have given up.
	patience = 5 * time.Second
)

// A Check tries one part of the work.
type Check struct {
	// Name is told to whoever asks, such as "database".
	Name string
	// Restart says that a new process may not have the fault.
	Restart bool
	// Try does the work once. It may be left behind when its time is over, and is
	// not called again before it has returned.
	Try func(context.Context) error
}

var errSlow = errors.New("it does not come to an end")

// A Health makes checks. It is safe for concurrent use.
type Health struct {
	log    *slog.Logger
	checks []*probe

	mu       sync.Mutex
	at       time.Time
	failed   map[string]error
	draining bool
}

// New makes a Health of what must work. A nil logger is silence.
func New(log *slog.Logger, checks ...Check) *Health {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	h := &Health{log: log}
	for _, c := range checks {
		h.checks = append(h.checks, &probe{Check: c, busy: make(chan struct{}, 1)})
	}
	return h
}

// Drain makes the cloud unready for good: it is about to end.
func (h *Health) Drain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.draining = true
}

// Draining reports whether the cloud is about to end.
func (h *Health) Draining() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.draining
}

// An answer is the body of both pages.
type answer struct {
	Status string   `json:"status"` // "ok" or "failing"
	Failed []string `json:"failed,omitempty"`
}

// Live answers /healthz: 200, or 503 if a restart may help.
func (h *Health) Live() http.Handler {
	return h.page(func(c Check) bool { return c.Restart }, func() []string { return nil })
}

// Ready answers /readyz: 200, or 503 if requests had better go elsewhere.
func (h *Health) Ready() http.Handler {
	return h.page(func(Check) bool { return true }, func() []string {
		if h.Draining() {
			return []string{"draining"}
		}
		return nil
	})
}

func (h *Health) page(counts func(Check) bool, more func() []string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		failed := h.look(context.WithoutCancel(r.Context())) // the next one has the answer too
		a := answer{Status: "ok", Failed: more()}
		for _, c := range h.checks {
			if failed[c.Name] != nil && counts(c.Check) {
				a.Failed = append(a.Failed, c.Name)
			}
		}
		status := http.StatusOK
		if len(a.Failed) > 0 {
			a.Status, status = "failing", http.StatusServiceUnavailable
		}
		web.JSON(w, status, a)
	})
}

// look makes the checks, side by side, unless that was just done. Who comes
// meanwhile waits for the answer.
func (h *Health) look(ctx context.Context) map[string]error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failed != nil && time.Since(h.at) < fresh {
		return h.failed
	}
	failed := make([]error, len(h.checks))
	var all sync.WaitGroup
	for i, c := range h.checks {
		all.Go(func() { failed[i] = c.try(ctx) })
	}
	all.Wait()
	before := h.failed
	h.at, h.failed = time.Now(), map[string]error{}
	for i, c := range h.checks {
		h.failed[c.Name] = failed[i]
		h.tell(c.Name, before[c.Name], failed[i])
	}
	return h.failed
}

// tell logs a change.
func (h *Health) tell(name string, before, now error) {
	switch {
	case now != nil && before == nil:
		h.log.Error("the work fails", "part", name, "err", now)
	case now == nil && before != nil:
		h.log.Info("the work goes on", "part", name)
	}
}

// A probe is a check that is made once at a time.
type probe struct {
	Check
	busy chan struct{} // one slot
}

func (p *probe) try(ctx context.Context) error {
	select {
	case p.busy <- struct{}{}:
	default:
		return errSlow // since the last time
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	done := make(chan error, 1)
	go func() {
		defer cancel()
		done <- p.Try(ctx)
		<-p.busy
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		select {
		case err := <-done: // both, at once
			return err
		default:
			return errSlow
		}
	}
}
