package accountdb

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/cardea-id/cardea"
)

// What a code that was sent to an address can be spent on. One cannot be spent on
// another.
const (
	CodeSignIn  = "sign in"
	CodeConfirm = "confirm"
	CodeReset   = "reset"
	CodeAgain   = "again"
)

// Bounds of codes. A code is one of a million, so an address that everybody may
// ask codes for falls to a guesser with a chance of codesAnHour × codeTries in a
// million an hour.
const (
	codeLife    = 10 * time.Minute
	codeTries   = 5
	codesAnHour = 6
)

// Faults of codes, which are expected.
var (
	// ErrTooMany: so many codes were asked for the address that there is none for
	// some time.
	ErrTooMany = errors.New("too many codes")
	// ErrWrongCode: it is not the code, or there is none, or no longer.
	ErrWrongCode = errors.New("wrong code")
)

// A CodeFor says where a code counts: for an address, in one browser, for one
// thing. Browser is a hash of what only that browser keeps.
type CodeFor struct {
	Email   string
	Browser cardea.Hash
	For     string
}

// PutCode makes code the one that counts. One that was sent before counts no
// longer.
func (tx *Tx) PutCode(where CodeFor, code string) error {
	address, err := tx.codeMAC("address", where.Email)
	if err != nil {
		return err
	}
	if err := tx.Hold("codes " + hex.EncodeToString(address)); err != nil {
		return err
	}
	if err := tx.exec(`DELETE FROM mail_codes WHERE created < ?`, tx.Millis().Add(-time.Hour)); err != nil {
		return err
	}
	var n int
	if err := tx.row(`SELECT COUNT(*) FROM mail_codes WHERE address = ?`, address).Scan(&n); err != nil {
		return err
	}
	if n >= codesAnHour {
		return ErrTooMany
	}
	lookup, mac, err := tx.codeMACs(where, code)
	if err != nil {
		return err
	}
	// The one before still counts among those that were asked for.
	if err := tx.exec(`UPDATE mail_codes SET expires = 0 WHERE lookup = ?`, lookup); err != nil {
		return err
	}
	id := cardea.NewID[cardea.EventID]()
	return tx.exec(`INSERT INTO mail_codes (id, lookup, address, code, created, expires) VALUES (?, ?, ?, ?, ?, ?)`,
		id[:], lookup, address, mac, tx.Millis(), tx.Millis().Add(codeLife))
}

// SpendCode takes a code, which then counts no longer, or spends one of its few
// tries with ErrWrongCode. What is written then must be committed, so the verdict
// is the first result and not the error.
func (tx *Tx) SpendCode(where CodeFor, code string) (verdict, fault error) {
	lookup, mac, err := tx.codeMACs(where, code)
	if err != nil {
		return nil, err
	}
	if err := tx.Hold("code " + hex.EncodeToString(lookup)); err != nil {
		return nil, err
	}
	want, err := one(tx, scanBytes, `SELECT code FROM mail_codes WHERE lookup = ? AND expires > ? AND tries < ?`, lookup, tx.Millis(), codeTries)
	if errors.Is(err, ErrNotFound) {
		return ErrWrongCode, nil
	}
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(want, mac) != 1 {
		return ErrWrongCode, tx.exec(`UPDATE mail_codes SET tries = tries + 1 WHERE lookup = ? AND expires > 0`, lookup)
	}
	return nil, tx.exec(`UPDATE mail_codes SET expires = 0 WHERE lookup = ?`, lookup)
}

// codeMACs are under what a code stands and what it is, neither to be tried out
// without the master key.
func (tx *Tx) codeMACs(where CodeFor, code string) (lookup, mac []byte, err error) {
	if lookup, err = tx.codeMAC("lookup", where.Email, where.For, string(where.Browser[:])); err != nil {
		return nil, nil, err
	}
	mac, err = tx.codeMAC("code", where.Email, where.For, string(where.Browser[:]), code)
	return lookup, mac, err
}

func (tx *Tx) codeMAC(parts ...string) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, tx.master[:], nil, "cardea mail codes", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive code key: %w", err)
	}
	mac := hmac.New(sha256.New, key)
	for _, part := range parts {
		fmt.Fprintf(mac, "%d:%s", len(part), part)
	}
	return mac.Sum(nil), nil
}

// Once accepts a hash that must not be accepted twice before a time, after which
// nobody accepts it anyway. ErrTaken if it was accepted.
func (tx *Tx) Once(hash cardea.Hash, until time.Time) error {
	if err := tx.exec(`DELETE FROM proofs WHERE used_until < ?`, tx.Millis()); err != nil {
		return err
	}
	fresh, err := tx.change(`INSERT INTO proofs (hash, used_until) VALUES (?, ?) ON CONFLICT (hash) DO NOTHING`, hash[:], cardea.MillisOf(until))
	if err == nil && !fresh {
		err = ErrTaken
	}
	return err
}
