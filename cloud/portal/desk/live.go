package desk

import (
	"crypto/sha256"
	"net/http"
	"sync"
	"time"

	"github.com/cardea-id/cardea"
)

// How many streams there may be: of one owner, who has few tabs, and in all,
// because each holds a connection. Over it a page is told to come back later, and
// works as it does without.
const (
	maxStreamsOfOne = 8
	maxStreams      = 10_000
)

// lookEvery is how often a page looks by itself: for what no signal came of, such
// as a device that went away. It also keeps the connection alive, and is how late
// the end of a session is noticed.
const lookEvery = 15 * time.Second

// A Live tells open pages that something of their owner's has changed, by
// server-sent events. It says that, and nothing else: what changed a page learns
// by being fetched again, like any other. The zero Live is ready.
type Live struct {
	mu      sync.Mutex
	streams map[cardea.Hash]map[chan struct{}]bool
	all     int
	over    chan struct{} // closed by Close; nil until somebody waits for it
	closed  bool
}

// StreamOf is by what name an account's streams are known, here and to other
// clouds: its id stays where it is.
func StreamOf(account cardea.AccountID) cardea.Hash {
	return sha256.Sum256(append([]byte("cardea live\x00"), account[:]...))
}

// Changed tells the pages of an account. It never blocks.
func (l *Live) Changed(of cardea.Hash) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for wake := range l.streams[of] {
		select {
		case wake <- struct{}{}:
		default: // it is told already
		}
	}
}

// Close ends all streams, and those to come at once.
func (l *Live) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		close(l.ending())
	}
}

// ending is closed by Close. l.mu is held.
func (l *Live) ending() chan struct{} {
	if l.over == nil {
		l.over = make(chan struct{})
	}
	return l.over
}

// join opens a stream, unless there are too many.
func (l *Live) join(of cardea.Hash) (wake chan struct{}, over <-chan struct{}, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.all >= maxStreams || len(l.streams[of]) >= maxStreamsOfOne {
		return nil, nil, false
	}
	wake = make(chan struct{}, 1)
	if l.streams == nil {
		l.streams = map[cardea.Hash]map[chan struct{}]bool{}
	}
	if l.streams[of] == nil {
		l.streams[of] = map[chan struct{}]bool{}
	}
	l.streams[of][wake] = true
	l.all++
	return wake, l.ending(), true
}

func (l *Live) leave(of cardea.Hash, wake chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.streams[of], wake)
	if len(l.streams[of]) == 0 {
		delete(l.streams, of)
	}
	l.all--
}

// Stream answers GET /live. It ends when the session does: whoever comes back then
// is answered 204, and browsers do not come again.
func (d *Desk) Stream(w http.ResponseWriter, r *http.Request) {
	v, err := d.visit(r)
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if v.Account.IsZero() {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	of := StreamOf(v.Account)
	wake, over, ok := d.Live.join(of)
	if !ok {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	defer d.Live.leave(of, wake)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // of nginx, which would keep events back
	d.stream(w, r, wake, over)
}

// What a stream says.
const (
	sayOpen    = "retry: 5000\n\n" // come back after 5 s if this is lost
	sayChanged = "event: changed\ndata:\n\n"
	sayLook    = "event: look\ndata:\n\n"
)

// stream says what there is until the browser, the session or the cloud is gone.
func (d *Desk) stream(w http.ResponseWriter, r *http.Request, wake <-chan struct{}, over <-chan struct{}) {
	out := http.NewResponseController(w)
	out.SetReadDeadline(time.Time{}) // the server's is for requests; a writer that has none needs none
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for text := sayOpen; ; {
		if _, err := w.Write([]byte(text)); err != nil || out.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-over:
			return
		case <-wake:
			text = sayChanged
		case <-look.C:
			text = sayLook
		}
		if v, err := d.visit(r); err == nil && v.Account.IsZero() {
			return
		}
	}
}
