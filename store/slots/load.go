package slots

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"maps"
	"slices"
)

// A journal is opened by reading all its pages: the newest chain of records is
// found, what counts of it collected, and what is missing told; then the ring is
// made whole again.

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
	j.doubt = true
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
	if err := Create(path, m); err != nil {
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
	limit := most(j.last.links, len(j.live), nil)
	for done := false; !done; done = !slices.ContainsFunc(j.live, old) {
		r, moved := j.next(j.last.links, j.live)
		for i, h := range moved {
			if size := len(h.append(nil)); old(h) && len(r.encode())+size <= limit {
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
		j.doubt = true // even a new journal has one record
	}
	j.stale = j.last.stale
	j.collect(found)
	j.hash = sha256.Sum256(j.last.encode())
	j.verify(found, lost)
	return lost, nil
}

// page reads the records in a page.
func (j *Journal) page(i int) (copies []record, err error) {
	sealed := make([]byte, pageSize)
	if _, err := j.file.ReadAt(sealed, int64(i)*pageSize); unreadable(err) {
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
	// Some dozens, and mostly in order. (A sort made for this type would be three
	// times this file.)
	for i := range j.live {
		for k := i; k > 0 && j.live[k].before(&j.live[k-1]); k-- {
			j.live[k], j.live[k-1] = j.live[k-1], j.live[k]
		}
	}
}

func (h *held) before(o *held) bool {
	if h.Link != o.Link {
		return CompareIDs(h.Link, o.Link) < 0
	}
	return h.Generation < o.Generation
}

// verify looks for holes: a record that counts, or the page where one newer than
// the newest would stand.
func (j *Journal) verify(found map[uint64]record, lost []int) {
	if j.last.doubt || slices.Contains(lost, int((j.last.number+1)%pages)) {
		j.doubt = true
	}
	want := j.hash
	for n := j.last.number; n >= j.last.need && n > 0; n-- {
		r, ok := found[n]
		if !ok || sha256.Sum256(r.encode()) != want {
			j.doubt = true
			return
		}
		want = r.previous
	}
}

// heal makes the ring whole again. A doubt is in the newest record before what
// shows the damage is written over. What fails is tried again at the next start.
func (j *Journal) heal(lost []int) {
	if j.doubt && j.refresh() != nil {
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
