package accountdb

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cardea-id/cardea"
)

// A DeviceDenial is a key the device's owner denies for all who use the device.
type DeviceDenial struct {
	Key  cardea.Key
	Link cardea.LinkID // whose word it is
}

// DeviceDenials lists what is denied for all on a device.
func (tx *Tx) DeviceDenials(device cardea.DeviceID) ([]DeviceDenial, error) {
	return list(tx, func(s scanner) (d DeviceDenial, err error) {
		err = s.Scan(&d.Key, id(&d.Link))
		return d, err
	}, `SELECT key, link FROM device_denials WHERE device = ? ORDER BY key`, device)
}

// DenyForAll records that a link's person denies a key for all on the device.
func (tx *Tx) DenyForAll(device cardea.DeviceID, key cardea.Key, link cardea.LinkID) error {
	return tx.exec(`INSERT INTO device_denials (device, key, link) VALUES (?, ?, ?)
		ON CONFLICT (device, key) DO UPDATE SET link = excluded.link`, device, key, link[:])
}

// LiftForAll forgets such a denial, if it is this link's.
func (tx *Tx) LiftForAll(device cardea.DeviceID, key cardea.Key, link cardea.LinkID) error {
	return tx.exec(`DELETE FROM device_denials WHERE device = ? AND key = ? AND link = ?`, device, key, link[:])
}

// LiftAllOf forgets whatever a link's person denied for all.
func (tx *Tx) LiftAllOf(link cardea.LinkID) error {
	return tx.exec(`DELETE FROM device_denials WHERE link = ?`, link[:])
}

// Outdate has a link's statement built again, although its own ledger has not
// moved. What its account is building at the moment is built before, or again.
func (tx *Tx) Outdate(link cardea.LinkID) error {
	if err := tx.holdLink(link); err != nil {
		return err
	}
	var none cardea.Hash
	return tx.exec(`UPDATE links SET built_era = 0, built_seq = 0, built_hash = ? WHERE id = ?`, none[:], link[:])
}

// A Presence is how a link's person and its device stand.
type Presence struct {
	Away    bool           // somebody else uses the device now
	Boot    cardea.Nonce   // that proved the newest statement
	Before  []cardea.Nonce // those that proved earlier ones, the newest first
	Missing cardea.Millis  // when the device last named its links without this one; 0: it holds it
}

// mostBoots is how many boots are remembered of a link.
const mostBoots = 32

// Proved is the presence after a boot has proved the newest statement.
func (p Presence) Proved(boot cardea.Nonce) Presence {
	if p.Boot == boot {
		return p
	}
	before := slices.DeleteFunc(slices.Clone(p.Before), func(b cardea.Nonce) bool { return b == boot })
	if !p.Boot.IsZero() {
		before = slices.Insert(before, 0, p.Boot)
	}
	p.Boot, p.Before = boot, before[:min(len(before), mostBoots)]
	return p
}

// Presence reads it; the zero Presence of a link that never told.
func (tx *Tx) Presence(link cardea.LinkID) (Presence, error) {
	p, err := one(tx, func(s scanner) (p Presence, err error) {
		var boot, before []byte
		if err = s.Scan(&p.Away, &boot, &before, &p.Missing); err != nil {
			return p, err
		}
		if len(boot) != len(p.Boot) || len(before)%len(p.Boot) != 0 {
			return p, fmt.Errorf("presence of %s: %w", link, errBoot)
		}
		p.Boot = cardea.Nonce(boot)
		for b := range slices.Chunk(before, len(p.Boot)) {
			p.Before = append(p.Before, cardea.Nonce(b))
		}
		return p, nil
	}, `SELECT away, boot, boot_before, missing FROM presence WHERE link = ?`, link[:])
	if errors.Is(err, ErrNotFound) {
		return Presence{}, nil
	}
	return p, err
}

var errBoot = errors.New("a boot has 16 bytes")

// PutPresence replaces it.
func (tx *Tx) PutPresence(link cardea.LinkID, p Presence) error {
	before := []byte{}
	for _, b := range p.Before {
		before = append(before, b[:]...)
	}
	return tx.exec(`INSERT INTO presence (link, away, boot, boot_before, missing) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (link) DO UPDATE SET away = excluded.away, boot = excluded.boot, boot_before = excluded.boot_before, missing = excluded.missing`,
		link[:], p.Away, p.Boot[:], before, p.Missing)
}

// Missing notes that a device named the links it holds without this one, which
// it has reported on before.
func (tx *Tx) Missing(link cardea.LinkID) error {
	return tx.exec(`UPDATE presence SET missing = ? WHERE link = ? AND missing = 0`, tx.Millis(), link[:])
}
