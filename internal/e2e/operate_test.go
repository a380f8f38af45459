package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/internal/owner"
	"github.com/cardea-id/cardea/internal/stage"
	"github.com/cardea-id/cardea/pairing"
)

// newOperated is a stage whose cloud also answers those who run it, at the
// returned address.
func newOperated(t *testing.T, more string) (s *stage.Stage, operate string) {
	t.Helper()
	ports, err := stage.FreePorts(1)
	must(t, err)
	address := net.JoinHostPort("127.0.0.1", ports[0])
	s = newStageWith(t, shipped(t), func(c *stage.Config) { c.More = fmt.Sprintf("operate_listen = %q\n%s", address, more) })
	return s, "http://" + address
}

// load is what an address answers.
func load(c *http.Client, r *http.Request) (int, string, error) {
	res, err := c.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err
}

func get(address string) *http.Request {
	r, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		panic(err)
	}
	return r
}

func post(address string, form url.Values) *http.Request {
	r, err := http.NewRequest(http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		panic(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// A crowd makes requests without an end, and remembers what went wrong with one
// that had a connection.
type crowd struct {
	wg   sync.WaitGroup
	done chan struct{}

	mu       sync.Mutex
	answered int
	cut      []error
}

// ask makes requests, one after the other, until nobody can be connected to.
func (c *crowd) ask(client *http.Client, request func() *http.Request) {
	c.wg.Go(func() {
		for {
			select {
			case <-c.done:
				return
			default:
			}
			_, _, err := load(client, request())
			if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" && !errors.Is(err, syscall.ECONNRESET) {
				return
			}
			c.mu.Lock()
			if c.answered++; err != nil {
				c.cut = append(c.cut, err)
			}
			c.mu.Unlock()
		}
	})
}

func (c *crowd) waitFor(t *testing.T, n int) {
	t.Helper()
	until(t, "there is a crowd", func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.answered < n {
			return fmt.Errorf("%d answers", c.answered)
		}
		return nil
	})
}

// TestDrain ends a cloud that a crowd, a device, a held pairing and a held feed
// are connected to. It says first that it is not ready, and everybody who has a
// connection has an answer.
func TestDrain(t *testing.T) {
	s, operate := newOperated(t, `drain_wait = "700ms"`)
	a, err := s.StartAgent(t.Context(), "speaker", "speaker")
	must(t, err)
	pair(t, a, newPhone(t, s, "drain@example.com"))
	if code, body, err := load(http.DefaultClient, get(operate+"/readyz")); err != nil || code != http.StatusOK {
		t.Fatalf("before: %d %s %v", code, body, err)
	}

	crowd := &crowd{done: make(chan struct{})}
	for range 4 {
		crowd.ask(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, func() *http.Request { return get(s.URL + "/oauth/jwks") })
		crowd.ask(&http.Client{Transport: &http.Transport{}}, func() *http.Request { return get(s.URL + "/signin") })
		crowd.ask(&http.Client{Transport: &http.Transport{}}, func() *http.Request {
			return post(s.URL+"/oauth/token", url.Values{"grant_type": {"none"}})
		})
	}
	poll, feed := held(t, s), heldFeed(s)
	crowd.waitFor(t, 100)

	ended := make(chan error, 1)
	go func() { ended <- s.Cloud.Stop() }()
	until(t, "the cloud is not ready", func() error {
		code, body, err := load(http.DefaultClient, get(operate+"/readyz"))
		if err != nil {
			t.Fatalf("it ended before it was unready: %v", err)
		}
		if code != http.StatusServiceUnavailable || !strings.Contains(body, "draining") {
			return errors.New(body)
		}
		return nil
	})
	if code, body, err := load(http.DefaultClient, get(operate+"/healthz")); err != nil || code != http.StatusOK {
		t.Errorf("a cloud that ends in good order is not healthy: %d %s %v", code, body, err)
	}
	if code, _, err := load(http.DefaultClient, get(s.URL+"/oauth/jwks")); err != nil || code != http.StatusOK {
		t.Errorf("who comes while it is unready: %d, %v", code, err)
	}
	if got := <-poll; !strings.Contains(got, pairing.AuthorizationPending) {
		t.Errorf("the held poll was answered %s", got)
	}
	if got := <-feed; !strings.Contains(got, `"changes":[]`) {
		t.Errorf("the held feed was answered %s", got)
	}
	must(t, <-ended)
	close(crowd.done)
	crowd.wg.Wait()
	for _, err := range crowd.cut {
		t.Errorf("one of %d was cut off: %v", crowd.answered, err)
	}
	log, err := os.ReadFile(s.Dir + "/cloud.log")
	if err != nil || bytes.Contains(log, []byte("level=ERROR")) {
		t.Errorf("logged, %v:\n%s", err, log)
	}
	must(t, s.StartCloud(t.Context()))
	until(t, "the device is there again", func() error {
		status, err := a.Status(t.Context())
		if err == nil && !status.Connected {
			err = errors.New("not connected")
		}
		return err
	})
}

// held is a poll of a pairing that nobody answers.
func held(t *testing.T, s *stage.Stage) <-chan string {
	t.Helper()
	_, body, err := load(http.DefaultClient, post(s.URL+"/oauth/device_authorization", url.Values{"client_id": {"tv-app"}}))
	must(t, err)
	var code struct {
		DeviceCode string `json:"device_code"`
	}
	must(t, json.Unmarshal([]byte(body), &code))
	r := post(s.URL+"/oauth/token", url.Values{"grant_type": {pairing.GrantDeviceCode}, "client_id": {"tv-app"}, "device_code": {code.DeviceCode}})
	r.Header.Set("Prefer", "wait=20")
	return later(r)
}

// heldFeed asks for what nobody has decided yet.
func heldFeed(s *stage.Stage) <-chan string {
	r := get(s.URL + "/admin/v1/changes?after=1000000&wait=20")
	r.Header.Set("Authorization", "Bearer "+s.AdminKey)
	return later(r)
}

// later is the answer, or the error.
func later(r *http.Request) <-chan string {
	answer := make(chan string, 1)
	go func() {
		_, body, err := load(&http.Client{Transport: &http.Transport{}}, r)
		answer <- fmt.Sprint(strings.TrimSpace(body), " ", err)
	}()
	return answer
}

// TestMetrics has something of everything happen, and finds it counted, without
// a word on whom it happened to.
func TestMetrics(t *testing.T) {
	s, operate := newOperated(t, "")
	a, err := s.StartAgent(t.Context(), "speaker", "speaker")
	must(t, err)
	phone := newPhone(t, s, "metrics@example.com")
	decline(t, a, phone)
	pair(t, a, phone)
	choose(t, s, phone, "Allow", recommend)
	answers(t, a, recommend, cardea.Allow)
	identity, err := a.Identity(t.Context())
	must(t, err)
	ask := post(s.URL+"/admin/v1/accounts/"+identity.Subject+"/decide", nil)
	ask.Body, ask.ContentLength = io.NopCloser(strings.NewReader(`{"key":"presence/use"}`)), -1
	ask.Header.Set("Content-Type", "application/json")
	ask.Header.Set("Authorization", "Bearer "+s.AdminKey)
	if code, body, err := load(http.DefaultClient, ask); err != nil || code != http.StatusOK {
		t.Fatalf("the brand asks: %d %s %v", code, body, err)
	}
	nonsense := post(s.URL+"/v1/up", url.Values{"x": {"y"}})
	nonsense.Header.Set("Content-Type", "application/cose")
	load(http.DefaultClient, nonsense)

	var text string
	until(t, "everything is counted", func() error {
		code, body, err := load(http.DefaultClient, get(operate+"/metrics"))
		if err != nil || code != http.StatusOK {
			return fmt.Errorf("%d %w", code, err)
		}
		text = body
		for _, line := range []string{
			`cardea_grants_total{event="started"} 2`, `cardea_grants_total{event="denied"} 1`, `cardea_grants_total{event="redeemed"} 1`,
			`cardea_pairing_seconds_count 1`, `cardea_devices_connected 1`, `cardea_links_behind 0`, `cardea_links_lapsed{class="B"} 0`,
			`cardea_change_applied_seconds_bucket{le="10"} `, `cardea_reports_answered_total{with="renewal"} `,
			`cardea_reports_refused_total{reason="malformed"} 1`, `cardea_decisions_total{reason="not_asked",verdict="deny"} 1`,
			`cardea_http_requests_total{code="200",method="POST",route="POST /admin/v1/accounts/{subject}/decide"} 1`,
		} {
			if !strings.Contains(body, "\n"+line) || strings.HasSuffix(line, " ") && strings.Contains(body, line+"0\n") {
				return fmt.Errorf("not there: %s", line)
			}
		}
		return nil
	})
	status, err := a.Status(t.Context())
	must(t, err)
	for _, private := range []string{"metrics@", identity.Subject, string(status.Device), status.Link.String()} {
		if private == "" || strings.Contains(text, private) {
			t.Errorf("the metrics name %q", private)
		}
	}
}

// decline is an owner who says no to a pairing.
func decline(t *testing.T, a *stage.Agent, phone *owner.Owner) {
	t.Helper()
	shown, err := a.Pair(t.Context())
	must(t, err)
	must(t, phone.Open(t.Context(), shown.VerificationURIComplete))
	must(t, phone.Press(t.Context(), "Decline", ""))
	until(t, "the device hears of it", func() error {
		p, err := a.Pairing(t.Context())
		if err == nil && p.State != client.PairDenied {
			err = errors.New(p.State)
		}
		return err
	})
}
