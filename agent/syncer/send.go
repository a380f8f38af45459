package syncer

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
)

// How reports are repeated and renewals asked for.
const (
	minRepeat   = time.Second
	maxRepeat   = time.Minute
	maxFarewell = time.Hour // after an hour without an answer
	minInterval = time.Second

	switchedRepeat = 2 * time.Second // when to say again who uses the device
	postTimeout    = 20 * time.Second
	dropAtMost     = 10 * time.Minute // how often a silent pipe is made anew

	mediaCOSE = "application/cose" // RFC 9052, Section 10
)

// A pipe is a Pipe and how it fares.
type pipe struct {
	Pipe
	cancel  context.CancelFunc
	up      bool
	since   time.Duration // it is up, or down, on the boot clock
	deaf    bool          // answers come by HTTP and not this way
	dropped time.Duration
}

// connect runs one pipe for each broker that links or farewells have, and ends
// the others. s.mu is held.
func (s *Syncer) connect() {
	if s.ctx == nil || s.ctx.Err() != nil || s.cfg.Connect == nil || s.rested != 0 {
		return
	}
	wanted := map[string]string{} // broker to issuer
	for _, l := range s.links {
		if l.due != never {
			wanted[l.broker] = l.Issuer
		}
	}
	for _, f := range s.farewells {
		if f.due != never {
			wanted[f.broker] = f.Issuer
		}
	}
	delete(wanted, "")
	for broker, p := range s.pipes {
		if _, ok := wanted[broker]; !ok {
			p.cancel()
			delete(s.pipes, broker)
		}
	}
	for broker, issuer := range wanted {
		if s.pipes[broker] == nil {
			s.open(broker, issuer)
		}
	}
}

func (s *Syncer) open(broker, issuer string) {
	ctx, cancel := context.WithCancel(s.ctx)
	now := s.cfg.Gate.Boot()
	p := &pipe{cancel: cancel, since: now, dropped: now - dropAtMost}
	p.Pipe = s.cfg.Connect(broker, issuer, func() { s.pipeUp(broker, p) }, func(payload []byte) {
		m := arrival{payload: payload, pipe: p}
		if secured, ok := p.Pipe.(interface{ TLS() *tls.ConnectionState }); ok {
			m.tls = secured.TLS()
		}
		select {
		case s.inbound <- m:
		case <-ctx.Done():
		}
	})
	s.pipes[broker] = p
	s.wg.Go(func() {
		if err := p.Run(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Log.Error("the broker can not be used, reports are posted", "err", err)
		}
	})
}

// pipeUp reports at once on everything this broker carries: what the cloud sent
// while it was down is lost.
func (s *Syncer) pipeUp(broker string, p *pipe) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Gate.Boot()
	p.up, p.since = true, now
	for o := range s.outboxes() {
		if o.broker == broker {
			o.hurry(now)
			o.since = never
		}
	}
	s.poke()
}

// A sending is what one outbox has to say now, and which ways.
type sending struct {
	box      *outbox
	pipe     *pipe
	payloads [][]byte
	post     *post // nil: not by HTTP
	ctx      context.Context
	link     cardea.LinkID
	url      string
}

// sendDue sends what is due and returns how long nothing more is.
func (s *Syncer) sendDue() time.Duration {
	s.mu.Lock()
	var out []sending
	now := s.cfg.Gate.Boot()
	if s.resting(now) {
		wait := min(maxWait, s.rested-now)
		s.mu.Unlock()
		return wait
	}
	for _, l := range s.links {
		out = s.collect(out, l.ID, &l.outbox, now, func() [][]byte { return s.seal(l, now) })
	}
	for _, f := range s.farewells {
		out = s.collect(out, f.Link, &f.outbox, now, f.next)
	}
	wait := maxWait
	for o := range s.outboxes() {
		if o.due != never {
			wait = min(wait, max(o.due-now, 0))
		}
	}
	s.mu.Unlock()
	for _, m := range out {
		s.send(m)
	}
	return wait
}

// collect adds what an outbox has to send now, if anything, and sets when it is
// to be repeated. s.mu is held.
func (s *Syncer) collect(out []sending, id cardea.LinkID, o *outbox, now time.Duration, payloads func() [][]byte) []sending {
	if o.due == never || o.due > now {
		return out
	}
	p, byHTTP, later := s.route(o, now)
	if p == nil && !byHTTP {
		o.due = later
		return out
	}
	o.abandon()
	m := sending{box: o, pipe: p, payloads: payloads(), link: id, url: o.upURL}
	if len(m.payloads) == 0 {
		o.due = now + maxRepeat
		return out
	}
	if o.since == never {
		o.since = now
	}
	o.due = now + o.backoff()
	o.attempt++
	if byHTTP && s.ctx != nil {
		m.ctx, m.post = s.ctx, new(post)
		m.ctx, m.post.cancel = context.WithTimeout(s.ctx, postTimeout)
		o.post = m.post
		o.due = max(o.due, now+postTimeout+time.Second) // its end decides
	}
	return append(out, m)
}

// route says which ways a report can go now, and if none, when to look again.
func (s *Syncer) route(o *outbox, now time.Duration) (p *pipe, byHTTP bool, later time.Duration) {
	canPost := s.cfg.HTTP != nil && o.upURL != ""
	p = s.pipes[o.broker]
	switch {
	case p == nil:
		return nil, canPost, now + maxRepeat
	case p.up:
		silent := o.since != never && now-o.since >= s.cfg.Silence
		return p, canPost && (p.deaf || silent), 0
	case canPost && now-p.since >= s.cfg.Down:
		return nil, true, 0
	case canPost:
		return nil, false, p.since + s.cfg.Down
	}
	return nil, false, now + maxRepeat
}

// seal makes the report on a link, with a new nonce. s.mu is held.
func (s *Syncer) seal(l *link, now time.Duration) [][]byte {
	up := s.report(l)
	up.Entries = l.Log.Entries
	if l.recalled {
		up.Held = l.Statement
	}
	up = wire.Fit(up)
	sealed, err := wire.SealUp(up, s.cfg.Signer, l.Key)
	if err != nil {
		s.cfg.Log.Error("a report can not be made", "link", l.ID, "err", err)
		return nil
	}
	l.nonce, l.sent, l.resumes, l.bytes, l.said = up.Nonce, now, s.cfg.Gate.Resumes(), sealed, l.lastNumber()
	l.away = up.Away
	if l.counts = 0; up.Purged != nil {
		l.counts = up.Purged.N
	}
	return [][]byte{sealed}
}

// send hands over what was collected.
func (s *Syncer) send(m sending) {
	for _, payload := range m.payloads {
		if m.pipe == nil {
			break
		}
		if err := m.pipe.Publish(wire.UpTopic(s.device), payload); err != nil {
			s.pipeDown(m)
			break
		}
	}
	if m.post != nil {
		s.wg.Go(func() {
			defer m.post.cancel()
			for i, payload := range m.payloads {
				body, state, err := s.exchange(m.ctx, m.url, payload)
				select {
				case s.posted <- posted{m, body, state, err, err != nil || i == len(m.payloads)-1}:
				case <-s.ctx.Done():
				}
				if err != nil {
					return
				}
			}
		})
	}
}

// pipeDown has the report of a pipe that is not there posted, soon.
func (s *Syncer) pipeDown(m sending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Gate.Boot()
	if m.pipe.up {
		m.pipe.up, m.pipe.since = false, now
	}
	if m.post == nil {
		m.box.due = now
	}
	s.poke()
}

// A posted report has been answered, or has failed.
type posted struct {
	sending
	body []byte
	tls  *tls.ConnectionState
	err  error
	last bool // of its reports
}

// exchange posts one report and reads the answer: a statement, a renewal, or the
// signed word that the link is unknown.
func (s *Syncer) exchange(ctx context.Context, url string, payload []byte) ([]byte, *tls.ConnectionState, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(payload))
	if err != nil {
		return nil, nil, fmt.Errorf("post report: %w", err)
	}
	req.Header.Set("Content-Type", mediaCOSE)
	res, err := s.cfg.HTTP.Do(req)
	if err != nil {
		return nil, nil, fmt.Errorf("post report: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, cardea.MaxMessageBytes+1))
	if err != nil {
		return nil, nil, fmt.Errorf("post report: %w", err)
	}
	if known := res.StatusCode == http.StatusOK || res.StatusCode == http.StatusNotFound; !known || res.Header.Get("Content-Type") != mediaCOSE {
		return nil, nil, fmt.Errorf("post report: answered %d %q", res.StatusCode, res.Header.Get("Content-Type"))
	}
	return body, res.TLS, nil
}

// answered takes the end of a post. What it failed to bring is asked for again.
func (s *Syncer) answered(p posted) {
	if p.err == nil {
		s.receive(arrival{payload: p.body, tls: p.tls})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.box.post != p.post || !p.last {
		return // given up meanwhile, or not at its end
	}
	if p.err != nil {
		s.cfg.Log.Warn("report not posted", "link", p.link, "err", p.err)
		s.notVouched(p.link, p.err)
	}
	p.box.post = nil
	now := s.cfg.Gate.Boot()
	if p.box.since != never { // not answered by a word that counts
		p.box.due = now + p.box.backoff()
	}
}

// abandon gives up a post under way: what it carries is old.
func (o *outbox) abandon() {
	if o.post != nil {
		o.post.cancel()
		o.post = nil
	}
}

// heard notes that a report was answered, and by which way. A pipe that lets
// answers fall is used on, but not relied on, and made anew now and then.
// s.mu is held.
func (s *Syncer) heard(o *outbox, via *pipe) {
	if via != nil {
		via.deaf = false
		return
	}
	p, now := s.pipes[o.broker], s.cfg.Gate.Boot()
	if p == nil || !p.up || o.since == never || now-o.since < s.cfg.Silence {
		return
	}
	p.deaf = true
	if now-p.dropped >= dropAtMost {
		p.dropped = now
		p.Drop()
	}
}

// interval is when to ask again: at half of the shortest time any yes in force
// still counts without an answer.
func (s *Syncer) interval(l *link) time.Duration {
	shortest := 2 * s.cfg.MaxInterval
	for _, c := range l.Body.Consents {
		if c.Given() && c.Class != cardea.ClassN {
			shortest = min(shortest, time.Duration(c.Staleness)*time.Second)
		}
	}
	return max(jitter(shortest/2), minInterval)
}

// jitter shortens d by up to a fifth, so that devices drift apart.
func jitter(d time.Duration) time.Duration { return d - rand.N(d/5+1) }

// backoff is the wait after one more unanswered attempt.
func (o *outbox) backoff() time.Duration {
	most := maxRepeat
	if o.patient && o.attempt > 60 {
		most = maxFarewell
	}
	d := most
	if o.attempt < 6 {
		d = min(minRepeat<<o.attempt, most)
	}
	return jitter(d + d/5)
}
