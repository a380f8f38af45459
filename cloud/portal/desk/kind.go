package desk

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cardea-id/cardea"
)

// A Kind is a sort of device as pages speak of it and draw it: families of
// messages have a member for each.
type Kind string

// KindOf is the kind, or "device" for one that pages have no word for.
func KindOf(k cardea.DeviceKind) Kind {
	if slices.Contains([]cardea.DeviceKind{"speaker", "car", "tv"}, k) {
		return Kind(k)
	}
	return "device"
}

// Suggest is a name for a new device that none of the others has.
func (v Visit) Suggest(k Kind, taken []string) string {
	first := v.Language.Text("kind.suggestion." + string(k))
	name := first
	for n := 2; ; n++ {
		if !slices.ContainsFunc(taken, func(n string) bool { return strings.EqualFold(n, name) }) {
			return name
		}
		name = fmt.Sprintf("%s %d", first, n)
	}
}

// Plain is a name from the catalogue as people write it: "voice_clips" is "voice
// clips".
func Plain(s string) string { return strings.ReplaceAll(s, "_", " ") }
