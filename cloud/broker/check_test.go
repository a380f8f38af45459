package broker_test

import (
	"testing"

	"github.com/cardea-id/cardea/cloud/broker"
)

func TestCheck(t *testing.T) {
	b := start(t, broker.Config{})
	for range 20 { // it leaves nothing behind
		if err := b.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	b.Close()
	if err := b.Check(t.Context()); err == nil {
		t.Error("a closed broker works")
	}
}

func TestConnections(t *testing.T) {
	b := start(t, broker.Config{})
	if n := b.Connections(); n != 0 {
		t.Errorf("%d connections of nobody", n)
	}
	for n := range 3 {
		c := connect(t, b, newDevice())
		c.subscribe(t, "x", 0) // it is in
		if got := b.Connections(); got != n+1 {
			t.Errorf("%d connections of %d devices", got, n+1)
		}
	}
}
