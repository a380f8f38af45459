package wire

import (
	"crypto"
	"fmt"

	"github.com/cardea-id/cardea"
)

// SealDown signs a message of the cloud with one of its keys and seals it for
// the link. It sets V. The signed bytes inside are returned too: they are what
// a device keeps, and evidence. ErrTooBig if it does not fit
// cardea.MaxMessageBytes, ErrMalformed if OpenDown would refuse it.
func SealDown(d cardea.Down, signer crypto.Signer, key LinkKey) (sealed, signed []byte, err error) {
	d.V = cardea.Version
	if err := checkDown(d); err != nil {
		return nil, nil, fmt.Errorf("seal down: %w", err)
	}
	aad := downAudience(d.Device)
	if signed, err = sign(signer, typDown(d), encode(d), aad); err != nil {
		return nil, nil, fmt.Errorf("seal down: %w", err)
	}
	if sealed, err = seal(signed, d.Link, key, aad, cardea.MaxMessageBytes); err != nil {
		return nil, nil, fmt.Errorf("seal down: %w", err)
	}
	return sealed, signed, nil
}

// PeekDown says which link a message is for. It needs no key and verifies
// nothing.
func PeekDown(sealed []byte) (cardea.LinkID, error) { return peek(sealed, cardea.MaxMessageBytes) }

// OpenDown opens what SealDown made for this device and link. Of a statement,
// body and hash belong together and DecodeBody will read the body. Whether the
// message is newer than what is held, answers a nonce or takes something back
// is the caller's to judge.
func OpenDown(sealed []byte, device cardea.DeviceID, link cardea.LinkID, key LinkKey, trust Trust) (d cardea.Down, signed []byte, err error) {
	signed, err = unseal(sealed, link, key, downAudience(device), cardea.MaxMessageBytes)
	if err != nil {
		return cardea.Down{}, nil, fmt.Errorf("open down: %w", err)
	}
	if d, err = VerifyDown(signed, device, link, trust); err != nil {
		return cardea.Down{}, nil, err
	}
	return d, signed, nil
}

// VerifyDown is the inner half of OpenDown, for the signed bytes held from
// before.
func VerifyDown(signed []byte, device cardea.DeviceID, link cardea.LinkID, trust Trust) (cardea.Down, error) {
	d, err := verifyDown(signed, device, link, trust)
	if err != nil {
		return cardea.Down{}, fmt.Errorf("verify down: %w", err)
	}
	return d, nil
}

func verifyDown(signed []byte, device cardea.DeviceID, link cardea.LinkID, trust Trust) (d cardea.Down, err error) {
	if err := limit(signed, cardea.MaxMessageBytes); err != nil {
		return d, err
	}
	payload, typ, err := verify(signed, trust, downAudience(device), typStatement, typRenewal)
	if err != nil {
		return d, err
	}
	if err := decodeVersion(payload, &d); err != nil {
		return d, err
	}
	if err := checkDown(d); err != nil {
		return d, err
	}
	if typ != typDown(d) {
		return d, malformed("a statement has a body, a renewal has none")
	}
	if d.Device != device || d.Link != link {
		return d, fmt.Errorf("%w: signed for device %s, link %s", ErrForeign, d.Device, d.Link)
	}
	return d, nil
}

func typDown(d cardea.Down) string {
	if d.Renewal() {
		return typRenewal
	}
	return typStatement
}

func checkDown(d cardea.Down) error {
	if err := checkDevice(d.Device); err != nil {
		return err
	}
	switch {
	case d.Link.IsZero():
		return malformed("for no link")
	case d.Revision > maxCount || !position(d.Head) || !seen(d.Seen):
		return malformed("revision, head or seen is out of range")
	case d.Time == 0 || !instant(d.Time) || !instant(d.Lease):
		return malformed("time or lease is out of range")
	case len(d.Rejected) > MaxRejected:
		return tooBig("%d rejections, at most %d", len(d.Rejected), MaxRejected)
	}
	for _, r := range d.Rejected {
		if r.Event.IsZero() || !word(string(r.Reason)) {
			return malformed("rejection: an event and a reason must be set")
		}
	}
	return checkContent(d)
}

// checkContent: only the answer to a link's last report may name no revision,
// for the cloud may have forgotten everything else about the link by then.
func checkContent(d cardea.Down) error {
	switch {
	case d.Recover && (d.Closed || d.Body != nil || d.Nonce.IsZero()):
		return malformed("recover answers a report, and says nothing else")
	case !d.Confirmed.IsZero() && (d.Recover || d.Closed || d.Nonce.IsZero()):
		return malformed("confirmed answers the report that names the loss")
	case d.Closed && d.Body != nil:
		return malformed("closed, and a body")
	case d.Closed && d.Revision == 0 && d.BodyHash.IsZero():
		return nil
	case d.Revision == 0 || d.BodyHash.IsZero():
		return malformed("names no revision and body")
	case d.Body == nil:
		return nil
	case d.BodyHash != BodyHash(d.Body):
		return malformed("the body has another hash")
	}
	_, err := DecodeBody(d.Body)
	return err
}

func seen(s cardea.Seen) bool {
	return s.N <= maxCount && (s.N == 0) == s.Hash.IsZero() && (s.N == 0 || !s.Log.IsZero())
}
