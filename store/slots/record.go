package slots

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"github.com/cardea-id/cardea"
)

// A Denial is a no said on the device, and the generation it gave its link's
// state.
type Denial struct {
	Link       cardea.LinkID
	Generation uint64
	Entry      cardea.LogEntry // unnumbered: event, base, key and reach
}

// A mark is how far the state of a link has come.
type mark struct {
	generation   uint64
	acknowledged uint64 // denials up to this generation are the cloud's
	since        uint64 // older records speak of a link of the same name that was forgotten
}

// A record is one page of the journal.
type record struct {
	number   uint64 // 0: a blank page
	previous cardea.Hash
	need     uint64 // records from this one on hold what counts
	doubt    bool   // what was lost before is not settled
	active   cardea.LinkID
	links    map[cardea.LinkID]mark
	denials  []Denial
}

const recordVersion = 1

func (r record) encode() []byte {
	b := []byte{recordVersion}
	b = binary.BigEndian.AppendUint64(b, r.number)
	b = append(b, r.previous[:]...)
	b = binary.BigEndian.AppendUint64(b, r.need)
	b = append(b, flag(r.doubt))
	b = append(b, r.active[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.links)))
	for _, id := range slices.SortedFunc(maps.Keys(r.links), compareIDs) {
		b = append(b, id[:]...)
		b = binary.BigEndian.AppendUint64(b, r.links[id].generation)
		b = binary.BigEndian.AppendUint64(b, r.links[id].acknowledged)
		b = binary.BigEndian.AppendUint64(b, r.links[id].since)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.denials)))
	for _, d := range r.denials {
		b = d.append(b)
	}
	return b
}

func (d Denial) append(b []byte) []byte {
	b = append(b, d.Link[:]...)
	b = binary.BigEndian.AppendUint64(b, d.Generation)
	b = append(b, d.Entry.Event[:]...)
	b = binary.BigEndian.AppendUint32(b, d.Entry.Base.Era)
	b = binary.BigEndian.AppendUint64(b, d.Entry.Base.Seq)
	b = append(b, d.Entry.Base.Hash[:]...)
	b = appendText(b, string(d.Entry.Key))
	return appendText(b, string(d.Entry.Reach))
}

func flag(set bool) byte {
	if set {
		return 1
	}
	return 0
}

func appendText(b []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(text))), text...)
}

func compareIDs(a, b cardea.LinkID) int { return slices.Compare(a[:], b[:]) }

var errRecord = errors.New("not a record of the journal")

// decodeRecord reads what encode writes, and nothing else.
func decodeRecord(b []byte) (record, error) {
	d := decoder{rest: b}
	if d.bytes(1)[0] != recordVersion {
		return record{}, errRecord
	}
	r := record{number: d.uint64(), previous: cardea.Hash(d.bytes(32)), need: d.uint64()}
	f := d.bytes(1)[0]
	r.doubt = f == 1
	r.active = cardea.LinkID(d.bytes(16))
	r.links = map[cardea.LinkID]mark{}
	n := int(d.uint16())
	for range n {
		if d.failed {
			break
		}
		id := cardea.LinkID(d.bytes(16))
		r.links[id] = mark{d.uint64(), d.uint64(), d.uint64()}
	}
	for range d.uint16() {
		if d.failed {
			break
		}
		r.denials = append(r.denials, d.denial())
	}
	if d.failed || len(d.rest) > 0 || f > 1 || len(r.links) != n {
		return record{}, errRecord
	}
	return r, nil
}

// A decoder reads fields until one is missing; from then on it reads zeros.
type decoder struct {
	rest   []byte
	failed bool
}

func (d *decoder) bytes(n int) []byte {
	if len(d.rest) < n {
		d.failed, d.rest = true, nil
		return make([]byte, n)
	}
	out := d.rest[:n]
	d.rest = d.rest[n:]
	return out
}

func (d *decoder) uint64() uint64 { return binary.BigEndian.Uint64(d.bytes(8)) }
func (d *decoder) uint32() uint32 { return binary.BigEndian.Uint32(d.bytes(4)) }
func (d *decoder) uint16() uint16 { return binary.BigEndian.Uint16(d.bytes(2)) }
func (d *decoder) text() string   { return string(d.bytes(int(d.uint16()))) }

func (d *decoder) denial() Denial {
	out := Denial{Link: cardea.LinkID(d.bytes(16)), Generation: d.uint64()}
	out.Entry = cardea.LogEntry{Act: cardea.ActDeny, Event: cardea.EventID(d.bytes(16))}
	out.Entry.Base.Era = d.uint32()
	out.Entry.Base.Seq = d.uint64()
	out.Entry.Base.Hash = cardea.Hash(d.bytes(32))
	out.Entry.Key = cardea.Key(d.text())
	out.Entry.Reach = cardea.Reach(d.text())
	return out
}
