package hub_test

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// ordered is the id of the order of a kind that the device holds, zero if none.
func (d *device) ordered(kind cardea.OrderKind) (order cardea.OrderID) {
	for _, o := range d.body.Orders {
		if o.Kind == kind {
			order = o.ID
		}
	}
	return order
}

// An order stands in every statement until the device has proved it, and asking
// twice is asking once.
func TestIdentify(t *testing.T) {
	h := newHouse(t)
	d := h.pair("g1")
	for range 2 {
		h.must(h.hub.Identify(t.Context(), h.account.ID, d.link))
	}
	d.sync()
	order := d.ordered(cardea.OrderIdentify)
	if order.IsZero() || len(d.body.Orders) != 1 {
		t.Fatalf("orders %v", d.body.Orders)
	}
	d.done = []cardea.OrderID{cardea.NewID[cardea.OrderID]()}
	h.decide(cardea.ActGrant, recommend, cardea.Scope{})
	d.sync()
	if d.ordered(cardea.OrderIdentify) != order {
		t.Error("the order is gone, and was not done")
	}
	d.wants(recommend, cardea.ReasonGranted)
	d.done = []cardea.OrderID{order}
	for range 2 { // the second as if its answer had been lost
		d.sync()
		if len(d.body.Orders) != 0 {
			t.Errorf("orders %v after the proof", d.body.Orders)
		}
	}
	h.must(h.hub.Identify(t.Context(), h.account.ID, d.link))
	d.sync()
	if again := d.ordered(cardea.OrderIdentify); again.IsZero() || again == order {
		t.Errorf("asked again, the order is %v", again)
	}
}

// A device that was out of reach for longer does not startle anybody.
func TestIdentifyIsTakenBack(t *testing.T) {
	h := newHouse(t)
	d := h.pair("g1")
	h.must(h.hub.Identify(t.Context(), h.account.ID, d.link))
	h.must(h.db.Update(t.Context(), func(tx *accountdb.Tx) error {
		orders, err := tx.Orders(d.link)
		if err == nil && len(orders) != 1 {
			t.Errorf("orders %v", orders)
		}
		_, dropErr := tx.DropOrders(d.link, cardea.OrderIdentify, -1)
		return errors.Join(err, dropErr)
	}))
	h.must(h.hub.Identify(t.Context(), h.account.ID, d.link))
	d.sync()
	if d.ordered(cardea.OrderIdentify).IsZero() {
		t.Error("an order that was taken back keeps the next one away")
	}
}

// Nothing is done to what is another account's, or left.
func TestForeignDevices(t *testing.T) {
	h := newHouse(t)
	d, left := h.pair("g1"), h.pair("g2")
	h.must(h.hub.Unlink(t.Context(), h.account.ID, left.link))
	stranger := accountdbtest.Account(t, h.db)
	for name, do := range map[string]func(context.Context, cardea.AccountID, cardea.LinkID) error{
		"identify": h.hub.Identify, "missed": h.hub.ReportMissed, "recovered": h.hub.Recovered, "give away": h.hub.GiveAway,
		"rename": func(ctx context.Context, a cardea.AccountID, l cardea.LinkID) error {
			return h.hub.Rename(ctx, a, l, "x")
		},
	} {
		if err := do(t.Context(), stranger.ID, d.link); !errors.Is(err, accountdb.ErrNotFound) {
			t.Errorf("%s by a stranger: %v", name, err)
		}
		if err := do(t.Context(), h.account.ID, left.link); !errors.Is(err, accountdb.ErrNotFound) {
			t.Errorf("%s of a device that was unlinked: %v", name, err)
		}
	}
	h.decide(cardea.ActGrant, recommend, cardea.Scope{})
	d.sync()
	d.wants(recommend, cardea.ReasonGranted)
}

// A device that is missed is given nothing and told of nobody; its own word only
// stops something. Found again, everything is as it was.
func TestMissedDevice(t *testing.T) {
	h := newHouse(t)
	d, other := h.pair("g1"), h.pair("g2")
	h.decide(cardea.ActGrant, recommend, cardea.Scope{})
	d.sync()
	other.sync()
	for range 2 {
		h.must(h.hub.ReportMissed(t.Context(), h.account.ID, d.link))
	}
	all, err := h.hub.Devices(t.Context(), h.account.ID)
	h.must(err)
	if all[0].Missed.IsZero() || all[0].State != hub.StateStops || all[0].StopsBy.IsZero() || !all[1].Missed.IsZero() {
		t.Errorf("devices %+v", all)
	}
	d.sync()
	d.sync()
	d.wants(recommend, cardea.ReasonForked)
	if !reflect.DeepEqual(d.body.Identity, cardea.Identity{}) || len(d.body.Preferences) != 0 {
		t.Errorf("whoever has it is told %+v %v", d.body.Identity, d.body.Preferences)
	}
	other.sync()
	other.wants(recommend, cardea.ReasonGranted)
	d.say(cardea.LogEntry{Act: cardea.ActPrefer, Preference: "voice_speed", Value: "120"})
	d.say(cardea.LogEntry{Act: cardea.ActDeny, Key: presence, Reach: cardea.ReachEverywhere})
	down := d.sync()
	if len(down.Rejected) != 1 || down.Rejected[0].Reason != cardea.RejectedConfirm {
		t.Errorf("rejected: %v", down.Rejected)
	}
	other.sync()
	other.wants(presence, cardea.ReasonRefused)
	for range 2 {
		h.must(h.hub.Recovered(t.Context(), h.account.ID, d.link))
	}
	d.sync()
	d.wants(recommend, cardea.ReasonGranted)
	if d.body.Identity.Subject == "" {
		t.Error("it is not told who its owner is")
	}
}

// Its owner gave the device away: the key it has makes no new link, with anybody.
func TestGivenAway(t *testing.T) {
	h := newHouse(t)
	d := h.pair("g1")
	h.must(h.hub.GiveAway(t.Context(), h.account.ID, d.link))
	d.sync()
	if d.ordered(cardea.OrderUnlink).IsZero() {
		t.Errorf("it is told %+v", d.body)
	}
	next := accountdbtest.Account(t, h.db)
	pub, _ := jose.ParseJWK(deviceRow(t, h, d.id).PublicKey)
	_, err := h.hub.Join(t.Context(), hub.Joining{
		Account: next.ID, Grant: "g2", Thumbprint: string(d.id), PublicKey: jose.JWK(pub), Name: "Mine now", Kind: "speaker",
	})
	if !errors.Is(err, hub.ErrEnded) {
		t.Errorf("the new owner pairs it as it is: %v", err)
	}
}

// A guest who says so only leaves: the device is not theirs to give.
func TestGivenAwayByAGuest(t *testing.T) {
	h := newHouse(t)
	d := h.pair("g1")
	guest := accountdbtest.Account(t, h.db)
	row := deviceRow(t, h, d.id)
	joining := hub.Joining{Account: guest.ID, Grant: "g2", Thumbprint: string(d.id), PublicKey: row.PublicKey, Name: "Theirs", Kind: "speaker"}
	joined, err := h.hub.Join(t.Context(), joining)
	h.must(err)
	h.must(h.hub.GiveAway(t.Context(), guest.ID, joined.Link))
	joining.Account, joining.Grant = accountdbtest.Account(t, h.db).ID, "g3"
	if _, err := h.hub.Join(t.Context(), joining); err != nil {
		t.Errorf("after a guest has left nobody else can pair it: %v", err)
	}
	h.decide(cardea.ActGrant, recommend, cardea.Scope{})
	d.sync()
	d.wants(recommend, cardea.ReasonGranted)
}

func deviceRow(t *testing.T, h *house, id cardea.DeviceID) (row accountdb.Device) {
	t.Helper()
	h.must(h.db.View(t.Context(), func(tx *accountdb.Tx) (err error) {
		row, err = tx.Device(id)
		return err
	}))
	return row
}

func TestRename(t *testing.T) {
	h := newHouse(t)
	d := h.pair("g1")
	const name = "客厅 <b>الراديو</b> 🎶"
	h.must(h.hub.Rename(t.Context(), h.account.ID, d.link, name))
	all, err := h.hub.Devices(t.Context(), h.account.ID)
	h.must(err)
	if len(all) != 1 || all[0].Name != name {
		t.Errorf("devices %+v", all)
	}
}

// stored is a link as it stands.
func (h *house) stored(id cardea.LinkID) (link accountdb.Link) {
	h.t.Helper()
	h.must(h.db.View(h.t.Context(), func(tx *accountdb.Tx) (err error) { link, err = tx.Link(id); return err }))
	return link
}

// Devices in reach are asked how they stand, and their next report is the answer;
// one that is away is not waited for.
func TestAsk(t *testing.T) {
	h := newHouse(t)
	near, away := h.pair("g1"), h.pair("g2")
	near.sync()
	away.sync()
	h.pipe.connect(near.id)
	h.run()
	before := h.stored(near.link)
	asked := make(chan time.Time)
	go func() {
		since, err := h.hub.Ask(context.Background(), h.account.ID)
		if err != nil {
			t.Error(err)
		}
		asked <- since
	}()
	for {
		select {
		case push := <-h.pipe.sent:
			near.apply(near.open(push))
			near.sync()
			continue
		case since := <-asked:
			if seen := h.stored(near.link).LastSeen; seen.Time().Before(since) || seen < before.LastSeen {
				t.Errorf("asked at %v, seen at %v", since, seen)
			}
			if h.stored(away.link).LastSeen.Time().After(since) {
				t.Error("the one away has answered")
			}
			near.sync()
			if len(near.body.Orders) != 0 {
				t.Errorf("still asked: %v", near.body.Orders)
			}
		}
		return
	}
}

// A device that is connected and silent is waited for a moment, and not asked when
// it speaks again.
func TestAskASilentDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		d := h.pair("g1")
		d.sync()
		h.pipe.connect(d.id)
		begin, seen := time.Now(), h.stored(d.link).LastSeen
		_, err := h.hub.Ask(t.Context(), h.account.ID)
		h.must(err)
		if waited := time.Since(begin); waited < time.Second || waited > 3*time.Second || h.stored(d.link).LastSeen != seen {
			t.Errorf("waited %s, seen at %v and before at %v", waited, h.stored(d.link).LastSeen, seen)
		}
		d.sync()
		if len(d.body.Orders) != 0 {
			t.Errorf("still asked: %v", d.body.Orders)
		}
	})
}
