package catalogue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
)

// Names of facts in the database. Every catalogue that ever was in force is
// kept, because a grant names the hash of the text it agreed to.
const (
	metaCurrent  = "catalogue"          // YAML
	metaPurposes = "catalogue purposes" // JSON: the last version of each purpose there ever was
	metaEver     = "catalogue "         // + hash: YAML
)

// Open holds the catalogue that is in force in the database. If there is none
// yet, first is put in force, as YAML.
func Open(ctx context.Context, db *accountdb.DB, first []byte) (*Holder, error) {
	text, err := Source(ctx, db)
	if errors.Is(err, accountdb.ErrNotFound) {
		h := new(Holder)
		if err := h.Put(ctx, db, first, "start"); err != nil {
			return nil, err
		}
		return h, nil
	}
	if err != nil {
		return nil, err
	}
	cat, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("catalogue in the database: %w", err)
	}
	return New(cat), nil
}

// Source is the YAML of the catalogue in force, as it was put.
func Source(ctx context.Context, db *accountdb.DB) (text []byte, err error) {
	err = db.View(ctx, func(tx *accountdb.Tx) error {
		text, err = tx.Meta(metaCurrent)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read catalogue: %w", err)
	}
	return text, nil
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
		if err := Follows(past, next); err != nil {
			return err
		}
		return store(tx, past, next, text, actor)
	})
	if err != nil {
		return fmt.Errorf("put catalogue in force: %w", err)
	}
	h.Replace(next)
	return nil
}

func purposes(tx *accountdb.Tx) (*cardea.Catalogue, error) {
	past := new(cardea.Catalogue)
	text, err := tx.Meta(metaPurposes)
	if errors.Is(err, accountdb.ErrNotFound) {
		return past, nil
	}
	if err != nil {
		return nil, err
	}
	return past, json.Unmarshal(text, &past.Purposes)
}

func store(tx *accountdb.Tx, past, next *cardea.Catalogue, text []byte, actor string) error {
	all := next.Purposes
	for _, p := range past.Purposes {
		if _, still := next.Purpose(p.ID); !still {
			all = append(all[:len(all):len(all)], p)
		}
	}
	known, err := json.Marshal(all)
	if err != nil {
		return err
	}
	hash := Hash(next).String()
	for name, value := range map[string][]byte{metaCurrent: text, metaPurposes: known, metaEver + hash: text} {
		if err := tx.SetMeta(name, value); err != nil {
			return err
		}
	}
	return tx.Audit(cardea.AccountID{}, actor, "catalogue put in force", hash)
}
