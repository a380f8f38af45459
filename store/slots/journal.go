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

	"github.com/cardea-id/cardea"
)

const (
	// pages is how many records the journal has room for.
	pages = 32
	// roomy is what a record with new denials takes at most; the rest of the
	// page is for links that come later.
	roomy = 3 << 10
)

var (
	// ErrFull is returned when the journal holds as many denials as it can. The
	// caller must keep the denial elsewhere before it confirms it.
	ErrFull = errors.New("the deny journal is full: connect the device, so that the cloud hears of what was denied")
	// ErrDoubt says that records of the journal are missing or can not be read:
	// a denial may have been lost.
	ErrDoubt = errors.New("the deny journal is damaged: everything is denied until the cloud has answered")
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
// says that something may be missing until [Journal.Settle].
//
// A Journal is safe for concurrent use.
type Journal struct {
	seal sealer

	mu    sync.Mutex
	file  pageFile
	last  record // the newest; its denials are those written with it
	hash  cardea.Hash
	live  []held // oldest first
	doubt error
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

func (j *Journal) open(path string) error {
	f, err := openSync(path)
	if errors.Is(err, fs.ErrNotExist) {
		j.made = true
		return j.remake(path)
	}
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	j.file = f
	lost, err := j.load()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	if info.Size() == pages*pageSize {
		j.heal(lost)
		return nil
	}
	j.doubt = ErrDoubt
	f.Close() // what is left of it has been read
	return j.remake(path)
}

// remake puts a whole new file, with what counts in it, in place of none or of
// one that was cut off.
func (j *Journal) remake(path string) error {
	m := make(memory, 0, pages*pageSize)
	for i := range pages {
		sealed, err := j.seal.seal(i, record{}.encode())
		if err != nil {
			return err
		}
		m = append(m, sealed...)
	}
	j.file = m
	if err := j.refresh(); err != nil {
		return err
	}
	if err := create(path, m); err != nil {
		return err
	}
	f, err := openSync(path)
	j.file = f
	return err
}

// refresh writes everything that counts into new records, so that no old one is
// needed any more.
func (j *Journal) refresh() error {
	from := j.last.number + 1
	old := func(h held) bool { return h.at < from }
	for done := false; !done; done = !slices.ContainsFunc(j.live, old) {
		r, moved := j.next(j.last.links, j.live)
		for i, h := range moved {
			if size := len(h.append(nil)); old(h) && len(r.encode())+size <= roomy {
				r.denials, moved[i].at = append(r.denials, h.Denial), r.number
			}
		}
		r.need = oldest(moved, r.number)
		if err := j.put(r); err != nil {
			return err
		}
		j.live = moved
	}
	return nil
}

// oldest is the first record that holds any of the denials of a state.
func oldest(live []held, newest uint64) uint64 {
	for _, h := range live {
		newest = min(newest, h.at)
	}
	return newest
}

// A memory is a pageFile that is not written yet.
type memory []byte

func (m memory) ReadAt(b []byte, off int64) (int, error)  { return copy(b, m[off:]), nil }
func (m memory) WriteAt(b []byte, off int64) (int, error) { return copy(m[off:], b), nil }
func (m memory) Close() error                             { return nil }

// load reads all pages and finds the newest chain of records. lost are the pages
// that can not be read.
func (j *Journal) load() (lost []int, err error) {
	found := map[uint64]record{}
	for i := range pages {
		copies, err := j.page(i)
		if err != nil {
			return nil, err
		}
		if len(copies) == 0 {
			lost = append(lost, i)
		}
		for _, r := range copies {
			if r.number > 0 && r.number%pages == uint64(i) {
				found[r.number] = r
			}
		}
	}
	for n, r := range found {
		if n > j.last.number {
			j.last = r
		}
	}
	if j.last.number == 0 {
		j.doubt = ErrDoubt // even a new journal has one record
	}
	j.collect(found)
	j.hash = sha256.Sum256(j.last.encode())
	j.verify(found, lost)
	return lost, nil
}

// page reads the records in a page. One cut off counts as unreadable.
func (j *Journal) page(i int) (copies []record, err error) {
	sealed := make([]byte, pageSize)
	if _, err := j.file.ReadAt(sealed, int64(i)*pageSize); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	for _, plain := range j.seal.open(i, sealed) {
		if r, err := decodeRecord(plain); err == nil {
			copies = append(copies, r)
		}
	}
	return copies, nil
}

// collect gathers the denials that count from every record there is.
func (j *Journal) collect(found map[uint64]record) {
	for _, n := range slices.Sorted(maps.Keys(found)) {
		for _, d := range found[n].denials {
			m, ok := j.last.links[d.Link]
			if !ok || n < m.since || d.Generation <= m.acknowledged {
				continue
			}
			j.live = slices.DeleteFunc(j.live, func(o held) bool { return o.Entry.Event == d.Entry.Event })
			j.live = append(j.live, held{d, n})
		}
	}
	slices.SortStableFunc(j.live, func(a, b held) int {
		if a.Link != b.Link {
			return compareIDs(a.Link, b.Link)
		}
		return int(a.Generation) - int(b.Generation)
	})
}

// verify looks for holes: a record that counts, or the page where one newer than
// the newest would stand.
func (j *Journal) verify(found map[uint64]record, lost []int) {
	if j.last.doubt || slices.Contains(lost, int((j.last.number+1)%pages)) {
		j.doubt = ErrDoubt
	}
	want := j.hash
	for n := j.last.number; n >= j.last.need && n > 0; n-- {
		r, ok := found[n]
		if !ok || sha256.Sum256(r.encode()) != want {
			j.doubt = ErrDoubt
			return
		}
		want = r.previous
	}
}

// heal makes the ring whole again. A doubt is in the newest record before what
// shows the damage is written over. What fails is tried again at the next start.
func (j *Journal) heal(lost []int) {
	if j.doubt != nil && j.refresh() != nil {
		return
	}
	for _, i := range lost {
		if at := pages + int(j.last.number%pages) - i; at%pages <= int(j.last.number-j.last.need) {
			continue // written meanwhile
		}
		if sealed, err := j.seal.seal(i, record{}.encode()); err == nil {
			j.file.WriteAt(sealed, int64(i)*pageSize)
		}
	}
}

// Made reports whether OpenJournal found no file.
func (j *Journal) Made() bool { return j.made }

// Doubt is ErrDoubt while something may be missing.
func (j *Journal) Doubt() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.doubt
}

// Mistrust sets the doubt that Settle ends; every record carries it from here
// on.
func (j *Journal) Mistrust() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.doubt = ErrDoubt
}

// Settle ends the doubt, after what it means was made durable elsewhere.
func (j *Journal) Settle() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.doubt == nil {
		return nil
	}
	before := j.doubt
	j.doubt = nil
	if err := j.write(j.last.links, j.live, nil); err != nil {
		j.doubt = before
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
	return j.change(link, generation, nil, entries)
}

// Advance notes that the state of a link has come to a generation. It keeps the
// denials that are still held unacknowledged, and adds those it does not know,
// which must be the newest.
func (j *Journal) Advance(link cardea.LinkID, generation uint64, unacknowledged []cardea.LogEntry) error {
	return j.change(link, generation, func(e cardea.EventID) bool {
		return slices.ContainsFunc(unacknowledged, func(u cardea.LogEntry) bool { return u.Event == e })
	}, unacknowledged)
}

// change writes one record; keep says which denials of the link still count, by
// default all.
func (j *Journal) change(link cardea.LinkID, generation uint64, keep func(cardea.EventID) bool, entries []cardea.LogEntry) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	links, live := maps.Clone(j.last.links), slices.Clone(j.live)
	m, known := links[link]
	if !known {
		m.since = j.last.number + 1
	}
	if keep != nil {
		live = slices.DeleteFunc(live, func(h held) bool {
			gone := h.Link == link && !keep(h.Entry.Event)
			if gone {
				m.acknowledged = max(m.acknowledged, h.Generation)
			}
			return gone
		})
		entries = slices.DeleteFunc(slices.Clone(entries), func(e cardea.LogEntry) bool {
			return slices.ContainsFunc(live, func(h held) bool { return h.Link == link && h.Entry.Event == e.Event })
		})
		generation -= uint64(max(len(entries), 1) - 1)
	}
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
	for range pages {
		r, moved := j.next(links, live)
		if room := maxPlain - len(r.encode()); room < 0 {
			return ErrTooBig
		}
		moving := len(r.denials)
		r.denials = append(r.denials, fresh...)
		fits := len(fresh) == 0 || len(r.encode()) <= roomy
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

// next is the record that follows, with what it must take over: the page written
// after it would destroy that. moved is live with the new places.
func (j *Journal) next(links map[cardea.LinkID]mark, live []held) (record, []held) {
	r := record{number: j.last.number + 1, previous: j.hash, doubt: j.doubt != nil, active: j.last.active, links: links}
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
	if _, err := j.file.WriteAt(sealed, int64(page)*pageSize); err != nil {
		return err
	}
	j.last, j.hash = r, sha256.Sum256(plain)
	return nil
}

// Close lets go of the file.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.file.Close()
}
