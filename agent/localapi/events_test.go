package localapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/agent/events"
	"github.com/cardea-id/cardea/store/devicedb"
)

const played = `{"id":"1","purpose":"recommendations","facets":["third_party"],"recipient":"Music service","method":"observed","data":{"track":"4711","skipped":true}}`

// Submit takes everything whose purpose is given.
func (h *house) Submit(_ context.Context, program string, list []client.Datum) (client.Taken, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	taken := client.Taken{Generation: h.generation, Link: h.link}
	for _, e := range list {
		h.done = append(h.done, fmt.Sprintf("event %s %s of %s", e.ID, e.Purpose, program))
		out := client.Outcome{ID: e.ID, Accepted: e.Purpose == "recommendations", Reason: cardea.ReasonGranted}
		if !out.Accepted {
			out.Reason, out.Dropped = cardea.ReasonNotAsked, []string{"words"}
		}
		taken.Events = append(taken.Events, out)
	}
	return taken, h.broken
}

// Refused is what Submit would have counted.
func (h *house) Refused() map[cardea.Reason]uint64 {
	return map[cardea.Reason]uint64{cardea.ReasonNotAsked: 3}
}

// Who may hand events in is told how many there are; nobody else is.
func TestStatusCountsEvents(t *testing.T) {
	for entitlement, told := range map[string]bool{"events": true, "decide": false} {
		h := newHouse(t, fmt.Sprintf("name = \"player\"\nuser = \"%d\"\nentitlements = [%q]\npurposes = [\"*\"]", os.Getuid(), entitlement))
		st, err := h.client(t).Status(t.Context())
		if err != nil || (st.Events != nil) != told {
			t.Errorf("%s: %+v, %v", entitlement, st.Events, err)
		}
		if told && st.Events.Refused[cardea.ReasonNotAsked] != 3 {
			t.Errorf("%+v", st.Events)
		}
	}
}

func TestCollect(t *testing.T) {
	h := newHouse(t)
	c := h.client(t)
	data := map[string]json.RawMessage{"track": json.RawMessage(`"4711"`)}
	taken, err := c.Collect(t.Context(),
		client.Datum{ID: "1", Purpose: "recommendations", Method: cardea.MethodObserved, Data: data},
		client.Datum{ID: "2", Purpose: "voice", Method: cardea.MethodTold, Data: data})
	if err != nil || taken.Link != h.link || len(taken.Events) != 2 || !taken.Events[0].Accepted || taken.Events[1].Accepted ||
		taken.Events[1].Reason != cardea.ReasonNotAsked || !slices.Equal(taken.Events[1].Dropped, []string{"words"}) {
		t.Errorf("%+v, %v", taken, err)
	}
	if acts := h.acts(); !slices.Equal(acts, []string{"event 1 recommendations of everything", "event 2 voice of everything"}) {
		t.Errorf("%q", acts)
	}
}

// A program hands in for its own purposes only, and not one event of a batch in
// which there is another.
func TestCollectForOthersPurposes(t *testing.T) {
	h := newHouse(t, fmt.Sprintf("name = \"player\"\nuser = \"%d\"\nentitlements = [\"events\"]\npurposes = [\"recommendations\"]", os.Getuid()))
	other := strings.Replace(played, `"recommendations"`, `"voice"`, 1)
	for body, want := range map[string]int{
		`{"events":[` + played + `]}`:                                  http.StatusOK,
		`{"events":[` + played + `,` + other + `]}`:                    http.StatusForbidden,
		`{"events":[]}`:                                                http.StatusBadRequest,
		`{"events":[{"id":"1","purpose":"No purpose"}]}`:               http.StatusBadRequest,
		`{"events":[` + strings.Repeat(played+",", 64) + played + `]}`: http.StatusBadRequest,
	} {
		if status, answer := h.send(t, "POST", "/v1/events", body); status != want {
			t.Errorf("%.80s: %d %s", body, status, answer)
		}
	}
	if acts := h.acts(); len(acts) != 1 {
		t.Errorf("%q", acts)
	}
}

// What goes wrong is said, with what to do about it.
func TestCollectFails(t *testing.T) {
	for err, word := range map[error]string{
		fmt.Errorf("%w: event 0: method", events.ErrInvalid): "invalid_request",
		errors.New("no space left on device"):                "disk",
		devicedb.ErrNotFound:                                 "unknown_link",
		devicedb.ErrDamaged:                                  "store",
	} {
		h := newHouse(t)
		h.broken = err
		if _, got := h.client(t).Collect(t.Context(), client.Datum{ID: "1", Purpose: "voice"}); code(got) != word {
			t.Errorf("%v: %v, want %s", err, got, word)
		}
	}
}
