package devicedb_test

import (
	"slices"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/store/devicedb"
	"github.com/cardea-id/cardea/store/devicedb/devicedbtest"
)

// The first link is the owner's, whatever its number, and ownership passes to the
// next one when it goes.
func TestOwner(t *testing.T) {
	db := devicedbtest.Open(t)
	if _, ok, err := db.Owner(); ok || err != nil {
		t.Errorf("a device without links has an owner: %v", err)
	}
	links := []cardea.LinkID{{9}, {3}, {7}}
	for _, id := range append(slices.Clone(links), links[1]) { // one joins again
		if err := db.Join(devicedb.Link{ID: id}, pairing.Tokens{}); err != nil {
			t.Fatal(err)
		}
	}
	for len(links) > 0 {
		if order, err := db.Order(); err != nil || !slices.Equal(order, links) {
			t.Errorf("order: %v, %v; want %v", order, err, links)
		}
		if owner, ok, err := db.Owner(); !ok || err != nil || owner != links[0] {
			t.Errorf("owner: %v, %v", owner, err)
		}
		if err := db.Delete(links[0]); err != nil {
			t.Fatal(err)
		}
		links = links[1:]
	}
}

// Links of an older agent come first, since they were made before.
func TestOwnerOfAnOlderAgent(t *testing.T) {
	db := devicedbtest.Open(t)
	for _, id := range []cardea.LinkID{{5}, {4}} {
		if err := db.Put(devicedb.Link{ID: id}); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Join(devicedb.Link{ID: cardea.LinkID{1}}, pairing.Tokens{}); err != nil {
		t.Fatal(err)
	}
	if order, err := db.Order(); err != nil || !slices.Equal(order, []cardea.LinkID{{4}, {5}, {1}}) {
		t.Errorf("order: %v, %v", order, err)
	}
}

func TestDeniedForAll(t *testing.T) {
	log := cardea.NewLog()
	for _, e := range []cardea.LogEntry{
		{Act: cardea.ActDeny, Reach: cardea.ReachEveryone, Key: "a/use"},
		{Act: cardea.ActDeny, Reach: cardea.ReachDevice, Key: "b/use"},
		{Act: cardea.ActLift, Reach: cardea.ReachEveryone, Key: "c/use"},
	} {
		log = log.Append(e)
	}
	stated := cardea.Body{Consents: []cardea.Consent{{Key: "d/use", Everyone: true}, {Key: "e/use"}}}
	author := devicedb.Link{ID: cardea.LinkID{1}, Log: log, Everyone: []cardea.Key{"c/use", "f/use"}, Body: stated}
	for owner, want := range map[cardea.LinkID][]cardea.Key{
		author.ID: {"a/use", "d/use", "f/use"},
		{2}:       {"a/use", "f/use"}, // what the cloud copied to others is theirs alone
	} {
		var got []cardea.Key
		for key := range devicedb.DeniedForAll(owner, author) {
			got = append(got, key)
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("owner %s: %v, want %v", owner, got, want)
		}
	}
}

func TestKeepFarewell(t *testing.T) {
	db := devicedbtest.Open(t)
	if err := db.KeepFarewell(devicedb.Farewell{Link: cardea.LinkID{1}, Device: "old"}); err != nil {
		t.Fatal(err)
	}
	if all, err := db.Farewells(); err != nil || len(all) != 1 || all[0].Device != "old" {
		t.Errorf("%v, %v", all, err)
	}
}
