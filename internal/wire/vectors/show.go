package vectors

import (
	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
)

// The names of docs/protocol.md for what opened.

type down struct {
	Device   cardea.DeviceID    `json:"device"`
	Link     cardea.LinkID      `json:"link"`
	Revision uint64             `json:"revision"`
	Head     cardea.Position    `json:"head"`
	Time     cardea.Millis      `json:"time"`
	Nonce    Hex                `json:"nonce,omitempty"`
	Lease    cardea.Millis      `json:"lease"`
	Seen     seen               `json:"seen"`
	Rejected []cardea.Rejection `json:"rejected,omitempty"`
	BodyHash cardea.Hash        `json:"body_hash"`
	Body     *cardea.Body       `json:"body,omitempty"`
	Closed   bool               `json:"closed,omitempty"`
	Recover  bool               `json:"recover,omitempty"`

	Confirmed cardea.LossID `json:"confirmed,omitzero"`
}

type seen struct {
	Log  cardea.LogID `json:"log"`
	N    uint64       `json:"n"`
	Hash cardea.Hash  `json:"hash"`
}

func showDown(d cardea.Down) down {
	out := down{
		Device: d.Device, Link: d.Link, Revision: d.Revision, Head: d.Head, Time: d.Time, Lease: d.Lease,
		Seen: seen{d.Seen.Log, d.Seen.N, d.Seen.Hash}, Rejected: d.Rejected, BodyHash: d.BodyHash, Closed: d.Closed,
		Recover: d.Recover, Confirmed: d.Confirmed,
	}
	if !d.Nonce.IsZero() {
		out.Nonce = d.Nonce[:]
	}
	if body, err := wire.DecodeBody(d.Body); err == nil {
		out.Body = &body
	}
	return out
}

type up struct {
	Device  cardea.DeviceID   `json:"device"`
	Links   []cardea.LinkID   `json:"links"`
	Link    cardea.LinkID     `json:"link"`
	Log     cardea.LogID      `json:"log"`
	Boot    Hex               `json:"boot"`
	Nonce   Hex               `json:"nonce"`
	Have    have              `json:"have"`
	Clock   cardea.ClockState `json:"clock"`
	Entries []cardea.LogEntry `json:"entries"`
	Held    Hex               `json:"held,omitempty"`
	Away    bool              `json:"away,omitempty"`
	Loss    cardea.LossID     `json:"loss,omitzero"`
	Purged  *cardea.Purged    `json:"purged,omitempty"`
}

type have struct {
	Revision uint64      `json:"revision"`
	BodyHash cardea.Hash `json:"body_hash"`
}

func showUp(u cardea.Up) up {
	return up{
		Device: u.Device, Links: u.Links, Link: u.Link, Log: u.Log, Boot: u.Boot[:], Nonce: u.Nonce[:],
		Have: have{u.Have.Revision, u.Have.BodyHash}, Clock: u.Clock, Entries: u.Entries, Held: u.Held,
		Away: u.Away, Loss: u.Loss, Purged: u.Purged,
	}
}

type batch struct {
	Device cardea.DeviceID `json:"device"`
	Link   cardea.LinkID   `json:"link"`
	Queue  cardea.QueueID  `json:"queue"`
	Items  []cardea.Item   `json:"items"` // data in base64
}

func showBatch(b cardea.Batch) batch { return batch{b.Device, b.Link, b.Queue, b.Items} }

type keyList struct {
	Version  uint64        `json:"version"`
	Keys     []Hex         `json:"keys"` // uncompressed points
	Anchors  []Hex         `json:"anchors"`
	NotAfter cardea.Millis `json:"not_after"`
}

func showKeyList(l wire.KeyList) keyList {
	out := keyList{Version: l.Version, NotAfter: l.NotAfter, Keys: []Hex{}, Anchors: []Hex{}}
	for _, k := range l.Keys {
		b, _ := k.Bytes() // it came out of OpenKeyList, so it is on the curve
		out.Keys = append(out.Keys, b)
	}
	for _, a := range l.Anchors {
		out.Anchors = append(out.Anchors, a)
	}
	return out
}

// openBody also says which keys are given, which no unknown reason may be.
func openBody(b []byte) (any, error) {
	body, err := wire.DecodeBody(b)
	given := []cardea.Key{}
	for _, c := range body.Consents {
		if c.Given() {
			given = append(given, c.Key)
		}
	}
	return struct {
		Body  cardea.Body  `json:"body"`
		Hash  cardea.Hash  `json:"hash"`
		Given []cardea.Key `json:"given"`
	}{body, wire.BodyHash(b), given}, err
}
