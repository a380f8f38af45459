package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/internal/owner"
	"github.com/cardea-id/cardea/internal/postgrestest"
	"github.com/cardea-id/cardea/internal/stage"
)

// newCluster starts two clouds on one PostgreSQL and one nats-server. Both write
// what devices collect to a folder.
func newCluster(t *testing.T, events string) *stage.Cluster {
	t.Helper()
	must(t, stage.BuildBroker(bin))
	server, err := postgrestest.Start()
	must(t, err)
	t.Cleanup(func() { server.Close() })
	must(t, server.Create(t.Context(), "cardea"))
	dir, err := os.MkdirTemp("", "cardea-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	s, err := stage.StartCluster(t.Context(), stage.Config{
		Bin: bin, Dir: dir, Catalogue: shipped(t), Clients: fmt.Sprintf("[[clients]]\nid = \"tv-app\"\nbearer = true\n\n[ingest]\ndir = %q\novertake = \"1s\"\n", events),
	}, server.URL("cardea"))
	must(t, err)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(s.Logs())
		}
	})
	return s
}

// phoneOn is a phone whose every request comes to one of the clouds.
func phoneOn(t *testing.T, s *stage.Cluster, n *stage.Node, email string) *owner.Owner {
	t.Helper()
	phone := owner.New(n.Transport())
	must(t, phone.Open(t.Context(), s.URL+"/register"))
	phone.Fill("email", email)
	phone.Fill("password", "a sentence nobody guesses")
	must(t, phone.Press(t.Context(), "Create account", ""))
	return phone
}

// signInAt is the same owner's phone at another cloud.
func signInAt(t *testing.T, s *stage.Cluster, n *stage.Node, email string) *owner.Owner {
	t.Helper()
	phone := owner.New(n.Transport())
	must(t, phone.Open(t.Context(), s.URL+"/signin"))
	phone.Fill("email", email)
	phone.Fill("password", "a sentence nobody guesses")
	must(t, phone.Press(t.Context(), "Sign in", ""))
	return phone
}

// A brand is a system of the brand's, whose requests the balancer gives to each of
// the clouds in turn.
type brand struct {
	s    *stage.Cluster
	http *http.Client
}

func newBrand(s *stage.Cluster) brand {
	return brand{s, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}}
}

func (b brand) call(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, b.s.URL+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+b.s.AdminKey)
	r.Header.Set("Content-Type", "application/json")
	got, err := b.http.Do(r)
	if err != nil {
		return err
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	if err == nil && got.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", got.Status, text)
	}
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(text, out)
}

// changes are the events of all ledgers, and whose they are.
func (b brand) changes(t *testing.T) (events map[cardea.EventID]bool, subjects []string) {
	t.Helper()
	events = map[cardea.EventID]bool{}
	seen := map[string]bool{}
	for after := uint64(0); ; {
		var page struct {
			Changes []struct {
				Subject string         `json:"subject"`
				Event   cardea.EventID `json:"event"`
			} `json:"changes"`
			Next uint64 `json:"next"`
		}
		must(t, b.call(t.Context(), http.MethodGet, "/admin/v1/changes?after="+strconv.FormatUint(after, 10), nil, &page))
		for _, c := range page.Changes {
			events[c.Event] = true
			if !seen[c.Subject] {
				seen[c.Subject] = true
				subjects = append(subjects, c.Subject)
			}
		}
		if after = page.Next; len(page.Changes) == 0 {
			return events, subjects
		}
	}
}

// decide has an account's use of something stopped until stop is closed, again
// and again, and returns what was acknowledged.
func (b brand) decide(ctx context.Context, stop <-chan struct{}, subject string, key cardea.Key) (acknowledged []cardea.EventID) {
	for {
		select {
		case <-stop:
			return acknowledged
		default:
		}
		event := cardea.NewID[cardea.EventID]()
		in := map[string]any{"event": event, "key": key, "everywhere": true}
		if err := b.call(ctx, http.MethodPost, "/admin/v1/accounts/"+subject+"/denials", in, nil); err == nil {
			acknowledged = append(acknowledged, event)
		}
	}
}

// A code is a pairing of a program that knows nothing of Cardea.
type code struct {
	Device string `json:"device_code"`
	Link   string `json:"verification_uri_complete"`
}

func startOn(t *testing.T, s *stage.Cluster, n *stage.Node) (c code) {
	t.Helper()
	web := &http.Client{Transport: n.Transport()}
	defer web.CloseIdleConnections()
	r, err := web.PostForm(s.URL+"/oauth/device_authorization", url.Values{"client_id": {"tv-app"}})
	must(t, err)
	defer r.Body.Close()
	must(t, json.NewDecoder(r.Body).Decode(&c))
	return c
}

// poll holds a poll at a cloud and returns when its answer came, which must have
// tokens.
func poll(s *stage.Cluster, n *stage.Node, c code) (time.Time, error) {
	form := url.Values{
		"client_id": {"tv-app"}, "device_code": {c.Device}, "grant_type": {"urn:ietf:params:oauth:grant-type:device_code"},
	}
	r, err := http.NewRequest(http.MethodPost, s.URL+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		return time.Time{}, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Prefer", "wait=20")
	web := &http.Client{Transport: n.Transport()}
	defer web.CloseIdleConnections()
	got, err := web.Do(r)
	if err != nil {
		return time.Time{}, err
	}
	at := time.Now()
	defer got.Body.Close()
	var tokens struct {
		Access string `json:"access_token"`
		Error  string `json:"error"`
	}
	if err := json.NewDecoder(got.Body).Decode(&tokens); err != nil || tokens.Access == "" {
		return at, fmt.Errorf("answered %s %q: %w", got.Status, tokens.Error, err)
	}
	return at, nil
}

// heldAtTheOther has a device wait at one cloud and its owner say yes at the
// other, and returns how long it took from the press to the tokens.
func heldAtTheOther(t *testing.T, s *stage.Cluster, waits *stage.Node, phone *owner.Owner) time.Duration {
	t.Helper()
	c := startOn(t, s, waits)
	var answered time.Time
	var failed error
	var all sync.WaitGroup
	all.Go(func() { answered, failed = poll(s, waits, c) })
	must(t, phone.Open(t.Context(), c.Link)) // several requests, while the poll arrives
	pressed := time.Now()
	must(t, phone.Press(t.Context(), "Approve", ""))
	all.Wait()
	must(t, failed)
	return answered.Sub(pressed)
}

// Two clouds serve one fleet; one of them is killed while both are busy. What
// was acknowledged stands, every device follows, pairings go on, a device that
// waits at one hears at once what its owner says at the other, and what a device
// collects arrives once, whichever took it and whichever passed it on.
func TestTwoNodesOneKilled(t *testing.T) {
	t.Parallel()
	events := filepath.Join(t.TempDir(), "events")
	s := newCluster(t, events)
	dies, stays := s.Nodes[0], s.Nodes[1]
	const fleet = 3
	agents, phones := make([]*stage.Agent, fleet), make([]*owner.Owner, fleet)
	for i := range agents {
		var err error
		agents[i], err = s.StartAgent(t.Context(), fmt.Sprint("agent-", i), "speaker")
		must(t, err)
		phones[i] = phoneOn(t, s, s.Nodes[i%2], email(i))
		pair(t, agents[i], phones[i])
		choose(t, s.Stage, phones[i], "Allow", recommend)
	}
	for _, a := range agents {
		answers(t, a, recommend, cardea.Allow)
	}

	var held time.Duration
	for range 3 {
		held = max(held, heldAtTheOther(t, s, stays, phones[0]), heldAtTheOther(t, s, dies, phones[1]))
	}
	t.Attr("from-approve-at-one-node-to-tokens-at-the-other", fmt.Sprintf("%.1f ms at most of 6", float64(held.Microseconds())/1000))

	// Both are busy, two pairings are under way, and one is killed.
	_, subjects := newBrand(s).changes(t)
	stop := make(chan struct{})
	said := make([][]cardea.EventID, 2*fleet)
	var load sync.WaitGroup
	for i := range said {
		load.Go(func() { said[i] = newBrand(s).decide(t.Context(), stop, subjects[i%fleet], "presence/use") })
	}
	var songs int
	load.Go(func() { songs = handInUntil(t, stop, agents[0]) })
	late, err := s.StartAgent(t.Context(), "late", "car")
	must(t, err)
	shown, err := late.Pair(t.Context())
	must(t, err)
	other := startOn(t, s, dies)
	lateOwner := signInAt(t, s, stays, email(1))
	must(t, agentSays(t, agents[2])) // a device's own word, while the cloud dies
	dies.Kill()
	must(t, lateOwner.Open(t.Context(), shown.VerificationURIComplete))
	must(t, lateOwner.Press(t.Context(), "Approve", ""))
	linked(t, late)
	heldAfter(t, s, stays, other, lateOwner)
	close(stop)
	load.Wait()

	// Nothing that was acknowledged is lost.
	changes, _ := newBrand(s).changes(t)
	acknowledged, lost := 0, 0
	for _, list := range said {
		acknowledged += len(list)
		for _, e := range list {
			if !changes[e] {
				lost++
			}
		}
	}
	t.Attr("one-node-killed", fmt.Sprintf("acknowledged=%d lost=%d", acknowledged, lost))
	if lost > 0 || acknowledged == 0 {
		t.Errorf("%d of %d acknowledged decisions are lost", lost, acknowledged)
	}

	until(t, "what was collected has arrived", func() error {
		if got := len(arrivedIn(t, events)); got < songs {
			return fmt.Errorf("%d of %d", got, songs)
		}
		return nil
	})

	// Every device follows the one that is left.
	for i, a := range agents {
		answers(t, a, "presence/use", cardea.Deny)
		if i == 2 {
			answers(t, a, recommend, cardea.Deny)
			nothingPending(t, a)
			continue
		}
		phone := signInAt(t, s, stays, email(i))
		choose(t, s.Stage, phone, "Don’t allow", recommend)
		answers(t, a, recommend, cardea.Deny)
		choose(t, s.Stage, phone, "Allow", recommend)
		answers(t, a, recommend, cardea.Allow)
	}

	// The one that was killed comes back and serves them as well.
	must(t, s.StartNode(t.Context(), 0))
	phone := signInAt(t, s, dies, email(0))
	choose(t, s.Stage, phone, "Don’t allow", recommend)
	answers(t, agents[0], recommend, cardea.Deny)

	// And takes back what the other has passed on meanwhile.
	twice := 0
	until(t, "each event stands in one file", func() error {
		twice = 0
		for _, lines := range arrivedIn(t, events) {
			twice += len(lines) - 1
		}
		if twice > 0 {
			return fmt.Errorf("%d stand in two", twice)
		}
		return nil
	})
	t.Attr("events-by-two-nodes-one-killed", fmt.Sprintf("events=%d arrived=%d twice=%d", songs, len(arrivedIn(t, events)), twice))
	if songs < 100 {
		t.Errorf("only %d events", songs)
	}
}

// handInUntil hands in events until stop is closed, and each again until it is
// accepted.
func handInUntil(t *testing.T, stop <-chan struct{}, a *stage.Agent) (n int) {
	for {
		select {
		case <-stop:
			return n
		default:
		}
		var batch []client.Datum
		for i := range 32 { // so many are written at once, and not after a second
			batch = append(batch, song(fmt.Sprintf("song-%d", n+i)))
		}
		taken, err := a.Collect(t.Context(), batch...)
		if err == nil && taken.Events[31].Accepted {
			n += len(batch)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func email(i int) string { return fmt.Sprintf("owner-%d@example.com", i) }

// agentSays stops something on the device itself.
func agentSays(t *testing.T, a *stage.Agent) error {
	t.Helper()
	_, err := a.Withdraw(t.Context(), client.Withdrawal{Key: recommend})
	return err
}

// heldAfter finishes a pairing that was begun at a cloud that is no more.
func heldAfter(t *testing.T, s *stage.Cluster, n *stage.Node, c code, phone *owner.Owner) {
	t.Helper()
	must(t, phone.Open(t.Context(), c.Link))
	must(t, phone.Press(t.Context(), "Approve", ""))
	_, err := poll(s, n, c)
	must(t, err)
}
