package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/internal/owner"
	"github.com/cardea-id/cardea/internal/stage"
	"github.com/cardea-id/cardea/store/devicedb"
)

// A collecting house is a stage whose cloud writes what devices collect to files.
type collecting struct {
	*stage.Stage
	agent *stage.Agent
	phone *owner.Owner
	dir   string
}

// newCollecting is one with a speaker that is not linked yet.
func newCollecting(t *testing.T) *collecting {
	t.Helper()
	c := &collecting{dir: filepath.Join(t.TempDir(), "events")}
	c.Stage = newStageWith(t, shipped(t), func(s *stage.Config) { s.Clients += fmt.Sprintf("\n[ingest]\ndir = %q\n", c.dir) })
	var err error
	c.agent, err = c.StartAgent(context.Background(), "kitchen", "speaker")
	must(t, err)
	return c
}

func (c *collecting) pair(t *testing.T) {
	t.Helper()
	c.phone = newPhone(t, c.Stage, "anna@example.com")
	pair(t, c.agent, c.phone)
}

func (c *collecting) allow(t *testing.T) {
	t.Helper()
	if a, err := c.agent.Decide(context.Background(), recommend, cardea.UseCollect); err == nil && a.Allowed() {
		return
	}
	choose(t, c.Stage, c.phone, "Allow", recommend)
	// A stop that was said on the device stands there until it is taken back.
	must(t, c.phone.Open(context.Background(), c.URL+"/consents"))
	if err := c.phone.Press(context.Background(), "Allow on this device", questions[recommend]); err != nil && !errors.Is(err, owner.ErrNoButton) {
		t.Fatal(err)
	}
	answers(t, c.agent, recommend, cardea.Allow)
}

// song is an event whose track is its id.
func song(id string) client.Datum {
	return client.Datum{
		ID: id, Purpose: "recommendations", Method: cardea.MethodObserved,
		Data: map[string]json.RawMessage{"track": json.RawMessage(strconv.Quote(id)), "contacts": json.RawMessage(`"a name that is nobody's business"`)},
	}
}

// collect hands events in and returns how many were accepted.
func (c *collecting) collect(t *testing.T, events ...client.Datum) (accepted int) {
	t.Helper()
	taken, err := c.agent.Collect(context.Background(), events...)
	must(t, err)
	for _, o := range taken.Events {
		if o.Accepted {
			accepted++
		}
	}
	return accepted
}

// A line is what these tests read of an exported event.
type line struct {
	ID        string           `json:"id"`
	Decision  string           `json:"decision"`
	Subject   string           `json:"subject"`
	Source    string           `json:"source"`
	Method    string           `json:"method"`
	Collected int64            `json:"collected"`
	Consents  []map[string]any `json:"consents"`
	Data      map[string]any   `json:"data"`
}

// arrived reads what the brand has, by track.
func (c *collecting) arrived(t *testing.T) map[string][]line { t.Helper(); return arrivedIn(t, c.dir) }

func arrivedIn(t *testing.T, dir string) map[string][]line {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "events-*"))
	must(t, err)
	all := map[string][]line{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		must(t, err)
		for sc := bufio.NewScanner(bytes.NewReader(text)); sc.Scan(); {
			var l line
			if json.Unmarshal(sc.Bytes(), &l) != nil {
				continue // the last one, while it is written
			}
			if l.Decision == "" || l.Subject == "" || l.Source != "stage" || l.Method != "observed" || l.Collected == 0 || len(l.Consents) == 0 || l.Consents[0]["event"] == "" || l.Data["contacts"] != nil {
				t.Errorf("%s", sc.Bytes())
			}
			track, _ := l.Data["track"].(string)
			all[track] = append(all[track], l)
		}
	}
	return all
}

// kills is how often each of the two is killed in TestIngestExactlyOnce; make
// events sets more.
func kills(t *testing.T) int {
	if text := os.Getenv("CARDEA_KILLS"); text != "" {
		n, err := strconv.Atoi(text)
		must(t, err)
		return n
	}
	return 5
}

// Agent and cloud are killed at any moment while events are handed in, sent and
// written: each that was accepted, and each that was handed in again after an
// error, stands in the files once.
func TestIngestExactlyOnce(t *testing.T) {
	c := newCollecting(t)
	c.pair(t)
	c.allow(t)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	type count struct{ events, again int }
	handed := make(chan count, 1)
	go func() {
		n, again := 0, 0
		for ctx.Err() == nil {
			// More than there is room for would be dropped, as it must be.
			if s, err := c.agent.Status(context.Background()); err != nil || s.Events.Waiting > devicedb.MaxQueueItems/2 {
				time.Sleep(5 * time.Millisecond)
				continue
			}
			var batch []client.Datum
			for i := range 32 { // so many are written at once, and not after a second
				batch = append(batch, song(fmt.Sprintf("song-%d", n+i)))
			}
			taken, err := c.agent.Collect(context.Background(), batch...)
			if err != nil || !taken.Events[31].Accepted { // not there, or it does not know the time yet
				again++
				time.Sleep(5 * time.Millisecond)
				continue
			}
			n += len(batch)
			time.Sleep(20 * time.Millisecond)
		}
		handed <- count{n, again}
	}()
	total := 2 * kills(t)
	for i := range total {
		time.Sleep(time.Duration(rand.IntN(800)) * time.Millisecond)
		if i%2 == 0 {
			c.agent.Process.Kill()
			must(t, c.agent.Start(context.Background()))
		} else {
			c.Cloud.Kill()
			must(t, c.StartCloud(context.Background()))
		}
	}
	stop()
	all := <-handed
	var got map[string][]line
	until(t, "all events have arrived", func() error {
		if got = c.arrived(t); len(got) < all.events {
			return fmt.Errorf("%d of %d", len(got), all.events)
		}
		return nil
	})
	twice := 0
	for track, lines := range got {
		if len(lines) > 1 || !strings.HasPrefix(track, "song-") {
			twice++
			t.Errorf("%s arrived %d times", track, len(lines))
		}
	}
	t.Logf("kills=%d events=%d handed-in-again=%d arrived=%d twice=%d lost=%d", total, all.events, all.again, len(got), twice, all.events-len(got))
	if s, err := c.agent.Status(context.Background()); err != nil || s.Events.Dropped > 0 || s.Events.Deleted > 0 {
		t.Errorf("the device says %+v, %v", s.Events, err)
	}
	if all.events < 100 {
		t.Errorf("only %d events", all.events)
	}
}

var deletedThere = regexp.MustCompile(`\d+ items? that (was|were) not sent (was|were) deleted there\.`)

// The agent is killed, or the disk fails, at each write of a withdrawal: once it
// is acknowledged, nothing that was collected before is ever sent, also after a
// new yes.
func TestWithdrawPurgesInOneTransaction(t *testing.T) {
	t.Parallel()
	c := newCollecting(t)
	c.pair(t)
	acknowledged, killed := 0, 0
	for i, inject := range []string{
		"signal=KILL:when=1", "signal=KILL:when=2", "signal=KILL:when=3", "signal=KILL:when=5",
		"error=EIO:when=2", "error=EIO:when=3+",
	} {
		c.allow(t)
		c.agent.Network(false)
		var before []client.Datum
		for n := range 3 {
			before = append(before, song(fmt.Sprintf("before-%d-%d", i, n)))
		}
		if n := c.collect(t, before...); n != 3 {
			t.Fatalf("%d events were accepted", n)
		}
		stop := trace(t, c.agent.Process.Pid(), "-e", "trace=pwrite64,fdatasync", "-e", "inject=pwrite64,fdatasync:"+inject)
		_, err := c.agent.Withdraw(context.Background(), client.Withdrawal{Key: recommend})
		said := err == nil
		if strings.HasPrefix(inject, "signal") {
			select {
			case <-c.agent.Process.Done():
				killed++
			case <-time.After(3 * time.Second): // the answer came, and the rest was fewer writes
				c.agent.Process.Kill()
			}
			stop()
			must(t, c.agent.Start(context.Background()))
		}
		stop()
		if said {
			acknowledged++
			answers(t, c.agent, recommend, cardea.Deny)
		}
		c.agent.Network(true)
		nothingPending(t, c.agent)
		c.allow(t)
		after := fmt.Sprintf("after-%d", i)
		if n := c.collect(t, song(after)); n != 1 {
			t.Fatal("not accepted after a new yes")
		}
		until(t, after+" has arrived", func() error {
			if len(c.arrived(t)[after]) == 0 {
				return fmt.Errorf("not yet")
			}
			return nil
		})
		for _, e := range before {
			if said && len(c.arrived(t)[e.ID]) > 0 {
				t.Errorf("%s: %s was sent after it was stopped", inject, e.ID)
			}
		}
	}
	// The device's report has told the cloud, and the cloud its owner.
	told := ""
	until(t, "the owner is told what was deleted", func() error {
		must(t, c.phone.Open(context.Background(), c.URL+"/devices"))
		if told = deletedThere.FindString(c.phone.Text()); told == "" {
			return errors.New(c.phone.Text())
		}
		return nil
	})
	t.Logf("cases=6 killed=%d acknowledged=%d; the owner reads: %s", killed, acknowledged, told)
	if acknowledged < 3 || killed < 2 {
		t.Errorf("%d withdrawals were acknowledged, and %d agents killed within one: too few to tell", acknowledged, killed)
	}
}
