package devicedb_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/devicedb"
	"github.com/cardea-id/cardea/store/devicedb/devicedbtest"
)

const (
	music = cardea.Key("music/use")
	third = cardea.Key("music/third_party")
	voice = cardea.Key("voice/use")
	alarm = cardea.Key("alarm/use") // of class N
)

// collector is a disk with a link that is given everything.
func collector(t *testing.T) *disk {
	t.Helper()
	d := newDisk(t)
	d.change(func(l *devicedb.Link) {
		l.Body.Consents = nil
		for _, key := range []cardea.Key{music, third, voice, alarm} {
			l.Body.Consents = append(l.Body.Consents, cardea.Consent{
				Key: key, Version: 1, Reason: cardea.ReasonGranted, Class: cardea.ClassC, Decided: cardea.Point{Era: 1, Seq: 4},
			})
		}
		l.Body.Consents[3].Class = cardea.ClassN
	})
	return d
}

// item is one that was collected under these keys.
func item(keys ...cardea.Key) cardea.Item {
	i := cardea.Item{
		ID: cardea.NewID[cardea.ItemID](), Purpose: keys[0].Purpose(), Source: "player", Method: cardea.MethodObserved, Collected: 1,
		Data: []byte(`{"track":"a secret song"}`),
	}
	for _, key := range keys {
		i.Needs = append(i.Needs, cardea.Need{Key: key})
	}
	return i
}

func yes(cardea.Item) cardea.Reason { return cardea.ReasonGranted }

func (d *disk) collect(items ...cardea.Item) []devicedb.Enqueued {
	d.t.Helper()
	out, err := d.db.Enqueue(d.id, items, yes)
	if err != nil {
		d.t.Fatal(err)
	}
	return out
}

// waits lists the first keys of what waits.
func (d *disk) waits(want ...cardea.Key) {
	d.t.Helper()
	_, items, err := d.db.Queued(d.id, 100)
	if err != nil {
		d.t.Fatal(err)
	}
	var got []cardea.Key
	for _, i := range items {
		got = append(got, i.Needs[0].Key)
	}
	if !slices.Equal(got, want) {
		d.t.Errorf("%v wait, want %v", got, want)
	}
}

func (d *disk) counts(key cardea.Key) cardea.Kept {
	d.t.Helper()
	p, err := d.db.Purged(d.id)
	if err != nil || p == nil {
		d.t.Fatalf("%v, %v", p, err)
	}
	for _, k := range p.Keys {
		if k.Key == key {
			return k
		}
	}
	return cardea.Kept{}
}

func TestQueue(t *testing.T) {
	d := collector(t)
	if p, err := d.db.Purged(d.id); p != nil || err != nil {
		t.Errorf("counts of nothing: %v, %v", p, err)
	}
	twice := item(music)
	out := d.collect(twice, item(third, music), item("unknown/use"))
	if out[0].Reason != cardea.ReasonGranted || out[0].Again || out[1].Reason != cardea.ReasonGranted || out[2].Reason != cardea.ReasonUnknown {
		t.Errorf("%+v", out)
	}
	if out := d.collect(twice); out[0].Reason != cardea.ReasonGranted || !out[0].Again {
		t.Errorf("once more: %+v", out)
	}
	d.waits(music, third)
	queue, items, err := d.db.Queued(d.id, 1)
	if err != nil || len(items) != 1 || items[0].N != 1 || items[0].Needs[0].Decided != (cardea.Point{Era: 1, Seq: 4}) || string(items[0].Data) != string(twice.Data) {
		t.Errorf("%v, %v", items, err)
	}
	if waiting, err := d.db.Waiting(); err != nil || len(waiting) != 1 || waiting[d.id] != 2 {
		t.Errorf("%v, %v", waiting, err)
	}
	before, err := d.db.Purged(d.id)
	if err != nil || before.Queue != queue || d.counts(music).Held != 2 {
		t.Errorf("%+v, %v", before, err)
	}
	for _, other := range []cardea.QueueID{cardea.NewID[cardea.QueueID](), queue} {
		if err := d.db.Sent(d.id, other, 1); err != nil {
			t.Fatal(err)
		}
		if other == queue {
			d.waits(third)
		} else {
			d.waits(music, third)
		}
	}
	if out := d.collect(twice); !out[0].Again {
		t.Error("what has left is taken again")
	}
	if k := d.counts(music); k.Held != 1 || k.Deleted != 0 {
		t.Errorf("%+v", k)
	}
	if n, err := d.db.Collected(); err != nil || n != (devicedb.Counts{Waiting: 1, Sent: 1}) {
		t.Errorf("%+v, %v", n, err)
	}
	if after, _ := d.db.Purged(d.id); after.N <= before.N {
		t.Errorf("the counts have changed under the number %d", after.N)
	}
}

// In the file nothing of an item can be read but sizes.
func TestItemsAreSealed(t *testing.T) {
	d := collector(t)
	d.collect(item(music))
	text, err := os.ReadFile(d.path)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"secret song", "music", "player", "track"} {
		if bytes.Contains(text, []byte(word)) {
			t.Errorf("%q stands in the file", word)
		}
	}
}

// The gate is asked inside the transaction, so that what it denies is not kept.
func TestEnqueueAsks(t *testing.T) {
	d := collector(t)
	out, err := d.db.Enqueue(d.id, []cardea.Item{item(music), item(voice)}, func(i cardea.Item) cardea.Reason {
		if i.Purpose == "music" {
			return cardea.ReasonStale
		}
		return cardea.ReasonGranted
	})
	if err != nil || out[0].Reason != cardea.ReasonStale || out[1].Reason != cardea.ReasonGranted {
		t.Errorf("%+v, %v", out, err)
	}
	d.waits(voice)
	if _, err := d.db.Enqueue(cardea.NewID[cardea.LinkID](), []cardea.Item{item(music)}, yes); !errors.Is(err, devicedb.ErrNotFound) {
		t.Errorf("for a link that is not there: %v", err)
	}
}

// A denial that is in the journal takes what it forbids with it, whatever brings
// it into the file: the next look, another change, or the next start.
func TestDenialDeletesWhatWaits(t *testing.T) {
	for name, follow := range map[string]func(d *disk){
		"followed":      func(d *disk) { must(d.t, d.db.Follow(d.id)) },
		"changed":       func(d *disk) { d.change(func(*devicedb.Link) {}) },
		"denied again":  func(d *disk) { d.deny(no(voice)); must(d.t, d.db.Follow(d.id)) },
		"restarted":     func(d *disk) { d.restart(func() {}) },
		"taken back":    func(d *disk) { d.change(func(l *devicedb.Link) { l.Log = l.Log.Append(allow(music)) }) },
		"both at once":  func(d *disk) { d.deny(no(voice)); d.restart(func() {}) },
		"of everything": func(d *disk) { d.deny(no(voice), no(alarm)); d.restart(func() {}) },
	} {
		t.Run(name, func(t *testing.T) {
			d := collector(t)
			d.collect(item(music), item(voice), item(third, music), item(alarm))
			d.deny(no(music))
			if out := d.collect(item(music)); out[0].Reason != cardea.ReasonWithdrawn {
				t.Errorf("taken behind the denial: %+v", out)
			}
			follow(d)
			if len(d.link().Log.Entries) == 1 || name == "taken back" {
				d.waits(voice, alarm)
			} else {
				d.waits(alarm) // which is not gated
			}
			if k := d.counts(music); k.Deleted != 2 || k.Held != 0 {
				t.Errorf("%+v", k)
			}
			d.restart(func() {})
			if k := d.counts(music); k.Deleted != 2 {
				t.Errorf("after a restart: %+v", k)
			}
		})
	}
}

func allow(key cardea.Key) cardea.LogEntry {
	return cardea.LogEntry{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActGrant, Key: key, Version: 1, Notice: cardea.Hash{1}, Reach: cardea.ReachDevice}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// What a statement does not give any more goes with the statement.
func TestStatementDeletesWhatWaits(t *testing.T) {
	d := collector(t)
	d.collect(item(music), item(third, music), item(voice))
	d.change(func(l *devicedb.Link) { l.Body.Consents[1].Reason = cardea.ReasonExpired })
	d.waits(music, voice)
	if k := d.counts(third); k.Deleted != 1 {
		t.Errorf("%+v", k)
	}
	d.change(func(l *devicedb.Link) { l.Body.Consents = l.Body.Consents[2:] }) // absent is no
	d.waits(voice)
	d.change(func(l *devicedb.Link) { l.Bar = cardea.ReasonUnknown }) // is nobody's word
	d.waits(voice)
}

// What the device's owner denies for all goes for all.
func TestDenialForEveryoneDeletes(t *testing.T) {
	d := collector(t)
	owner := full()
	owner.Log, owner.Bar = cardea.NewLog(), ""
	must(t, d.db.Join(owner, tokens()))
	d.collect(item(music), item(voice))
	denial := no(voice)
	denial.Reach = cardea.ReachEveryone
	must(t, d.db.Deny(owner.ID, denial))
	must(t, d.db.Follow(owner.ID))
	d.waits(music)
}

// What was collected goes with its link.
func TestItemsGoWithTheirLink(t *testing.T) {
	d := collector(t)
	d.collect(item(music))
	must(t, d.db.Leave(devicedb.Farewell{Link: d.id}))
	if waiting, err := d.db.Waiting(); err != nil || len(waiting) != 0 {
		t.Errorf("%v, %v", waiting, err)
	}
}

// A file that was put back holds items that were deleted since, by a denial that
// may be over: they are not sent, and what comes next has other numbers.
func TestRolledBackItemsAreDeleted(t *testing.T) {
	d := collector(t)
	d.collect(item(music))
	queue, _, err := d.db.Queued(d.id, 1)
	must(t, err)
	var back func()
	d.restart(func() { back = copyOf(t, d.path) })
	d.deny(no(music))
	d.change(func(l *devicedb.Link) { l.Log = cardea.NewLog() }) // acknowledged, and allowed again
	d.restart(back)
	d.waits()
	d.change(func(l *devicedb.Link) { l.Bar = "" })
	d.collect(item(music))
	if now, _, err := d.db.Queued(d.id, 1); err != nil || now == queue {
		t.Errorf("the queue goes on as %s, %v", now, err)
	}
}

// The cloud has stored more of this queue than this device remembers to have
// given numbers to: it was put back, and nothing tells but this.
func TestNumbersAreNotGivenTwice(t *testing.T) {
	d := collector(t)
	d.collect(item(music), item(voice))
	queue, _, err := d.db.Queued(d.id, 1)
	must(t, err)
	must(t, d.db.Sent(d.id, queue, 3))
	d.waits(music, voice)
	if now, _, err := d.db.Queued(d.id, 1); err != nil || now == queue {
		t.Errorf("the queue goes on as %s, %v", now, err)
	}
}

// An item that can not be read can not be judged, and leaves with the next
// change; so does what counts.
func TestDamagedItems(t *testing.T) {
	for _, bucket := range []string{"items", "queues"} {
		d := collector(t)
		d.collect(item(music), item(voice))
		d.restart(func() {
			bolt, err := bbolt.Open(d.path, 0o600, nil)
			must(t, err)
			must(t, bolt.Update(func(tx *bbolt.Tx) error {
				key, _ := tx.Bucket([]byte(bucket)).Cursor().First()
				return tx.Bucket([]byte(bucket)).Put(bytes.Clone(key), []byte("nonsense"))
			}))
			must(t, bolt.Close())
		})
		if _, _, err := d.db.Queued(d.id, 10); !errors.Is(err, devicedb.ErrDamaged) {
			t.Errorf("%s: %v", bucket, err)
		}
		d.change(func(l *devicedb.Link) { l.Body.Consents[0].Reason = cardea.ReasonWithdrawn })
		d.waits()
		if out := d.collect(item(voice)); out[0].Reason != cardea.ReasonGranted {
			t.Errorf("%s: %+v", bucket, out)
		}
	}
}

// Over its bounds a queue drops the oldest, and says so.
func TestQueueIsBounded(t *testing.T) {
	d := collector(t)
	big := item(music)
	big.Data = []byte(`{"track":"` + strings.Repeat("x", 1900) + `"}`)
	const rounds, each = 10, 64
	for range rounds {
		var items []cardea.Item
		for range each {
			big.ID = cardea.NewID[cardea.ItemID]()
			items = append(items, big)
		}
		d.collect(items...)
	}
	_, items, err := d.db.Queued(d.id, 1<<20)
	room := devicedb.MaxQueueBytes / len(big.Data)
	if err != nil || len(items) != room || items[0].N != uint64(rounds*each-room+1) || items[room-1].N != rounds*each {
		t.Errorf("%d items wait of %d that have room, %v", len(items), room, err)
	}
	if k := d.counts(music); k.Dropped != uint64(rounds*each-room) || k.Held != uint64(room) || k.Deleted != 0 {
		t.Errorf("%+v", k)
	}
	if n, err := d.db.Collected(); err != nil || n != (devicedb.Counts{Waiting: uint64(room), Dropped: uint64(rounds*each - room)}) {
		t.Errorf("%+v, %v", n, err)
	}
	info, err := os.Stat(d.path)
	must(t, err)
	t.Logf("%d items of %d bytes: a file of %d KB", room, len(big.Data), info.Size()>>10)
}

// BenchmarkEnqueue is what a batch costs the flash.
func BenchmarkEnqueue(b *testing.B) {
	for _, n := range []int{1, 64} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			db := devicedbtest.OpenAt(b, filepath.Join(b.TempDir(), "device.db"))
			l := full()
			l.Log, l.Body.Consents = cardea.NewLog(), []cardea.Consent{{Key: music, Reason: cardea.ReasonGranted, Class: cardea.ClassC}}
			if err := db.Put(l); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				var items []cardea.Item
				for range n {
					items = append(items, item(music))
				}
				if _, err := db.Enqueue(l.ID, items, yes); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
