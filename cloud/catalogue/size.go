package catalogue

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
)

// checkSize refuses a catalogue under which an owner who says yes to all
// could not be sent their own decisions.
func checkSize(cat *cardea.Catalogue) error {
	for _, kind := range kinds(cat) {
		if _, err := BodyBytes(cat, kind); err != nil {
			return fmt.Errorf("%w: what can be given on a %.40q does not fit into a statement: ask for less: %w",
				cardea.ErrInvalidCatalogue, kind, err)
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

// BodyBytes is the size of the largest body a device of the kind can be
// stated: its owner has the longest name and roles, every key is given, every preference
// has its longest value, and every number is large. It is an error if that is
// over wire.MaxBodyBytes.
func BodyBytes(cat *cardea.Catalogue, kind cardea.DeviceKind) (int, error) {
	late := cardea.Point{Era: math.MaxUint32, Seq: 1 << 40}
	body := cardea.Body{Identity: cardea.Identity{Subject: strings.Repeat("x", 22), Name: strings.Repeat("x", 128)}}
	for i := range cardea.MaxRoles {
		body.Identity.Roles = append(body.Identity.Roles, strings.Repeat(string(rune('a'+i)), 32))
	}
	for _, p := range cat.Purposes {
		if !p.On(kind) {
			continue
		}
		for _, k := range p.Keys() {
			body.Consents = append(body.Consents, cardea.Consent{
				Key: k, Version: p.Version, Reason: cardea.ReasonGranted, Decided: late, Class: p.Class,
				ValidUntil: far,
				Staleness:  uint32(p.MaxStaleness().Seconds()),
			})
		}
	}
	for _, p := range cat.Purposes {
		if c, ok := cat.Collection(p); ok && p.On(kind) {
			body.Collections = append(body.Collections, c)
		}
	}
	for _, d := range cat.Preferences {
		if d.On(kind) {
			body.Preferences = append(body.Preferences, cardea.Preference{
				Key: d.Key, Value: longest(d), Decided: late, Source: cardea.ChannelPortal, Since: far, Under: d.Under(), ValidUntil: endOf(d),
			})
		}
	}
	encoded, err := wire.EncodeBody(body)
	return len(encoded), err
}

// far is an instant than which none is written longer.
var far = cardea.MillisOf(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC))

func endOf(d cardea.PreferenceDef) cardea.Millis {
	if d.Validity == 0 {
		return 0
	}
	return far
}

// longest is a value of a preference than which none is longer.
func longest(d cardea.PreferenceDef) cardea.Value {
	switch d.Type {
	case cardea.TypeBool:
		return "false"
	case cardea.TypeInt:
		return longer(cardea.Value(fmt.Sprint(d.Min)), cardea.Value(fmt.Sprint(d.Max)))
	case cardea.TypeEnum:
		var v cardea.Value
		for _, c := range d.Choices {
			quoted, _ := json.Marshal(c) // a string always has a JSON form
			v = longer(v, cardea.Value(quoted))
		}
		return v
	case cardea.TypeSet:
		return cardea.SetOf(d.Choices)
	case cardea.TypeHours:
		return `"21:00-08:00"`
	}
	return cardea.Value(`"` + strings.Repeat("x", cardea.MaxValueBytes-2) + `"`)
}

func longer(a, b cardea.Value) cardea.Value {
	if len(a) > len(b) {
		return a
	}
	return b
}
