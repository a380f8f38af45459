package hub_test

import (
	"errors"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/store/accountdb"
)

// lossOf is what the owner is asked to confirm, or the zero Loss.
func (d *device) lossOf() hub.Loss {
	d.t.Helper()
	l, err := d.house.hub.Loss(d.t.Context(), d.house.account.ID, d.link)
	if err != nil && !errors.Is(err, accountdb.ErrNotFound) {
		d.t.Fatal(err)
	}
	return l
}

func (d *device) confirm(loss cardea.LossID, again ...cardea.Key) error {
	return d.house.hub.ConfirmLoss(d.t.Context(), d.house.account.ID, d.link, loss, again)
}

// lossy is a device that is given two things and has lost what was said on it.
func lossy(t *testing.T) *device {
	t.Helper()
	h := newHouse(t)
	d := h.pair("g1")
	h.decide(cardea.ActGrant, recommend, cardea.Scope{})
	h.decide(cardea.ActGrant, presence, cardea.Scope{})
	d.sync()
	d.wants(recommend, cardea.ReasonGranted)
	d.loss = cardea.NewID[cardea.LossID]()
	return d
}

// A device that has lost what was said on it is given nothing, until its owner
// says what it may do again. The rest is denied on it, and on no other.
func TestLossWaitsForTheOwner(t *testing.T) {
	d := lossy(t)
	other := d.house.pair("g2")
	for range 3 {
		down := d.sync()
		d.wants(recommend, cardea.ReasonForked)
		d.wants(presence, cardea.ReasonForked)
		if !down.Confirmed.IsZero() {
			t.Fatal("confirmed by nobody")
		}
	}
	ask := d.lossOf()
	if ask.ID != d.loss || len(ask.Given) != 2 || !ask.Device.Lost || !ask.Device.Forked {
		t.Fatalf("the owner is asked %+v", ask)
	}
	if err := d.house.hub.ConfirmFork(t.Context(), d.house.account.ID, d.link); !errors.Is(err, accountdb.ErrNotFound) {
		t.Errorf("confirmed without an answer: %v", err)
	}
	if err := d.confirm(cardea.NewID[cardea.LossID](), recommend, presence); !errors.Is(err, accountdb.ErrNotFound) {
		t.Errorf("another loss was confirmed: %v", err)
	}
	d.sync()
	d.wants(presence, cardea.ReasonForked)

	if err := d.confirm(ask.ID, presence); err != nil {
		t.Fatal(err)
	}
	if down := d.sync(); down.Confirmed != d.loss {
		t.Error("the device is not told")
	}
	d.wants(presence, cardea.ReasonGranted)
	d.wants(recommend, cardea.ReasonWithdrawn)
	other.sync()
	other.wants(recommend, cardea.ReasonGranted)
	if d.lossOf().Device.Lost {
		t.Error("the owner is asked again")
	}
}

// A loss is asked about once, however often and late it is told; the next one is
// another.
func TestLossIsAskedAboutOnce(t *testing.T) {
	d := lossy(t)
	old := d.report()
	d.sync()
	if err := d.confirm(d.loss, recommend, presence); err != nil {
		t.Fatal(err)
	}
	first := d.loss
	d.loss = cardea.LossID{}
	if down := d.sync(); !down.Confirmed.IsZero() {
		t.Error("confirmed to a report that names no loss")
	}
	for range 2 {
		if _, err := d.house.hub.Handle(t.Context(), old); err != nil {
			t.Fatal(err)
		}
	}
	d.sync()
	d.wants(recommend, cardea.ReasonGranted)

	d.loss = cardea.NewID[cardea.LossID]()
	d.sync()
	d.wants(recommend, cardea.ReasonForked)
	if err := d.confirm(first, recommend, presence); !errors.Is(err, accountdb.ErrNotFound) {
		t.Errorf("confirmed by the page of the first: %v", err)
	}
}

// What such a device says can stop something and nothing else.
func TestLossOnlyStops(t *testing.T) {
	d := lossy(t)
	cat, _ := d.house.ledger.Catalogue.Current()
	p, _ := cat.Purpose("on_device_personalisation")
	d.say(cardea.LogEntry{Act: cardea.ActDeny, Key: recommend})
	d.say(cardea.LogEntry{Act: cardea.ActGrant, Key: personal, Version: p.Version, Notice: p.Notice("en")})
	down := d.sync()
	if len(down.Rejected) != 1 || down.Rejected[0].Reason != cardea.RejectedConfirm {
		t.Errorf("rejected %v", down.Rejected)
	}
	ask := d.lossOf()
	if len(ask.Given) != 1 || ask.Given[0] != presence {
		t.Errorf("asked of %v", ask.Given)
	}
	if err := d.confirm(ask.ID, presence, recommend); err != nil { // a tick is no yes
		t.Fatal(err)
	}
	d.sync()
	d.wants(recommend, cardea.ReasonWithdrawn)
	d.wants(presence, cardea.ReasonGranted)
}

// It is the owner's to confirm, and not another account's.
func TestLossOfOthers(t *testing.T) {
	d := lossy(t)
	d.sync()
	stranger := cardea.NewID[cardea.AccountID]()
	if _, err := d.house.hub.Loss(t.Context(), stranger, d.link); !errors.Is(err, accountdb.ErrNotFound) {
		t.Error(err)
	}
	if err := d.house.hub.ConfirmLoss(t.Context(), stranger, d.link, d.loss, nil); !errors.Is(err, accountdb.ErrNotFound) {
		t.Error(err)
	}
	if d.lossOf().ID != d.loss {
		t.Error("confirmed by a stranger")
	}
}
