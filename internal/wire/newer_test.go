package wire_test

import (
	"errors"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
)

// newer is a body as a cloud of years to come may write it: purposes, preferences,
// reasons and orders nobody knows.
func newer(t *testing.T) []byte {
	t.Helper()
	given := cardea.Consent{Reason: cardea.ReasonGranted, Class: cardea.ClassC, Staleness: 3600, Version: 1}
	known, strange, other := given, given, given
	known.Key, strange.Key, other.Key = "recommendations/use", "dreams/use", "voice/use"
	other.Reason = "when_the_moon_is_full"
	b, err := wire.EncodeBody(cardea.Body{
		Identity: cardea.Identity{Subject: "s"},
		Consents: []cardea.Consent{strange, known, other},
		Preferences: []cardea.Preference{
			{Key: "dream_depth", Value: `"deep"`}, {Key: "language", Value: `"de"`},
		},
		Orders: []cardea.Order{{ID: cardea.NewID[cardea.OrderID](), Kind: "dance"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What a newer cloud says beyond what this device knows opens nothing and breaks
// nothing: what it does know counts, a reason it does not know is a no, and
// purposes, preferences and orders nobody here asks about harm nobody.
func TestBodyOfANewerCloud(t *testing.T) {
	body, err := wire.DecodeBody(newer(t))
	if err != nil {
		t.Fatal(err)
	}
	now := cardea.Millis(1_800_000_000_000)
	view := cardea.NewView(body.Consents, nil, now, now.Add(time.Hour))
	for key, want := range map[cardea.Key]cardea.Verdict{
		"recommendations/use": cardea.Allow, "dreams/use": cardea.Allow, "voice/use": cardea.Deny, "dreams/sale": cardea.Deny, "sleep/use": cardea.Deny,
	} {
		if a := cardea.Decide(view, cardea.Now{Time: now, Synced: true}, cardea.Query{Key: key, Use: cardea.UseCollect}); a.Verdict != want {
			t.Errorf("%s: %s, %s", key, a.Verdict, a.Reason)
		}
	}
	if len(body.Preferences) != 2 || body.Preferences[1].Key != "language" || body.Preferences[1].Value != `"de"` {
		t.Errorf("%+v", body.Preferences)
	}
	if len(body.Orders) != 1 || body.Orders[0].Kind != "dance" {
		t.Errorf("%+v", body.Orders)
	}
}

// A body of another shape is refused whole, not read by halves: the device keeps
// what it has, which ends by itself.
func TestBodyOfAnotherShape(t *testing.T) {
	var body map[int]any
	if err := cbor.Unmarshal(newer(t), &body); err != nil {
		t.Fatal(err)
	}
	body[9] = "said in a way nobody knows yet"
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		t.Fatal(err)
	}
	b, err := mode.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := wire.DecodeBody(b); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("%+v, %v", got, err)
	}
}
