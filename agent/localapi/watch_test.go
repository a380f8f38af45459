package localapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
)

// watching pulls events one by one.
func watching(t *testing.T, h *house, since uint64) func() client.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	next, stop := iter.Pull2(h.client(t).Watch(ctx, since))
	t.Cleanup(func() { cancel(); stop() })
	return func() client.Event {
		t.Helper()
		e, err, ok := next()
		if err != nil || !ok {
			t.Fatalf("the stream ended: %v", err)
		}
		return e
	}
}

func given(e client.Event) []cardea.Key {
	var keys []cardea.Key
	for _, c := range e.Consents {
		if c.Verdict == cardea.Allow {
			keys = append(keys, c.Key)
		}
	}
	return keys
}

func TestWatch(t *testing.T) {
	h := newHouse(t)
	c := h.client(t)
	next := watching(t, h, 0)
	first := next()
	if first.Generation != 7 || first.Link != h.link || first.Head.Seq != 9 || first.Pairing != client.PairNone ||
		!slices.Equal(given(first), []cardea.Key{"recommendations/use"}) || len(first.Consents) != 2 || len(first.Preferences) != 2 {
		t.Errorf("first %+v", first)
	}
	if _, err := c.Withdraw(t.Context(), client.Withdrawal{Key: "recommendations/use"}); err != nil {
		t.Fatal(err)
	}
	if e := next(); e.Generation != 8 || len(given(e)) != 0 || len(e.Consents) != 2 || e.Consents[0].Reason != cardea.ReasonWithdrawn {
		t.Errorf("after the withdrawal %+v", e)
	}
	if _, err := c.Pair(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e := next(); e.Generation != 9 || e.Pairing != client.PairPending {
		t.Errorf("after the start of a pairing %+v", e)
	}
	if _, err := c.Unlink(t.Context(), h.link); err != nil {
		t.Fatal(err)
	}
	if e := next(); e.Generation != 10 || !e.Link.IsZero() || e.Consents != nil || e.Preferences != nil {
		t.Errorf("a guest sees %+v", e)
	}
}

// Whoever has the state already waits for the next one.
func TestWatchSince(t *testing.T) {
	h := newHouse(t, fmt.Sprintf("name = \"p\"\nuser = \"%d\"\nentitlements = [\"events\", \"decide\"]\npurposes = [\"*\"]", os.Getuid()))
	same, other := watching(t, h, 7), watching(t, h, 6)
	if e := other(); e.Generation != 7 {
		t.Errorf("an old generation gets %+v", e)
	}
	before := h.looked()
	go func() {
		for h.looked() == before { // until same has found that nothing is new
			runtime.Gosched()
		}
		h.change(func() { h.view = cardea.Barred(cardea.ReasonRollback) })
	}()
	if e := same(); e.Generation != 8 || e.Consents[0].Reason != cardea.ReasonRollback {
		t.Errorf("the generation itself gets %+v", e)
	}
}

// A yes that runs out is told although nothing else happens.
func TestWatchTellsALapse(t *testing.T) {
	h := newHouse(t)
	h.change(func() {
		h.now.Time = epoch.Add(time.Hour - 100*time.Millisecond)
	})
	next := watching(t, h, 0)
	if e := next(); !slices.Equal(given(e), []cardea.Key{"recommendations/use"}) {
		t.Fatalf("%+v", e)
	}
	h.mu.Lock()
	h.now.Time = epoch.Add(time.Hour)
	h.mu.Unlock()
	if e := next(); e.Generation != 8 || len(given(e)) != 0 || e.Consents[0].Reason != cardea.ReasonStale {
		t.Errorf("%+v", e)
	}
}

// A watcher sees the purposes of its file, and without an entitlement nothing
// of that kind.
func TestWatchShowsOnlyWhatIsTheProgramS(t *testing.T) {
	for entitlements, want := range map[string][3]int{ // consents, preferences, pairing
		`"events"`:                          {0, 0, 0},
		`"events", "decide"`:                {1, 0, 0},
		`"events", "consent.read", "prefs"`: {1, 1, 0},
		`"events", "pair"`:                  {0, 0, 1},
	} {
		h := newHouse(t, fmt.Sprintf("name = \"p\"\nuser = \"%d\"\nentitlements = [%s]\npurposes = [\"voice\"]\npreferences = [\"language\"]", os.Getuid(), entitlements))
		e := watching(t, h, 0)()
		if got := [3]int{len(e.Consents), len(e.Preferences), min(len(e.Pairing), 1)}; got != want {
			t.Errorf("with %s: %+v", entitlements, e)
		}
	}
}

// Who does not read is not buffered for without bound: the state of the moment
// is what comes when they read again, and then they are told to start anew.
func TestWatchOfASlowReader(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	conn, err := net.Dial("unix", h.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /v1/watch HTTP/1.1\r\nHost: cardea\r\n\r\n")
	// Change until the stream stands still, which is when a line waits for the
	// reader, and leave it so for longer than a line may take.
	for seen := -1; seen != h.looked(); time.Sleep(500 * time.Millisecond) {
		seen = h.looked()
		for range 500 {
			h.change(func() {})
			runtime.Gosched()
		}
	}
	time.Sleep(2500 * time.Millisecond)
	conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	text, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if !strings.Contains(string(text), `{"resync":true}`) {
		t.Errorf("not told to start anew: %q", lines[len(lines)-1])
	}
	if got := strings.Count(string(text), `"generation"`); got > 1000 {
		t.Errorf("%d lines were kept for it", got)
	}
}

// The sequence ends with one error when the agent does.
func TestWatchEndsWithTheAgent(t *testing.T) {
	first, ended := make(chan struct{}), make(chan error, 1)
	t.Run("agent", func(t *testing.T) {
		h := newHouse(t)
		go func() {
			events := 0
			for _, err := range client.New(h.socket).Watch(context.Background(), 0) {
				if events++; events == 1 {
					close(first)
				}
				if err != nil {
					ended <- err
				}
			}
			close(ended)
		}()
		<-first
	})
	if err := <-ended; !errors.Is(err, client.ErrNoAgent) {
		t.Errorf("ended with %v", err)
	}
	if err, more := <-ended; more {
		t.Errorf("and then %v", err)
	}
}

// The owner looks for the device: a line says so and another one that it is over.
// Who comes meanwhile is told at once, whatever generation they know.
func TestWatchIdentify(t *testing.T) {
	h := newHouse(t)
	next := watching(t, h, 0)
	if e := next(); e.Identify {
		t.Errorf("at first %+v", e)
	}
	h.finder.show(true)
	e := next()
	if !e.Identify || len(e.Consents) == 0 {
		t.Errorf("the owner looks for it, and the line is %+v", e)
	}
	if late := watching(t, h, e.Generation)(); !late.Identify {
		t.Errorf("who comes late is told %+v", late)
	}
	h.finder.show(false)
	if e := next(); e.Identify || len(e.Consents) == 0 {
		t.Errorf("it is over, and the line is %+v", e)
	}
}

// Each line is one JSON value, for programs in any language.
func TestWatchLines(t *testing.T) {
	h := newHouse(t)
	res, err := h.raw().Get("http://cardea/v1/watch")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got := res.Header.Get("Content-Type"); got != "application/x-ndjson" {
		t.Errorf("type %s", got)
	}
	lines := bufio.NewScanner(res.Body)
	for range 3 {
		if !lines.Scan() || !json.Valid(lines.Bytes()) {
			t.Fatalf("%q", lines.Text())
		}
		h.change(func() {})
	}
}
