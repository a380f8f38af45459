package hub_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/store/accountdb"
)

// A history is a house with a past: after each commit its database was copied.
type history struct {
	*house
	copies  []string
	devices []*device
	born    map[*device]int // the first copy that knows it
	ended   map[*device]int // the first copy in which it was unlinked
}

// step does one thing and copies the database.
func (y *history) step(f func()) {
	y.t.Helper()
	f()
	to := filepath.Join(filepath.Dir(y.path), fmt.Sprintf("copy-%02d", len(y.copies)))
	if err := accountdb.Backup(context.Background(), y.path, to); err != nil {
		y.t.Fatal(err)
	}
	y.copies = append(y.copies, to)
}

func (y *history) pairs(grant string) (d *device) {
	y.step(func() { d = y.pair(grant) })
	y.devices = append(y.devices, d)
	y.born[d] = len(y.copies) - 1
	return d
}

func (y *history) says(d *device, e cardea.LogEntry) {
	d.say(e)
	y.step(func() { d.sync() })
}

func (y *history) decides(act cardea.Act, key cardea.Key, scope cardea.Scope) {
	y.t.Helper()
	y.step(func() { y.decide(act, key, scope) })
}

// live is thirty commits of four devices: one goes off early, one is unlinked
// while it is off, one comes late, and one says something nobody heard.
func live(t *testing.T) *history {
	y := &history{house: newHouse(t), born: map[*device]int{}, ended: map[*device]int{}}
	const (
		analytics = cardea.Key("product_analytics/use")
		grant     = cardea.ActGrant
		deny      = cardea.ActDeny
	)
	all := cardea.Scope{}
	kitchen := y.pairs("kitchen")
	y.decides(grant, recommend, all)
	y.step(func() { kitchen.sync() })
	away, sold := y.pairs("away"), y.pairs("sold")
	y.decides(grant, personal, all)
	y.decides(grant, analytics, all)
	y.decides(grant, presence, all)
	for _, d := range []*device{kitchen, away, sold} {
		y.step(func() { d.sync() })
	}
	// From here on nobody hears of away and sold.
	y.says(kitchen, cardea.LogEntry{Act: deny, Key: recommend})
	y.decides(deny, analytics, all)
	y.step(func() { kitchen.sync() })
	late := y.pairs("late")
	y.says(late, cardea.LogEntry{Act: deny, Key: personal, Reach: cardea.ReachEverywhere})
	y.step(func() { kitchen.sync() })
	y.decides(grant, analytics, all)
	y.step(func() { kitchen.sync() })
	y.decides(deny, analytics, all)
	y.step(func() {
		if err := y.hub.Unlink(t.Context(), y.account.ID, sold.link); err != nil {
			t.Fatal(err)
		}
	})
	y.ended[sold] = len(y.copies) - 1
	y.step(func() { late.sync() })
	y.decides(grant, recommend, cardea.Scope{Device: kitchen.id})
	y.step(func() { kitchen.sync() })
	y.decides(deny, recommend, cardea.Scope{Device: kitchen.id})
	y.decides(deny, presence, cardea.Scope{Device: away.id})
	y.step(func() { kitchen.sync() })
	y.step(func() { late.sync() })
	y.says(kitchen, cardea.LogEntry{Act: cardea.ActPrefer, Preference: "microphone_off", Value: "true"})
	y.step(func() { kitchen.sync() })
	kitchen.say(cardea.LogEntry{Act: deny, Key: presence}) // and is off before it is heard
	return y
}

// given lists what a device may do with the user's data, except what is not
// asked.
func given(consents []cardea.Consent) map[cardea.Key]bool {
	out := map[cardea.Key]bool{}
	for _, c := range consents {
		if c.Given() && c.Class != cardea.ClassN {
			out[c.Key] = true
		}
	}
	return out
}

// truth is what the whole history gives on a device.
func (y *history) truth(d *device) map[cardea.Key]bool {
	y.t.Helper()
	var body cardea.Body
	err := y.db.View(context.Background(), func(tx *accountdb.Tx) error {
		link, err := tx.Link(d.link)
		if err != nil {
			return err
		}
		cat, _ := y.ledger.Catalogue.Current()
		body, err = y.ledger.Body(tx, cat, link)
		return err
	})
	if err != nil {
		y.t.Fatal(err)
	}
	out := given(body.Consents)
	for _, e := range d.log.Entries { // said and not heard
		if e.Act == cardea.ActDeny {
			delete(out, e.Key)
		}
	}
	return out
}

// twin is a device that goes on with another cloud than the present one.
func (d *device) twin(h *house) *device {
	c := *d
	c.house = h
	c.body.Consents, c.body.Preferences = slices.Clone(d.body.Consents), slices.Clone(d.body.Preferences)
	c.points = maps.Clone(d.points)
	return &c
}

func copyTo(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// back puts a cloud back to a copy, and its way of doing so.
type back struct {
	name    string
	journal bool // the stop journal is that of the whole history
	restore bool // by the command, and not by copying
}

func (y *history) back(way back, from string) *house {
	y.t.Helper()
	path := filepath.Join(y.t.(*testing.T).TempDir(), "cloud.db")
	if way.journal {
		copyTo(y.t.(*testing.T), y.path+".stops", path+".stops")
	}
	if !way.restore {
		copyTo(y.t.(*testing.T), from, path)
		return y.at(path)
	}
	if _, err := accountdb.Restore(context.Background(), path, from, y.master); err != nil {
		y.t.Fatal(err)
	}
	return y.at(path)
}

// The cloud is put back to each of its commits, by the command, by hand, and by
// hand without its stop journal, and goes on with the devices as they are now:
// nothing that was stopped is given again, nobody is unpaired, and what is
// decided then counts.
func TestRestoreToEveryCommit(t *testing.T) {
	y := live(t)
	truth := map[*device]map[cardea.Key]bool{}
	for _, d := range y.devices {
		truth[d] = y.truth(d)
	}
	if n := len(y.copies); n < 30 {
		t.Fatalf("the history has only %d commits", n)
	}
	for n, from := range y.copies {
		usual := back{"restored", true, true}
		if n%2 == 1 {
			usual = back{"copied", true, false}
		}
		for _, way := range []back{usual, {"without journal", false, false}} {
			t.Run(fmt.Sprintf("%02d %s", n, way.name), func(t *testing.T) {
				t.Parallel()
				z := *y
				z.house = new(*y.house)
				z.t = t
				h := z.back(way, from)
				r := &run{T: t, history: y, house: h, way: way, commit: n, truth: truth}
				r.goOn()
			})
		}
	}
	t.Logf("%d commits", len(y.copies))
}

// A run is one cloud that was put back, going on.
type run struct {
	*testing.T
	*history
	house  *house
	way    back
	commit int
	truth  map[*device]map[cardea.Key]bool
}

func (r *run) goOn() {
	var known []*device
	for _, d := range r.devices {
		twin := d.twin(r.house)
		ended, ends := r.ended[d]
		switch {
		case r.born[d] > r.commit:
			r.unknown(twin)
			continue
		case ends && (r.way.journal || r.commit >= ended):
			twin.sync()
			if len(twin.body.Orders) == 0 {
				r.Error("a device that was unlinked is not told to leave")
			}
			continue
		}
		most := r.truth[d]
		if !r.way.journal { // what no device has seen is lost with the journal
			most = given(d.body.Consents)
		}
		r.settles(twin, most)
		known = append(known, twin)
	}
	r.decidesAnew(known)
}

// unknown: what was paired since is told so by a signed word, and not erased.
func (r *run) unknown(d *device) {
	up := d.report()
	answer, err := r.house.hub.Handle(context.Background(), up)
	if !errors.Is(err, hub.ErrUnknownLink) {
		r.Errorf("a link the cloud has lost: %v", err)
	}
	if err := wire.OpenUnknown(answer, up, d.link, d.keys.Trust()); err != nil {
		r.Errorf("the word that it is unknown: %v", err)
	}
}

// settles lets a device and the cloud agree: nothing is given on the way that was
// stopped, and soon nothing is left to say.
func (r *run) settles(d *device, most map[cardea.Key]bool) {
	r.Helper()
	protected := slices.ContainsFunc(d.body.Preferences, isMuted)
	for round := range 5 {
		down := d.sync()
		for key := range given(d.body.Consents) {
			if !most[key] {
				r.Errorf("round %d: %s is given again", round, key)
			}
		}
		if protected && !slices.ContainsFunc(d.body.Preferences, isMuted) {
			r.Errorf("round %d: the microphone is on again", round)
		}
		if down.Renewal() && len(d.log.Entries) == 0 {
			return
		}
	}
	r.Error("the device and the cloud do not come to rest")
}

func isMuted(p cardea.Preference) bool { return p.Key == "microphone_off" && p.Value == "true" }

// decidesAnew: what the owner says now is in force on every device, whatever
// numbers had been given before.
func (r *run) decidesAnew(devices []*device) {
	h := r.house
	h.decide(cardea.ActGrant, recommend, cardea.Scope{})
	for _, d := range devices {
		h.decide(cardea.ActGrant, recommend, cardea.Scope{Device: d.id})
	}
	for _, d := range devices {
		d.sync()
		d.wants(recommend, cardea.ReasonGranted)
	}
	h.decide(cardea.ActDeny, recommend, cardea.Scope{})
	for _, d := range devices {
		d.sync()
		d.wants(recommend, cardea.ReasonWithdrawn)
	}
}
