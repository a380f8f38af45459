package gate

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cardea-id/cardea"
)

// The file that keeps the anchors over a restart of the agent.
type anchorFile struct {
	Boot  string                   `json:"boot"`
	Links map[cardea.LinkID]record `json:"links"`
}

// A record is an anchor and the statement it was given for: found with another
// statement, the database is not the one it was.
type record struct {
	Anchor
	Revision uint64      `json:"revision"`
	BodyHash cardea.Hash `json:"body_hash"`
}

// maxTime, in the year 2248, keeps sums of times from overflowing.
const maxTime cardea.Millis = 1 << 43

// maxAnchorFile is more than sixteen links need.
const maxAnchorFile = 64 << 10

// load reads the file. Whatever is wrong with it only means that the time is
// not known.
func (g *Gate) load() {
	if g.cfg.Path == "" || g.cfg.BootID == "" {
		return
	}
	text, err := os.ReadFile(g.cfg.Path)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			g.cfg.Log.Warn("the time is not known: its file can not be read", "err", err)
		}
		return
	}
	links, ok := parseAnchors(text, g.cfg.BootID)
	if !ok {
		return
	}
	boot := g.cfg.Boot()
	for id, r := range links {
		if r.At <= boot && r.At >= 0 && r.Time > 0 && r.Time < maxTime {
			g.saved[id] = r
		}
	}
}

// parseAnchors reads the file's text; ok is false unless it is of this boot.
func parseAnchors(text []byte, boot string) (links map[cardea.LinkID]record, ok bool) {
	var f anchorFile
	if len(text) > maxAnchorFile || json.Unmarshal(text, &f) != nil || f.Boot != boot {
		return nil, false
	}
	return f.Links, true
}

// restore is the anchor an earlier run of the agent left for exactly this
// statement. g.mu is held.
func (g *Gate) restore(id cardea.LinkID, s State) Anchor {
	r, ok := g.saved[id]
	if !ok || r.Revision != s.Revision || r.BodyHash != s.BodyHash {
		return Anchor{}
	}
	return r.Anchor
}

func (g *Gate) save(id cardea.LinkID, s State, a Anchor) {
	r := record{Anchor: a, Revision: s.Revision, BodyHash: s.BodyHash}
	if a.IsZero() || g.saved[id] == r {
		return
	}
	g.saved[id] = r
	g.write()
}

func (g *Gate) unsave(id cardea.LinkID) {
	if _, ok := g.saved[id]; ok {
		delete(g.saved, id)
		g.write()
	}
}

// write replaces the file. It lies in memory and need not survive a power cut,
// so nothing is flushed.
func (g *Gate) write() {
	if g.cfg.Path == "" || g.cfg.BootID == "" {
		return
	}
	if err := replaceFile(g.cfg.Path, anchorFile{Boot: g.cfg.BootID, Links: g.saved}); err != nil {
		g.cfg.Log.Warn("the time will not be known after a restart", "err", err)
	}
}

func replaceFile(path string, f anchorFile) error {
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	temp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	if err := os.WriteFile(temp, text, 0o600); err != nil {
		return err
	}
	return os.Rename(temp, path)
}
