package localapi

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/agent/programs"
)

// Bounds of a watcher that does not read.
const (
	slowWrite = 2 * time.Second  // a line that takes longer makes the watcher start anew
	lostWrite = 10 * time.Second // one that takes this long ends the connection
)

// watch sends the whole state, then the whole state again whenever it changed.
// Nothing is queued: a watcher that reads slowly finds the state of the moment
// it reads, and one that does not read at all is told to start anew, or cut off.
//
// With since=<generation> the first line is left out while that is still the
// generation, unless it tells of a pairing, which no generation counts. A lapse of time is a change too, and not counted either.
func (s *Server) watch(c *call) error {
	since, err := c.since()
	if err != nil {
		return err
	}
	done, err := c.watching()
	if err != nil {
		return err
	}
	defer done()
	st := &stream{call: c, rc: http.NewResponseController(c.w)}
	st.rc.SetReadDeadline(time.Time{})
	c.w.Header().Set("Content-Type", "application/x-ndjson")
	c.w.Header().Set("Connection", "close") // a stream that ends is over
	c.w.WriteHeader(http.StatusOK)
	if err := st.rc.Flush(); err != nil {
		return nil // gone
	}
	st.run(since)
	return nil
}

func (c *call) since() (uint64, error) {
	q, err := c.query("since")
	if err != nil || q.Get("since") == "" {
		return 0, err
	}
	since, err := strconv.ParseUint(q.Get("since"), 10, 64)
	if err != nil {
		return 0, invalid("since: the generation of an earlier line or answer")
	}
	return since, nil
}

// A stream is one watcher.
type stream struct {
	*call
	rc   *http.ResponseController
	last client.Event
}

// run returns when the watcher is gone, was too slow, or the agent stops.
func (st *stream) run(since uint64) {
	s, ctx := st.s, st.r.Context()
	for first := true; ; first = false {
		generation, step := s.Gate.Generation(), s.Pairer.Generation()
		changed, paired := s.Gate.Changed(generation), s.Pairer.Changed(step)
		event, left := s.event(st.caller.program, generation)
		var shown <-chan struct{}
		if s.Finder != nil {
			event.Identify, shown = s.Finder.Identifying()
		}
		known := !first && st.same(event) || first && generation == since && event.Pairing == "" && !event.Identify
		if !known && !st.send(event) {
			return
		}
		st.last = event
		lapse := time.NewTimer(min(left, nextLapse(event)))
		select {
		case <-ctx.Done():
		case <-changed:
		case <-paired:
		case <-shown:
		case <-lapse.C:
		}
		lapse.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// same reports whether the watcher has this state already. How long a yes still
// counts is no difference while the generation is the same.
func (st *stream) same(event client.Event) bool {
	return reflect.DeepEqual(timeless(st.last), timeless(event))
}

func timeless(e client.Event) client.Event {
	consents := make([]client.Consent, len(e.Consents))
	for i, c := range e.Consents {
		c.LeftMS = 0
		consents[i] = c
	}
	e.Consents = consents
	return e
}

// send writes one line; false ends the stream.
func (st *stream) send(event client.Event) bool {
	line, err := json.Marshal(event)
	if err != nil {
		return false
	}
	began := time.Now()
	if !st.write(line) {
		return false
	}
	if time.Since(began) > slowWrite {
		st.write([]byte(`{"resync":true}`))
		return false
	}
	return true
}

func (st *stream) write(line []byte) bool {
	st.rc.SetWriteDeadline(time.Now().Add(lostWrite))
	if _, err := st.w.Write(append(line, '\n')); err != nil {
		return false
	}
	return st.rc.Flush() == nil
}

// event is the state the program may see, and for how long its preferences are
// so at most.
func (s *Server) event(p *programs.Program, generation uint64) (e client.Event, left time.Duration) {
	e, left = client.Event{Generation: generation}, time.Hour
	if p.May(programs.MayPair) {
		e.Pairing = s.pairing().State
	}
	link, err := s.held()
	if err != nil {
		return e, left // a guest, or a state that can not be read: there is nothing to see
	}
	e.Link, e.Head = link.ID, link.Head
	if p.May(programs.MayDecide) || p.May(programs.MayReadConsent) {
		e.Consents = s.visible(p, link)
	}
	if p.May(programs.MayPrefs) {
		e.Preferences, left = s.settings(p, link)
	}
	return e, left + time.Millisecond
}

// nextLapse is when the first yes in the event runs out.
func nextLapse(e client.Event) time.Duration {
	next := time.Hour // nothing runs out: look again some time
	for _, c := range e.Consents {
		if left := time.Duration(c.LeftMS+1) * time.Millisecond; c.LeftMS > 0 && left < next {
			next = left
		}
	}
	return next
}
