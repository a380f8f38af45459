package accountdb

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cardea-id/cardea"
)

// A LinkState is where a link is in its life.
type LinkState string

// The states: closing is unlinked by the owner and not yet confirmed by the
// device; closed is a stub that only answers the device's last report.
const (
	LinkLive    LinkState = "live"
	LinkClosing LinkState = "closing"
	LinkClosed  LinkState = "closed"
)

// A Device is a thing with a key.
type Device struct {
	ID        cardea.DeviceID
	PublicKey []byte // JWK
	Kind      cardea.DeviceKind
	Model     string
	Serial    string
}

// A Link is one account on one device, with what was last stated to it and what
// it last confirmed.
type Link struct {
	ID      cardea.LinkID
	Account cardea.AccountID
	Device  cardea.DeviceID
	Grant   string
	State   LinkState
	Created cardea.Millis

	Revision  uint64          // of the newest statement
	Built     cardea.Position // the head it was built from
	Catalogue cardea.Hash     // and the catalogue

	Have       cardea.Have   // what the device last proved to have applied
	Applied    cardea.Millis // when that proof came
	LastSeen   cardea.Millis
	Clock      cardea.ClockState
	Forked     bool
	Missed     cardea.Millis // since when its owner misses the device; 0: they do not
	CloseOrder cardea.OrderID
	Seen       cardea.Seen // of the device's present log
	Rejected   []cardea.Rejection
}

const linkColumns = `links.id, account, device, grant_id, state, links.created, revision, built_era, built_seq, built_hash,
	built_catalogue, have_revision, have_hash, applied, last_seen, clock, forked, missed, close_order, seen_log, seen_n, seen_hash, rejected`

func scanLink(s scanner) (l Link, err error) {
	var rejected []byte
	err = s.Scan(id(&l.ID), id(&l.Account), &l.Device, &l.Grant, &l.State, &l.Created, &l.Revision,
		&l.Built.Era, &l.Built.Seq, hash(&l.Built.Hash), hash(&l.Catalogue), &l.Have.Revision, hash(&l.Have.BodyHash),
		&l.Applied, &l.LastSeen, &l.Clock, &l.Forked, &l.Missed, id(&l.CloseOrder), id(&l.Seen.Log), &l.Seen.N, hash(&l.Seen.Hash), &rejected)
	if err != nil {
		return l, err
	}
	return l, json.Unmarshal(rejected, &l.Rejected)
}

// PutDevice records a device, or what it says of itself now.
func (tx *Tx) PutDevice(d Device) error {
	return tx.exec(`INSERT INTO devices (id, public_key, kind, model, serial, created) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, model = excluded.model, serial = excluded.serial`,
		d.ID, d.PublicKey, d.Kind, d.Model, d.Serial, tx.Millis())
}

// Device reads a device.
func (tx *Tx) Device(device cardea.DeviceID) (Device, error) {
	d, err := one(tx, func(s scanner) (d Device, err error) {
		err = s.Scan(&d.ID, &d.PublicKey, &d.Kind, &d.Model, &d.Serial)
		return d, err
	}, `SELECT id, public_key, kind, model, serial FROM devices WHERE id = ?`, device)
	if err != nil {
		return d, fmt.Errorf("device: %w", err)
	}
	return d, nil
}

// CreateLink records a new link with its key and its name.
func (tx *Tx) CreateLink(l Link, key [32]byte, name string) error {
	sealedName, err := tx.SealFor(l.Account, nameLabel(l.ID), []byte(name))
	if err != nil {
		return err
	}
	if err := tx.hold(l.Account); err != nil {
		return err
	}
	var none cardea.Hash
	var zero cardea.LinkID
	return tx.exec(`INSERT INTO links (id, account, device, grant_id, name_sealed, key_sealed, state, created,
		built_hash, built_catalogue, have_hash, close_order, seen_log, seen_hash, rejected)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		l.ID[:], l.Account[:], l.Device, l.Grant, sealedName, tx.master.seal(linkKeyLabel(l.ID), key[:]), LinkLive, tx.Millis(),
		none[:], none[:], none[:], zero[:], zero[:], none[:], []byte("[]"))
}

func nameLabel(link cardea.LinkID) string    { return "link name " + link.String() }
func linkKeyLabel(link cardea.LinkID) string { return "link key " + link.String() }

// Link reads a link.
func (tx *Tx) Link(link cardea.LinkID) (Link, error) {
	if err := tx.holdLink(link); err != nil {
		return Link{}, err
	}
	l, err := one(tx, scanLink, `SELECT `+linkColumns+` FROM links WHERE links.id = ?`, link[:])
	if err != nil {
		return l, fmt.Errorf("link: %w", err)
	}
	return l, nil
}

// holdLink holds the account of a link.
func (tx *Tx) holdLink(link cardea.LinkID) error {
	return tx.holdOf(`SELECT account FROM links WHERE id = ?`, link[:])
}

// LinkByGrant finds the link that was made with a grant.
func (tx *Tx) LinkByGrant(grant string) (Link, error) {
	if err := tx.holdOf(`SELECT account FROM links WHERE grant_id = ?`, grant); err != nil {
		return Link{}, err
	}
	return one(tx, scanLink, `SELECT `+linkColumns+` FROM links WHERE grant_id = ?`, grant)
}

// Links lists an account's links that are not closed, oldest first.
func (tx *Tx) Links(account cardea.AccountID) ([]Link, error) {
	if err := tx.hold(account); err != nil {
		return nil, err
	}
	return list(tx, scanLink, `SELECT `+linkColumns+` FROM links WHERE account = ? AND state <> 'closed' ORDER BY links.created, links.id`, account[:])
}

// LinksOfDevice lists a device's links that are not closed, oldest first. They
// may be of several accounts, which are not held: [Tx.Link] reads one that is to be changed.
func (tx *Tx) LinksOfDevice(device cardea.DeviceID) ([]Link, error) {
	return list(tx, scanLink, `SELECT `+linkColumns+` FROM links WHERE device = ? AND state <> 'closed' ORDER BY links.created, links.id`, device)
}

// Closed lists the devices that an account has, or had, a closed link with.
func (tx *Tx) Closed(account cardea.AccountID) ([]cardea.DeviceID, error) {
	return list(tx, func(s scanner) (d cardea.DeviceID, err error) {
		err = s.Scan(&d)
		return d, err
	}, `SELECT DISTINCT device FROM links WHERE account = ? AND state = 'closed' ORDER BY device`, account[:])
}

// HadLink reports whether an account has, or had, a link with a device.
func (tx *Tx) HadLink(account cardea.AccountID, device cardea.DeviceID) (bool, error) {
	var n int
	err := tx.row(`SELECT COUNT(*) FROM links WHERE account = ? AND device = ?`, account[:], device).Scan(&n)
	return n > 0, err
}

// LinkKey opens the key that seals a link's messages.
func (tx *Tx) LinkKey(link cardea.LinkID) ([32]byte, error) {
	sealed, err := one(tx, scanBytes, `SELECT key_sealed FROM links WHERE id = ?`, link[:])
	if err != nil {
		return [32]byte{}, fmt.Errorf("link key: %w", err)
	}
	plain, err := tx.master.open(linkKeyLabel(link), sealed)
	if err != nil {
		return [32]byte{}, err
	}
	return [32]byte(plain), nil
}

// Sender finds the device of a link and the key that seals its messages: what it
// takes to open one.
func (tx *Tx) Sender(link cardea.LinkID) (d Device, key [32]byte, err error) {
	l, err := tx.Link(link)
	if err != nil {
		return d, key, err
	}
	if d, err = tx.Device(l.Device); err != nil {
		return d, key, err
	}
	key, err = tx.LinkKey(link)
	return d, key, err
}

// LinkName opens the name the owner gave, which is empty of an erased account.
func (tx *Tx) LinkName(l Link) (string, error) {
	sealed, err := one(tx, scanBytes, `SELECT name_sealed FROM links WHERE id = ?`, l.ID[:])
	if err != nil {
		return "", fmt.Errorf("link name: %w", err)
	}
	plain, err := tx.OpenFor(l.Account, nameLabel(l.ID), sealed)
	if errors.Is(err, ErrErased) {
		return "", nil
	}
	return string(plain), err
}

// SetBuilt notes from what the newest statement was built.
func (tx *Tx) SetBuilt(link cardea.LinkID, revision uint64, head cardea.Position, catalogue cardea.Hash) error {
	return tx.exec(`UPDATE links SET revision = ?, built_era = ?, built_seq = ?, built_hash = ?, built_catalogue = ? WHERE id = ?`,
		revision, head.Era, head.Seq, head.Hash[:], catalogue[:], link[:])
}

// SetReported notes what a report proved: what is applied, what was consumed of
// the log, and what of it was rejected.
func (tx *Tx) SetReported(l Link) error {
	rejected, err := json.Marshal(l.Rejected)
	if err != nil {
		return err
	}
	return tx.exec(`UPDATE links SET have_revision = ?, have_hash = ?, applied = ?, last_seen = ?, clock = ?, forked = ?,
		seen_log = ?, seen_n = ?, seen_hash = ?, rejected = ? WHERE id = ?`,
		l.Have.Revision, l.Have.BodyHash[:], l.Applied, l.LastSeen, l.Clock, l.Forked,
		l.Seen.Log[:], l.Seen.N, l.Seen.Hash[:], rejected, l.ID[:])
}

// SetForked marks or clears the sign that two devices speak with one key.
func (tx *Tx) SetForked(link cardea.LinkID, forked bool) error {
	return tx.exec(`UPDATE links SET forked = ? WHERE id = ?`, forked, link[:])
}

// SetState moves a link on; order is the unlink order that closing sends.
func (tx *Tx) SetState(link cardea.LinkID, state LinkState, order cardea.OrderID) error {
	return tx.exec(`UPDATE links SET state = ?, close_order = ? WHERE id = ?`, state, order[:], link[:])
}

// A Statement is what was once stated to a link, byte for byte.
type Statement struct {
	Revision uint64
	Body     []byte
	BodyHash cardea.Hash
	Created  time.Time
}

func scanStatement(s scanner) (st Statement, err error) {
	var created int64
	err = s.Scan(&st.Revision, &st.Body, hash(&st.BodyHash), &created)
	st.Created = cardea.Millis(created).Time()
	return st, err
}

// PutStatement stores a statement before it is sent.
func (tx *Tx) PutStatement(link cardea.LinkID, s Statement) error {
	return tx.exec(`INSERT INTO statements (link, revision, body, body_hash, created) VALUES (?, ?, ?, ?, ?)`,
		link[:], s.Revision, s.Body, s.BodyHash[:], tx.Millis())
}

// ReplaceStatement stores a statement that another database has issued.
func (tx *Tx) ReplaceStatement(link cardea.LinkID, s Statement) error {
	return tx.exec(`INSERT INTO statements (link, revision, body, body_hash, created) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (link, revision) DO UPDATE SET body = excluded.body, body_hash = excluded.body_hash, created = excluded.created`,
		link[:], s.Revision, s.Body, s.BodyHash[:], tx.Millis())
}

// Statement reads a statement a device may still hold.
func (tx *Tx) Statement(link cardea.LinkID, revision uint64) (Statement, error) {
	return one(tx, scanStatement, `SELECT revision, body, body_hash, created FROM statements WHERE link = ? AND revision = ?`, link[:], revision)
}

// Statements lists what a device may hold: what it confirmed and all since.
func (tx *Tx) Statements(link cardea.LinkID) ([]Statement, error) {
	return list(tx, scanStatement, `SELECT revision, body, body_hash, created FROM statements WHERE link = ? ORDER BY revision`, link[:])
}

// DropStatements forgets statements before a revision, which the device has
// proved to have passed.
func (tx *Tx) DropStatements(link cardea.LinkID, before uint64) error {
	return tx.exec(`DELETE FROM statements WHERE link = ? AND revision < ?`, link[:], before)
}

// LogHash is the hash consumed at a number of a device log, or zero.
func (tx *Tx) LogHash(link cardea.LinkID, log cardea.LogID, n uint64) (cardea.Hash, error) {
	hs, err := list(tx, scanHash, `SELECT hash FROM log_entries WHERE link = ? AND log = ? AND n = ?`, link[:], log[:], n)
	if err != nil || len(hs) == 0 {
		return cardea.Hash{}, err
	}
	return hs[0], nil
}

// PutLogHash notes that an entry of a device log was consumed.
func (tx *Tx) PutLogHash(link cardea.LinkID, log cardea.LogID, n uint64, h cardea.Hash) error {
	return tx.exec(`INSERT INTO log_entries (link, log, n, hash) VALUES (?, ?, ?, ?)`, link[:], log[:], n, h[:])
}

// SeenOf is up to where one log of a link was consumed.
func (tx *Tx) SeenOf(link cardea.LinkID, log cardea.LogID) (cardea.Seen, error) {
	seen, err := list(tx, func(s scanner) (v cardea.Seen, err error) {
		v.Log = log
		err = s.Scan(&v.N, hash(&v.Hash))
		return v, err
	}, `SELECT n, hash FROM log_entries WHERE link = ? AND log = ? ORDER BY n DESC LIMIT 1`, link[:], log[:])
	if err != nil || len(seen) == 0 {
		return cardea.Seen{}, err
	}
	return seen[0], nil
}

// A Late device has not confirmed all that its account could tell it.
type Late struct {
	Account cardea.AccountID
	Device  cardea.DeviceID
}

// Behind lists the devices that have not confirmed the newest statement, or
// whose newest statement is not the newest possible, and that hold the link.
func (tx *Tx) Behind(catalogue cardea.Hash) ([]Late, error) {
	return list(tx, func(s scanner) (l Late, err error) {
		err = s.Scan(id(&l.Account), &l.Device)
		return l, err
	}, `SELECT account, device FROM links JOIN accounts ON accounts.id = links.account
		WHERE state <> 'closed' AND NOT EXISTS (SELECT 1 FROM presence WHERE presence.link = links.id AND missing <> 0)
		AND (have_revision <> revision OR built_seq <> head_seq OR built_catalogue <> ?)`, catalogue[:])
}
