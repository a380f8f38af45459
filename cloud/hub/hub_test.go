package hub_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/clock"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

const (
	recommend = cardea.Key("recommendations/use")
	presence  = cardea.Key("presence/use")
	personal  = cardea.Key("on_device_personalisation/use")
)

func TestNothingIsGivenAtFirst(t *testing.T) {
	d := newHouse(t).pair("g1")
	for _, c := range d.body.Consents {
		if c.Given() && c.Class != cardea.ClassN {
			t.Errorf("%s is given before anybody was asked", c.Key)
		}
	}
	if len(d.body.Consents) == 0 || d.body.Identity.Subject == "" {
		t.Errorf("first statement is empty: %+v", d.body)
	}
}

func TestJoinAgainFindsTheSameLink(t *testing.T) {
	h := newHouse(t)
	key := newKey(t)
	j := hub.Joining{
		Account: h.account.ID, Grant: "g1", Thumbprint: jose.Thumbprint(&key.PublicKey),
		PublicKey: jose.JWK(&key.PublicKey), Name: "Car", Kind: "car",
	}
	a, err := h.hub.Join(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	b, err := h.hub.Join(t.Context(), j)
	if err != nil || a.Link != b.Link || a.LinkKey != b.LinkKey {
		t.Errorf("second join made another link: %v", err)
	}
	j.Thumbprint = jose.Thumbprint(&newKey(t).PublicKey)
	if _, err := h.hub.Join(t.Context(), j); !errors.Is(err, hub.ErrForeignKey) {
		t.Errorf("join with another key: %v", err)
	}
}

// A pairing may end between the check of its token and the making of its link.
func TestJoinAfterThePairingEnded(t *testing.T) {
	h := newHouse(t)
	key := newKey(t)
	j := hub.Joining{
		Account: h.account.ID, Grant: "g1", Thumbprint: jose.Thumbprint(&key.PublicKey),
		PublicKey: jose.JWK(&key.PublicKey), Name: "Car", Kind: "car",
	}
	update := func(f func(tx *accountdb.Tx) error) {
		if err := h.db.Update(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(when string) {
		t.Helper()
		if _, err := h.hub.Join(t.Context(), j); !errors.Is(err, hub.ErrEnded) {
			t.Errorf("%s: %v", when, err)
		}
	}
	g := pairing.Grant{ID: "revoked", State: pairing.GrantActive, Code: cardea.Hash{1}, UserCode: cardea.Hash{2}}
	if err := h.db.Grants().Start(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	update(func(tx *accountdb.Tx) error { return tx.RevokeGrant(g.ID) })
	j.Grant = string(g.ID)
	refused("grant revoked")

	j.Grant = "g1"
	update(func(tx *accountdb.Tx) error { return tx.Disable(h.account.ID, true) })
	refused("account disabled")
	update(func(tx *accountdb.Tx) error { return tx.Disable(h.account.ID, false) })

	joined, err := h.hub.Join(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.hub.Unlink(t.Context(), h.account.ID, joined.Link); err != nil {
		t.Fatal(err)
	}
	refused("unlinked")
}

func TestGrantReachesTheDevice(t *testing.T) {
	h := newHouse(t)
	d := h.pair("g1")
	h.decide(cardea.ActGrant, recommend, cardea.Scope{})
	if down := d.sync(); down.Renewal() || down.Nonce.IsZero() {
		t.Errorf("want a statement that answers the nonce, got %+v", down)
	}
	d.wants(recommend, cardea.ReasonGranted)
	if down := d.sync(); !down.Renewal() {
		t.Error("a device that holds the newest statement is sent it again")
	}
}

// A renewal needs proof that the device holds the newest statement.
func TestOnlyTheNewestIsRenewed(t *testing.T) {
	h := newHouse(t)
	d := h.pair("g1")
	h.decide(cardea.ActGrant, recommend, cardea.Scope{})
	d.sync()
	d.sync()
	old := d.report() // proves the revision that gives
	h.decide(cardea.ActDeny, recommend, cardea.Scope{})
	answer, err := h.hub.Handle(t.Context(), old)
	if err != nil {
		t.Fatal(err)
	}
	down := d.apply(d.open(answer))
	if down.Renewal() {
		t.Fatal("a withdrawn statement was renewed")
	}
	d.wants(recommend, cardea.ReasonWithdrawn)
}

func TestWithdrawnOnTheDevice(t *testing.T) {
	h := newHouse(t)
	d, other := h.pair("g1"), h.pair("g2")
	h.decide(cardea.ActGrant, recommend, cardea.Scope{})
	d.sync()
	other.sync()
	d.say(cardea.LogEntry{Act: cardea.ActDeny, Key: recommend})
	d.sync()
	d.wants(recommend, cardea.ReasonWithdrawn)
	if len(d.log.Entries) != 0 {
		t.Errorf("%d entries are still held after the cloud has seen them", len(d.log.Entries))
	}
	other.sync()
	other.wants(recommend, cardea.ReasonGranted) // said for one device

	other.say(cardea.LogEntry{Act: cardea.ActDeny, Key: recommend, Reach: cardea.ReachEverywhere})
	other.sync()
	d.sync()
	page, err := h.ledger.Page(t.Context(), h.account.ID, "en")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range page.Choices {
		if c.Facets[0].Key == recommend && c.Facets[0].Standing.Reason != cardea.ReasonWithdrawn {
			t.Errorf("the page says %q", c.Facets[0].Standing.Reason)
		}
	}
}

func TestStopThenAllowOnOneOfflineDevice(t *testing.T) {
	h := newHouse(t)
	d := h.pair("g1")
	h.decide(cardea.ActGrant, recommend, cardea.Scope{})
	d.sync()
	cat, _ := h.ledger.Catalogue.Current()
	p, _ := cat.Purpose("recommendations")
	d.say(cardea.LogEntry{Act: cardea.ActDeny, Key: recommend})
	d.say(cardea.LogEntry{Act: cardea.ActGrant, Key: recommend, Version: p.Version, Notice: p.Notice("en")})
	down := d.sync()
	if len(down.Rejected) != 0 {
		t.Errorf("rejected: %v", down.Rejected)
	}
	d.wants(recommend, cardea.ReasonGranted)
}

// A page opened before a denial does not undo it.
func TestOldFormDoesNotUndoADenial(t *testing.T) {
	h := newHouse(t)
	d := h.pair("g1")
	page, err := h.ledger.Page(t.Context(), h.account.ID, "en")
	if err != nil {
		t.Fatal(err)
	}
	h.decide(cardea.ActDeny, recommend, cardea.Scope{})
	if err := h.decideOn(page, cardea.ActGrant, recommend, cardea.Scope{}); err != nil {
		t.Fatal(err)
	}
	d.sync()
	d.wants(recommend, cardea.ReasonConflict)
	h.decide(cardea.ActGrant, recommend, cardea.Scope{}) // one tap, having seen it
	d.sync()
	d.wants(recommend, cardea.ReasonGranted)
}

func TestRejectedEntriesAreListed(t *testing.T) {
	h := newHouse(t)
	d := h.pair("g1")
	cat, _ := h.ledger.Catalogue.Current()
	p, _ := cat.Purpose("presence")
	d.say(cardea.LogEntry{Act: cardea.ActGrant, Key: presence, Version: p.Version, Notice: p.Notice("en")}) // class A
	d.say(cardea.LogEntry{Act: cardea.ActGrant, Key: recommend, Version: 77})
	d.say(cardea.LogEntry{Act: cardea.ActGrant, Key: "no_such_thing/use", Version: 1})
	d.say(cardea.LogEntry{Act: cardea.ActDeny, Key: "no_such_thing/use"})
	down := d.sync()
	var got []cardea.Rejected
	for _, r := range down.Rejected {
		got = append(got, r.Reason)
	}
	want := []cardea.Rejected{cardea.RejectedConfirm, cardea.RejectedNotice, cardea.RejectedUnknown}
	if len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("rejected %v, want %v", got, want)
	}
	if len(d.log.Entries) != 0 {
		t.Error("a rejected entry blocks the log")
	}
}

func TestBaseAheadOfTheLedger(t *testing.T) {
	h := newHouse(t)
	d := h.pair("g1")
	h.decide(cardea.ActDeny, personal, cardea.Scope{})
	cat, _ := h.ledger.Catalogue.Current()
	p, _ := cat.Purpose("on_device_personalisation")
	d.head = cardea.Position{Era: 1, Seq: 1 << 40, Hash: cardea.Hash{1}}
	d.say(cardea.LogEntry{Act: cardea.ActGrant, Key: personal, Version: p.Version, Notice: p.Notice("en")})
	d.say(cardea.LogEntry{Act: cardea.ActDeny, Key: recommend})
	down := d.sync()
	if len(down.Rejected) != 1 || down.Rejected[0].Reason != cardea.RejectedBase {
		t.Errorf("rejected %v, want one for its base", down.Rejected)
	}
	d.wants(personal, cardea.ReasonRefused)
	d.wants(recommend, cardea.ReasonRefused)
}

func TestReplayedReportChangesNothing(t *testing.T) {
	h := newHouse(t)
	d := h.pair("g1")
	d.say(cardea.LogEntry{Act: cardea.ActDeny, Key: recommend})
	report := d.report()
	for range 3 {
		if _, err := h.hub.Handle(t.Context(), report); err != nil {
			t.Fatal(err)
		}
	}
	d.sync()
	if d.head.Seq != 2 { // linked, denied
		t.Errorf("the ledger has %d entries, want 2", d.head.Seq)
	}
}

func TestForkedDeviceIsGivenNothing(t *testing.T) {
	h := newHouse(t)
	d := h.pair("g1")
	h.decide(cardea.ActGrant, recommend, cardea.Scope{})
	d.sync()
	clone := *d
	d.say(cardea.LogEntry{Act: cardea.ActDeny, Key: personal})
	d.sync()
	clone.say(cardea.LogEntry{Act: cardea.ActDeny, Key: presence})
	answer, err := h.hub.Handle(t.Context(), clone.report())
	if err != nil {
		t.Fatal(err)
	}
	clone.apply(clone.open(answer))
	clone.wants(recommend, cardea.ReasonForked)
	devices, err := h.hub.Devices(t.Context(), h.account.ID)
	if err != nil || !devices[0].Forked {
		t.Fatalf("the owner is not told: %v", err)
	}
	if err := h.hub.ConfirmFork(t.Context(), h.account.ID, d.link); err != nil {
		t.Fatal(err)
	}
	d.sync()
	d.wants(recommend, cardea.ReasonGranted)
}

// An event id stands for one decision. A device that uses one for two has lost
// count, as a copy has: it is given nothing until its owner has confirmed it, and
// what it said still stops.
func TestReusedEventIsAFork(t *testing.T) {
	h := newHouse(t)
	d := h.pair("g1")
	for _, key := range []cardea.Key{recommend, presence} {
		h.decide(cardea.ActGrant, key, cardea.Scope{})
	}
	d.sync()
	d.say(cardea.LogEntry{Act: cardea.ActDeny, Key: personal})
	event := d.log.Entries[0].Event
	d.log = d.log.Reopen()
	d.sync()
	d.log = cardea.NewLog().Append(cardea.LogEntry{Act: cardea.ActDeny, Key: personal, Event: event, Reach: cardea.ReachDevice, Base: d.head})
	d.sync() // the same decision again, in another log
	d.wants(recommend, cardea.ReasonGranted)

	d.log = d.log.Append(cardea.LogEntry{Act: cardea.ActDeny, Key: presence, Event: event, Reach: cardea.ReachDevice, Base: d.head})
	d.sync()
	d.wants(recommend, cardea.ReasonForked)
	if len(d.log.Entries) != 0 {
		t.Errorf("%d entries are not acknowledged", len(d.log.Entries))
	}
	if err := h.hub.ConfirmFork(t.Context(), h.account.ID, d.link); err != nil {
		t.Fatal(err)
	}
	d.sync()
	d.wants(recommend, cardea.ReasonGranted)
	d.wants(presence, cardea.ReasonWithdrawn)
}

func TestRevisionBeyondTheCloudIsOvertaken(t *testing.T) {
	h := newHouse(t)
	d := h.pair("g1")
	d.have = cardea.Have{Revision: 40, BodyHash: cardea.Hash{9}}
	if down := d.sync(); down.Renewal() || down.Revision != 41 {
		t.Errorf("answer has revision %d, want a statement with 41", down.Revision)
	}
}

func TestStopsBy(t *testing.T) {
	h := newHouse(t)
	d := h.pair("g1")
	d.sync()
	h.decide(cardea.ActGrant, presence, cardea.Scope{})
	d.sync()
	d.sync()
	before := time.Now()
	h.decide(cardea.ActDeny, presence, cardea.Scope{})
	devices, err := h.hub.Devices(t.Context(), h.account.ID)
	if err != nil {
		t.Fatal(err)
	}
	at := devices[0].Stops[presence]
	if devices[0].State != hub.StateStops || at.Before(before.Add(30*time.Second)) || !at.Equal(devices[0].StopsBy) {
		t.Errorf("state %s, stops by %s, want at least 30 s after %s", devices[0].State, at, before)
	}
	d.sync()
	d.sync()
	devices, err = h.hub.Devices(t.Context(), h.account.ID)
	if err != nil || devices[0].State != hub.StateApplied || devices[0].AppliedAt.Before(before.Truncate(time.Millisecond)) {
		t.Errorf("after its report: %+v, %v", devices[0], err)
	}
}

// What is computed and kept on the device may go on there after a reboot, when
// the time is not known. Then no time is told, rather than a false one.
func TestNoBoundForWhatStaysOnTheDevice(t *testing.T) {
	h := newHouse(t)
	d := h.pair("g1")
	h.decide(cardea.ActGrant, personal, cardea.Scope{})
	d.sync()
	d.sync()
	h.decide(cardea.ActDeny, personal, cardea.Scope{})
	devices, err := h.hub.Devices(t.Context(), h.account.ID)
	if err != nil || devices[0].State != hub.StateWaiting || !devices[0].StopsBy.IsZero() {
		t.Errorf("state %s, stops by %s: %v", devices[0].State, devices[0].StopsBy, err)
	}
}

// What a device never proved to hold, it may hold all the same.
func TestStopsByCountsWhatWasOnlySent(t *testing.T) {
	h := newHouse(t)
	d := h.pair("g1")
	d.sync()
	h.decide(cardea.ActGrant, presence, cardea.Scope{})
	if _, err := h.hub.Handle(t.Context(), d.report()); err != nil { // the answer may be lost, or not
		t.Fatal(err)
	}
	h.decide(cardea.ActDeny, presence, cardea.Scope{})
	devices, err := h.hub.Devices(t.Context(), h.account.ID)
	if err != nil || devices[0].State != hub.StateStops {
		t.Errorf("state %s, want %s: %v", devices[0].State, hub.StateStops, err)
	}
}

func TestPushedToConnectedDevices(t *testing.T) {
	h := newHouse(t)
	d := h.pair("g1")
	h.pipe.connect(d.id)
	h.run()
	h.decide(cardea.ActGrant, recommend, cardea.Scope{})
	down := d.apply(d.open(<-h.pipe.sent))
	for !d.consent(recommend).Given() { // the first push may be of the pairing
		down = d.apply(d.open(<-h.pipe.sent))
	}
	if !down.Nonce.IsZero() {
		t.Error("a push claims to answer a nonce")
	}
}

// A device in reach is told of a new catalogue at once, though nobody decides
// anything and nobody looks for who is behind.
func TestNewCatalogueIsToldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		d := h.pair("g1")
		d.sync()
		h.pipe.connect(d.id)
		h.run()
		synctest.Wait()
		if len(h.pipe.sent) != 0 {
			t.Fatal("a device that knows all is sent something")
		}
		next := shippedCatalogue(t)
		next.Purposes = slices.DeleteFunc(next.Purposes, func(p cardea.Purpose) bool { return p.ID == recommend.Purpose() })
		h.ledger.Catalogue.Replace(next)
		synctest.Wait()
		if len(h.pipe.sent) != 1 {
			t.Fatalf("%d messages, want one", len(h.pipe.sent))
		}
		d.apply(d.open(<-h.pipe.sent))
		if slices.ContainsFunc(d.body.Consents, func(c cardea.Consent) bool { return c.Key == recommend }) {
			t.Error("it still has a purpose that is gone")
		}
	})
}

// What was decided just now does not wait behind all that a sweep has found.
func TestDecisionsGoBeforeTheSweep(t *testing.T) {
	h := newHouse(t)
	h.pipe.sent = make(chan []byte) // publishing waits for the test
	ours := h.pair("ours")
	ours.sync()
	h.pipe.connect(ours.id)
	for i := range 20 {
		other := *h
		other.account = accountdbtest.Account(t, h.db)
		d := other.pair(fmt.Sprint(i)) // and has confirmed nothing
		h.pipe.connect(d.id)
	}
	h.run()
	<-h.pipe.sent
	h.decide(cardea.ActDeny, recommend, cardea.Scope{})
	for n := range 20 {
		link, err := wire.PeekDown(<-h.pipe.sent)
		if err != nil {
			t.Fatal(err)
		}
		if link == ours.link {
			if n > 3 {
				t.Errorf("%d others were sent to first", n)
			}
			return
		}
	}
	t.Error("not sent at all")
}

func TestUnlinkedByTheOwner(t *testing.T) {
	h := newHouse(t)
	d := h.pair("g1")
	h.decide(cardea.ActGrant, recommend, cardea.Scope{})
	d.sync()
	if err := h.hub.Unlink(t.Context(), h.account.ID, d.link); err != nil {
		t.Fatal(err)
	}
	d.sync()
	if len(d.body.Orders) != 1 || d.body.Orders[0].Kind != cardea.OrderUnlink || len(d.body.Consents) != 0 || d.body.Identity.Subject != "" {
		t.Errorf("told %+v, want nothing but the order to unlink", d.body)
	}
	d.say(cardea.LogEntry{Act: cardea.ActDeny, Key: presence, Reach: cardea.ReachEverywhere})
	d.say(cardea.LogEntry{Act: cardea.ActUnlink})
	if down := d.sync(); !down.Closed {
		t.Error("the device's last report is not answered as closed")
	}
	if down := d.sync(); !down.Closed {
		t.Error("asked again, the answer is another")
	}
	devices, err := h.hub.Devices(t.Context(), h.account.ID)
	if err != nil || len(devices) != 0 {
		t.Errorf("%d devices are left: %v", len(devices), err)
	}
}

// A client that revokes its tokens ends the link that was made with them, once,
// and the device may still say its last.
func TestLeftByItsClient(t *testing.T) {
	h := newHouse(t)
	d, other := h.pair("g1"), h.pair("g2")
	for _, grant := range []pairing.GrantID{"g1", "g1", "never redeemed"} {
		if err := h.hub.Leave(t.Context(), h.account.ID, grant); err != nil {
			t.Fatal(err)
		}
	}
	d.say(cardea.LogEntry{Act: cardea.ActDeny, Key: presence, Reach: cardea.ReachEverywhere})
	d.say(cardea.LogEntry{Act: cardea.ActUnlink})
	if down := d.sync(); !down.Closed {
		t.Error("the device's last report is not answered as closed")
	}
	other.sync()
	other.wants(presence, cardea.ReasonRefused)
	devices, err := h.hub.Devices(t.Context(), h.account.ID)
	if err != nil || len(devices) != 1 || devices[0].Link != other.link {
		t.Errorf("%d devices are left: %v", len(devices), err)
	}
}

// A device may leave by itself, with what was said on it and is not known yet.
func TestUnlinkedOnTheDevice(t *testing.T) {
	h := newHouse(t)
	d, other := h.pair("g1"), h.pair("g2")
	h.decide(cardea.ActGrant, recommend, cardea.Scope{})
	other.sync()
	d.sync()
	d.say(cardea.LogEntry{Act: cardea.ActDeny, Key: recommend, Reach: cardea.ReachEverywhere})
	d.say(cardea.LogEntry{Act: cardea.ActUnlink})
	for range 2 {
		if down := d.sync(); !down.Closed {
			t.Error("the last report is not answered as closed")
		}
	}
	other.sync()
	other.wants(recommend, cardea.ReasonWithdrawn)
	h.decide(cardea.ActGrant, recommend, cardea.Scope{})
	if down := d.sync(); !down.Closed || !down.Renewal() {
		t.Error("a device that has left is told more")
	}
}

func TestForeignAccountCannotUnlink(t *testing.T) {
	h := newHouse(t)
	d := h.pair("g1")
	if err := h.hub.Unlink(t.Context(), cardea.NewID[cardea.AccountID](), d.link); err == nil {
		t.Error("another account ended the link")
	}
}

func TestUnknownLinkIsSaidNotErased(t *testing.T) {
	h := newHouse(t)
	d := h.pair("g1")
	d.link = cardea.NewID[cardea.LinkID]()
	report := d.report()
	answer, err := h.hub.Handle(t.Context(), report)
	if !errors.Is(err, hub.ErrUnknownLink) {
		t.Fatalf("handle: %v", err)
	}
	if err := wire.OpenUnknown(answer, report, d.link, d.keys.Trust()); err != nil {
		t.Errorf("the answer is not the signed word: %v", err)
	}
}

func TestUpOverHTTP(t *testing.T) {
	h := newHouse(t)
	d, stranger := h.pair("g1"), h.pair("g2")
	s := httptest.NewServer(h.hub.Up())
	defer s.Close()
	forged := *d
	forged.key = stranger.key
	unknown := *d
	unknown.link = cardea.NewID[cardea.LinkID]()
	for name, test := range map[string]struct {
		body   []byte
		media  string
		status int
	}{
		"report":       {d.report(), "application/cose", http.StatusOK},
		"wrong key":    {forged.report(), "application/cose", http.StatusForbidden},
		"no link":      {unknown.report(), "application/cose", http.StatusNotFound},
		"garbage":      {[]byte("garbage"), "application/cose", http.StatusBadRequest},
		"empty":        {nil, "application/cose", http.StatusBadRequest},
		"cut":          {d.report()[:40], "application/cose", http.StatusBadRequest},
		"as text":      {d.report(), "text/plain", http.StatusUnsupportedMediaType},
		"over 16 KB":   {make([]byte, 17<<10), "application/cose", http.StatusRequestEntityTooLarge},
		"flipped byte": {flip(d.report()), "application/cose", http.StatusForbidden},
	} {
		r, err := http.Post(s.URL, test.media, bytes.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != test.status {
			t.Errorf("%s: status %d, want %d", name, r.StatusCode, test.status)
		}
	}
}

func flip(b []byte) []byte {
	b[len(b)-1] ^= 1
	return b
}

func TestPreferencesBothWays(t *testing.T) {
	h := newHouse(t)
	d := h.pair("g1")
	d.say(cardea.LogEntry{Act: cardea.ActPrefer, Preference: "voice_speed", Value: "120", Reach: cardea.ReachEverywhere})
	d.say(cardea.LogEntry{Act: cardea.ActPrefer, Preference: "voice_speed", Value: `"fast"`, Reach: cardea.ReachEverywhere})
	down := d.sync()
	if len(down.Rejected) != 1 || down.Rejected[0].Reason != cardea.RejectedValue {
		t.Errorf("rejected %v, want the text for a number", down.Rejected)
	}
	page, err := h.ledger.Page(t.Context(), h.account.ID, "en")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range page.Preferences {
		if p.Def.Key == "voice_speed" && p.Value != "120" {
			t.Errorf("voice_speed = %s", p.Value)
		}
	}
	_, err = h.ledger.Decide(t.Context(), h.account.ID, cardea.ChannelPortal, cardea.Scope{}, cardea.Decision{
		Event: cardea.NewID[cardea.EventID](), Act: cardea.ActPrefer, Preference: "voice_speed", Value: "90",
	})
	if rejected, ok := errors.AsType[*ledger.RejectedError](err); !ok || rejected.Reason != cardea.RejectedConflict {
		t.Errorf("a value set without having seen the last one: %v", err)
	}
}

// Sixteen reports of one device and as many decisions race; nothing is lost and
// nothing is signed twice under one revision.
func TestRacingReports(t *testing.T) {
	h := newHouse(t)
	d := h.pair("g1")
	seen := make(chan cardea.Down, 64)
	for range 16 {
		go func() {
			answer, err := h.hub.Handle(context.Background(), d.report())
			if err != nil {
				t.Error(err)
			}
			seen <- d.open(answer)
		}()
		h.decide(cardea.ActGrant, recommend, cardea.Scope{})
		h.decide(cardea.ActDeny, recommend, cardea.Scope{})
	}
	hashes := map[uint64]cardea.Hash{}
	for range 16 {
		down := <-seen
		if old, ok := hashes[down.Revision]; ok && old != down.BodyHash {
			t.Errorf("revision %d has two contents", down.Revision)
		}
		hashes[down.Revision] = down.BodyHash
	}
	d.sync()
	d.wants(recommend, cardea.ReasonWithdrawn)
}

// A link that was ended, or is forked, can stop things and nothing else: what a
// device that was sold or cloned says yes to is not the owner's word.
func TestEndedOrForkedLinkOnlyStops(t *testing.T) {
	for name, end := range map[string]func(h *house, d *device){
		"unlinked by the owner": func(h *house, d *device) {
			if err := h.hub.Unlink(t.Context(), h.account.ID, d.link); err != nil {
				t.Fatal(err)
			}
		},
		"unlinked on the device": func(_ *house, d *device) { d.say(cardea.LogEntry{Act: cardea.ActUnlink}) },
		"forked": func(h *house, d *device) {
			clone := *d
			d.say(cardea.LogEntry{Act: cardea.ActDeny, Key: presence})
			d.sync()
			clone.say(cardea.LogEntry{Act: cardea.ActDeny, Key: personal})
			clone.sync()
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			d, other := h.pair("g1"), h.pair("g2")
			other.say(cardea.LogEntry{Act: cardea.ActPrefer, Preference: "microphone_off", Value: "true", Reach: cardea.ReachEverywhere})
			other.sync()
			end(h, d)
			d.sync()
			cat, _ := h.ledger.Catalogue.Current()
			p, _ := cat.Purpose("product_analytics")
			d.say(cardea.LogEntry{Act: cardea.ActGrant, Key: "product_analytics/use", Version: p.Version, Notice: p.Notice("en")})
			d.say(cardea.LogEntry{Act: cardea.ActPrefer, Preference: "microphone_off", Value: "false"})
			d.say(cardea.LogEntry{Act: cardea.ActPrefer, Preference: "voice_speed", Value: "120", Reach: cardea.ReachEverywhere})
			d.say(cardea.LogEntry{Act: cardea.ActPrefer, Preference: "microphone_off", Value: "true"})
			d.say(cardea.LogEntry{Act: cardea.ActDeny, Key: recommend, Reach: cardea.ReachEverywhere})
			down := d.sync()
			if len(down.Rejected) != 3 || down.Rejected[0].Reason != cardea.RejectedConfirm {
				t.Errorf("rejected %v, want all but the last two", down.Rejected)
			}
			other.sync()
			other.wants(recommend, cardea.ReasonRefused)
		})
	}
}

// A rejection stands until the device, which holds the entry until then, has
// heard of it.
func TestRejectionOutlivesALostAnswer(t *testing.T) {
	h := newHouse(t)
	d := h.pair("g1")
	d.say(cardea.LogEntry{Act: cardea.ActGrant, Key: "no_such_thing/use", Version: 1})
	if _, err := h.hub.Handle(t.Context(), d.report()); err != nil { // the answer is lost
		t.Fatal(err)
	}
	d.say(cardea.LogEntry{Act: cardea.ActDeny, Key: recommend})
	if down := d.sync(); len(down.Rejected) != 1 || len(d.log.Entries) != 0 {
		t.Errorf("rejected %v, %d entries are held; want one rejection", down.Rejected, len(d.log.Entries))
	}
	d.say(cardea.LogEntry{Act: cardea.ActDeny, Key: personal})
	if down := d.sync(); len(down.Rejected) != 0 {
		t.Errorf("rejected %v, which the device does not hold any more", down.Rejected)
	}
}

// Whoever sends old reports again, which anybody on the way can, makes no work
// that stays.
func TestReplayedReportsMakeNoRevisions(t *testing.T) {
	h := newHouse(t)
	d := h.pair("g1")
	old := d.report()
	h.decide(cardea.ActDeny, recommend, cardea.Scope{})
	d.sync()
	d.sync()
	for range 3 {
		if _, err := h.hub.Handle(t.Context(), old); err != nil {
			t.Fatal(err)
		}
	}
	if down := d.sync(); !down.Renewal() || down.Revision != d.have.Revision {
		t.Errorf("revision %d is issued, want the renewal of %d", down.Revision, d.have.Revision)
	}
}

// The same revision with other content was issued by a database that is no more.
func TestOtherContentIsOvertaken(t *testing.T) {
	h := newHouse(t)
	d := h.pair("g1")
	d.have.BodyHash[0] ^= 1
	if down := d.sync(); down.Renewal() || down.Revision != 2 {
		t.Errorf("answer has revision %d, want a statement with 2", down.Revision)
	}
}

// A device that holds the order to unlink has not left before it says so.
func TestLeavingUntilTheDeviceSaysSo(t *testing.T) {
	h := newHouse(t)
	d := h.pair("g1")
	if err := h.hub.Unlink(t.Context(), h.account.ID, d.link); err != nil {
		t.Fatal(err)
	}
	d.sync()
	d.sync()
	devices, err := h.hub.Devices(t.Context(), h.account.ID)
	if err != nil || len(devices) != 1 || devices[0].State != hub.StateLeaving {
		t.Errorf("devices %+v, want one that is leaving: %v", devices, err)
	}
}

// While the clock can not be right nothing is signed: no answer, no link, and no
// push. When it is right again the same report is answered.
func TestNothingIsSignedByAWrongClock(t *testing.T) {
	h := newHouse(t)
	d := h.pair("g1")
	d.sync()
	var asked time.Time
	h.hub.Clock = func(at time.Time) error { asked = at; return clock.ErrClock }
	report := d.report()
	if answer, err := h.hub.Handle(t.Context(), report); !errors.Is(err, clock.ErrClock) || answer != nil {
		t.Errorf("answered %d bytes, %v", len(answer), err)
	}
	if time.Since(asked).Abs() > time.Minute {
		t.Errorf("asked about %s", asked)
	}
	r := httptest.NewRequest(http.MethodPost, "/v1/up", bytes.NewReader(report))
	r.Header.Set("Content-Type", "application/cose")
	w := httptest.NewRecorder()
	h.hub.Up().ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("answered %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	key := newKey(t)
	_, err := h.hub.Join(t.Context(), hub.Joining{
		Account: h.account.ID, Grant: "g2", Thumbprint: jose.Thumbprint(&key.PublicKey), PublicKey: jose.JWK(&key.PublicKey),
	})
	if !errors.Is(err, clock.ErrClock) {
		t.Errorf("joined: %v", err)
	}
	h.hub.Clock = nil
	if _, err := h.hub.Handle(t.Context(), report); err != nil {
		t.Errorf("when it is right again: %v", err)
	}
}
