package tlsclock

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"
)

// buildTime is set by the linker where the program is not built in its
// repository: -X github.com/cardea-id/cardea/agent/tlsclock.buildTime=2026-11-21T00:00:00Z
var buildTime string

// noEarlier is before any program with this package was built.
const noEarlier = "2026-01-01T00:00:00Z"

// Built is when this program was built, or the commit it was built from was
// made, or some instant before.
func Built() time.Time {
	candidates := []string{buildTime}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.time" {
				candidates = append(candidates, s.Value)
			}
		}
	}
	for _, text := range append(candidates, noEarlier) {
		if t, err := time.Parse(time.RFC3339, text); err == nil {
			return t.UTC()
		}
	}
	panic("noEarlier is an instant")
}

// rarely is how far the last-known-good time moves before it is written.
const rarely = 24 * time.Hour

// load reads the file. A damaged one is worth as much as none.
func (c *Clock) load() {
	if c.cfg.Path == "" {
		return
	}
	text, err := os.ReadFile(c.cfg.Path)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			c.cfg.Log.Warn("the last known time can not be read", "err", err)
		}
		return
	}
	if t, ok := parse(string(text)); ok && t.After(c.good) {
		c.good, c.saved = t, t
	}
}

// save writes the file, if what stands there is too far off. c.mu is held.
func (c *Clock) save() {
	if c.cfg.Path == "" || c.good.Sub(c.saved).Abs() <= rarely {
		return
	}
	if err := replace(c.cfg.Path, format(c.good)); err != nil {
		c.cfg.Log.Warn("the last known time is not kept", "err", err)
		return
	}
	c.saved = c.good
}

// format is the time and its checksum: a flipped bit must not put the device
// centuries ahead.
func format(t time.Time) string {
	text := t.UTC().Format(time.RFC3339)
	return fmt.Sprintf("%s %08x\n", text, crc32.ChecksumIEEE([]byte(text)))
}

func parse(line string) (t time.Time, ok bool) {
	text, _, _ := strings.Cut(line, " ")
	t, err := time.Parse(time.RFC3339, text)
	return t, err == nil && format(t) == line
}

// replace leaves the old file or the new one.
func replace(path, text string) (err error) {
	temp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(temp, path)
}
