package catalogue

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cardea-id/cardea"
)

// MaxBodyBytes is the room a catalogue may take in a statement: the rest of
// cardea.MaxMessageBytes is for the envelope, rejections and orders.
const MaxBodyBytes = 6 << 10

// checkSize refuses a catalogue under which an owner who says yes to all
// could not be sent their own decisions.
func checkSize(cat *cardea.Catalogue) error {
	for _, kind := range kinds(cat) {
		if n := BodyBytes(cat, kind); n > MaxBodyBytes {
			return fmt.Errorf("%w: everything given on a %.40q takes %d bytes of a statement, over %d: ask for less",
				cardea.ErrInvalidCatalogue, kind, n, MaxBodyBytes)
		}
	}
	return nil
}

func kinds(cat *cardea.Catalogue) []cardea.DeviceKind {
	var all []cardea.DeviceKind
	for _, p := range cat.Purposes {
		all = append(all, p.Devices...)
	}
	for _, d := range cat.Preferences {
		all = append(all, d.Devices...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// BodyBytes is an upper bound of the encoded body, in bytes, of a device of
// the kind on which every key is given and every preference set to its longest
// value. Numbers count as the largest that CBOR writes.
func BodyBytes(cat *cardea.Catalogue, kind cardea.DeviceKind) int {
	const (
		identity = 1 + 1 + 2*(1+3) + 32 + 256 // a reference and a name
		lists    = 1 + 3*(1+3)                // the body's map and three arrays
		orders   = 4 * (1 + 2*(1+2) + 16 + 16)
		consent  = 1 + 7 + 3 + 5 + 1 + 10 + 15 + 9 + 2 + 5 // all but the key
		setting  = 1 + 3 + 3 + 3 + 15                      // all but key and value
	)
	n := lists + identity + orders
	for _, p := range cat.Purposes {
		for _, k := range p.Keys() {
			if p.On(kind) {
				n += consent + len(k)
			}
		}
	}
	for _, d := range cat.Preferences {
		if slices.Contains(d.Devices, kind) {
			n += setting + len(d.Key) + longest(d)
		}
	}
	return n
}

// longest is the size of the longest value a preference can have, as JSON.
func longest(d cardea.PreferenceDef) int {
	switch d.Type {
	case cardea.TypeBool:
		return len("false")
	case cardea.TypeInt:
		return max(len(fmt.Sprint(d.Min)), len(fmt.Sprint(d.Max)))
	case cardea.TypeEnum:
		n := 0
		for _, c := range d.Choices {
			n = max(n, len(fmt.Sprintf("%q", strings.ToValidUTF8(c, "?"))))
		}
		return n
	}
	return cardea.MaxValueBytes
}
