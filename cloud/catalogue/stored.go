package catalogue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
)

// Names of facts in the database. Every catalogue that ever was in force is
// kept, because a grant names the hash of the text it agreed to.
const (
	metaCurrent  = "catalogue"          // YAML
	metaActor    = "catalogue actor"    // who put it
	metaPurposes = "catalogue purposes" // JSON: every version of each purpose there ever was
	metaEver     = "catalogue "         // + hash: YAML
)

// actorFile has put what stands in the file that is read at start.
const actorFile = "file"

// Open holds the catalogue in force. It is the one of the file, as YAML, unless
// somebody has put another one since the file was first read; file may be
// empty if the database has a catalogue.
func Open(ctx context.Context, db *accountdb.DB, file []byte) (*Holder, error) {
	text, by, past, err := stored(ctx, db)
	if err != nil {
		return nil, err
	}
	if text == nil || by == actorFile && len(file) > 0 && !bytes.Equal(text, file) {
		h := new(Holder)
		if err := h.Put(ctx, db, file, actorFile); err != nil {
			return nil, err
		}
		return h, nil
	}
	cat, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("catalogue in the database: %w", err)
	}
	cat.Former = former(past, cat)
	return New(cat), nil
}

// Source is the YAML of the catalogue in force, as it was put; nil if none
// was.
func Source(ctx context.Context, db *accountdb.DB) ([]byte, error) {
	text, _, _, err := stored(ctx, db)
	return text, err
}

// stored reads the catalogue, who put it, and every version of purposes there
// was; all empty if nobody did.
func stored(ctx context.Context, db *accountdb.DB) (text []byte, by string, past []cardea.Purpose, err error) {
	err = db.View(ctx, func(tx *accountdb.Tx) error {
		actor, err := tx.Meta(metaActor)
		if err != nil {
			return err
		}
		by = string(actor)
		if text, err = tx.Meta(metaCurrent); err != nil {
			return err
		}
		past, err = purposes(tx)
		return err
	})
	if errors.Is(err, accountdb.ErrNotFound) {
		return nil, "", nil, nil
	}
	if err != nil {
		return nil, "", nil, fmt.Errorf("read catalogue: %w", err)
	}
	return text, by, past, nil
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
	err = db.Update(ctx, func(tx *accountdb.Tx) error {
		past, err := purposes(tx)
		if err != nil {
			return err
		}
		if err := Follows(&cardea.Catalogue{Purposes: past}, next); err != nil {
			return err
		}
		next.Former = former(past, next)
		return store(tx, next, text, actor)
	})
	if err != nil {
		return fmt.Errorf("put catalogue in force: %w", err)
	}
	h.Replace(next)
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

func store(tx *accountdb.Tx, next *cardea.Catalogue, text []byte, actor string) error {
	known, err := json.Marshal(slices.Concat(next.Purposes, next.Former))
	if err != nil {
		return err
	}
	hash := Hash(next).String()
	for name, value := range map[string][]byte{metaCurrent: text, metaActor: []byte(actor), metaPurposes: known, metaEver + hash: text} {
		if err := tx.SetMeta(name, value); err != nil {
			return err
		}
	}
	return tx.Audit(cardea.AccountID{}, actor, "catalogue put in force", hash)
}
