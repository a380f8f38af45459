package cardea

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
)

// A Change says how a version of a purpose differs from the one before it, and
// so what becomes of a yes to that one. Where it is not said, the yes ends when
// the new version comes into force.
type Change string

// The changes there are. What says who gets which data, where, for how long and
// for what can only change by ChangeMaterial, or by ending every yes.
const (
	// ChangeEditorial says the same in other words. The yes goes on.
	ChangeEditorial Change = "editorial"
	// ChangeNotify is worth telling the owner. The yes goes on.
	ChangeNotify Change = "notify"
	// ChangeMaterial asks anew. The yes goes on for exactly what it covered
	// until Purpose.ReconsentBy, and then it has expired. What is new is denied
	// until it is given.
	ChangeMaterial Change = "material"
)

// A Former is an earlier version of a purpose, a yes to which still counts: for
// what it covered, under its own class, and for as long as was said then.
type Former struct {
	Version   uint32
	Class     Class
	Staleness time.Duration
	Validity  time.Duration
	Until     Millis // its end whenever it was given; zero: none but its validity's
}

// validateChange checks what can be checked without the version before.
func (p Purpose) validateChange() error {
	switch p.Change {
	case "", ChangeEditorial, ChangeNotify, ChangeMaterial:
	default:
		return errors.New("change: editorial, notify or material")
	}
	switch {
	case p.Change != "" && p.Version == 1:
		return errors.New("change: there is no version before the first")
	case p.Change == ChangeMaterial && p.ReconsentBy.Unix() <= 0:
		return errors.New("reconsent_by: say until when a yes to the version before counts, such as 2027-03-01")
	case p.Change != ChangeMaterial && !p.ReconsentBy.IsZero():
		return errors.New("reconsent_by: belongs to change: material")
	case p.ReconsentBy.Nanosecond() != 0 || p.ReconsentBy.Year() > 2199:
		return errors.New("reconsent_by: a date, or an instant in whole seconds, before 2200")
	}
	return nil
}

func (p Purpose) reconsentSeconds() uint64 {
	if p.Change != ChangeMaterial {
		return 0
	}
	return uint64(max(p.ReconsentBy.Unix(), 0))
}

// Follows refuses a version of a purpose that passes a change of substance off
// as a matter of words.
func (p Purpose) Follows(former Purpose) error {
	goesOn := p.Change == ChangeEditorial || p.Change == ChangeNotify
	if differs := p.Differs(former); goesOn && len(differs) > 0 {
		return errors.New(strings.Join(differs, ", ") + " changed: this is change: material, with a reconsent_by")
	}
	return nil
}

// Differs names the fields of substance in which the versions differ, whatever
// the order in their lists.
func (p Purpose) Differs(former Purpose) []string {
	var out []string
	for _, field := range []struct {
		name string
		same bool
	}{
		{"class", p.Class == former.Class},
		{"advertising", p.Advertising == former.Advertising},
		{"legal_basis", p.LegalBasis == former.LegalBasis},
		{"data", sameSet(p.Data, former.Data)},
		{"fields", maps.Equal(p.Fields, former.Fields)},
		{"recipients", sameSet(p.Recipients, former.Recipients)},
		{"retention", p.Retention == former.Retention && p.sameKept(former)},
		{"countries", sameSet(p.Countries, former.Countries)},
		{"facets", sameSet(p.Facets, former.Facets)},
	} {
		if !field.same {
			out = append(out, field.name)
		}
	}
	return out
}

// sameKept reports whether each language says of how long data is kept what it
// said before. One may say for the first time what stood there in another, or
// leave it to that again.
func (p Purpose) sameKept(former Purpose) bool {
	for language, was := range former.Texts {
		before, now := former.Kept(was), p.Kept(p.Texts[language])
		if before != former.Retention && now != p.Retention && now != before {
			return false
		}
	}
	return true
}

func sameSet[T comparable](a, b []T) bool { return len(Beyond(a, b)) == 0 && len(Beyond(b, a)) == 0 }

// Beyond lists what is in next and not in former: the data, recipients or
// countries that came with a version.
func Beyond[T comparable](next, former []T) []T {
	return slices.DeleteFunc(slices.Clone(next), func(item T) bool { return slices.Contains(former, item) })
}

// VersionOf finds a version of a purpose, the current one or a former.
func (c *Catalogue) VersionOf(id PurposeID, version uint32) (Purpose, bool) {
	if p, ok := c.Purpose(id); ok && p.Version == version {
		return p, true
	}
	for _, p := range c.Former {
		if p.ID == id && p.Version == version {
			return p, true
		}
	}
	return Purpose{}, false
}

// former lists the earlier versions to which a yes to the facet counts on, from
// the newest back to the first change that let none go on, or the first version
// that did not ask. The earliest ReconsentBy on the way is the end.
func (c *Catalogue) former(p Purpose, f Facet) (out []Former) {
	var until Millis
	for {
		if p.Change == "" {
			return out
		}
		if end := MillisOf(p.ReconsentBy); p.Change == ChangeMaterial && (until == 0 || end < until) {
			until = end
		}
		before, ok := c.before(p)
		if !ok || before.Class == ClassN || !slices.Contains(before.Facets, f) {
			return out
		}
		out = append(out, Former{
			Version: before.Version, Class: before.Class, Staleness: before.MaxStaleness(), Validity: before.Validity, Until: until,
		})
		p = before
	}
}

// before is the version that p replaced.
func (c *Catalogue) before(p Purpose) (found Purpose, ok bool) {
	for _, o := range c.Former {
		if o.ID == p.ID && o.Version < p.Version && (!ok || o.Version > found.Version) {
			found, ok = o, true
		}
	}
	return found, ok
}

// GoesOn reports whether a yes to the version may still be given by somebody who
// has not been shown the newer one: nothing of substance has changed since.
func (t Terms) GoesOn(version uint32) bool {
	return slices.ContainsFunc(t.Former, func(f Former) bool { return f.Version == version && f.Until == 0 })
}

// at is a former version's terms, and those of now for any other.
func (t Terms) at(version uint32) Terms {
	for _, f := range t.Former {
		if f.Version == version {
			t.Version, t.Class, t.Validity = f.Version, f.Class, f.Validity
			t.Staleness = min(t.Staleness, f.Staleness)
		}
	}
	return t
}

// end is until when a yes counts that was given to a version at an instant; ok
// is false if it counts no more. It is never zero, which would mean for ever.
func (t Terms) end(version uint32, given Millis) (end Millis, ok bool) {
	if version == t.Version {
		return max(given.Add(t.Validity), 1), true
	}
	for _, f := range t.Former {
		if f.Version != version {
			continue
		}
		end = given.Add(f.Validity)
		if f.Until != 0 {
			end = min(end, f.Until)
		}
		return max(end, 1), true
	}
	return 0, false
}
