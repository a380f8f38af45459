package page

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cardea-id/cardea"
)

// Pages are the pages of a device's programs. It is safe for concurrent use.
type Pages struct {
	mu    sync.Mutex
	pages map[string]*owned
	life  *life         // nil unless Run runs
	why   error         // there are no pages
	first chan struct{} // closed when there is a page
}

type owned struct {
	*Page
	mine func(cardea.PurposeID) bool
}

// NewPages returns no pages yet: one is made for the program that asks for it.
func NewPages() *Pages {
	return &Pages{pages: map[string]*owned{}, first: make(chan struct{}), why: ErrEnded}
}

// ErrEnded: the agent is starting, or going down.
var ErrEnded = errors.New("there are no pages now")

// Of is the page of a program, by its name in the registry, made if there is
// none: a file to be handed over and closed. mine says what it may ask about.
// The caller sees to it that the gate stands still meanwhile.
func (ps *Pages) Of(program string, mine func(cardea.PurposeID) bool, g Gate) (*os.File, error) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.life == nil {
		return nil, ps.why
	}
	if ps.pages[program] == nil {
		p, err := New()
		if err != nil {
			return nil, err
		}
		p.Beat(g.Boot())
		p.Publish(g, mine)
		ps.life.hold(p)
		if len(ps.pages) == 0 {
			close(ps.first)
		}
		ps.pages[program] = &owned{p, mine}
	}
	return ps.pages[program].reader()
}

// reader is the same memory, to be handed over.
func (p *Page) reader() (*os.File, error) {
	fd, err := unix.FcntlInt(p.file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	return os.NewFile(uintptr(fd), "cardea-page"), nil
}

// Publish puts what the gate says now in all pages. The gate calls it at each
// change, before anybody is told that the change is in force.
func (ps *Pages) Publish(g Gate) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, p := range ps.pages {
		p.Publish(g, p.mine)
	}
}

// Run keeps the pages alive until ctx ends, and then has their readers ask the
// socket. As long as there is no page it never wakes up. Where the kernel can not
// tie pages to the agent's life there are none, and programs ask the socket.
func (ps *Pages) Run(ctx context.Context, boot func() time.Duration) error {
	// The thread is this goroutine's alone and ends with it.
	runtime.LockOSThread()
	ps.begin()
	defer ps.end()
	select {
	case <-ps.first:
	case <-ctx.Done():
		return ctx.Err()
	}
	var beating sync.WaitGroup
	defer beating.Wait()
	// On no thread of its own: a beat would wake two.
	beating.Go(func() { ps.keep(ctx, boot) })
	<-ctx.Done()
	return ctx.Err()
}

// keep beats until ctx ends.
func (ps *Pages) keep(ctx context.Context, boot func() time.Duration) {
	beat := time.NewTicker(Pace)
	defer beat.Stop()
	for {
		ps.beat(boot())
		select {
		case <-beat.C:
		case <-ctx.Done():
			return
		}
	}
}

func (ps *Pages) begin() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.life, ps.why = begin()
}

func (ps *Pages) beat(boot time.Duration) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, p := range ps.pages {
		p.Beat(boot)
	}
}

func (ps *Pages) end() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.life != nil {
		ps.life.end()
	}
	ps.life, ps.why = nil, ErrEnded
	for program, p := range ps.pages {
		p.Close() // nothing is left to be done if it fails
		delete(ps.pages, program)
	}
}
