package cardea_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
)

// collecting is a purpose with everything that can be needed.
func collecting() cardea.Purpose {
	return cardea.Purpose{
		ID: "music", Version: 1, Class: cardea.ClassC,
		Facets: []cardea.Facet{cardea.FacetUse, cardea.FacetSensitive, cardea.FacetThirdParty, cardea.FacetCrossBorder, cardea.FacetSale},
		Data:   []string{"what you play", "how you feel", "when"},
		Fields: map[string]string{"track": "what you play", "mood": "how you feel", "at": "when"},
		Recipients: []cardea.Recipient{
			{Name: "Brand", Relation: cardea.RelationOwn, Country: "SE"},
			{Name: "Host", Relation: cardea.RelationProcessor, Country: "SE"},
			{Name: "Service", Relation: cardea.RelationThirdParty, Country: "SE"},
			{Name: "Broker", Relation: cardea.RelationThirdParty, Country: "US", Sold: true},
		},
	}
}

// registry knows what of it is special.
var registry = &cardea.Catalogue{Categories: []cardea.Category{
	{Data: "what you play", Group: cardea.DataBehavioural, DPV: "pd:ServiceConsumptionBehavior"},
	{Data: "how you feel", Group: cardea.DataDescriptive, DPV: "pd:MentalHealth", Special: true},
}}

func TestNeeds(t *testing.T) {
	c, ok := registry.Collection(collecting())
	if !ok || !slices.Equal(c.Fields, []string{"at", "mood", "track"}) || !slices.Equal(c.Special, []string{"mood"}) || c.Hold != 7*24*3600 {
		t.Fatalf("%+v, %t", c, ok)
	}
	for _, test := range []struct {
		said      []cardea.Facet
		recipient string
		fields    []string
		want      []cardea.Key
	}{
		{nil, "", []string{"track"}, []cardea.Key{"music/use"}},
		{nil, "Host", []string{"track"}, []cardea.Key{"music/use"}},
		{nil, "Service", []string{"track"}, []cardea.Key{"music/third_party", "music/use"}},
		{nil, "Broker", []string{"track"}, []cardea.Key{"music/cross_border", "music/sale", "music/third_party", "music/use"}},
		{nil, "", []string{"mood", "track"}, []cardea.Key{"music/sensitive", "music/use"}},
		{[]cardea.Facet{cardea.FacetMarketing, cardea.FacetUse}, "", nil, []cardea.Key{"music/marketing", "music/use"}},
	} {
		got, err := c.Needs(test.said, test.recipient, test.fields)
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%+v: %v, %v", test, got, err)
		}
	}
	if _, err := c.Needs(nil, "Somebody else", nil); !errors.Is(err, cardea.ErrRecipient) {
		t.Errorf("a recipient nobody was told of: %v", err)
	}
}

// Where a purpose does not ask about other countries, its countries are in the
// notice and need no yes of their own.
func TestNeedsWithinOneMarket(t *testing.T) {
	p := collecting()
	p.Facets = []cardea.Facet{cardea.FacetUse, cardea.FacetThirdParty, cardea.FacetSensitive}
	p.Recipients = []cardea.Recipient{{Name: "Service", Relation: cardea.RelationThirdParty, Country: "FI"}}
	c, _ := registry.Collection(p)
	got, err := c.Needs(nil, "Service", []string{"track"})
	if err != nil || !slices.Equal(got, []cardea.Key{"music/third_party", "music/use"}) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestMaxHold(t *testing.T) {
	for _, test := range []struct {
		class cardea.Class
		own   time.Duration
		want  time.Duration
	}{
		{cardea.ClassA, time.Hour, 0}, {cardea.ClassC, 0, cardea.MaxHold}, {cardea.ClassC, time.Hour, time.Hour}, {cardea.ClassB, 0, cardea.MaxHold},
	} {
		if got := (cardea.Purpose{Class: test.class, Hold: test.own}).MaxHold(); got != test.want {
			t.Errorf("%+v: %s", test, got)
		}
	}
	local := collecting()
	local.Class = cardea.ClassL
	if _, ok := registry.Collection(local); ok {
		t.Error("what stays on the device is collected")
	}
}

// A yes that was taken back and given again counts for what is collected from
// then on, and not for what was collected before.
func TestGivenSince(t *testing.T) {
	const key = cardea.Key("music/use")
	terms := cardea.Terms{Version: 1, Class: cardea.ClassC, Staleness: time.Hour, Validity: time.Hour, Required: []cardea.Authoriser{cardea.Owner}}
	var entries []cardea.Entry
	head := cardea.Position{}
	add := func(act cardea.Act, key cardea.Key, scope cardea.Scope) {
		e := cardea.Entry{Decision: cardea.Decision{Act: act, Key: key, Version: 1, Base: head}, Scope: scope, By: cardea.Owner, Channel: cardea.ChannelPortal, Recorded: 1}
		e = e.Chain(1, head)
		head = e.Position
		entries = append(entries, e)
	}
	add(cardea.ActGrant, key, cardea.Scope{})               // 1
	add(cardea.ActGrant, "music/sale", cardea.Scope{})      // 2
	add(cardea.ActGrant, key, cardea.Scope{})               // 3: once more
	add(cardea.ActDeny, key, cardea.Scope{Device: "other"}) // 4: elsewhere
	since := func(seq uint64) bool {
		return cardea.GivenSince(entries, "mine", key, terms, cardea.Point{Era: 1, Seq: seq})
	}
	for seq := range uint64(5) {
		if want := seq > 0; since(seq) != want {
			t.Errorf("from %d: %t", seq, !want)
		}
	}
	add(cardea.ActDeny, key, cardea.Scope{}) // 5
	for seq := range uint64(6) {
		if since(seq) {
			t.Errorf("from %d: given after it was taken back", seq)
		}
	}
	add(cardea.ActGrant, key, cardea.Scope{}) // 6
	for seq := range uint64(7) {
		if want := seq == 6; since(seq) != want {
			t.Errorf("from %d, given again: %t", seq, !want)
		}
	}
}

func TestFieldsAreValidated(t *testing.T) {
	good := catalogue()
	good.Categories = nil
	p := &good.Purposes[0]
	p.Class, p.Facets, p.Data = cardea.ClassC, []cardea.Facet{cardea.FacetUse}, []string{"what you play", "how you feel"}
	for _, other := range good.Purposes {
		for _, data := range other.Data {
			if !slices.ContainsFunc(good.Categories, func(c cardea.Category) bool { return c.Data == data }) {
				good.Categories = append(good.Categories, cardea.Category{Data: data, Group: cardea.DataDescriptive, DPV: "pd:Health", Special: data == "how you feel"})
			}
		}
	}
	for name, test := range map[string]struct {
		fields map[string]string
		hold   time.Duration
		class  cardea.Class
		ok     bool
	}{
		"good":           {map[string]string{"track": "what you play"}, time.Hour, cardea.ClassC, true},
		"of other data":  {map[string]string{"track": "whatever"}, 0, cardea.ClassC, false},
		"no name":        {map[string]string{"Track": "what you play"}, 0, cardea.ClassC, false},
		"special":        {map[string]string{"mood": "how you feel"}, 0, cardea.ClassC, false},
		"stays here":     {map[string]string{"track": "what you play"}, 0, cardea.ClassL, false},
		"held for weeks": {nil, 8 * 24 * time.Hour, cardea.ClassC, false},
	} {
		p.Fields, p.Hold, p.Class = test.fields, test.hold, test.class
		if err := good.Validate(); (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
