package syncer_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/store/devicedb"
)

// past is a history of a device, in steps.
var past = []func(w *world){
	func(w *world) { w.owner(cardea.ActGrant, recs) },
	func(w *world) { w.owner(cardea.ActGrant, voice) },
	func(w *world) { w.withdraw(voice, cardea.ReachDevice) },
	func(w *world) { w.allow(habits) },
	func(w *world) { w.withdraw(habits, cardea.ReachEverywhere) },
	func(w *world) { w.owner(cardea.ActDeny, recs) },
	func(w *world) { w.owner(cardea.ActGrant, recs) },
}

// A disk is the content of a device's files, without what ends with the boot.
type disk map[string][]byte

func (w *world) image() disk {
	w.t.Helper()
	names, err := filepath.Glob(filepath.Join(w.dir, "device*"))
	if err != nil {
		w.t.Fatal(err)
	}
	d := disk{}
	for _, name := range names {
		if d[name], err = os.ReadFile(name); err != nil {
			w.t.Fatal(err)
		}
	}
	return d
}

// write puts the files back that match.
func (d disk) write(t *testing.T, match string) {
	t.Helper()
	for name, content := range d {
		if strings.HasSuffix(name, match) {
			if err := os.WriteFile(name, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// play lives through the first steps of the past, with an image after each.
func (w *world) play(steps int) (images []disk) {
	w.t.Helper()
	if err := w.db.PutTokens(w.peer.id, pairing.Tokens{RefreshToken: "a refresh token"}); err != nil {
		w.t.Fatal(err)
	}
	for _, step := range past[:steps] {
		step(w)
		synctest.Wait()
		images = append(images, w.image())
	}
	return images
}

// regain gives the device its lost link back, as the session does.
func (w *world) regain() {
	w.t.Helper()
	lost := w.db.Lost()
	if len(lost) != 1 || lost[0].Link != w.peer.id {
		w.t.Fatalf("lost %v", lost)
	}
	l := devicedb.Link{
		ID: w.peer.id, Key: w.peer.key, Issuer: "https://id.example", UpURL: "https://id.example/v1/up",
		BrokerURL: "tls://mq.example:8883", Root: jose.JWK(&w.cloud.root.PublicKey), KeyList: w.cloud.list,
	}
	if err := w.db.Join(l, lost[0].Tokens); err != nil {
		w.t.Fatal(err)
	}
	if err := w.Join(w.peer.id, w.cloud.push(w.peer)); err != nil {
		w.t.Fatal(err)
	}
}

// never fails if a key that was withdrawn is given.
func (w *world) never(when string, keys ...cardea.Key) {
	w.t.Helper()
	for _, key := range keys {
		if a := w.gate.DecideFor(w.peer.id, cardea.Query{Key: key}); a.Allowed() {
			w.t.Errorf("%s %s is given: %+v", when, key, a)
		}
	}
}

// The database is lost, put back, or the whole device put back as a clone is,
// between any two steps of a history. Then something is withdrawn: it is never
// given again, nor is what was withdrawn before.
func TestLoseRollBackClone(t *testing.T) {
	for now := 2; now <= len(past); now++ {
		t.Run(fmt.Sprintf("lost after %d", now), func(t *testing.T) {
			one(t, func(w *world) {
				w.play(now)
				w.stop()
				w.db.Close()
				if err := os.Remove(filepath.Join(w.dir, "device.db")); err != nil {
					t.Fatal(err)
				}
				w.start()
				w.regain()
				w.doomed(now)
			})
		})
		for then := 1; then < now; then++ {
			for name, match := range map[string]string{"database": ".db", "journal": ".journal", "clone": ""} {
				t.Run(fmt.Sprintf("%s of %d after %d", name, then, now), func(t *testing.T) {
					one(t, func(w *world) {
						images := w.play(now)
						w.stop()
						w.db.Close()
						images[then-1].write(t, match)
						w.cut()
						w.start()
						w.doomed(now)
					})
				})
			}
		}
	}
}

// doomed withdraws and watches what was withdrawn.
func (w *world) doomed(now int) {
	w.t.Helper()
	before := []cardea.Key{}
	if now >= 3 {
		before = append(before, voice)
	}
	w.never("offline", before...)
	w.cut()
	w.withdraw(recs, cardea.ReachDevice)
	before = append(before, recs)
	w.never("withdrawn,", before...)
	w.restart()
	w.never("after a restart", before...)
	w.mend()
	for range 10 {
		sleep(20 * time.Second)
		w.never("online", before...)
	}
	w.restart()
	w.never("in the end", before...)
	if got := w.cloud.fold(w.peer, recs); got == cardea.ReasonGranted {
		w.t.Error("the cloud gives it")
	}
	if loss := w.stored().Loss; !loss.IsZero() {
		if a := w.gate.DecideFor(w.peer.id, cardea.Query{Key: habits}); a.Reason != cardea.ReasonForked {
			w.t.Errorf("before the owner has confirmed it answers %s", a.Reason)
		}
		w.cloud.confirm(loss)
		w.restart()
		w.never("confirmed", before...)
	}
	if bar := w.stored().Barred(); bar != "" {
		w.t.Errorf("it never comes back: %s", bar)
	}
}
