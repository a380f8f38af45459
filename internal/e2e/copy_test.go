package e2e_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/stage"
)

// copyOf is the archive of an account, by file.
func copyOf(t *testing.T, s *stage.Stage, subject string) map[string]string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/admin/v1/accounts/"+subject+"/archive", nil)
	must(t, err)
	r.Header.Set("Authorization", "Bearer "+s.AdminKey)
	answer, err := http.DefaultClient.Do(r)
	must(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(t, err)
	z, err := zip.NewReader(bytes.NewReader(text), int64(len(text)))
	must(t, err)
	files := map[string]string{}
	for _, f := range z.File {
		in, err := f.Open()
		must(t, err)
		text, err := io.ReadAll(in)
		must(t, errors.Join(err, in.Close()))
		files[f.Name] = string(text)
	}
	return files
}

// A copy of everything says what each device holds by its own word. The one in
// reach is asked and tells how much it has collected and could not send, a moment
// before; the one away is named, with the statement that it still goes by.
func TestCopyHasWhatDevicesHold(t *testing.T) {
	s := newStage(t) // which passes nothing on: what is collected stays on the devices
	phone := newPhone(t, s, "ada@example.com")
	near, away := newAgent(t, s, "near", "speaker"), newAgent(t, s, "away", "car")
	pair(t, near, phone)
	pair(t, away, phone)
	choose(t, s, phone, "Allow", recommend)
	answers(t, near, recommend, cardea.Allow)
	answers(t, away, recommend, cardea.Allow)
	who, err := near.Identity(t.Context())
	must(t, err)

	must(t, away.Process.Stop())
	putRoles(t, s, who.Subject, "driver") // which only the one in reach hears of
	until(t, "three events are kept on the device", func() error {
		taken, err := near.Collect(context.Background(), song("one"), song("two"), song("three"))
		if err == nil && !taken.Events[2].Accepted {
			err = fmt.Errorf("not taken: %+v", taken.Events)
		}
		return err
	})
	begun := time.Now()
	files := copyOf(t, s, who.Subject)
	took := time.Since(begun)
	var devices []struct {
		Device cardea.DeviceID
		Kind   string
		Holds  struct {
			AsOf      time.Time `json:"as_of"`
			Answered  bool      `json:"answered_when_asked"`
			Statement *cardea.Body
			Collected []struct {
				Key     cardea.Key
				Waiting uint64
			}
		}
	}
	must(t, json.Unmarshal([]byte(files["devices.json"]), &devices))
	if len(devices) != 2 {
		t.Fatalf("devices.json: %s", files["devices.json"])
	}
	reached, gone := devices[0].Holds, devices[1].Holds
	if !reached.Answered || reached.AsOf.Before(begun.Add(-time.Second)) || len(reached.Collected) != 1 || reached.Collected[0].Waiting != 3 {
		t.Errorf("in reach: %+v", reached)
	}
	if gone.Answered || !gone.AsOf.Before(begun) || gone.Statement == nil {
		t.Errorf("away: %+v", gone)
	}
	if !strings.Contains(files["account.json"], `"driver"`) || !strings.Contains(files["index.html"], "<code>driver</code>") {
		t.Errorf("account.json has no role: %s", files["account.json"])
	}
	if !strings.Contains(files["about.json"], "out_of_reach") || !strings.Contains(files["index.html"], "it was out of reach when this was made") {
		t.Errorf("about.json: %s", files["about.json"])
	}
	t.Logf("asked and answered in %s", took.Round(time.Millisecond))
}
