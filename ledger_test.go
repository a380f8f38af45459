package cardea_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
)

func TestResolveBase(t *testing.T) {
	at := cardea.Hash{1}
	head := cardea.Position{Era: 2, Seq: 10, Hash: cardea.Hash{10}}
	claim := func(era uint32, seq uint64, hash cardea.Hash) cardea.Position {
		return cardea.Position{Era: era, Seq: seq, Hash: hash}
	}
	for name, c := range map[string]struct {
		claimed cardea.Position
		at      cardea.Hash
		want    uint64
		err     error
	}{
		"nothing seen":             {claim(0, 0, cardea.Hash{}), cardea.Hash{}, 0, nil},
		"seen":                     {claim(2, 5, at), at, 5, nil},
		"seen in an earlier era":   {claim(1, 5, at), at, 5, nil},
		"the head":                 {head, head.Hash, 10, nil},
		"another history":          {claim(2, 5, cardea.Hash{9}), at, 0, nil},
		"no hash":                  {claim(2, 5, cardea.Hash{}), at, 0, nil},
		"neither hash":             {claim(2, 5, cardea.Hash{}), cardea.Hash{}, 0, nil},
		"a hash before all":        {claim(2, 0, at), at, 0, nil},
		"above the head":           {claim(2, 11, at), cardea.Hash{}, 0, cardea.ErrBaseAhead},
		"above with a known hash":  {claim(2, 11, head.Hash), head.Hash, 0, cardea.ErrBaseAhead},
		"an era that has not been": {claim(3, 5, at), at, 0, cardea.ErrBaseAhead},
	} {
		got, err := cardea.ResolveBase(c.claimed, head, c.at)
		if !errors.Is(err, c.err) || got.Seq != c.want || err != nil && got != (cardea.Position{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if _, err := cardea.ResolveBase(claim(0, 1, at), cardea.Position{}, cardea.Hash{}); !errors.Is(err, cardea.ErrBaseAhead) {
		t.Errorf("a base in an empty ledger: %v", err)
	}
}

func TestChain(t *testing.T) {
	var b book
	for i := range uint64(4) {
		b.add(no(), i)
	}
	head, err := cardea.VerifyChain(cardea.Position{}, b)
	if err != nil || head != b[3].Position || head.Seq != 4 {
		t.Fatalf("VerifyChain = %+v, %v", head, err)
	}
	if head, err = cardea.VerifyChain(b[1].Position, b[2:]); err != nil || head != b[3].Position {
		t.Errorf("from the middle: %+v, %v", head, err)
	}
	if head, err = cardea.VerifyChain(b[1].Position, nil); err != nil || head != b[1].Position {
		t.Errorf("of nothing: %+v, %v", head, err)
	}
	next := b[3].Chain(2, head)
	if next.Position.Era != 2 || next.Position.Seq != 3 || next.Previous != b[1].Position.Hash {
		t.Errorf("a new era goes on with the numbers: %+v", next.Position)
	}
}

// Every field but the value is under the chain; the value may be erased.
func TestChainCovers(t *testing.T) {
	full := cardea.Entry{
		Decision: cardea.Decision{
			Event: cardea.EventID{1}, Act: cardea.ActGrant, Key: voice, Version: 1, Notice: cardea.Hash{2},
			Preference: "theme", Value: `"dark"`, Base: cardea.Position{Era: 1, Seq: 3, Hash: cardea.Hash{3}},
		},
		Scope: cardea.Scope{Device: kitchen}, By: cardea.Owner, Channel: cardea.ChannelDevice,
		Link: cardea.LinkID{4}, Log: cardea.LogID{5}, N: 6, Recorded: 7, Payload: cardea.Hash{8},
	}.Chain(1, cardea.Position{Era: 1, Seq: 9, Hash: cardea.Hash{9}})
	before := cardea.Position{Era: 1, Seq: 9, Hash: cardea.Hash{9}}
	for name, change := range map[string]func(*cardea.Entry){
		"event":      func(e *cardea.Entry) { e.Event[0]++ },
		"act":        func(e *cardea.Entry) { e.Act = cardea.ActDeny },
		"key":        func(e *cardea.Entry) { e.Key = "voice/sale" },
		"version":    func(e *cardea.Entry) { e.Version++ },
		"notice":     func(e *cardea.Entry) { e.Notice[0]++ },
		"preference": func(e *cardea.Entry) { e.Preference = "volume" },
		"base era":   func(e *cardea.Entry) { e.Base.Era++ },
		"base seq":   func(e *cardea.Entry) { e.Base.Seq++ },
		"base hash":  func(e *cardea.Entry) { e.Base.Hash[0]++ },
		"scope":      func(e *cardea.Entry) { e.Scope = cardea.Scope{} },
		"by":         func(e *cardea.Entry) { e.By = "neighbour" },
		"channel":    func(e *cardea.Entry) { e.Channel = cardea.ChannelPortal },
		"link":       func(e *cardea.Entry) { e.Link[0]++ },
		"log":        func(e *cardea.Entry) { e.Log[0]++ },
		"n":          func(e *cardea.Entry) { e.N++ },
		"recorded":   func(e *cardea.Entry) { e.Recorded++ },
		"payload":    func(e *cardea.Entry) { e.Payload[0]++ },
		"previous":   func(e *cardea.Entry) { e.Previous[0]++ },
		"era":        func(e *cardea.Entry) { e.Position.Era++ },
		"seq":        func(e *cardea.Entry) { e.Position.Seq++ },
		"hash":       func(e *cardea.Entry) { e.Position.Hash[0]++ },
	} {
		e := full
		change(&e)
		if head, err := cardea.VerifyChain(before, []cardea.Entry{e}); !errors.Is(err, cardea.ErrChain) || head != before {
			t.Errorf("%s: a changed entry passes: %v", name, err)
		}
	}
	erased := full
	erased.Value = ""
	if _, err := cardea.VerifyChain(before, []cardea.Entry{full, erased}[1:]); err != nil {
		t.Errorf("an erased value breaks the chain: %v", err)
	}
}

func TestChainOrder(t *testing.T) {
	var b book
	for i := range uint64(4) {
		b.add(yes(), i)
	}
	for name, entries := range map[string][]cardea.Entry{
		"missing first":  b[1:],
		"missing middle": {b[0], b[2]},
		"swapped":        {b[1], b[0]},
		"twice":          {b[0], b[0]},
		"earlier era":    {b[0], b[1].Chain(0, b[0].Position)},
	} {
		if _, err := cardea.VerifyChain(cardea.Position{}, entries); !errors.Is(err, cardea.ErrChain) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPoints(t *testing.T) {
	order := []cardea.Point{{}, {Seq: 1}, {Seq: 2}, {Era: 1}, {Era: 1, Seq: 2}, {Era: 2, Seq: 1}}
	for i, p := range order {
		for j, o := range order {
			if p.Before(o) != (i < j) {
				t.Errorf("%+v before %+v: %t", p, o, p.Before(o))
			}
		}
	}
}

func TestMillis(t *testing.T) {
	at := time.Date(2026, 3, 12, 10, 30, 0, 999_999, time.FixedZone("", 3600))
	m := cardea.MillisOf(at)
	if got := m.Time(); !got.Equal(at.Truncate(time.Millisecond)) || got.Location() != time.UTC {
		t.Errorf("%s came back as %s", at, got)
	}
	if later := m.Add(90 * time.Second); later.Sub(m) != 90*time.Second || m.Sub(later) != -90*time.Second {
		t.Errorf("%d is not 90 s after %d", later, m)
	}
	if m := cardea.Millis(math.MaxInt64); m.Add(0) != m {
		t.Error("adding nothing changes an instant")
	}
}
