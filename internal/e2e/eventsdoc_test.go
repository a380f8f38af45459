package e2e_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea/cloud/webhook"
	"github.com/cardea-id/cardea/internal/stage"
)

var fenced = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$")

// TestEventsExamples runs the commands of docs/events.md beside a device and a
// cloud: what they print has the fields that the document shows.
func TestEventsExamples(t *testing.T) {
	module, err := stage.Module()
	must(t, err)
	text, err := os.ReadFile(filepath.Join(module, "docs/events.md"))
	must(t, err)
	catalogue, err := os.ReadFile(shipped(t))
	must(t, err)
	c := newCollecting(t)
	c.pair(t)
	c.allow(t)
	dir, said, commands := t.TempDir(), "", 0
	for _, block := range fenced.FindAllStringSubmatch(string(text), -1) {
		switch block[1] {
		case "yaml":
			for line := range strings.Lines(block[2]) {
				if !strings.Contains(string(catalogue), line) {
					t.Errorf("not in the catalogue: %s", line)
				}
			}
		case "sh":
			commands++
			run := exec.CommandContext(t.Context(), "sh", "-euc", block[2])
			run.Dir, run.Env = dir, append(os.Environ(), "SOCKET="+c.agent.Socket, "EVENTS="+c.dir)
			until(t, block[2], func() error {
				again := *run
				out, err := again.CombinedOutput()
				if said = string(out); err != nil || said == "" && strings.Contains(block[2], "EVENTS") {
					return fmt.Errorf("%w: %s", err, out)
				}
				return nil
			})
		case "json":
			sameFields(t, block[2], said)
		}
	}
	secret, err := os.ReadFile(filepath.Join(dir, "webhook.secret"))
	if err == nil {
		_, err = webhook.ParseSecrets(string(secret))
	}
	if err != nil || commands != 3 {
		t.Errorf("%d commands, %v", commands, err)
	}
}

// sameFields compares what is shown with what was said: the same fields, and the
// same outcomes.
func sameFields(t *testing.T, shown, said string) {
	t.Helper()
	var want, got any
	must(t, json.Unmarshal([]byte(shown), &want))
	if err := json.Unmarshal([]byte(said), &got); err != nil {
		t.Errorf("%v: %s", err, said)
	}
	if a, b := shape(want), shape(got); a != b {
		t.Errorf("shown is\n%s\nand said is\n%s", a, b)
	}
}

// shape is a value without what differs from device to device.
func shape(v any) string {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			switch key {
			case "generation", "link", "id", "decision", "subject", "device", "collected", "event", "notice", "decided", "source":
				if s, ok := value.(string); !ok || !strings.Contains(s, "-47") {
					v[key] = fmt.Sprintf("%T", value)
				}
			case "events", "consents":
				for i, item := range value.([]any) {
					value.([]any)[i] = shape(item)
				}
			}
		}
		text, _ := json.Marshal(v)
		return string(text)
	}
	text, _ := json.Marshal(v)
	return string(text)
}

// A receiver of webhooks checks the signature, and is given an event again, under
// the same id, until it has taken it. Those who run the cloud see it counted. When
// the account is erased the receiver is told after everything else.
func TestEventsWebhook(t *testing.T) {
	t.Parallel()
	secret := "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("s", 32)))
	secrets, err := webhook.ParseSecrets(secret)
	must(t, err)
	var mu sync.Mutex
	ids := map[string]int{}
	var tracks []string
	subjects := map[string]bool{}
	erased := "" // whose account was
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var at int64
		fmt.Sscan(r.Header.Get("webhook-timestamp"), &at)
		id := r.Header.Get("webhook-id")
		var message struct {
			Type string
			Data line
		}
		err := json.Unmarshal(body, &message)
		if event := message.Type == "event"; err != nil || !event && message.Type != "erase" || message.Data.ID != id || (message.Data.Decision == "") == event {
			t.Errorf("%s, %v", body, err)
		}
		if r.Header.Get("webhook-signature") != webhook.Sign(secrets, id, time.Unix(at, 0), body) {
			t.Errorf("signed %s", r.Header.Get("webhook-signature"))
		}
		mu.Lock()
		defer mu.Unlock()
		if ids[id]++; ids[id] == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if message.Type == "erase" {
			erased = message.Data.Subject
			return
		}
		subjects[message.Data.Subject] = true
		tracks = append(tracks, message.Data.Data["track"].(string))
	}))
	defer receiver.Close()
	file := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(file, []byte(secret+"\n"), 0o600))
	ports, err := stage.FreePorts(1)
	must(t, err)
	operate := net.JoinHostPort("127.0.0.1", ports[0])
	c := &collecting{Stage: newStageWith(t, shipped(t), func(s *stage.Config) {
		s.More = fmt.Sprintf("operate_listen = %q\n", operate)
		s.Clients += fmt.Sprintf("\n[ingest]\nwebhook = %q\nwebhook_secret_file = %q\n", receiver.URL, file)
	})}
	c.agent, err = c.StartAgent(context.Background(), "kitchen", "speaker")
	must(t, err)
	c.pair(t)
	c.allow(t)
	if n := c.collect(t, song("one"), song("two")); n != 2 {
		t.Fatalf("%d were accepted", n)
	}
	until(t, "both have arrived", func() error {
		mu.Lock()
		defer mu.Unlock()
		if len(tracks) < 2 {
			return fmt.Errorf("%v", ids)
		}
		return nil
	})
	until(t, "it is counted", func() error {
		_, text, err := load(http.DefaultClient, get("http://"+operate+"/metrics"))
		for _, line := range []string{
			`cardea_events_total{became="taken"} 2`, `cardea_events_total{became="passed_on"} 2`, `cardea_events_total{became="given_up"} 0`,
			`cardea_events_refused_total{reason="withdrawn",when="passing_on"} 0`, `cardea_events_waiting 0`, `cardea_events_oldest_seconds 0`,
		} {
			if !strings.Contains(text, "\n"+line+"\n") {
				return fmt.Errorf("not there: %s, %v", line, err)
			}
		}
		if strings.Contains(text, `cardea_events_deliveries_failed_total{reason="refused"} 0`) {
			return errors.New("what the receiver refused is not counted")
		}
		return err
	})
	must(t, c.phone.Open(t.Context(), c.URL+"/leaving/erase"))
	must(t, c.phone.Press(t.Context(), "Erase everything", ""))
	until(t, "it is told that the account was erased", func() error {
		mu.Lock()
		defer mu.Unlock()
		if erased == "" {
			return fmt.Errorf("%v", ids)
		}
		return nil
	})
	mu.Lock()
	defer mu.Unlock()
	if len(ids) != 3 || len(tracks) != 2 || len(subjects) != 1 || !subjects[erased] {
		t.Errorf("%v %v %v %s", ids, tracks, subjects, erased)
	}
}
