// Package page puts answers to "may I?" into memory that a program reads by
// itself, in nanoseconds and without a system call.
//
// A program that may ask has one page, with the keys its registry file lists and
// nothing else. It promises the program's reader (agent/client/c):
//
//   - Never a yes that the gate would not give: an image is written whole beside
//     the one in force and then put in its place by one word, so that a writer
//     that dies anywhere leaves the old image or the new one. A reader that was
//     overtaken sees the sequence move and reads again.
//   - A yes ends by itself: at the second the gate said; with the agent, whose
//     death the kernel writes into the page; and ten seconds after the last
//     heartbeat of an agent that hangs.
//   - What does not fit, or can not be answered by a clock alone, is marked "ask
//     the socket". It never vanishes and never allows.
//
// A page is memory without a name, sealed: its reader can neither write it nor
// make it shorter, and nobody can put another in its place. It is a fast answer
// for honest programs; what a program may do is enforced where data leaves.
package page

import (
	"fmt"
	"math/rand/v2"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/cardea-id/cardea"
)

// A Page is written by one goroutine at a time.
type Page struct {
	memory   unsafe.Pointer // the agent's own, and then the shared one
	words    words
	file     *os.File
	seed     uint64
	sequence uint32
}

// seals keep whoever has the file from changing it. Without the last one, which
// needs Linux 5.1, a reader could map it for writing.
const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_FUTURE_WRITE | unix.F_SEAL_SEAL

// New makes a page that says "ask the socket" to everything.
func New() (*Page, error) {
	fd, err := unix.MemfdCreate("cardea-page", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	p := &Page{file: os.NewFile(uintptr(fd), "cardea-page")}
	if err := p.prepare(fd); err != nil {
		p.file.Close()
		return nil, fmt.Errorf("page: %w", err)
	}
	return p, nil
}

func (p *Page) prepare(fd int) (err error) {
	if err := unix.Ftruncate(fd, Size); err != nil {
		return err
	}
	if p.memory, err = unix.MmapPtr(-1, 0, nil, span(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS); err != nil {
		return err
	}
	shared := unsafe.Add(p.memory, os.Getpagesize())
	if _, err = unix.MmapPtr(fd, 0, shared, Size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_FIXED); err != nil {
		return err
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return fmt.Errorf("the kernel can not seal it (Linux 5.1 can): %w", err)
	}
	p.words = words(shared)
	p.seed = rand.Uint64()
	store64(p.words, wordSeed, p.seed)
	return nil
}

// span is two pages of the machine, which may be larger than ours.
func span() uintptr { return uintptr(2 * os.Getpagesize()) }

// A Gate answers for whoever uses the device now: *gate.Gate.
type Gate interface {
	Decide(cardea.Query) cardea.Answer
	Active() (id cardea.LinkID, generation uint64, ok bool)
	Clock() cardea.Now
	Boot() time.Duration
	Keys() []cardea.Key
	Bar() cardea.Reason
	Untimed() bool
}

// Publish puts what the gate says of some keys in place of what the page said.
// When it returns, no reader gets an older answer.
func (p *Page) Publish(g Gate, mine func(cardea.PurposeID) bool) {
	next := p.sequence + 1
	at := wordImages + int(next&1)*imageWords
	_, generation, linked := g.Active()
	store64(p.words, at+imageGeneration, generation)
	flags := uint32(0)
	if linked {
		flags |= flagLinked
	}
	if g.Clock().Synced {
		flags |= flagSynced
	}
	if p.entries(g, mine, at) {
		flags |= flagOverflow
	}
	store(p.words, at+imageFlags, flags)
	store(p.words, at+imageBar, reasonNumber(g.Bar()))
	p.sequence = next
	store(p.words, wordSequence, next)
	store(p.words, wordMagic, magic)
}

// entries writes the entries of an image, and reports whether some did not fit.
func (p *Page) entries(g Gate, mine func(cardea.PurposeID) bool, at int) (overflow bool) {
	count := 0
	for _, key := range g.Keys() {
		if !mine(key.Purpose()) {
			continue
		}
		if count == Capacity {
			overflow = true
			break
		}
		p.entry(g, key, at+imageEntries+count*entryWords)
		p.part(at+imageEntries, count)
		count++
	}
	store(p.words, at+imageCount, uint32(count))
	return overflow
}

// entry writes what the gate answers for one key.
func (p *Page) entry(g Gate, key cardea.Key, at int) {
	boot := g.Boot()
	until, answers := uint32(1<<32-1), uint32(0)
	for i, use := range uses {
		a := g.Decide(cardea.Query{Key: key, Use: use})
		answers |= verdictNumber(a.Verdict) << (2 * i)
		answers |= reasonNumber(a.Reason) << (answerReasons + 5*i)
		if a.Allowed() {
			until = min(until, seconds(boot+a.Left))
		}
		if a.Allowed() && g.Untimed() {
			answers |= answerAsk
		}
	}
	store64(p.words, at+entryHash, hash(p.seed, key))
	store(p.words, at+entryUntil, until)
	store(p.words, at+entryAnswers, answers)
}

// part sees to it that a key never gets the answer of another: those whose hashes
// are the same are to be asked for. With a random seed that happens to nobody.
func (p *Page) part(entries, last int) {
	h := load64(p.words, entries+last*entryWords+entryHash)
	for i := range last {
		if at := entries + i*entryWords; load64(p.words, at+entryHash) == h {
			store(p.words, at+entryAnswers, askAll)
			store(p.words, entries+last*entryWords+entryAnswers, askAll)
		}
	}
}

// seconds rounds down: an answer may end early, never late.
func seconds(boot time.Duration) uint32 {
	return uint32(min(max(boot/time.Second, 0), 1<<32-1))
}

func verdictNumber(v cardea.Verdict) uint32 {
	for i, known := range verdicts {
		if v == known {
			return uint32(i)
		}
	}
	return 0 // a verdict no reader knows is a no
}

// reasonNumber is a reason's place in cardea.Reasons, from 1: 0 is none.
func reasonNumber(r cardea.Reason) uint32 {
	for i, known := range cardea.Reasons {
		if r == known {
			return uint32(i + 1)
		}
	}
	return 0
}

// Beat tells readers that the agent is alive.
func (p *Page) Beat(boot time.Duration) { store(p.words, wordBeat, seconds(boot)) }

// Close has readers ask the socket from now on.
func (p *Page) Close() error {
	store(p.words, wordMagic, 0)
	err := unix.MunmapPtr(p.memory, span())
	p.memory, p.words = nil, nil
	if closed := p.file.Close(); err == nil {
		err = closed
	}
	return err
}
