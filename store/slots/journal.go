package slots

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"syscall"

	"github.com/cardea-id/cardea"
)

const (
	// pages is how many records the journal has room for.
	pages = 32
	// roomy is what a record with new denials takes at most; the rest of the
	// page is for links that come later.
	roomy = 3 << 10
	// maxDenial is more than a denial takes.
	maxDenial = 160
)

var (
	// ErrFull is returned when the journal holds as many denials as it can. The
	// caller must keep the denial elsewhere before it confirms it.
	ErrFull = errors.New("the deny journal is full: connect the device, so that the cloud hears of what was denied")
	// ErrDoubt says that records of the journal are missing or can not be read:
	// a denial may have been lost.
	ErrDoubt = errors.New("the deny journal is damaged: everything is denied until the owner has confirmed the device")
	// ErrRemoved says that the file has no name any more: what is written to it is
	// gone with the process.
	ErrRemoved = errors.New("the deny journal was removed while the agent ran: everything is denied; put the state folder back and start the agent anew")
)

// A Journal holds every denial made on the device that the cloud has not
// acknowledged, and the generation of each link's state, which is raised with
// every change of it. A change of the journal is one synchronous write of one
// page; the file never grows.
//
// The pages are a ring of records, each naming the hash of the one before and
// the oldest that still counts. A record takes over what counts of the page that
// is written next, so that a write torn half-way destroys nothing. A journal
// with a hole is not refused: what can be read of it is kept, and [Journal.Doubt]
// says that something may be missing until [Journal.Lose] has every link say so.
//
// A Journal is safe for concurrent use.
type Journal struct {
	seal sealer

	mu    sync.Mutex
	file  pageFile
	last  record // the newest; its denials are those written with it
	hash  cardea.Hash
	live  []held // oldest first
	doubt bool
	stale bool
	made  bool
}

// A pageFile is the file of a journal.
type pageFile interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
}

// held is a denial and the number of the record that holds it.
type held struct {
	Denial
	at uint64
}

// OpenJournal opens the journal at path, or makes it. Damage is no error: see
// Doubt.
func OpenJournal(path string, seal [32]byte) (*Journal, error) {
	j := &Journal{seal: newSealer(seal, "deny journal"), last: record{links: map[cardea.LinkID]mark{}}}
	if err := j.open(path); err != nil {
		return nil, fmt.Errorf("open deny journal: %w", err)
	}
	return j, nil
}

// Made reports whether OpenJournal found no file.
func (j *Journal) Made() bool { return j.made }

// Doubt is ErrDoubt while a denial may be missing that no link's loss speaks of.
func (j *Journal) Doubt() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.doubt {
		return ErrDoubt
	}
	return nil
}

// Lose ends the doubt: with one write every one of the links, given with the
// generation its state has come to at least, has the loss. It stays with a link
// until Advance names another one or none.
func (j *Journal) Lose(loss cardea.LossID, generations map[cardea.LinkID]uint64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	links := maps.Clone(j.last.links)
	for id, generation := range generations {
		m := j.mark(id)
		m.generation, m.loss = max(m.generation, generation), loss
		links[id] = m
	}
	before := j.doubt
	j.doubt = false
	if err := j.write(links, j.live, nil); err != nil {
		j.doubt = before
		return fmt.Errorf("write deny journal: %w", err)
	}
	return nil
}

// Losses are the links that have a loss, and theirs.
func (j *Journal) Losses() map[cardea.LinkID]cardea.LossID {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := map[cardea.LinkID]cardea.LossID{}
	for id, m := range j.last.links {
		if !m.loss.IsZero() {
			out[id] = m.loss
		}
	}
	return out
}

// Stale reports whether Mistrust was called and Settle not yet, also before a
// restart.
func (j *Journal) Stale() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.stale
}

// Mistrust notes that the database beside was put back to an earlier state. Every
// record says so from here on.
func (j *Journal) Mistrust() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.stale = true
}

// Settle ends that, after what it means was made durable for every link.
func (j *Journal) Settle() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.stale {
		return nil
	}
	j.stale = false
	if err := j.write(j.last.links, j.live, nil); err != nil {
		j.stale = true
		return fmt.Errorf("settle deny journal: %w", err)
	}
	return nil
}

// Links are the links the journal knows, and their generations.
func (j *Journal) Links() map[cardea.LinkID]uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := make(map[cardea.LinkID]uint64, len(j.last.links))
	for id, m := range j.last.links {
		out[id] = m.generation
	}
	return out
}

// Ages order the links by when the journal first heard of them.
func (j *Journal) Ages() map[cardea.LinkID]uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := make(map[cardea.LinkID]uint64, len(j.last.links))
	for id, m := range j.last.links {
		out[id] = m.since
	}
	return out
}

// Denials are the unacknowledged denials of a link, oldest first.
func (j *Journal) Denials(link cardea.LinkID) (out []Denial) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, d := range j.live {
		if d.Link == link {
			out = append(out, d.Denial)
		}
	}
	return out
}

// Active is the link that was last made the active one.
func (j *Journal) Active() cardea.LinkID {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.last.active
}

// SetActive notes which link is the active one.
func (j *Journal) SetActive(link cardea.LinkID) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	before := j.last.active
	if before == link {
		return nil
	}
	j.last.active = link
	if err := j.write(j.last.links, j.live, nil); err != nil {
		j.last.active = before
		return fmt.Errorf("write deny journal: %w", err)
	}
	return nil
}

// Deny adds denials, the first with the given generation and each with one more
// than the one before, and returns when they are on the disk. After an error
// none of them counts here.
func (j *Journal) Deny(link cardea.LinkID, generation uint64, entries ...cardea.LogEntry) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.change(link, j.mark(link), j.live, generation, entries)
}

// Advance notes that the state of a link has come to a generation, and which loss
// it speaks of. It keeps the denials that are still held unacknowledged, and adds
// those it does not know, which must be the newest.
func (j *Journal) Advance(link cardea.LinkID, generation uint64, loss cardea.LossID, unacknowledged []cardea.LogEntry) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	m := j.mark(link)
	m.loss = loss
	live := slices.DeleteFunc(slices.Clone(j.live), func(h held) bool {
		gone := h.Link == link && !slices.ContainsFunc(unacknowledged, func(u cardea.LogEntry) bool { return u.Event == h.Entry.Event })
		if gone {
			m.acknowledged = max(m.acknowledged, h.Generation)
		}
		return gone
	})
	entries := slices.DeleteFunc(slices.Clone(unacknowledged), func(e cardea.LogEntry) bool {
		return slices.ContainsFunc(live, func(h held) bool { return h.Link == link && h.Entry.Event == e.Event })
	})
	return j.change(link, m, live, generation-uint64(max(len(entries), 1)-1), entries)
}

// mark is what is known of a link, or how a new one begins. j.mu is held.
func (j *Journal) mark(link cardea.LinkID) mark {
	m, known := j.last.links[link]
	if !known {
		m.since = j.last.number + 1
	}
	return m
}

// change writes one record with the denials that still count, live, and new ones,
// the first of which has the generation. j.mu is held.
func (j *Journal) change(link cardea.LinkID, m mark, live []held, generation uint64, entries []cardea.LogEntry) error {
	links := maps.Clone(j.last.links)
	fresh := make([]Denial, len(entries))
	for i, e := range entries {
		fresh[i] = Denial{link, generation + uint64(i), e}
	}
	m.generation = generation + uint64(max(len(entries), 1)-1)
	links[link] = m
	if err := j.write(links, live, fresh); err != nil {
		return fmt.Errorf("write deny journal: %w", err)
	}
	return nil
}

// Forget drops a link with everything that was held of it.
func (j *Journal) Forget(link cardea.LinkID) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	links := maps.Clone(j.last.links)
	if _, ok := links[link]; !ok {
		return nil
	}
	delete(links, link)
	live := slices.DeleteFunc(slices.Clone(j.live), func(h held) bool { return h.Link == link })
	if err := j.write(links, live, nil); err != nil {
		return fmt.Errorf("write deny journal: %w", err)
	}
	return nil
}

// write adds a record with the new state. Where a full page leaves no room for
// what is new, records that only move on come first. j.mu is held.
func (j *Journal) write(links map[cardea.LinkID]mark, live []held, fresh []Denial) error {
	limit := most(links, len(live), fresh)
	for range pages {
		r, moved := j.next(links, live)
		if room := maxPlain - len(r.encode()); room < 0 {
			return ErrTooBig
		}
		moving := len(r.denials)
		r.denials = append(r.denials, fresh...)
		fits := len(fresh) == 0 || len(r.encode()) <= limit
		if !fits {
			r.denials = r.denials[:moving]
			r.links = j.last.links // nothing new is said yet
			r, moved = j.next(j.last.links, j.live)
		}
		if err := j.put(r); err != nil {
			return err
		}
		if fits {
			for _, d := range fresh {
				moved = append(moved, held{d, r.number})
			}
			j.live = moved
			return nil
		}
		j.live = moved
		live = slices.DeleteFunc(slices.Clone(moved), func(h held) bool {
			return !slices.ContainsFunc(live, func(o held) bool { return o.Entry.Event == h.Entry.Event })
		})
	}
	return ErrFull
}

// most is how long a record with new denials may become. One that stands twice in
// its page survives a write torn in the middle, so it is half a page as long as
// all that is held fits into half of the ring so.
func most(links map[cardea.LinkID]mark, live int, fresh []Denial) int {
	const twice = half - overhead
	room := (twice - len(record{links: links}.encode())) * pages / 2
	if (live+len(fresh))*maxDenial > room || len(record{links: links, denials: fresh}.encode()) > twice {
		return roomy
	}
	return twice
}

// next is the record that follows, with what it must take over: the page written
// after it would destroy that. moved is live with the new places.
func (j *Journal) next(links map[cardea.LinkID]mark, live []held) (record, []held) {
	r := record{number: j.last.number + 1, previous: j.hash, doubt: j.doubt, stale: j.stale, active: j.last.active, links: links}
	moved := slices.Clone(live)
	for i, h := range moved {
		if h.at+pages <= r.number+1 {
			r.denials = append(r.denials, h.Denial)
			moved[i].at = r.number
		}
	}
	r.need = oldest(moved, r.number)
	return r, moved
}

// put writes a record in its place. After an error the record before it is
// still the newest, and the next one goes to the same place.
func (j *Journal) put(r record) error {
	plain := r.encode()
	page := int(r.number % pages)
	sealed, err := j.seal.seal(page, plain)
	if err != nil {
		return err
	}
	if removed(j.file) {
		return ErrRemoved
	}
	if _, err := j.file.WriteAt(sealed, int64(page)*pageSize); err != nil {
		return err
	}
	j.last, j.hash = r, sha256.Sum256(plain)
	return nil
}

// removed reports whether a file has no name any more.
func removed(f pageFile) bool {
	file, ok := f.(interface{ Stat() (fs.FileInfo, error) })
	if !ok {
		return false
	}
	info, err := file.Stat()
	if err != nil {
		return false // the write will say
	}
	of, ok := info.Sys().(*syscall.Stat_t)
	return ok && of.Nlink == 0
}

// Close lets go of the file.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.file.Close()
}
