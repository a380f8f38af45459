package choices_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/portal/choices"
)

func FuzzDecision(f *testing.F) {
	f.Add("key=voice_clips%2Fuse&decision=deny&base=0.0.")
	f.Add("key=voice_clips%2Fuse&decision=allow&base=0.0.&version=3&notice=" + strings.Repeat("0f", 32))
	f.Add("key=voice_clips%2Fuse&decision=allow&base=0.0.&version=3&notice=&device=x")
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest("POST", "/consents", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		d, err := choices.DecisionOf(r)
		if err != nil {
			return
		}
		if _, err := cardea.ParseKey(string(d.Key)); err != nil || d.Event.IsZero() {
			t.Fatalf("%q: %+v", body, d)
		}
		if d.Act != cardea.ActGrant && d.Act != cardea.ActDeny {
			t.Fatalf("%q does %q", body, d.Act)
		}
		if _, err := cardea.ParseDeviceID(string(d.Scope.Device)); err != nil && !d.Scope.Everywhere() {
			t.Fatalf("%q on %q", body, d.Scope.Device)
		}
	})
}
