package wire_test

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"math/big"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
)

// thumbprint is RFC 7638, once more.
func thumbprint(pub *ecdsa.PublicKey) string {
	b, err := pub.Bytes()
	if err != nil {
		panic(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	sum := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + b64(b[1:33]) + `","y":"` + b64(b[33:]) + `"}`))
	return b64(sum[:])
}

func verifies(pub *ecdsa.PublicKey, signed, signature []byte) bool {
	sum := sha256.Sum256(signed)
	if len(signature) != 64 {
		return false
	}
	return ecdsa.Verify(pub, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
}

func hash(name string) cardea.Hash { return cardea.Hash(fill(32, name)) }

func event(name string) cardea.EventID { return cardea.EventID(fill(16, name)) }

const now cardea.Millis = 1_790_000_000_000

func (c cast) body() cardea.Body {
	return cardea.Body{
		Identity: cardea.Identity{Subject: "kQ3hZ0m1R6y8bQ2x", Name: "Zoë"},
		Consents: []cardea.Consent{
			{Key: "recommendations/use", Version: 3, Reason: cardea.ReasonGranted, Decided: cardea.Point{Era: 1, Seq: 30}, ValidUntil: now + 1e9, Class: cardea.ClassC, Staleness: 259200},
			{Key: "recommendations/third_party", Version: 3, Reason: cardea.ReasonWithdrawn, Decided: cardea.Point{Era: 1, Seq: 31}, Class: cardea.ClassB, Staleness: 86400},
			{Key: "wake_word/use", Version: 1, Reason: cardea.ReasonGranted, Decided: cardea.Point{Era: 1, Seq: 12}, Class: cardea.ClassL, Staleness: 2592000},
		},
		Preferences: []cardea.Preference{
			{Key: "voice_speed", Value: "21", Decided: cardea.Point{Era: 1, Seq: 8}},
			{Key: "language", Value: `"de"`},
		},
		Orders: []cardea.Order{{ID: cardea.OrderID(fill(16, "order")), Kind: cardea.OrderUnlink}},
	}
}

func (c cast) statement() cardea.Down {
	body, err := wire.EncodeBody(c.body())
	if err != nil {
		panic(err)
	}
	return cardea.Down{
		V: cardea.Version, Device: c.id, Link: c.link, Revision: 8, Head: cardea.Position{Era: 1, Seq: 31, Hash: hash("head")},
		Time: now, Nonce: cardea.Nonce(fill(16, "nonce")), Lease: now + 259_200_000,
		Seen:     cardea.Seen{Log: cardea.LogID(fill(16, "log")), N: 2, Hash: hash("seen")},
		Rejected: []cardea.Rejection{{Event: event("rejected"), Reason: cardea.RejectedConfirm}},
		BodyHash: wire.BodyHash(body), Body: body,
	}
}

func (c cast) renewal() cardea.Down {
	d := c.statement()
	d.Body, d.Rejected = nil, nil
	return d
}

func (c cast) closed() cardea.Down {
	return cardea.Down{V: cardea.Version, Device: c.id, Link: c.link, Time: now, Closed: true}
}

func (c cast) report() cardea.Up {
	base := cardea.Position{Era: 1, Seq: 30, Hash: hash("base")}
	log := cardea.Log{ID: cardea.LogID(fill(16, "log")), N: 2, Hash: hash("seen")}
	for _, e := range []cardea.LogEntry{
		{Event: event("deny"), Base: base, Act: cardea.ActDeny, Reach: cardea.ReachEverywhere, Key: "recommendations/use"},
		{Event: event("grant"), Base: base, Act: cardea.ActGrant, Reach: cardea.ReachDevice, Key: "wake_word/use", Version: 1, Notice: hash("notice")},
		{Event: event("prefer"), Base: base, Act: cardea.ActPrefer, Reach: cardea.ReachDevice, Preference: "language", Value: `"fr"`},
		{Event: event("new"), Act: "act_of_a_newer_agent"},
		{Event: event("unlink"), Base: base, Act: cardea.ActUnlink},
	} {
		log = log.Append(e)
	}
	return cardea.Up{
		V: cardea.Version, Device: c.id, Links: []cardea.LinkID{c.link}, Link: c.link, Log: log.ID,
		Boot: cardea.Nonce(fill(16, "boot")), Nonce: cardea.Nonce(fill(16, "nonce")),
		Have: cardea.Have{Revision: 8, BodyHash: hash("have")}, Clock: cardea.ClockSynced, Entries: log.Entries,
	}
}

func (c cast) batch() cardea.Batch {
	use := cardea.Need{Key: "recommendations/use", Decided: cardea.Point{Era: 1, Seq: 30}}
	third := cardea.Need{Key: "recommendations/third_party", Decided: cardea.Point{Era: 1, Seq: 31}}
	item := cardea.Item{
		N: 7, ID: cardea.ItemID(fill(16, "item")), Purpose: "recommendations", Needs: []cardea.Need{use},
		Source: "player", Method: cardea.MethodObserved, Collected: now, Data: []byte(`{"skipped":true,"track":"4711"}`),
	}
	sold := item
	sold.N, sold.ID, sold.Needs, sold.Recipient = 9, cardea.ItemID(fill(16, "another")), []cardea.Need{third, use}, "Händler AG"
	return cardea.Batch{
		V: cardea.Version, Device: c.id, Link: c.link, Queue: cardea.QueueID(fill(16, "queue")), Items: []cardea.Item{item, sold},
	}
}

// sealBatch puts any payload into an otherwise right message.
func (c cast) sealBatch(payload []byte) []byte {
	return c.sealSigned(signing{key: c.device, header: signHeader(c.device, typItems), payload: payload, aad: c.upAAD()}.bytes(), c.upAAD())
}

func (c cast) keyList() wire.KeyList {
	return wire.KeyList{
		Version: 4, Keys: []*ecdsa.PublicKey{&c.cloud.PublicKey}, NotAfter: now + 1e11,
		Anchors: [][]byte{[]byte("a DER certificate"), []byte("a second one")},
	}
}

// sealDown and sealUp put any payload into an otherwise right message.
func (c cast) sealDown(typ string, payload []byte) []byte {
	return c.sealSigned(signing{key: c.cloud, header: signHeader(c.cloud, typ), payload: payload, aad: c.downAAD()}.bytes(), c.downAAD())
}

func (c cast) sealUp(payload []byte) []byte {
	return c.sealSigned(signing{key: c.device, header: signHeader(c.device, typReport), payload: payload, aad: c.upAAD()}.bytes(), c.upAAD())
}

func (c cast) sealSigned(signed, aad []byte) []byte {
	return sealing{link: c.link, key: c.key, plain: signed, aad: aad}.bytes()
}

const (
	typStatement = "application/cardea-statement+cbor"
	typRenewal   = "application/cardea-renewal+cbor"
	typReport    = "application/cardea-report+cbor"
	typItems     = "application/cardea-items+cbor"
	typKeys      = "application/cardea-keys+cbor"
	typUnknown   = "application/cardea-unknown+cbor"
)
