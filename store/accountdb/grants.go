package accountdb

import (
	"context"
	"errors"
	"fmt"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/pairing"
)

const (
	// afterlife is how long a code that ended is remembered, so that an owner
	// who comes late hears "expired" or "used" and not "wrong".
	afterlife = 60 * 60 * 1000
	// memory is how many refresh tokens of a grant are remembered: older ones
	// are refused like any unknown token.
	memory = 64
)

// Grants is the storage of the device grant. Each method is one transaction.
type Grants struct{ db *DB }

// Grants is the part of the database that keeps grants.
func (db *DB) Grants() Grants { return Grants{db} }

// Start stores a new grant that waits for its owner; ErrTaken if a grant that
// is remembered has one of its codes. It forgets what ended long ago.
func (s Grants) Start(ctx context.Context, g pairing.Grant) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		if err := tx.forgetCodes(); err != nil {
			return fmt.Errorf("forget codes: %w", err)
		}
		taken, err := list(tx, scanText, `SELECT id FROM grants WHERE code = ? OR user_code = ?`, g.Code[:], g.UserCode[:])
		if err != nil {
			return fmt.Errorf("start grant: %w", err)
		}
		if len(taken) > 0 {
			return pairing.ErrTaken
		}
		return tx.insertGrant(g)
	})
}

func (tx *Tx) forgetCodes() error {
	before := tx.Millis() - afterlife
	err := tx.exec(`DELETE FROM grants WHERE code IS NOT NULL AND expires < ? AND state IN ('pending', 'approved', 'denied')`, before)
	if err != nil {
		return err
	}
	return tx.exec(`UPDATE grants SET code = NULL, user_code = NULL, label = NULL WHERE code IS NOT NULL AND expires < ?`, before)
}

func (tx *Tx) insertGrant(g pairing.Grant) error {
	err := tx.exec(`INSERT INTO grants (id, state, client, scope, kind, model, serial, jkt, code, user_code, network,
		requested, expires, label, presses, decided, token_set, asked, issued, rotated, wrong_keys, reused)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0, 0, 0, 0)`,
		g.ID, g.State, g.Client, g.Scope, g.Device.Kind, g.Device.Model, g.Device.Serial, g.JKT,
		g.Code[:], g.UserCode[:], g.Network[:], g.Requested, g.Expires, orNull(g.Label[:]), g.Presses)
	if err != nil {
		return fmt.Errorf("start grant: %w", err)
	}
	return nil
}

// Find reads a grant, without its name; ErrNoGrant if there is none. It writes
// nothing.
func (s Grants) Find(ctx context.Context, key pairing.GrantKey) (g pairing.Grant, err error) {
	err = s.db.View(ctx, func(tx *Tx) error {
		row, err := tx.findGrant(key)
		g = row.Grant
		return err
	})
	return g, err
}

// Standing reads a grant, without its name, and whose it is; ErrNoGrant if there
// is none. It writes nothing.
func (s Grants) Standing(ctx context.Context, grant pairing.GrantID) (g pairing.Grant, owner pairing.Owner, err error) {
	err = s.db.View(ctx, func(tx *Tx) error {
		row, err := tx.findGrant(pairing.GrantKey{ID: grant})
		if err != nil {
			return err
		}
		g = row.Grant
		owner, err = tx.owner(g.Account, g.ID)
		return err
	})
	return g, owner, err
}

// Change finds a grant, without its name, lets f change it and stores what f made of it, all in
// one transaction that also records the proofs. ErrNoGrant if there is no such
// grant, ErrReplayed if a proof was recorded before; f was not called then. An
// error of f undoes everything. Where f changes nothing nothing is written. owner is account where it is not zero, and the
// grant's own account otherwise; it is zero for a grant that has none.
func (s Grants) Change(ctx context.Context, key pairing.GrantKey, account cardea.AccountID, proofs []pairing.ProofID,
	f func(now cardea.Millis, g *pairing.Grant, owner pairing.Owner) (pairing.Note, error)) error {
	err := s.db.Update(ctx, func(tx *Tx) error {
		if !account.IsZero() {
			if err := tx.hold(account); err != nil {
				return err
			}
		}
		row, err := tx.holdGrant(key)
		if err != nil {
			return err
		}
		g := row.Grant
		if err := tx.useProofs(proofs); err != nil {
			return err
		}
		before, who := g, account
		if who.IsZero() {
			who = g.Account
		}
		owner, err := tx.owner(who, g.ID)
		if err != nil {
			return err
		}
		note, err := f(tx.Millis(), &g, owner)
		if err == nil && g == before {
			err = errUnchanged
		}
		if err != nil {
			return err
		}
		return tx.putGrant(before, g, note)
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
}

// errUnchanged keeps a transaction that changes nothing from being written.
var errUnchanged = errors.New("unchanged")

// List reads an account's grants that the owner said yes to, oldest first.
func (s Grants) List(ctx context.Context, account cardea.AccountID) (all []pairing.Grant, err error) {
	err = s.db.View(ctx, func(tx *Tx) error {
		all, err = tx.GrantsOf(account)
		return err
	})
	return all, err
}

// UseDevice records the proofs of a device that wants a token of its own and
// tells whether it has a link that is live or closing. ErrReplayed if a proof
// was recorded before.
func (s Grants) UseDevice(ctx context.Context, device cardea.DeviceID, proofs []pairing.ProofID) (linked bool, err error) {
	err = s.db.Update(ctx, func(tx *Tx) error {
		linked = false
		links, err := tx.LinksOfDevice(device)
		if err != nil {
			return fmt.Errorf("links of device: %w", err)
		}
		if linked = len(links) > 0; !linked {
			return nil // nothing is given, so there is nothing to replay
		}
		return tx.useProofs(proofs)
	})
	return linked, err
}

// UseProof records a proof and reports whether it was not recorded before. Where
// no other process can have seen it that is left to the caller's memory, and
// shared is false.
func (s Grants) UseProof(ctx context.Context, proof pairing.ProofID) (fresh, shared bool, err error) {
	if !s.db.engine.shared() {
		return true, false, nil
	}
	err = s.db.Update(ctx, func(tx *Tx) error { return tx.useProofs([]pairing.ProofID{proof}) })
	if errors.Is(err, pairing.ErrReplayed) {
		return false, true, nil
	}
	return err == nil, true, err
}

// RevokeGrant ends a grant inside a larger change, such as an unlink.
// ErrNoGrant if there is no such grant.
func (tx *Tx) RevokeGrant(grant pairing.GrantID) error {
	row, err := tx.holdGrant(pairing.GrantKey{ID: grant})
	if err != nil {
		return err
	}
	g, before := row.Grant, row.Grant
	note := g.Revoke(tx.Millis())
	if g == before {
		return nil
	}
	return tx.putGrant(before, g, note)
}

func (tx *Tx) owner(account cardea.AccountID, grant pairing.GrantID) (pairing.Owner, error) {
	if account.IsZero() {
		return pairing.Owner{}, nil
	}
	a, err := tx.Account(account)
	if err != nil {
		return pairing.Owner{}, err
	}
	var missed int
	err = tx.row(`SELECT COUNT(*) FROM links WHERE grant_id = ? AND missed <> 0`, grant).Scan(&missed)
	return pairing.Owner{Account: a.ID, Subject: a.Subject, Active: !a.Disabled, Missed: missed > 0, Roles: a.Roles}, err
}

// useProofs records proofs, and forgets those that can not come again.
func (tx *Tx) useProofs(proofs []pairing.ProofID) error {
	if len(proofs) == 0 {
		return nil
	}
	if err := tx.exec(`DELETE FROM proofs WHERE used_until < ?`, tx.Millis()); err != nil {
		return fmt.Errorf("forget proofs: %w", err)
	}
	for _, p := range proofs {
		fresh, err := tx.change(`INSERT INTO proofs (hash, used_until) VALUES (?, ?) ON CONFLICT (hash) DO NOTHING`, p.Hash[:], p.Until)
		if err != nil {
			return fmt.Errorf("record proof: %w", err)
		}
		if !fresh {
			return pairing.ErrReplayed
		}
	}
	return nil
}

func (tx *Tx) putGrant(before, g pairing.Grant, note pairing.Note) error {
	if err := tx.updateGrant(before, g); err != nil {
		return fmt.Errorf("store grant: %w", err)
	}
	if g.State != before.State && (g.State == pairing.GrantDenied || g.State == pairing.GrantRevoked) {
		if err := tx.stopGrant(g.ID); err != nil {
			return err
		}
	}
	if g.State != before.State && g.State == pairing.GrantApproved {
		if err := tx.Approved(g.Account, g.ID); err != nil {
			return fmt.Errorf("tell of grant: %w", err)
		}
	}
	if g.Successor != before.Successor {
		if err := tx.putRefreshToken(g); err != nil {
			return fmt.Errorf("store refresh token: %w", err)
		}
	}
	if note == "" {
		return nil
	}
	return tx.Audit(g.Account, "grant "+string(g.ID), string(note), g.Client)
}

func (tx *Tx) updateGrant(before, g pairing.Grant) error {
	found, err := tx.change(`UPDATE grants SET state = ?, account = ?, jkt = ?, decided = ?, predecessor = ?, successor = ?,
		token_set = ?, asked = ?, issued = ?, rotated = ?, wrong_keys = ?, reused = ? WHERE id = ?`,
		g.State, orNull(g.Account[:]), g.JKT, g.Decided, orNull(g.Predecessor[:]), orNull(g.Successor[:]),
		g.Set, g.Asked, g.Issued, g.Rotated, g.WrongKeys, g.Reused, g.ID)
	if err == nil && !found {
		err = pairing.ErrNoGrant
	}
	if err != nil || g.Name == before.Name {
		return err
	}
	sealed, err := tx.SealFor(g.Account, grantNameLabel(g.ID), []byte(g.Name))
	if err != nil {
		return err
	}
	return tx.exec(`UPDATE grants SET name_sealed = ? WHERE id = ?`, sealed, g.ID)
}

func (tx *Tx) putRefreshToken(g pairing.Grant) error {
	err := tx.exec(`INSERT INTO refresh_tokens (hash, grant_id, token_set) VALUES (?, ?, ?)`, g.Successor[:], g.ID, g.Set)
	if err != nil || g.Set <= memory {
		return err
	}
	return tx.exec(`DELETE FROM refresh_tokens WHERE grant_id = ? AND token_set <= ?`, g.ID, g.Set-memory)
}

func grantNameLabel(grant pairing.GrantID) string { return "grant name " + string(grant) }

const grantColumns = `grants.id, state, client, scope, kind, model, serial, account, name_sealed, jkt, code, user_code, network,
	requested, expires, label, presses, decided, predecessor, successor, grants.token_set, asked, issued, rotated, wrong_keys, reused`

type grantRow struct {
	pairing.Grant
	name []byte
}

func scanGrant(s scanner) (g grantRow, err error) {
	err = s.Scan(&g.ID, &g.State, &g.Client, &g.Scope, &g.Device.Kind, &g.Device.Model, &g.Device.Serial,
		orZero{g.Account[:]}, &g.name, &g.JKT, orZero{g.Code[:]}, orZero{g.UserCode[:]}, hash(&g.Network),
		&g.Requested, &g.Expires, orZero{g.Label[:]}, &g.Presses, &g.Decided, orZero{g.Predecessor[:]}, orZero{g.Successor[:]},
		&g.Set, &g.Asked, &g.Issued, &g.Rotated, &g.WrongKeys, &g.Reused)
	return g, err
}

// FindGrant reads a grant with its name; ErrNoGrant if there is none.
func (tx *Tx) FindGrant(key pairing.GrantKey) (pairing.Grant, error) {
	row, err := tx.holdGrant(key)
	if err != nil {
		return pairing.Grant{}, err
	}
	return tx.openGrant(row)
}

// holdGrant reads a grant that may be changed. Its account is held first, as
// everywhere, and then the grant, which may not have an account yet.
func (tx *Tx) holdGrant(key pairing.GrantKey) (grantRow, error) {
	row, err := tx.findGrant(key)
	if err != nil || !tx.holds {
		return row, err
	}
	if !row.Account.IsZero() {
		if err := tx.hold(row.Account); err != nil {
			return row, err
		}
	}
	if err := tx.Hold(grantNameLabel(row.ID)); err != nil {
		return row, err
	}
	return tx.findGrant(key)
}

func (tx *Tx) findGrant(key pairing.GrantKey) (grantRow, error) {
	where, arg := `WHERE grants.id = ?`, any(key.ID)
	switch {
	case !key.Code.IsZero():
		where, arg = `WHERE code = ?`, key.Code[:]
	case !key.UserCode.IsZero():
		where, arg = `WHERE user_code = ?`, key.UserCode[:]
	case !key.Label.IsZero():
		where, arg = `WHERE label = ? ORDER BY requested DESC, grants.id LIMIT 1`, key.Label[:]
	case !key.Link.IsZero():
		where, arg = `WHERE grants.id = (SELECT grant_id FROM links WHERE id = ?)`, key.Link[:]
	case !key.Refresh.IsZero():
		where, arg = `JOIN refresh_tokens ON refresh_tokens.grant_id = grants.id WHERE refresh_tokens.hash = ?`, key.Refresh[:]
	}
	row, err := one(tx, scanGrant, `SELECT `+grantColumns+` FROM grants `+where, arg)
	if errors.Is(err, ErrNotFound) {
		return row, pairing.ErrNoGrant
	}
	if err != nil {
		return row, fmt.Errorf("find grant: %w", err)
	}
	return row, nil
}

// GrantsOf reads an account's grants that the owner said yes to, oldest first.
func (tx *Tx) GrantsOf(account cardea.AccountID) ([]pairing.Grant, error) {
	rows, err := list(tx, scanGrant, `SELECT `+grantColumns+` FROM grants WHERE account = ? AND state IN ('approved', 'active')
		ORDER BY decided, grants.id`, account[:])
	if err != nil {
		return nil, fmt.Errorf("list grants: %w", err)
	}
	grants := make([]pairing.Grant, 0, len(rows))
	for _, row := range rows {
		g, err := tx.openGrant(row)
		if err != nil {
			return nil, err
		}
		grants = append(grants, g)
	}
	return grants, nil
}

func (tx *Tx) openGrant(row grantRow) (pairing.Grant, error) {
	if row.name == nil {
		return row.Grant, nil
	}
	name, err := tx.OpenFor(row.Account, grantNameLabel(row.ID), row.name)
	if err != nil && !errors.Is(err, ErrErased) {
		return pairing.Grant{}, fmt.Errorf("grant's name: %w", err)
	}
	row.Name = string(name)
	return row.Grant, nil
}

// orZero scans a BLOB into an array of exactly its size, or leaves it zero for
// NULL.
type orZero struct{ dst []byte }

// Scan implements sql.Scanner.
func (o orZero) Scan(src any) error {
	if src == nil {
		return nil
	}
	return fixed(o).Scan(src)
}

// orNull stores an array of zeros as NULL.
func orNull(b []byte) any {
	for _, v := range b {
		if v != 0 {
			return b
		}
	}
	return nil
}

func scanText(s scanner) (text string, err error) {
	err = s.Scan(&text)
	return text, err
}
