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
	loss         cardea.LossID
}

// A record is one page of the journal.
type record struct {
	number   uint64 // 0: a blank page
	previous cardea.Hash
	need     uint64 // records from this one on hold what counts
	doubt    bool   // records are missing, and no link says so yet
	stale    bool   // the database was put back, and not every link says so yet
	active   cardea.LinkID
	links    map[cardea.LinkID]mark
	denials  []Denial
}

const recordVersion = 1

// The flags of a record.
const (
	flagDoubt = 1 << iota
	flagStale
	flagLosses // each link has its loss behind it
)

func (r record) flags() (f byte) {
	if r.doubt {
		f |= flagDoubt
	}
	if r.stale {
		f |= flagStale
	}
	for _, m := range r.links {
		if !m.loss.IsZero() {
			f |= flagLosses
		}
	}
	return f
}

func (r record) encode() []byte {
	b := []byte{recordVersion}
	b = binary.BigEndian.AppendUint64(b, r.number)
	b = append(b, r.previous[:]...)
	b = binary.BigEndian.AppendUint64(b, r.need)
	f := r.flags()
	b = append(b, f)
	b = append(b, r.active[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.links)))
	ids := slices.Collect(maps.Keys(r.links))
	SortIDs(ids, CompareIDs)
	for _, id := range ids {
		b = append(b, id[:]...)
		b = binary.BigEndian.AppendUint64(b, r.links[id].generation)
		b = binary.BigEndian.AppendUint64(b, r.links[id].acknowledged)
		b = binary.BigEndian.AppendUint64(b, r.links[id].since)
		if loss := r.links[id].loss; f&flagLosses != 0 {
			b = append(b, loss[:]...)
		}
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

func appendText(b []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(text))), text...)
}

// CompareIDs orders links by their bytes.
func CompareIDs(a, b cardea.LinkID) int { return slices.Compare(a[:], b[:]) }

// SortIDs orders a device's links, of which there are a few. (A sort of slices
// made for this type would be larger than this package.)
func SortIDs(ids []cardea.LinkID, compare func(a, b cardea.LinkID) int) {
	for i := range ids {
		for k := i; k > 0 && compare(ids[k], ids[k-1]) < 0; k-- {
			ids[k], ids[k-1] = ids[k-1], ids[k]
		}
	}
}

var errRecord = errors.New("not a record of the journal")

// decodeRecord reads what encode writes, and nothing else.
func decodeRecord(b []byte) (record, error) {
	d := decoder{rest: b}
	if d.bytes(1)[0] != recordVersion {
		return record{}, errRecord
	}
	r := record{number: d.uint64(), previous: cardea.Hash(d.bytes(32)), need: d.uint64()}
	f := d.bytes(1)[0]
	r.doubt, r.stale = f&flagDoubt != 0, f&flagStale != 0
	r.active = cardea.LinkID(d.bytes(16))
	r.links = map[cardea.LinkID]mark{}
	n := int(d.uint16())
	for range n {
		if d.failed {
			break
		}
		id := cardea.LinkID(d.bytes(16))
		m := mark{generation: d.uint64(), acknowledged: d.uint64(), since: d.uint64()}
		if f&flagLosses != 0 {
			m.loss = cardea.LossID(d.bytes(16))
		}
		r.links[id] = m
	}
	for range d.uint16() {
		if d.failed {
			break
		}
		r.denials = append(r.denials, d.denial())
	}
	if d.failed || len(d.rest) > 0 || f != r.flags() || len(r.links) != n {
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
