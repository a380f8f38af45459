package accountdb

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"math"

	"github.com/cardea-id/cardea"
)

const ledgerColumns = `seq, era, hash, previous, event, act, key, version, notice, preference, payload,
	base_era, base_seq, base_hash, device, authoriser, channel, link, log, n, recorded`

func entryFields(e *cardea.Entry) []any {
	return []any{
		&e.Position.Seq, &e.Position.Era, hash(&e.Position.Hash), hash(&e.Previous), id(&e.Event),
		&e.Act, &e.Key, &e.Version, hash(&e.Notice), &e.Preference, hash(&e.Payload),
		&e.Base.Era, &e.Base.Seq, hash(&e.Base.Hash), &e.Scope.Device, &e.By, &e.Channel,
		id(&e.Link), id(&e.Log), &e.N, &e.Recorded,
	}
}

func scanEntry(s scanner) (e cardea.Entry, err error) {
	err = s.Scan(entryFields(&e)...)
	return e, err
}

// Append gives e its place at the end of the account's ledger and returns it as
// it stands there. The caller has resolved the base and set what is decided;
// position, chain, time and the commitment to the value are set here. A denial
// and the end of a link also go to the stop journal.
func (tx *Tx) Append(account cardea.AccountID, e cardea.Entry) (cardea.Entry, error) {
	a, err := tx.Account(account)
	if err != nil {
		return e, err
	}
	era, err := tx.Era()
	if err != nil {
		return e, err
	}
	e.Recorded = tx.Millis()
	salt := make([]byte, 16)
	rand.Read(salt)
	if e.Value != "" {
		e.Payload = commitment(salt, e.Value)
	}
	e = e.Chain(era, a.Head)
	if err := tx.insertEntry(account, e); err != nil {
		return e, fmt.Errorf("append to ledger: %w", err)
	}
	if e.Value != "" {
		if err := tx.insertPayload(account, e, salt); err != nil {
			return e, fmt.Errorf("append to ledger: %w", err)
		}
	}
	if e.Act == cardea.ActDeny || e.Act == cardea.ActUnlink {
		tx.Stop(account, e)
	}
	return e, tx.exec(`UPDATE accounts SET head_era = ?, head_seq = ?, head_hash = ? WHERE id = ?`,
		e.Position.Era, e.Position.Seq, e.Position.Hash[:], account[:])
}

func (tx *Tx) insertEntry(account cardea.AccountID, e cardea.Entry) error {
	return tx.exec(`INSERT INTO ledger (account, `+ledgerColumns+`)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		account[:], e.Position.Seq, e.Position.Era, e.Position.Hash[:], e.Previous[:], e.Event[:],
		e.Act, e.Key, e.Version, e.Notice[:], e.Preference, e.Payload[:],
		e.Base.Era, e.Base.Seq, e.Base.Hash[:], e.Scope.Device, e.By, e.Channel,
		e.Link[:], e.Log[:], e.N, e.Recorded)
}

func (tx *Tx) insertPayload(account cardea.AccountID, e cardea.Entry, salt []byte) error {
	sealed, err := tx.SealFor(account, payloadLabel(e.Position.Seq), []byte(e.Value))
	if err != nil {
		return err
	}
	return tx.exec(`INSERT INTO payloads (account, seq, salt, sealed) VALUES (?, ?, ?, ?)`, account[:], e.Position.Seq, salt, sealed)
}

func payloadLabel(seq uint64) string { return fmt.Sprintf("payload %d", seq) }

func commitment(salt []byte, value cardea.Value) cardea.Hash {
	h := sha256.New()
	h.Write(salt)
	h.Write([]byte(value))
	return cardea.Hash(h.Sum(nil))
}

// Decisions reads the entries after seq that decide on consents, in order. When
// one was recorded is what it counts from, see [Tx.Redate].
func (tx *Tx) Decisions(account cardea.AccountID, seq uint64) ([]cardea.Entry, error) {
	entries, err := list(tx, scanEntry, `SELECT `+ledgerColumns+` FROM ledger
		WHERE account = ? AND seq > ? AND act IN ('grant', 'deny') ORDER BY seq`, account[:], seq)
	if err != nil {
		return nil, err
	}
	return tx.dated(account, entries)
}

// Entries reads the whole ledger after seq, in order, without values.
func (tx *Tx) Entries(account cardea.AccountID, seq uint64) ([]cardea.Entry, error) {
	return list(tx, scanEntry, `SELECT `+ledgerColumns+` FROM ledger WHERE account = ? AND seq > ? ORDER BY seq`, account[:], seq)
}

// Dated reads the whole ledger, in order and without values. When an entry was
// recorded is what it counts from, see [Tx.Redate].
func (tx *Tx) Dated(account cardea.AccountID) ([]cardea.Entry, error) {
	entries, err := tx.Entries(account, 0)
	if err != nil {
		return nil, err
	}
	return tx.dated(account, entries)
}

// EntriesBelow reads up to limit entries before seq, newest first and without
// values; seq 0 begins at the head.
func (tx *Tx) EntriesBelow(account cardea.AccountID, seq uint64, limit int) ([]cardea.Entry, error) {
	if seq == 0 {
		seq = math.MaxInt64
	}
	entries, err := list(tx, scanEntry, `SELECT `+ledgerColumns+` FROM ledger
		WHERE account = ? AND seq < ? ORDER BY seq DESC LIMIT ?`, account[:], seq, limit)
	if err != nil {
		return nil, err
	}
	return tx.dated(account, entries)
}

// HashAt is the hash of the entry at seq, or zero if there is none.
func (tx *Tx) HashAt(account cardea.AccountID, seq uint64) (cardea.Hash, error) {
	h, err := one(tx, scanHash, `SELECT hash FROM ledger WHERE account = ? AND seq = ?`, account[:], seq)
	if errors.Is(err, ErrNotFound) {
		return cardea.Hash{}, nil
	}
	return h, err
}

// HasDecision reports whether the ledger has a decision on the key at a point.
// At the zero point, where nothing was decided, it is always there.
func (tx *Tx) HasDecision(account cardea.AccountID, key cardea.Key, at cardea.Point) (bool, error) {
	if at == (cardea.Point{}) {
		return true, nil
	}
	var n int
	err := tx.row(`SELECT COUNT(*) FROM ledger WHERE account = ? AND seq = ? AND era = ? AND key = ?`,
		account[:], at.Seq, at.Era, key).Scan(&n)
	return n > 0, err
}

// Recorded finds the entry of an event that was appended before; ErrNotFound if
// it never was.
func (tx *Tx) Recorded(account cardea.AccountID, event cardea.EventID) (cardea.Entry, error) {
	if err := tx.hold(account); err != nil {
		return cardea.Entry{}, err
	}
	return one(tx, scanEntry, `SELECT `+ledgerColumns+` FROM ledger WHERE account = ? AND event = ?`, account[:], event[:])
}

// A Change is one entry of some account's ledger in the brand's feed.
type Change struct {
	Cursor  uint64
	Subject string
	Entry   cardea.Entry // without value
}

func scanChange(s scanner) (c Change, err error) {
	err = s.Scan(append([]any{&c.Cursor, &c.Subject}, entryFields(&c.Entry)...)...)
	return c, err
}

// Changes reads the feed of all accounts after a cursor, oldest first. An entry
// that is committed later has a higher cursor than those that were read.
func (db *DB) Changes(ctx context.Context, after uint64, limit int) (found []Change, err error) {
	err = db.run(ctx, following, func(tx *Tx) error {
		found, err = list(tx, scanChange, `SELECT cursor, subject, `+ledgerColumns+` FROM ledger JOIN accounts ON accounts.id = ledger.account
			WHERE cursor > ? ORDER BY cursor LIMIT ?`, after, limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("changes: %w", err)
	}
	return found, nil
}

// Setting reads what stands for a preference at a scope, or nil. When it was set
// is what counts, see [Tx.Redate].
func (tx *Tx) Setting(account cardea.AccountID, key cardea.PreferenceKey, scope cardea.Scope) (*cardea.Setting, error) {
	e, err := one(tx, scanEntry, `SELECT `+ledgerColumns+` FROM ledger WHERE account = ? AND seq =
		(SELECT seq FROM settings WHERE account = ? AND preference = ? AND device = ?)`, account[:], account[:], key, scope.Device)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read setting: %w", err)
	}
	value, err := tx.value(account, e)
	if err != nil {
		return nil, fmt.Errorf("read setting: %w", err)
	}
	dated, err := tx.dated(account, []cardea.Entry{e})
	if err != nil {
		return nil, fmt.Errorf("read setting: %w", err)
	}
	return &cardea.Setting{Value: value, Entry: dated[0]}, nil
}

// Settings reads all that was set of a preference at a scope after seq, in order,
// without values.
func (tx *Tx) Settings(account cardea.AccountID, key cardea.PreferenceKey, scope cardea.Scope, seq uint64) ([]cardea.Entry, error) {
	return list(tx, scanEntry, `SELECT `+ledgerColumns+` FROM ledger
		WHERE account = ? AND seq > ? AND act = 'prefer' AND preference = ? AND device = ? ORDER BY seq`, account[:], seq, key, scope.Device)
}

// value opens an entry's value and checks it against the chain's commitment. An
// entry that commits to none has none.
func (tx *Tx) value(account cardea.AccountID, e cardea.Entry) (cardea.Value, error) {
	if e.Payload.IsZero() {
		return "", nil
	}
	var salt, sealed []byte
	err := tx.row(`SELECT salt, sealed FROM payloads WHERE account = ? AND seq = ?`, account[:], e.Position.Seq).Scan(&salt, &sealed)
	if err != nil {
		return "", err
	}
	plain, err := tx.OpenFor(account, payloadLabel(e.Position.Seq), sealed)
	if err != nil {
		return "", err
	}
	if commitment(salt, cardea.Value(plain)) != e.Payload {
		return "", fmt.Errorf("value at %d: %w", e.Position.Seq, cardea.ErrChain)
	}
	return cardea.Value(plain), nil
}

// HasValue reports whether v is the value of an entry. Of one whose value was
// erased nobody can say, and it counts as such.
func (tx *Tx) HasValue(account cardea.AccountID, e cardea.Entry, v cardea.Value) (bool, error) {
	is, err := tx.value(account, e)
	if errors.Is(err, sql.ErrNoRows) || errors.Is(err, ErrErased) {
		return true, nil
	}
	return is == v, err
}

// Settle makes the entry what stands for its preference at its scope.
func (tx *Tx) Settle(account cardea.AccountID, e cardea.Entry) error {
	if err := tx.hold(account); err != nil {
		return err
	}
	return tx.exec(`INSERT INTO settings (account, preference, device, seq) VALUES (?, ?, ?, ?)
		ON CONFLICT (account, preference, device) DO UPDATE SET seq = excluded.seq`,
		account[:], e.Preference, e.Scope.Device, e.Position.Seq)
}
