package archive_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/language"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/store/accountdb"
)

// An asker is devices of which some answer at once.
type asker struct {
	db      *accountdb.DB
	answers func(*accountdb.Tx) error
}

func (a asker) Ask(ctx context.Context, _ cardea.AccountID) (since time.Time, err error) {
	err = a.db.Update(ctx, func(tx *accountdb.Tx) error {
		since = tx.Millis().Time()
		return a.answers(tx)
	})
	return since, err
}

// told is what a test reads of devices.json and about.json.
type told struct {
	Name  string
	Holds *struct {
		AsOf      time.Time `json:"as_of"`
		Answered  bool      `json:"answered_when_asked"`
		Revision  uint64    `json:"statement_revision"`
		Statement *cardea.Body
		Collected []struct {
			Key     cardea.Key
			Title   string
			Data    []string
			Waiting uint64
			Deleted uint64 `json:"deleted_unsent"`
		}
	}
}

// pairAnother pairs a device that was told something and has not answered.
func (w *world) pairAnother(name string) accountdb.Link {
	w.t.Helper()
	link := accountdb.Link{ID: cardea.NewID[cardea.LinkID](), Account: w.account, Device: cardea.DeviceID(strings.Repeat("e", 43)), Grant: name}
	must(w.t, w.DB.Update(w.t.Context(), func(tx *accountdb.Tx) error {
		must(w.t, tx.PutDevice(accountdb.Device{ID: link.Device, PublicKey: []byte("{}"), Kind: "car", Model: "Sedan"}))
		return tx.CreateLink(link, [32]byte{}, name)
	}))
	return link
}

// reports has a link's device report that it holds a revision of its statement.
func (w *world) reports(tx *accountdb.Tx, id cardea.LinkID, revision uint64, at cardea.Millis) {
	w.t.Helper()
	link, err := tx.Link(id)
	must(w.t, err)
	s, err := tx.Statement(id, revision)
	must(w.t, err)
	link.Have, link.Applied, link.LastSeen = cardea.Have{Revision: revision, BodyHash: s.BodyHash}, at, at
	must(w.t, tx.SetReported(link))
}

// Of each device the archive says what it holds by its own last report: one that
// answers now, with what it has collected, and one that is out of reach, which
// holds an older statement and is named as such.
func TestWhatDevicesHold(t *testing.T) {
	w := newWorld(t)
	car := w.pairAnother("Car")
	must(t, w.DB.Update(t.Context(), func(tx *accountdb.Tx) error {
		for revision, reason := range []cardea.Reason{cardea.ReasonGranted, cardea.ReasonWithdrawn} {
			body, err := wire.EncodeBody(cardea.Body{Consents: []cardea.Consent{
				{Key: "recommendations/use", Version: 1, Reason: reason, Class: cardea.ClassC, Staleness: 60},
			}})
			must(t, err)
			must(t, tx.PutStatement(car.ID, accountdb.Statement{Revision: uint64(revision) + 1, Body: body, BodyHash: wire.BodyHash(body)}))
		}
		must(t, tx.SetBuilt(car.ID, 2, cardea.Position{}, cardea.Hash{}))
		w.reports(tx, car.ID, 1, tx.Millis().Add(-48*time.Hour))
		return nil
	}))
	w.Devices = asker{w.DB, func(tx *accountdb.Tx) error {
		w.reports(tx, w.link.ID, 1, tx.Millis())
		return tx.PutPurged(w.link.ID, cardea.Purged{Queue: cardea.NewID[cardea.QueueID](), N: 1, Keys: []cardea.Kept{{Key: "recommendations/use", Held: 3, Deleted: 2}}})
	}}
	files := w.write("en")
	var devices []told
	read(t, files["devices.json"], &devices)
	if devices[0].Name == "Car" { // paired in the same millisecond
		slices.Reverse(devices)
	}
	near, away := devices[0].Holds, devices[1].Holds
	if near == nil || away == nil || !near.Answered || near.Revision != 1 || near.Statement != nil || len(near.Collected) != 1 {
		t.Fatalf("near %+v, away %+v", near, away)
	}
	if c := near.Collected[0]; c.Waiting != 3 || c.Deleted != 2 || c.Title == "" || len(c.Data) == 0 {
		t.Errorf("collected %+v", c)
	}
	if away.Answered || away.Revision != 1 || away.Statement == nil || !away.Statement.Consents[0].Given() || time.Since(away.AsOf) < 40*time.Hour {
		t.Errorf("away %+v", away)
	}
	var about struct {
		Away []struct {
			Name string
			AsOf time.Time `json:"as_of"`
		} `json:"out_of_reach"`
	}
	read(t, files["about.json"], &about)
	if len(about.Away) != 1 || about.Away[0].Name != "Car" || !about.Away[0].AsOf.Equal(away.AsOf) {
		t.Errorf("out of reach: %+v", about.Away)
	}
	for _, l := range language.All() {
		page := string(w.write(l.Tag())["index.html"])
		for _, key := range []string{"archive.answered", "archive.still", "archive.collected"} {
			if !strings.Contains(page, l.Text(key)) {
				t.Errorf("%s: the page lacks %q", l.Tag(), l.Text(key))
			}
		}
	}
}

// What devices have sent and is not passed on yet is in it, content and all, and
// nobody else's.
func TestEventsOnTheirWay(t *testing.T) {
	w := newWorld(t)
	const many = 205 // more than are read at once
	must(t, w.DB.Update(t.Context(), func(tx *accountdb.Tx) error {
		for n := range many {
			item := cardea.Item{N: uint64(n) + 1, ID: cardea.NewID[cardea.ItemID](), Purpose: "recommendations", Source: "player", Method: cardea.MethodObserved,
				Needs: []cardea.Need{{Key: "recommendations/use"}}, Collected: tx.Millis(), Data: []byte(`{"title":"Ada ` + "\u003cb" + `"}`)}
			must(t, tx.StoreEvent(w.link, item, cardea.DecisionID{}))
		}
		return nil
	}))
	files := w.write("en")
	var events []struct {
		Device, Purpose, Source string
		Under                   []cardea.Key
		Data                    struct{ Title string }
	}
	read(t, files["events.json"], &events)
	if len(events) != many || events[0].Data.Title != "Ada <b" || events[many-1].Device != "Kitchen "+hostil || events[0].Under[0] != "recommendations/use" {
		t.Errorf("%d events, the first %+v", len(events), events[0])
	}
	if page := string(files["index.html"]); !strings.Contains(page, "205 events that your devices sent") {
		t.Error("the page does not say so")
	}
}

// The roles that the brand gave are the owner's to know.
func TestRolesAreInIt(t *testing.T) {
	w := newWorld(t)
	must(t, w.DB.Update(t.Context(), func(tx *accountdb.Tx) error {
		_, err := tx.SetRoles(w.account, "driver mechanic")
		return err
	}))
	files := w.write("en")
	var account struct{ Roles []string }
	read(t, files["account.json"], &account)
	if strings.Join(account.Roles, ",") != "driver,mechanic" || !strings.Contains(string(files["index.html"]), "<code>mechanic</code>") {
		t.Errorf("roles %v", account.Roles)
	}
}
