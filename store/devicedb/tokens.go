package devicedb

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/store/slots"
)

// A Lost link is one that the disk has lost, all but its tokens: with them it is
// fetched again from its issuer.
type Lost struct {
	Link   cardea.LinkID
	Issuer string
	Tokens pairing.Tokens
}

// String keeps the tokens from being printed.
func (l Lost) String() string { return "lost link " + l.Link.String() }

// A kept value is what a link's slot holds.
type kept struct {
	Issuer string         `json:"issuer"`
	Tokens pairing.Tokens `json:"tokens"`
}

const slotSuffix = ".slot"

func (db *DB) slotPath(link cardea.LinkID) string { return db.base + "-" + link.String() + slotSuffix }

func (db *DB) slot(link cardea.LinkID) slots.Slot {
	return slots.NewSlot(db.slotPath(link), db.key, link.String())
}

// readSlot is fs.ErrNotExist if there is no slot.
func (db *DB) readSlot(link cardea.LinkID) (k kept, err error) {
	value, _, err := db.slot(link).Read()
	if err == nil {
		err = json.Unmarshal(value, &k)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: tokens: %w", ErrDamaged, err)
	}
	return k, err
}

// slotted are the links that have a slot.
func (db *DB) slotted() []cardea.LinkID { return db.named(slotSuffix) }

// named are the links that have a file beside the database whose name ends so.
func (db *DB) named(suffix string) (links []cardea.LinkID) {
	names, _ := filepath.Glob(escape(db.base) + "-*" + suffix) // the pattern is well formed
	for _, name := range names {
		text := strings.TrimSuffix(strings.TrimPrefix(name, db.base+"-"), suffix)
		if id, err := cardea.ParseID[cardea.LinkID](text); err == nil {
			links = append(links, id)
		}
	}
	return links
}

// escape keeps a folder's name from being read as a pattern.
func escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// Tokens reads the tokens of a link; ErrNotFound if it has none.
func (db *DB) Tokens(link cardea.LinkID) (pairing.Tokens, error) {
	k, err := db.readSlot(link)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return k.Tokens, err
	}
	var t pairing.Tokens
	err = db.view(func(tx *bbolt.Tx) error {
		ok, err := db.get(tx, tokenBucket, link[:], &t)
		if err == nil && !ok {
			err = ErrNotFound
		}
		return err
	})
	return t, err
}

// PutTokens replaces the tokens of a link with one write; ErrNotFound if there is
// no such link.
func (db *DB) PutTokens(link cardea.LinkID, t pairing.Tokens) error {
	db.write.Lock()
	defer db.write.Unlock()
	l, err := db.Link(link)
	if err != nil {
		k, unknown := db.readSlot(link)
		if unknown != nil || db.Closed() || !db.knows(link) {
			return err
		}
		l.Issuer = k.Issuer
	}
	return db.putTokens(link, l.Issuer, t)
}

// putTokens writes the slot. Tokens too big for it go without the access token,
// which the refresh token brings again, or else into the database.
func (db *DB) putTokens(link cardea.LinkID, issuer string, t pairing.Tokens) error {
	value, err := json.Marshal(kept{issuer, t})
	if err != nil {
		return fmt.Errorf("encode tokens: %w", err)
	}
	if len(value) > slots.MaxValue && t.RefreshToken != "" {
		t.AccessToken = ""
		if value, err = json.Marshal(kept{issuer, t}); err != nil {
			return fmt.Errorf("encode tokens: %w", err)
		}
	}
	if len(value) > slots.MaxValue {
		if err := slots.Remove(db.slotPath(link)); err != nil {
			return err
		}
		return db.update(func(tx *bbolt.Tx) error { return db.put(tx, tokenBucket, link[:], t) })
	}
	return db.slot(link).Write(value)
}
