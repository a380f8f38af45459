package e2e_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
)

// A device loses its power fifty times, with no network in between: whoever is
// linked is there each time, as the first thing that is heard, and nobody is asked
// for anything; afterwards it has a token with nobody touching it.
func TestFiftyPowerCycles(t *testing.T) {
	s := newStage(t)
	phone := newPhone(t, s, "ada@example.com")
	a := newAgent(t, s, "a", "speaker")
	pair(t, a, phone)
	choose(t, s, phone, "Allow", recommend)
	answers(t, a, recommend, cardea.Allow)
	who := must1(a.Identity(t.Context()))(t)
	a.Network(false)
	var slowest time.Duration
	for n := range 50 {
		a.Process.Kill()
		began := time.Now()
		must(t, a.Start(t.Context()))
		again := must1(a.Identity(t.Context()))(t)
		slowest = max(slowest, time.Since(began))
		shown := must1(a.Pairing(t.Context()))(t)
		if !reflect.DeepEqual(again, who) || shown.State != client.PairLinked || shown.UserCode != "" {
			t.Fatalf("after %d: %+v, %+v", n+1, again, shown)
		}
	}
	t.Attr("slowest_start", fmt.Sprint(slowest.Round(time.Millisecond)))
	a.Network(true)
	token := must1(a.Token(t.Context(), client.TokenRequest{Audience: s.URL}))(t)
	if token.Link != who.Link {
		t.Errorf("%+v", token.Link)
	}
	answers(t, a, recommend, cardea.Allow)
}
