package hub_test

import (
	"context"
	"crypto/ecdsa"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

const recs = cardea.Key("recommendations/use")

// share links one more account to the device of d, and gives the device of both
// as each link sees it.
func (d *device) share(grant string) *device {
	d.t.Helper()
	h := *d.house
	h.account = accountdbtest.Account(d.t, d.db)
	o := &device{house: &h, signer: d.signer, id: d.id, log: cardea.NewLog()}
	pub := d.signer.Public().(*ecdsa.PublicKey)
	joined, err := h.hub.Join(context.Background(), hub.Joining{
		Account: h.account.ID, Grant: grant, Thumbprint: string(d.id), PublicKey: jose.JWK(pub), Name: "Our car", Kind: "speaker",
	})
	if err != nil {
		d.t.Fatal(err)
	}
	o.link, o.key = joined.Link, joined.LinkKey
	sealed, err := base64.RawURLEncoding.DecodeString(joined.Down)
	if err != nil {
		d.t.Fatal(err)
	}
	o.apply(o.open(sealed))
	d.held = []cardea.LinkID{d.link, o.link}
	o.held = d.held
	return o
}

// family is one device of two accounts that both allow a key. The first is the
// owner's.
func family(t *testing.T) (owner, other *device) {
	h := newHouse(t)
	owner = h.pair("grant-1")
	time.Sleep(2 * time.Millisecond) // links are ordered by when they were made
	other = owner.share("grant-2")
	for _, d := range []*device{owner, other} {
		d.decide(cardea.ActGrant, recs, cardea.Scope{})
		d.sync()
		d.sync()
		d.wants(recs, cardea.ReasonGranted)
	}
	return owner, other
}

func (d *device) everyone(t *testing.T, want bool) {
	t.Helper()
	if got := d.consent(recs); got.Everyone != want || want && got.Reason != cardea.ReasonRefused {
		t.Errorf("it stands as %+v, for everyone: want %v", got, want)
	}
}

// What the owner denies for all reaches the other link without a word of whose it
// is, and is no entry in the other account's ledger.
func TestDeniedForEveryone(t *testing.T) {
	owner, other := family(t)
	before, err := other.ledger.Page(context.Background(), other.account.ID, "en")
	if err != nil {
		t.Fatal(err)
	}
	owner.say(cardea.LogEntry{Act: cardea.ActDeny, Key: recs, Reach: cardea.ReachEveryone})
	owner.sync()
	owner.sync()
	other.sync()
	owner.everyone(t, true)
	other.everyone(t, true)
	after, err := other.ledger.Page(context.Background(), other.account.ID, "en")
	if err != nil || after.Head != before.Head {
		t.Errorf("the other's ledger went from %v to %v, %v", before.Head, after.Head, err)
	}
	for d, want := range map[*device]int{owner: 0, other: 1} {
		page, err := d.ledger.Page(context.Background(), d.account.ID, "en")
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range page.Choices {
			for _, f := range c.Facets {
				if f.Key == recs && len(f.DeniedOn) != want {
					t.Errorf("the page says of %d devices that their owner denies it, want %d", len(f.DeniedOn), want)
				}
			}
		}
	}
	// The other's own yes does not undo it, nor can they lift it.
	other.decide(cardea.ActGrant, recs, cardea.Scope{Device: other.id})
	other.say(cardea.LogEntry{Act: cardea.ActLift, Key: recs, Reach: cardea.ReachEveryone})
	other.sync()
	other.sync()
	other.everyone(t, true)
	// Its author lifts it: the other's yes counts again, the author's no stays.
	owner.say(cardea.LogEntry{Act: cardea.ActLift, Key: recs, Reach: cardea.ReachEveryone})
	owner.sync()
	owner.sync()
	other.sync()
	other.wants(recs, cardea.ReasonGranted)
	owner.everyone(t, false)
	owner.wants(recs, cardea.ReasonWithdrawn)
}

// It ends also when its author allows the key on this device again, and with the
// author's link, however that ends.
func TestDeniedForEveryoneEnds(t *testing.T) {
	for how, end := range map[string]func(owner *device){
		"allowed again": func(owner *device) {
			owner.decide(cardea.ActGrant, recs, cardea.Scope{Device: owner.id})
			owner.sync()
			owner.sync()
			owner.wants(recs, cardea.ReasonGranted)
		},
		"left on the device": func(owner *device) {
			owner.say(cardea.LogEntry{Act: cardea.ActUnlink})
			owner.sync()
		},
		"unlinked on the page": func(owner *device) {
			if err := owner.hub.Unlink(context.Background(), owner.account.ID, owner.link); err != nil {
				owner.t.Fatal(err)
			}
		},
	} {
		t.Run(how, func(t *testing.T) {
			owner, other := family(t)
			owner.say(cardea.LogEntry{Act: cardea.ActDeny, Key: recs, Reach: cardea.ReachEveryone})
			owner.sync()
			owner.sync()
			other.sync()
			other.everyone(t, true)
			end(owner)
			other.sync()
			other.wants(recs, cardea.ReasonGranted)
		})
	}
}

// On a link that is not the first it is the person's own denial; the first is of
// those the device still holds, whether or not the cloud has heard of the rest.
func TestOnlyTheOwnerDeniesForEveryone(t *testing.T) {
	owner, other := family(t)
	deny := func() {
		other.say(cardea.LogEntry{Act: cardea.ActDeny, Key: recs, Reach: cardea.ReachEveryone})
		other.sync()
		other.sync()
		owner.sync()
	}
	deny()
	owner.wants(recs, cardea.ReasonGranted)
	other.wants(recs, cardea.ReasonWithdrawn)
	other.everyone(t, false)
	other.held = []cardea.LinkID{other.link}
	deny()
	other.everyone(t, true)
}

// Of a device somebody else uses now, its person is told the day.
func TestAwayIsSeenByDay(t *testing.T) {
	owner, other := family(t)
	owner.pipe.connect(owner.id)
	look := func(d *device) hub.Device {
		t.Helper()
		all, err := d.hub.Devices(context.Background(), d.account.ID)
		if err != nil || len(all) != 1 {
			t.Fatalf("%v, %v", all, err)
		}
		return all[0]
	}
	if d := look(other); !d.Online || d.ByDay {
		t.Errorf("in use: %+v", d)
	}
	other.away = true
	other.sync()
	for _, at := range []time.Time{look(other).LastSeen, look(other).AppliedAt} {
		if !at.Equal(at.Truncate(24 * time.Hour)) {
			t.Errorf("away, and seen at %v", at)
		}
	}
	if d := look(other); d.Online || !d.ByDay {
		t.Errorf("away: %+v", d)
	}
	if d := look(owner); !d.Online || d.ByDay {
		t.Errorf("the one who uses it: %+v", d)
	}
	other.away = false
	other.sync()
	if d := look(other); !d.Online {
		t.Errorf("back: %+v", d)
	}
}

// Two machines with one key take turns to prove what is new. That no device does,
// however often it boots and whatever of its reports comes late or twice.
func TestClonedMachinesAreNoticed(t *testing.T) {
	h := newHouse(t)
	d := h.pair("grant-1")
	prove := func(boot byte) []byte {
		t.Helper()
		d.boot = cardea.Nonce{boot}
		for _, act := range []cardea.Act{cardea.ActGrant, cardea.ActDeny} {
			h.decide(act, recs, cardea.Scope{})
			d.sync()
		}
		proof := d.report()
		d.sync()
		return proof
	}
	forked := func() bool {
		t.Helper()
		all, err := d.hub.Devices(context.Background(), d.account.ID)
		if err != nil {
			t.Fatal(err)
		}
		return all[0].Forked
	}
	var old [][]byte
	for boot := range byte(4) {
		old = append(old, prove(boot+1), prove(boot+1))
	}
	for _, report := range old {
		if _, err := d.hub.Handle(context.Background(), report); err != nil {
			t.Fatal(err)
		}
	}
	prove(4)
	if forked() {
		t.Fatal("reboots and old reports were taken for a clone")
	}
	prove(3) // the machine that ran before
	if !forked() {
		t.Error("a boot came back and nobody noticed")
	}
}

// Any number of them take turns.
func TestManyClonesAreNoticed(t *testing.T) {
	for clones := byte(3); clones < 12; clones += 4 {
		h := newHouse(t)
		d := h.pair("grant-1")
		turn := func(boot byte) bool {
			t.Helper()
			d.boot = cardea.Nonce{boot}
			h.decide(cardea.ActDeny, recs, cardea.Scope{})
			h.decide(cardea.ActGrant, recs, cardea.Scope{})
			d.sync()
			d.sync()
			all, err := d.hub.Devices(context.Background(), d.account.ID)
			if err != nil {
				t.Fatal(err)
			}
			return all[0].Forked
		}
		for boot := range clones {
			if turn(boot + 1) {
				t.Fatalf("%d clones: noticed before one came again", clones)
			}
		}
		if !turn(1) {
			t.Errorf("%d clones take turns and nobody noticed", clones)
		}
	}
}

// A device that still reports on one link and has lost another says so by what it
// lists: the account of the lost one is told to pair again, and nothing more is
// sent that the device could not open. A link that it has not reported on yet may
// be on its way to it.
func TestLostLinkIsNoticed(t *testing.T) {
	owner, other := family(t)
	look := func(d *device) hub.Device {
		t.Helper()
		all, err := d.hub.Devices(context.Background(), d.account.ID)
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		return all[0]
	}
	owner.pipe.connect(owner.id)
	fresh := owner.share("grant-3")
	owner.held = []cardea.LinkID{owner.link, other.link}
	owner.sync()
	if look(fresh).Missing || look(other).Missing || look(owner).Missing {
		t.Error("a link is missing that the device holds, or is just being told of")
	}
	owner.held = []cardea.LinkID{owner.link, fresh.link}
	owner.sync()
	if !look(other).Missing || look(fresh).Missing || look(owner).Missing {
		t.Errorf("missing: %v, %v, %v; want only the second", look(owner).Missing, look(other).Missing, look(fresh).Missing)
	}
	other.decide(cardea.ActDeny, recs, cardea.Scope{})
	behind := func() (n int) {
		t.Helper()
		err := owner.db.View(context.Background(), func(tx *accountdb.Tx) error {
			_, catalogue := owner.ledger.Catalogue.Current()
			late, err := tx.Behind(catalogue)
			for _, l := range late {
				if l.Account == other.account.ID {
					n++
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if behind() != 0 {
		t.Error("it is looked for again and again")
	}
	owner.run()
	owner.hub.Wake(other.account.ID)
	owner.decide(cardea.ActDeny, presence, cardea.Scope{})
	is := func(sealed []byte, d *device) bool {
		_, _, err := wire.OpenDown(sealed, d.id, d.link, d.key, d.keys.Trust())
		return err == nil
	}
	for sealed := range owner.pipe.sent { // until the owner's, which was woken later
		if is(sealed, other) {
			t.Error("something is sent on a link that is lost")
		}
		if is(sealed, owner) {
			break
		}
	}
	if behind() != 0 {
		t.Error("a connected device that does not hold the link is behind on it")
	}
	other.sync() // it was not lost after all
	if look(other).Missing {
		t.Error("it reports, and counts as missing")
	}
}

// The cloud is put back to before the owner denied a key for all, with and without
// its stop journal: whichever link's report comes first, all are denied again, it
// is nobody's own no but the owner's, and the owner can take it back.
func TestDeniedForEveryoneAfterARestore(t *testing.T) {
	for _, journal := range []bool{true, false} {
		for _, ownerFirst := range []bool{true, false} {
			t.Run(fmt.Sprintf("journal %v, owner first %v", journal, ownerFirst), func(t *testing.T) {
				owner, other := family(t)
				backup := filepath.Join(t.TempDir(), "monday.db")
				if err := accountdb.Backup(t.Context(), owner.path, backup); err != nil {
					t.Fatal(err)
				}
				owner.say(cardea.LogEntry{Act: cardea.ActDeny, Key: recs, Reach: cardea.ReachEveryone})
				owner.sync()
				owner.sync()
				other.sync()
				other.sync()
				other.everyone(t, true)

				y := &history{house: owner.house}
				h := y.back(back{journal: journal, restore: true}, backup)
				again := *h
				again.account = other.account
				owner, other = owner.twin(h), other.twin(&again)
				devices := []*device{owner, other}
				if !ownerFirst {
					slices.Reverse(devices)
				}
				for range 2 {
					for _, d := range devices {
						d.sync()
						d.sync()
						d.everyone(t, true)
					}
				}
				owner.say(cardea.LogEntry{Act: cardea.ActLift, Key: recs, Reach: cardea.ReachEveryone})
				owner.sync()
				owner.sync()
				other.sync()
				other.everyone(t, false)
				other.wants(recs, cardea.ReasonGranted)
				if c := owner.consent(recs); c.Given() {
					t.Errorf("the owner's own no is forgotten: %+v", c)
				}
			})
		}
	}
}

// An account ends its own links and nobody else's on the same device.
func TestUnlinkOnlyOnesOwn(t *testing.T) {
	owner, other := family(t)
	if err := owner.hub.Unlink(context.Background(), other.account.ID, owner.link); err == nil {
		t.Error("another's link was ended")
	}
	if err := owner.hub.Unlink(context.Background(), other.account.ID, other.link); err != nil {
		t.Fatal(err)
	}
	owner.sync()
	owner.wants(recs, cardea.ReasonGranted)
	err := owner.db.View(context.Background(), func(tx *accountdb.Tx) error {
		l, err := tx.Link(owner.link)
		if l.State != accountdb.LinkLive {
			t.Errorf("the owner's link is %s", l.State)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
