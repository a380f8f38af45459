package throttle_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/cardea-id/cardea/cloud/throttle"
)

func TestThrottle(t *testing.T) {
	th := throttle.New(3, time.Minute)
	now := time.Unix(1e9, 0)
	take := func(key string) bool { _, ok := th.Take(key, now); return ok }
	for i := range 3 {
		if !take("a") {
			t.Fatalf("try %d is refused", i)
		}
	}
	if wait, ok := th.Take("a", now); ok || wait != time.Minute {
		t.Errorf("the fourth: %v, wait %s", ok, wait)
	}
	if !take("b") {
		t.Error("another key is refused")
	}
	th.GiveBack("a")
	if !take("a") || take("a") {
		t.Error("what was given back is not one try")
	}
	now = now.Add(time.Minute)
	if !take("a") || take("a") {
		t.Error("a minute is not one try")
	}
	now = now.Add(time.Hour)
	for i := range 3 {
		if !take("a") {
			t.Errorf("try %d after an hour is refused", i)
		}
	}
	if take("a") {
		t.Error("quiet is saved up beyond the burst")
	}
}

func TestBlock(t *testing.T) {
	for a, want := range map[string]string{
		"203.0.113.7": "203.0.113.7", "::ffff:203.0.113.7": "203.0.113.7", "2001:db8::1": "2001:db8::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := throttle.Block(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s is of %s, want %s", a, got, want)
		}
	}
}
