// Package stopjournal is what was stopped, in a file that no backup puts back.
//
// A database that is restored has forgotten its newest part. What was allowed
// there is lost, and may be: somebody will allow it again. What was stopped
// there must not be: denials, ended links, revoked grants, erased accounts and retired keys
// therefore also stand here, in a file that is only ever appended to and lies beside the
// database. Append has returned only when the records are on the disk, and it is
// called before the database commits, so that whatever anybody was told is
// stopped stands here. The start of the cloud replays it.
//
// Each line is a record in JSON after the SHA-256 of its bytes, in hexadecimal.
// A last line without its end was never answered for and is cut off; a damaged
// line is passed over and counted. There is nothing personal in it but
// the ids of accounts.
package stopjournal

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/disk"
)

// ErrBroken: an earlier write failed, and what the disk holds is not known. The
// process must be started again.
var ErrBroken = errors.New("the stop journal could not be written: see to its disk and start the cloud again")

// A Record is one thing that was stopped, or the word that an era began. Exactly
// one of Entry, Grant, Erased and Keys is set, or none for an era.
type Record struct {
	Era     uint32           `json:"era"` // of the database at that time
	Account cardea.AccountID `json:"account,omitzero"`
	Entry   *cardea.Entry    `json:"entry,omitempty"` // a denial, the end of a link, a protective value
	Grant   string           `json:"grant,omitempty"` // a pairing that was declined, cancelled or revoked

	// Erased says that the account was erased.
	Erased *Erasure `json:"erased,omitempty"`

	// Keys is a signed list of the keys that count from then on: those that it
	// does not name are out of service.
	Keys []byte `json:"keys,omitempty"`

	// Journal stands in the first record alone: a random name of the file.
	Journal *cardea.EventID `json:"journal,omitempty"`
}

// An Erasure is what must be known of one to do it again.
type Erasure struct {
	ID       cardea.EventID `json:"id"`
	Proof    cardea.Hash    `json:"proof"` // of its secret
	Received cardea.Millis  `json:"received"`
	Due      cardea.Millis  `json:"due"`
	Channel  cardea.Channel `json:"channel"`
}

// A Mark is a place between two records of one file. The zero Mark is before
// everything.
type Mark struct {
	Journal cardea.EventID `json:"journal"`
	Offset  int64          `json:"offset"`
}

// A Journal is an open file. It is safe for concurrent use, but only one process
// may have it open.
type Journal struct {
	id      cardea.EventID
	damaged int

	mu     sync.Mutex
	file   *os.File
	size   int64
	era    uint32
	broken bool
}

// Open opens or creates the journal at path, and cuts off a last line that is
// not whole.
func Open(path string) (*Journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open stop journal: %w", err)
	}
	j := &Journal{file: f}
	if err := j.load(filepath.Dir(path)); err != nil {
		return nil, errors.Join(fmt.Errorf("open stop journal %s: %w", path, err), f.Close())
	}
	return j, nil
}

func (j *Journal) load(dir string) error {
	whole, err := j.read(0, func(r Record) error {
		j.era = max(j.era, r.Era)
		if r.Journal != nil && j.id.IsZero() {
			j.id = *r.Journal
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := j.file.Truncate(whole); err != nil {
		return err
	}
	j.size = whole
	if !j.id.IsZero() {
		return nil
	}
	j.id = cardea.NewID[cardea.EventID]() // a new file, or one whose name is lost
	if err := j.Append(Record{Era: j.era, Journal: &j.id}); err != nil {
		return err
	}
	return disk.SyncDir(dir)
}

// read calls f with every whole record from offset on and returns where the
// last whole line ends.
func (j *Journal) read(offset int64, f func(Record) error) (whole int64, err error) {
	in := bufio.NewReader(io.NewSectionReader(j.file, offset, 1<<62))
	whole = offset
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return whole, nil
		}
		if err != nil {
			return whole, err
		}
		whole += int64(len(line))
		r, ok := parse(line)
		if !ok {
			j.damaged++
			continue
		}
		if err := f(r); err != nil {
			return whole, err
		}
	}
}

const sumDigits = 2 * sha256.Size

func format(r Record) ([]byte, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	return append(fmt.Appendf(nil, "%x ", sum), append(text, '\n')...), nil
}

func parse(line []byte) (r Record, ok bool) {
	line = bytes.TrimSuffix(line, []byte("\n"))
	if len(line) < sumDigits+1 || line[sumDigits] != ' ' {
		return r, false
	}
	want, err := hex.DecodeString(string(line[:sumDigits]))
	if err != nil {
		return r, false
	}
	text := line[sumDigits+1:]
	if sum := sha256.Sum256(text); !bytes.Equal(sum[:], want) {
		return r, false
	}
	return r, json.Unmarshal(text, &r) == nil
}

// Append writes records, all or none, and has them on the disk when it returns
// nil. After an error what follows may be refused with ErrBroken.
func (j *Journal) Append(records ...Record) error {
	var lines []byte
	for _, r := range records {
		line, err := format(r)
		if err != nil {
			return fmt.Errorf("stop journal: %w", err)
		}
		lines = append(lines, line...)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken {
		return ErrBroken
	}
	if _, err := j.file.Write(lines); err != nil {
		// A full disk: what was written of it must not stand before the next.
		j.broken = j.file.Truncate(j.size) != nil
		return fmt.Errorf("stop journal: %w", err)
	}
	if err := j.file.Sync(); err != nil {
		j.broken = true // nobody knows what a second try would prove
		return fmt.Errorf("stop journal: %w", err)
	}
	j.size += int64(len(lines))
	for _, r := range records {
		j.era = max(j.era, r.Era)
	}
	return nil
}

// Since calls f with the records after a mark, oldest first: with all of them if
// the mark is of another file, or lies beyond the end of this one.
func (j *Journal) Since(m Mark, f func(Record) error) error {
	if !j.Knows(m) {
		m.Offset = 0
	}
	damaged := j.damaged
	defer func() { j.damaged = damaged }() // each is counted once
	if _, err := j.read(m.Offset, f); err != nil {
		return fmt.Errorf("replay stop journal: %w", err)
	}
	return nil
}

// Knows reports whether a mark is a place in this file. One that is not is of a
// file that was lost.
func (j *Journal) Knows(m Mark) bool {
	return m.Journal == j.id && m.Offset <= j.End().Offset
}

// End is the mark after the last record.
func (j *Journal) End() Mark {
	j.mu.Lock()
	defer j.mu.Unlock()
	return Mark{Journal: j.id, Offset: j.size}
}

// Era is the highest era of any record.
func (j *Journal) Era() uint32 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.era
}

// Damaged is how many lines could not be read when the journal was opened.
func (j *Journal) Damaged() int { return j.damaged }

// Close closes the file.
func (j *Journal) Close() error { return j.file.Close() }
