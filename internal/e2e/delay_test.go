package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/owner"
	"github.com/cardea-id/cardea/internal/stage"
)

// short is how long a yes to presence may count in this test.
const short = 5 * time.Second

// A front stands between a device and the cloud and does what it likes with the
// answers to reports: it passes them on, holds one back, or plays old ones.
type front struct {
	*httptest.Server
	pass http.Handler

	mu      sync.Mutex
	answers [][]byte
	posts   int
	hold    time.Duration  // of the next answer; after it only old ones are given
	held    chan time.Time // when the cloud had made it
	replay  bool
}

func newFront(t *testing.T, s *stage.Stage) *front {
	t.Helper()
	to, err := url.Parse("http://" + s.Listen)
	must(t, err)
	f := &front{held: make(chan time.Time, 1)}
	f.pass = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
	}}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	s.Front = strings.TrimPrefix(f.URL, "http://")
	return f
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/v1/up" {
		f.pass.ServeHTTP(w, r)
		return
	}
	f.mu.Lock()
	f.posts++
	posts, old, replay, hold := f.posts, slices.Clone(f.answers), f.replay, f.hold
	if hold > 0 {
		f.hold, f.replay = 0, true
	}
	f.mu.Unlock()
	if replay {
		io.Copy(io.Discard, r.Body)
		answer(w, old[posts%len(old)])
		return
	}
	kept := httptest.NewRecorder()
	f.pass.ServeHTTP(kept, r)
	f.mu.Lock()
	f.answers = append(f.answers, kept.Body.Bytes())
	f.mu.Unlock()
	if hold > 0 {
		f.held <- time.Now()
		time.Sleep(hold)
	}
	answer(w, kept.Body.Bytes())
}

func answer(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/cose")
	w.Write(body)
}

// set changes what the front does.
func (f *front) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// answered waits until so many reports more were answered through the front.
func (f *front) answered(t *testing.T, more int) {
	t.Helper()
	var want int
	f.set(func() { want = len(f.answers) + more })
	until(t, "the device is answered by post", func() (err error) {
		f.set(func() {
			if len(f.answers) < want {
				err = fmt.Errorf("%d answers, want %d", len(f.answers), want)
			}
		})
		return err
	})
}

// impatient is the catalogue with a shorter life of a yes to presence.
func impatient(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(shipped(t))
	must(t, err)
	changed := strings.Replace(string(text), "staleness: 30s", "staleness: "+short.String(), 1)
	if changed == string(text) {
		t.Fatal("presence has another staleness in the catalogue")
	}
	path := filepath.Join(t.TempDir(), "catalogue.yaml")
	must(t, os.WriteFile(path, []byte(changed), 0o600))
	return path
}

// future lists the times on the open page that are still to come.
func future(t *testing.T, phone *owner.Owner) (out []time.Time) {
	t.Helper()
	for _, text := range phone.Times() {
		at, err := time.Parse(time.RFC3339, text)
		must(t, err)
		if at.After(time.Now()) {
			out = append(out, at)
		}
	}
	return out
}

// The owner says no while the last renewal is on its way. It arrives late, then
// the network is cut but for old answers that are played again and again. The
// device stops before the time the owner's page shows; when it is back the page
// says so in place of that time.
func TestStopsByHoldsUnderDelay(t *testing.T) {
	s := newStageWith(t, impatient(t))
	f := newFront(t, s)
	a, err := s.StartAgent(t.Context(), "speaker", "speaker")
	must(t, err)
	phone := newPhone(t, s, "delay@example.com")
	pair(t, a, phone)
	choose(t, s, phone, "Allow", presence)
	answers(t, a, presence, cardea.Allow)
	s.BrokerCable(false) // from here on everything is posted
	f.answered(t, 1)

	const late = short * 7 / 10
	f.set(func() { f.hold = late })
	made := <-f.held
	said := time.Now()
	choose(t, s, phone, "Don’t allow", presence)
	shown := future(t, phone)
	if len(shown) == 0 {
		t.Fatalf("the page shows no time by which it stops: %s", phone.Text())
	}
	stops := slices.MinFunc(shown, time.Time.Compare)
	if stops.Before(said.Add(short)) {
		t.Errorf("the page promises %s, %v after the no", stops, stops.Sub(said))
	}

	// The time shown leaves room for a token given at the last moment; the
	// device itself stops so much earlier.
	var last time.Time
	for end := stops.Add(-tokenLife + 200*time.Millisecond); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		got, err := a.Decide(t.Context(), presence, cardea.UseCollect)
		must(t, err)
		if got.Verdict == cardea.Allow {
			last = time.Now()
		}
	}
	if last.After(stops.Add(-tokenLife)) {
		t.Errorf("allowed at %s, while the page says that it stops by %s", last, stops)
	}
	if last.Before(made.Add(late)) {
		t.Errorf("allowed for the last time at %s: the renewal that arrived at %s was not taken, the test shows nothing", last, made.Add(late))
	}
	f.set(func() {
		if f.posts < len(f.answers)+1 {
			t.Error("nothing was played again")
		}
		f.replay = false
	})

	s.BrokerCable(true)
	until(t, "the page says that it is applied", func() error {
		must(t, phone.Open(t.Context(), s.URL+"/devices"))
		if shown := future(t, phone); len(shown) > 0 || len(phone.Times()) == 0 {
			return fmt.Errorf("it says: %s", phone.Text())
		}
		return nil
	})
	got, err := a.Decide(t.Context(), presence, cardea.UseCollect)
	if got.Verdict != cardea.Deny || got.Reason != cardea.ReasonWithdrawn {
		t.Errorf("at the end: %s, %s, %v", got.Verdict, got.Reason, err)
	}
}
