package wire

import (
	"crypto"
	"crypto/ecdsa"
	"fmt"

	"github.com/cardea-id/cardea"
)

// Fit returns the report with as many of its entries, the oldest first, as
// always fit into one message. The rest goes with the next report.
func Fit(u cardea.Up) cardea.Up {
	entries := u.Entries
	u.Entries = nil
	u.Entries = fitting(entries, cardea.MaxReportBytes-envelopeBytes-len(encode(u)), MaxEntries)
	return u
}

// fitting is the first of a list, as many as there is room for in bytes and at
// most so many.
func fitting[T any](list []T, room, most int) []T {
	for i, one := range list {
		if room -= len(encode(one)); room < 0 || i == most {
			return list[:i:i]
		}
	}
	return list
}

// SealUp signs a report with the device's key and seals it for the link. It
// sets V. ErrTooBig if it does not fit (see Fit), ErrForeign if the key is not
// the device's, ErrMalformed if OpenUp would refuse it.
func SealUp(u cardea.Up, signer crypto.Signer, key LinkKey) ([]byte, error) {
	u.V = cardea.Version
	if err := checkUp(u); err != nil {
		return nil, fmt.Errorf("seal up: %w", err)
	}
	sealed, err := sealOwn(typReport, encode(u), u.Device, u.Link, signer, key, cardea.MaxReportBytes)
	if err != nil {
		return nil, fmt.Errorf("seal up: %w", err)
	}
	return sealed, nil
}

// sealOwn signs what a device sends with its key and seals it for a link.
func sealOwn(typ string, payload []byte, device cardea.DeviceID, link cardea.LinkID, signer crypto.Signer, key LinkKey, most int) ([]byte, error) {
	pub, _ := signer.Public().(*ecdsa.PublicKey)
	if id, err := thumbprint(pub); err != nil || id != string(device) {
		return nil, fmt.Errorf("%w: the key is not the device's", ErrForeign)
	}
	aad := upAudience(device)
	signed, err := sign(signer, typ, payload, aad)
	if err != nil {
		return nil, err
	}
	return seal(signed, link, key, aad, most)
}

// openOwn opens what sealOwn made, of one kind.
func openOwn(typ string, sealed []byte, device cardea.DeviceID, link cardea.LinkID, key LinkKey, pub *ecdsa.PublicKey, most int) ([]byte, error) {
	if id, err := thumbprint(pub); err != nil || id != string(device) {
		return nil, fmt.Errorf("%w: the key is not the device's", ErrSignature)
	}
	aad := upAudience(device)
	signed, err := unseal(sealed, link, key, aad, most)
	if err != nil {
		return nil, err
	}
	own := func(kid string) (*ecdsa.PublicKey, bool) { return pub, kid == string(device) }
	payload, _, err := verify(signed, own, aad, typ)
	return payload, err
}

// PeekUp says which link a report claims to come from. It needs no key and
// verifies nothing: the receiver finds by it the device and the key OpenUp
// needs.
func PeekUp(sealed []byte) (cardea.LinkID, error) { return peek(sealed, cardea.MaxReportBytes) }

// OpenUp opens what SealUp made with the device's key, whose thumbprint must be
// the device's id. That the entries follow one another cardea.Fresh checks.
func OpenUp(sealed []byte, device cardea.DeviceID, link cardea.LinkID, key LinkKey, pub *ecdsa.PublicKey) (cardea.Up, error) {
	u, err := openUp(sealed, device, link, key, pub)
	if err != nil {
		return cardea.Up{}, fmt.Errorf("open up: %w", err)
	}
	return u, nil
}

func openUp(sealed []byte, device cardea.DeviceID, link cardea.LinkID, key LinkKey, pub *ecdsa.PublicKey) (u cardea.Up, err error) {
	payload, err := openOwn(typReport, sealed, device, link, key, pub, cardea.MaxReportBytes)
	if err != nil {
		return u, err
	}
	if err := decodeVersion(payload, &u); err != nil {
		return u, err
	}
	if err := checkUp(u); err != nil {
		return u, err
	}
	if u.Device != device || u.Link != link {
		return u, fmt.Errorf("%w: signed for device %s, link %s", ErrForeign, u.Device, u.Link)
	}
	return u, nil
}

func checkUp(u cardea.Up) error {
	if err := checkDevice(u.Device); err != nil {
		return err
	}
	switch {
	case u.Link.IsZero() || u.Log.IsZero() || u.Boot.IsZero() || u.Nonce.IsZero():
		return malformed("link, log, boot and nonce must be set")
	case len(u.Links) > MaxLinks:
		return tooBig("%d links, at most %d", len(u.Links), MaxLinks)
	case len(u.Entries) > MaxEntries:
		return tooBig("%d entries, at most %d", len(u.Entries), MaxEntries)
	case len(u.Held) > cardea.MaxMessageBytes:
		return tooBig("the statement held has %d bytes, at most %d", len(u.Held), cardea.MaxMessageBytes)
	case len(u.Done) > maxOrders:
		return tooBig("%d orders done, at most %d", len(u.Done), maxOrders)
	case u.Have.Revision > maxCount || (u.Have.Revision == 0) != u.Have.BodyHash.IsZero():
		return malformed("have: a revision and its hash, or neither")
	case u.Clock != cardea.ClockSynced && u.Clock != cardea.ClockUntrusted:
		return malformed("clock: is synced or untrusted")
	}
	if err := checkPurged(u.Purged); err != nil {
		return err
	}
	for _, id := range u.Links {
		if id.IsZero() {
			return malformed("links: one is none")
		}
	}
	for _, id := range u.Done {
		if id.IsZero() {
			return malformed("done: one is none")
		}
	}
	for _, e := range u.Entries {
		if err := checkEntry(e); err != nil {
			return err
		}
	}
	return nil
}

// checkEntry checks shapes only: an act of a newer agent or a value that fits
// no preference is the ledger's to reject, one by one. Refusing the report for
// it would hold up every denial behind.
func checkEntry(e cardea.LogEntry) error {
	switch {
	case e.N == 0 || e.N > maxCount || e.Event.IsZero() || (e.N == 1) != e.Previous.IsZero():
		return malformed("entry: a number, an event and the hash before must be set")
	case !position(e.Base):
		return malformed("entry %d: the base is no position", e.N)
	case !word(string(e.Act)) || !text(string(e.Reach), maxWord):
		return malformed("entry %d: act and reach have at most %d bytes", e.N, maxWord)
	case !text(string(e.Key), cardea.MaxKeyBytes) || !text(string(e.Preference), cardea.MaxKeyBytes):
		return malformed("entry %d: a key has at most %d bytes", e.N, cardea.MaxKeyBytes)
	case !text(string(e.Value), cardea.MaxValueBytes):
		return malformed("entry %d: a value has at most %d bytes", e.N, cardea.MaxValueBytes)
	}
	return checkSubject(e)
}

func checkSubject(e cardea.LogEntry) (err error) {
	switch e.Act {
	case cardea.ActGrant, cardea.ActDeny, cardea.ActLift:
		_, err = cardea.ParseKey(string(e.Key))
	case cardea.ActPrefer:
		_, err = cardea.ParsePreferenceKey(string(e.Preference))
	}
	if err != nil {
		return malformed("entry %d: %w", e.N, err)
	}
	return nil
}
