package ingest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/disk"
)

// Files writes lines of JSON to a folder, into one file at a time whose name ends
// in ".part". A line is on the disk before it counts as arrived. When the file is
// big or old enough, and everything in it is forgotten here, it gets its name,
// which ends in ".ndjson": such a file never changes, and may be taken away.
//
// A file that a crash has left is gone on with: what is whole in it has arrived,
// and half a line is cut off.
type Files struct {
	dir, node string
	size      int64
	age       time.Duration

	file  *os.File
	begun time.Time
	at    int64
	ids   map[cardea.ItemID]bool // in the file
}

const (
	partSuffix = ".part"
	fileSuffix = ".ndjson"
	maxLine    = 64 << 10
)

// OpenFiles opens a folder, which must be there. node tells apart the files of
// clouds that share a folder.
func OpenFiles(dir, node string, size int64, age time.Duration) (*Files, error) {
	f := &Files{dir: dir, node: node, size: size, age: age}
	left, err := filepath.Glob(filepath.Join(dir, "events-"+node+"-*"+partSuffix)) // node is a host's name
	if err != nil {
		return nil, fmt.Errorf("events folder: %w", err)
	}
	slices.Sort(left)
	if len(left) == 0 {
		return f, f.begin()
	}
	for _, other := range left[:len(left)-1] { // can not be, and is not lost
		if err := os.Rename(other, other[:len(other)-len(partSuffix)]+fileSuffix); err != nil {
			return nil, fmt.Errorf("events folder: %w", err)
		}
	}
	return f, f.goOn(left[len(left)-1])
}

// begin begins a file.
func (f *Files) begin() error {
	f.begun = time.Now().UTC()
	name := fmt.Sprintf("events-%s-%s%s", f.node, f.begun.Format("20060102T150405.000000Z"), partSuffix)
	file, err := os.OpenFile(filepath.Join(f.dir, name), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o640)
	if err != nil {
		return fmt.Errorf("events file: %w", err)
	}
	f.file, f.at, f.ids = file, 0, map[cardea.ItemID]bool{}
	return disk.SyncDir(f.dir)
}

// goOn reads a file that was begun, up to its last whole line.
func (f *Files) goOn(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("events file: %w", err)
	}
	f.file, f.at, f.ids, f.begun = file, 0, map[cardea.ItemID]bool{}, time.Now().UTC()
	lines := bufio.NewReaderSize(file, maxLine)
	for {
		line, err := lines.ReadSlice('\n')
		var read struct {
			ID cardea.ItemID `json:"id"`
		}
		if err != nil || json.Unmarshal(line, &read) != nil {
			break
		}
		f.ids[read.ID] = true
		f.at += int64(len(line))
	}
	if err := errors.Join(file.Truncate(f.at), file.Sync()); err != nil {
		return fmt.Errorf("events file: %w", err)
	}
	_, err = file.Seek(f.at, io.SeekStart)
	return err
}

// Arrived names what stands in the file.
func (f *Files) Arrived() []cardea.ItemID {
	ids := make([]cardea.ItemID, 0, len(f.ids))
	for id := range f.ids {
		ids = append(ids, id)
	}
	return ids
}

// Deliver writes what does not stand in the file yet.
func (f *Files) Deliver(_ context.Context, lines []Line) ([]Line, error) {
	if f.file == nil { // the last one got its name, and the next could not be begun
		if err := f.begin(); err != nil {
			return nil, err
		}
	}
	var text bytes.Buffer
	fresh := map[cardea.ItemID]bool{}
	for _, l := range lines {
		if f.ids[l.ID] || fresh[l.ID] {
			continue
		}
		line, err := json.Marshal(l)
		if err != nil {
			return nil, fmt.Errorf("events file: %w", err)
		}
		text.Write(append(line, '\n'))
		fresh[l.ID] = true
	}
	_, err := f.file.WriteAt(text.Bytes(), f.at)
	if err == nil {
		err = f.file.Sync()
	}
	if err != nil { // what may stand there is written over, or cut off
		return nil, fmt.Errorf("events file: %w", errors.Join(err, f.file.Truncate(f.at)))
	}
	f.at += int64(text.Len())
	for id := range fresh {
		f.ids[id] = true
	}
	return lines, nil
}

// TakeBack writes the file anew without some lines. Whoever follows it has seen
// them.
func (f *Files) TakeBack(ids []cardea.ItemID) error {
	if f.file == nil || !slices.ContainsFunc(ids, func(id cardea.ItemID) bool { return f.ids[id] }) {
		return nil
	}
	path := f.file.Name()
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("events file: %w", err)
	}
	var kept []byte
	for line := range bytes.Lines(text[:f.at]) {
		var read struct {
			ID cardea.ItemID `json:"id"`
		}
		if json.Unmarshal(line, &read) != nil || !slices.Contains(ids, read.ID) {
			kept = append(kept, line...)
		}
	}
	if err := f.replace(path, kept); err != nil {
		return fmt.Errorf("events file: %w", err)
	}
	return nil
}

// replace has a file be another, whole, or as it was.
func (f *Files) replace(path string, text []byte) error {
	other, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	_, err = other.Write(text)
	if err = errors.Join(err, other.Sync(), other.Close()); err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(path+".new"))
	}
	begun := f.begun
	err = errors.Join(f.file.Close(), disk.SyncDir(f.dir), f.goOn(path))
	f.begun = begun
	return err
}

// Settled gives the file its name if it is time.
func (f *Files) Settled() error {
	if f.file == nil || f.at == 0 || f.at < f.size && time.Since(f.begun) < f.age {
		return nil
	}
	path := f.file.Name()
	if err := f.file.Close(); err != nil {
		return fmt.Errorf("events file: %w", err)
	}
	f.file = nil
	if err := os.Rename(path, path[:len(path)-len(partSuffix)]+fileSuffix); err != nil {
		return fmt.Errorf("events file: %w", err)
	}
	return f.begin() // which syncs the folder
}

// Close closes the file, to be gone on with.
func (f *Files) Close() error {
	if f.file == nil {
		return nil
	}
	return f.file.Close()
}
