package agent

import (
	"testing"
	"time"

	"github.com/cardea-id/cardea"
)

var (
	noClock = cardea.Now{}
	summer  = cardea.Millis(1_800_000_000_000)
)

func at(d time.Duration) cardea.Now { return cardea.Now{Time: summer.Add(d), Synced: true} }

// A rental of ten hours ends by whichever clock says so first, and needs none.
func TestRentalEnds(t *testing.T) {
	const limit = 10 * time.Hour
	type step struct {
		on  time.Duration // for so long
		now cardea.Now
	}
	for name, test := range map[string]struct {
		steps []step
		over  bool
	}{
		"just begun":                     {[]step{{time.Minute, noClock}}, false},
		"on for long, without a clock":   {[]step{{5 * time.Hour, noClock}, {5 * time.Hour, noClock}}, true},
		"nearly, without a clock":        {[]step{{5 * time.Hour, noClock}, {5*time.Hour - 1, noClock}}, false},
		"off for long, and then told":    {[]step{{time.Hour, at(time.Hour)}, {time.Minute, at(10 * time.Hour)}}, true},
		"off for long, and never told":   {[]step{{time.Hour, noClock}, {time.Minute, noClock}}, false},
		"told late":                      {[]step{{9 * time.Hour, noClock}, {time.Minute, at(0)}, {time.Minute, at(time.Hour)}}, true},
		"told, and then nothing":         {[]step{{time.Hour, at(0)}, {time.Hour, noClock}}, false},
		"a time that went back":          {[]step{{time.Hour, at(0)}, {time.Minute, at(-100 * time.Hour)}}, false},
		"a time that went back, then on": {[]step{{time.Hour, at(0)}, {9 * time.Hour, at(-100 * time.Hour)}}, true},
	} {
		var r rental
		over := false
		for _, s := range test.steps {
			r.pass(s.on, s.now)
			over = over || r.over(limit, s.now)
		}
		if over != test.over {
			t.Errorf("%s: over is %v with %+v", name, over, r)
		}
	}
}

func TestRestOnlyAfterAPowerUp(t *testing.T) {
	c, err := Config{Issuer: "https://id.example"}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	for boot, want := range map[time.Duration]time.Duration{5 * time.Second: time.Minute, time.Hour: 0} {
		if got := c.rest(boot); got != want {
			t.Errorf("after %v: %v", boot, got)
		}
	}
}
