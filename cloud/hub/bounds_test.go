package hub_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/store/accountdb"
)

// A said consent is how a key stands in a statement: given under a class, denied
// under one, or absent.
type said struct {
	class  cardea.Class
	denied bool
}

var absent said

func statements(t *testing.T, history ...said) (held []accountdb.Statement) {
	t.Helper()
	for i, s := range history {
		var body cardea.Body
		if s != absent {
			c := cardea.Consent{Key: recommend, Version: 1, Reason: cardea.ReasonGranted, Class: s.class, Staleness: 60}
			if s.denied {
				c.Reason = cardea.ReasonWithdrawn
			}
			body.Consents = []cardea.Consent{c}
		}
		encoded, err := wire.EncodeBody(body)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, accountdb.Statement{Revision: uint64(i + 1), Body: encoded, Created: time.Unix(int64(1000*i), 0)})
	}
	return held
}

// The class of a key changes while a device is away. A time is told only if every
// statement that it may hold ends by then.
func TestBoundsAcrossClasses(t *testing.T) {
	yes := func(c cardea.Class) said { return said{class: c} }
	no := func(c cardea.Class) said { return said{class: c, denied: true} }
	const A, C, L, N = cardea.ClassA, cardea.ClassC, cardea.ClassL, cardea.ClassN
	for name, c := range map[string]struct {
		history []said
		stops   int // the statement it is reckoned from; 0: it does not stop by a time
		endless bool
	}{
		"given":                                 {[]said{yes(C)}, 0, false},
		"denied":                                {[]said{yes(C), no(C)}, 2, false},
		"denied twice":                          {[]said{yes(C), no(C), no(C)}, 2, false},
		"left out":                              {[]said{yes(C), absent}, 2, false},
		"given again":                           {[]said{yes(C), no(C), yes(C)}, 0, false},
		"never given":                           {[]said{no(C), absent, no(L)}, 0, false},
		"stays on the device":                   {[]said{yes(L), no(L)}, 0, true},
		"stays on the device, left out":         {[]said{yes(L), absent}, 0, true},
		"to L, and still given":                 {[]said{yes(C), yes(L)}, 0, false},
		"to L, then denied":                     {[]said{yes(C), yes(L), no(L)}, 0, true},
		"to L in the statement that denies":     {[]said{yes(C), no(L)}, 2, false},
		"from L, and still given":               {[]said{yes(L), yes(C)}, 0, false},
		"from L, then denied":                   {[]said{yes(L), yes(C), no(C)}, 0, true},
		"denied, to L, given, denied":           {[]said{yes(C), no(C), yes(L), no(L)}, 0, true},
		"to a shorter class":                    {[]said{yes(C), yes(A), no(A)}, 3, false},
		"nobody is asked, and never was":        {[]said{yes(N), absent}, 0, false},
		"nobody was asked, and now they are":    {[]said{yes(N), no(C)}, 0, true},
		"nobody was asked, then yes, then no":   {[]said{yes(N), yes(C), no(C)}, 0, true},
		"not asked any more":                    {[]said{yes(C), yes(N)}, 0, false},
		"denied, and not asked any more":        {[]said{yes(C), no(C), yes(N)}, 0, false},
		"endless for good, whatever comes then": {[]said{yes(L), no(L), no(C), absent}, 0, true},
	} {
		held := statements(t, c.history...)
		b, err := hub.BoundsOf(held)
		if err != nil {
			t.Fatal(err)
		}
		var want []time.Time
		if c.stops > 0 {
			want = []time.Time{held[c.stops-1].Created.Add(time.Minute + 12*time.Millisecond + 10*time.Minute + 2*time.Second)}
		}
		if got := slices.Collect(maps.Values(b.Stops)); !slices.EqualFunc(got, want, time.Time.Equal) || b.Endless[recommend] != c.endless {
			t.Errorf("%s: stops %v, endless %v, want %v, %v", name, got, b.Endless, want, c.endless)
		}
	}
}

// One key that does not end takes the device's time away, not the other key's.
func TestNoTimeForTheDeviceIfOneKeyHasNone(t *testing.T) {
	h := newHouse(t)
	d := h.pair("g1")
	for _, key := range []cardea.Key{personal, presence} {
		h.decide(cardea.ActGrant, key, cardea.Scope{})
	}
	d.sync()
	d.sync()
	for _, key := range []cardea.Key{personal, presence} {
		h.decide(cardea.ActDeny, key, cardea.Scope{})
	}
	devices, err := h.hub.Devices(t.Context(), h.account.ID)
	if err != nil {
		t.Fatal(err)
	}
	got := devices[0]
	if got.State != hub.StateStops || !got.StopsBy.IsZero() || got.Stops[presence].IsZero() || !got.Endless[personal] || len(got.Stops) != 1 {
		t.Errorf("%+v", got)
	}
}
