package hub_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/internal/wire"
)

// Each report is told once, with what came of it.
func TestHandledIsTold(t *testing.T) {
	h := newHouse(t)
	var told []hub.Result
	h.hub.Handled = func(r hub.Result) { told = append(told, r) }
	last := func() hub.Result {
		t.Helper()
		if len(told) == 0 {
			t.Fatal("nothing was told")
		}
		r := told[len(told)-1]
		told = nil
		return r
	}
	d := h.pair("g1")
	d.sync()
	if r := last(); r.Answer != hub.AnswerRenewal || r.Applied <= 0 || r.Err != nil {
		t.Errorf("the first proof: %+v", r)
	}
	d.sync()
	if r := last(); r.Answer != hub.AnswerRenewal || r.Applied != 0 {
		t.Errorf("nothing new: %+v", r)
	}
	h.decide(cardea.ActGrant, recommend, cardea.Scope{})
	time.Sleep(30 * time.Millisecond) // what the change takes at least
	d.sync()
	if r := last(); r.Answer != hub.AnswerStatement || r.Applied != 0 {
		t.Errorf("a change: %+v", r)
	}
	d.sync()
	if r := last(); r.Applied < 30*time.Millisecond || r.Applied > time.Minute {
		t.Errorf("the change took %v", r.Applied)
	}
	d.say(cardea.LogEntry{Act: cardea.ActGrant, Key: "nothing/use"})
	d.sync()
	if r := last(); len(r.Rejected) != 1 || r.Rejected[0] == "" {
		t.Errorf("an entry without effect: %+v", r)
	}
	if _, err := h.hub.Handle(t.Context(), []byte("nonsense")); err == nil {
		t.Fatal("nonsense was taken")
	}
	if r := last(); !errors.Is(r.Err, wire.ErrMalformed) || r.Answer != "" {
		t.Errorf("nonsense: %+v", r)
	}
}

// A sweep counts the links that have lapsed, class by class.
func TestSweptIsTold(t *testing.T) {
	h := newHouse(t)
	h.pair("g1").sync()
	told := make(chan hub.Sweep, 1)
	h.hub.Swept = func(s hub.Sweep) { told <- s }
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { h.hub.Run(ctx); close(ended) }()
	s := <-told
	cancel()
	<-ended
	if len(s.Lapsed) != 4 || s.Lapsed[cardea.ClassA] != 0 {
		t.Errorf("%+v", s)
	}
}
