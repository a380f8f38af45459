package catalogue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
)

// Names of facts in the database. Every catalogue that ever was in force is
// kept, because a grant names the hash of the text it agreed to.
const (
	metaCurrent  = "catalogue"          // YAML
	metaActor    = "catalogue actor"    // who put it
	metaPurposes = "catalogue purposes" // JSON: every version of each purpose there ever was
	metaNumber   = "catalogue number"   // decimal: how many were put
	metaEver     = "catalogue "         // + hash: YAML
)

// actorFile has put what stands in the file that is read at start.
const actorFile = "file"

// Open holds the catalogue in force. It is the one of the file, as YAML, unless
// somebody has put another one since the file was first read; file may be
// empty if the database has a catalogue.
func Open(ctx context.Context, db *accountdb.DB, file []byte) (*Holder, error) {
	s, err := stored(ctx, db)
	if err != nil {
		return nil, err
	}
	if s.text == nil || s.by == actorFile && len(file) > 0 && !bytes.Equal(s.text, file) {
		h := new(Holder)
		if err := h.Put(ctx, db, file, actorFile); err != nil {
			return nil, err
		}
		return h, nil
	}
	h := new(Holder)
	return h, h.hold(s)
}

// hold puts what is stored in force in this process.
func (h *Holder) hold(s put) error {
	cat, err := Parse(s.text)
	if err != nil {
		return fmt.Errorf("catalogue in the database: %w", err)
	}
	cat.Former = former(s.past, cat)
	h.replace(cat, s.number)
	return nil
}

// Follow puts in force here what another process has put since. It is called in
// the transaction that goes by the catalogue.
func (h *Holder) Follow(tx *accountdb.Tx) error {
	if !tx.Shared() {
		return nil
	}
	n, err := number(tx)
	if err != nil || n <= h.now.Load().number {
		return err
	}
	s, err := read(tx)
	if err != nil {
		return fmt.Errorf("follow catalogue: %w", err)
	}
	h.putting.Lock()
	defer h.putting.Unlock()
	if s.number <= h.now.Load().number {
		return nil
	}
	return h.hold(s)
}

// Source is the YAML of the catalogue in force, as it was put; nil if none
// was.
func Source(ctx context.Context, db *accountdb.DB) ([]byte, error) {
	s, err := stored(ctx, db)
	return s.text, err
}

// A put is what is stored of a catalogue that was put.
type put struct {
	text   []byte
	by     string
	past   []cardea.Purpose // every version of purposes there was
	number uint64
}

// stored reads the catalogue; it is empty if nobody put one.
func stored(ctx context.Context, db *accountdb.DB) (s put, err error) {
	err = db.View(ctx, func(tx *accountdb.Tx) error {
		s, err = read(tx)
		return err
	})
	if errors.Is(err, accountdb.ErrNotFound) {
		return put{}, nil
	}
	if err != nil {
		return put{}, fmt.Errorf("read catalogue: %w", err)
	}
	return s, nil
}

func read(tx *accountdb.Tx) (s put, err error) {
	actor, err := tx.Meta(metaActor)
	if err != nil {
		return s, err
	}
	s.by = string(actor)
	if s.text, err = tx.Meta(metaCurrent); err != nil {
		return s, err
	}
	if s.number, err = number(tx); err != nil {
		return s, err
	}
	s.past, err = purposes(tx)
	return s, err
}

// number is how many catalogues were put.
func number(tx *accountdb.Tx) (uint64, error) {
	text, err := tx.Meta(metaNumber)
	if errors.Is(err, accountdb.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(string(text), 10, 64)
}

// Put puts a catalogue in force, durably and at once, and notes who did it. It
// refuses, with cardea.ErrInvalidCatalogue, what Parse and Follows refuse; the
// purposes it must follow are all there ever were, also those since removed.
func (h *Holder) Put(ctx context.Context, db *accountdb.DB, text []byte, actor string) error {
	next, err := Parse(text)
	if err != nil {
		return err
	}
	h.putting.Lock() // so that the database and the holder change in one order
	defer h.putting.Unlock()
	var n uint64
	err = db.Update(ctx, func(tx *accountdb.Tx) error {
		if err := tx.Hold("catalogue"); err != nil {
			return err
		}
		if n, err = number(tx); err != nil {
			return err
		}
		n++
		past, err := purposes(tx)
		if err != nil {
			return err
		}
		if err := Follows(&cardea.Catalogue{Purposes: past}, next); err != nil {
			return err
		}
		next.Former = former(past, next)
		return store(tx, next, text, actor, n)
	})
	if err != nil {
		return fmt.Errorf("put catalogue in force: %w", err)
	}
	if now := h.now.Load(); now == nil || now.number < n {
		h.replace(next, n)
	}
	return nil
}

// purposes reads every version there was; none before the first Put.
func purposes(tx *accountdb.Tx) (past []cardea.Purpose, err error) {
	text, err := tx.Meta(metaPurposes)
	if errors.Is(err, accountdb.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return past, json.Unmarshal(text, &past)
}

// former are the versions there were that the catalogue does not have, those of
// purposes it asks no more among them.
func former(past []cardea.Purpose, cat *cardea.Catalogue) []cardea.Purpose {
	return slices.DeleteFunc(slices.Clone(past), func(p cardea.Purpose) bool {
		now, ok := cat.Purpose(p.ID)
		return ok && now.Version == p.Version
	})
}

func store(tx *accountdb.Tx, next *cardea.Catalogue, text []byte, actor string, n uint64) error {
	known, err := json.Marshal(slices.Concat(next.Purposes, next.Former))
	if err != nil {
		return err
	}
	hash := Hash(next).String()
	for name, value := range map[string][]byte{
		metaCurrent: text, metaActor: []byte(actor), metaPurposes: known, metaEver + hash: text, metaNumber: strconv.AppendUint(nil, n, 10),
	} {
		if err := tx.SetMeta(name, value); err != nil {
			return err
		}
	}
	return tx.Audit(cardea.AccountID{}, actor, putInForce, hash)
}
