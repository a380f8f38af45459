package slots

import "syscall"

// LoadWithout reads the journal again from a disk that does not give one page,
// and returns which page that was.
func (j *Journal) LoadWithout(page int) (lost int, err error) {
	j.last, j.live, j.doubt = record{}, nil, false
	whole := j.file
	defer func() { j.file = whole }()
	j.file = without{whole, page}
	pages, err := j.load()
	if len(pages) != 1 {
		return -1, err
	}
	return pages[0], err
}

// Record has every write told to f, as well as done.
func (j *Journal) Record(f func(b []byte, off int64)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.file = recording{j.file, f}
}

type recording struct {
	pageFile
	f func(b []byte, off int64)
}

func (r recording) WriteAt(b []byte, off int64) (int, error) {
	r.f(b, off)
	return r.pageFile.WriteAt(b, off)
}

type without struct {
	pageFile
	page int
}

func (w without) ReadAt(b []byte, off int64) (int, error) {
	if int(off/PageSize) == w.page {
		return 0, syscall.EIO
	}
	return w.pageFile.ReadAt(b, off)
}

// Pages and PageSize are the shape of a journal's file.
const (
	Pages    = pages
	PageSize = pageSize
)

// DecodeRecord tells whether the bytes are a record, and what encoding it anew
// gives.
func DecodeRecord(b []byte) (again []byte, ok bool) {
	r, err := decodeRecord(b)
	if err != nil {
		return nil, false
	}
	return r.encode(), true
}

// ExampleRecord is the content of the newest page.
func (j *Journal) ExampleRecord() []byte { return j.last.encode() }

// Fail has every write fail with err until it is called with nil.
func (j *Journal) Fail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if f, ok := j.file.(failing); ok {
		j.file = f.pageFile
	}
	if err != nil {
		j.file = failing{j.file, err}
	}
}

type failing struct {
	pageFile
	err error
}

// WriteAt tears the page, as a disk may that reports an error.
func (f failing) WriteAt(b []byte, off int64) (int, error) {
	f.pageFile.WriteAt(make([]byte, len(b)/2), off)
	return 0, f.err
}
