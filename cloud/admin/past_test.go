package admin_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
)

// TestConsentsAtAnInstant: the brand can say what stood when it acted.
func TestConsentsAtAnInstant(t *testing.T) {
	w := newWorld(t)
	w.grant("recommendations/use")
	at := func(instant float64, device cardea.DeviceID) string {
		t.Helper()
		query := fmt.Sprintf("/consents?key=recommendations/use&at=%.0f", instant)
		if device != "" {
			query += "&device=" + string(device)
		}
		status, out := w.call("GET", w.path(query), "")
		list, _ := out["consents"].([]any)
		if status != http.StatusOK || len(list) != 1 {
			t.Fatalf("%d %v", status, out)
		}
		one := list[0].(map[string]any)
		if one["given"] != (one["reason"] == "granted") {
			t.Errorf("%v", one)
		}
		return one["reason"].(string)
	}
	_, no := w.call("POST", w.path("/denials"), `{"key":"recommendations/use","device":"`+string(w.device)+`"}`)
	when := no["recorded"].(float64)
	for _, c := range []struct {
		at     float64
		device cardea.DeviceID
		want   string
	}{
		{when, "", "granted"},
		{when, w.device, "withdrawn"},
		{when + 3*365*24*float64(time.Hour/time.Millisecond), "", "expired"},
	} {
		if got := at(c.at, c.device); got != c.want {
			t.Errorf("at %.0f on %q: %s, want %s", c.at, c.device, got, c.want)
		}
	}
}
