package demo

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
)

func TestTimeline(t *testing.T) {
	var out strings.Builder
	told := newTimeline(&out, false)
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	next := told.next()
	told.markAt(start, "shown", "WDJB-MJHT")
	select {
	case <-next:
	default:
		t.Error("nobody is told of a line")
	}
	told.markAt(start.Add(4500*time.Microsecond), "approved", "")
	told.markAt(start.Add(90*time.Millisecond), "applied", "")
	told.markAt(start.Add(13*time.Second), "in the ledger", "x")
	for _, want := range []string{"03:04:05.000              shown", "4.5 ms  approved", "85 ms  applied", "12.9 s  in the ledger"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &out)
		}
	}
	if !told.has("shown", "MJHT") || told.has("shown", "other") || told.has("never", "") {
		t.Error("what was told is not remembered")
	}
}

// What opens and what shuts is told apart by colour, and only where colours are
// wanted.
func TestTimelineInColour(t *testing.T) {
	for _, test := range []struct{ what, detail, want string }{
		{"applied on the device", "recommendations/use: allow (granted)", green},
		{"applied on the device", "recommendations/use: deny (withdrawn)", yellow},
		{"changed in the portal", "allow recommendations/use", green},
		{"withdrawn on the device", "recommendations/use", yellow},
		{"by itself", "presence/use: deny (stale)", yellow},
		{"shown", "WDJB-MJHT", ""},
		{"in the ledger", "the device is linked", ""},
	} {
		var out strings.Builder
		told := newTimeline(&out, true)
		told.mark(test.what, test.detail)
		if !strings.Contains(out.String(), plain+"  "+test.want+test.what) || !strings.HasSuffix(out.String(), plain+"\n") {
			t.Errorf("%q", out.String())
		}
		out.Reset()
		told.color = false
		told.mark(test.what, test.detail)
		if strings.Contains(out.String(), "\x1b") {
			t.Errorf("colours nobody wants: %q", out.String())
		}
	}
}

func TestPrivateAddress(t *testing.T) {
	network := func(text string) net.Addr {
		ip, n, err := net.ParseCIDR(text)
		if err != nil {
			t.Fatal(err)
		}
		n.IP = ip
		return n
	}
	got, err := private([]net.Addr{network("127.0.0.1/8"), network("fe80::1/64"), network("192.0.2.7/24"), network("192.168.1.20/24")})
	if err != nil || got != "192.168.1.20" {
		t.Errorf("address = %q, %v", got, err)
	}
	if _, err := private([]net.Addr{network("127.0.0.1/8")}); err == nil || !strings.Contains(err.Error(), "without -lan") {
		t.Errorf("without a network: %v", err)
	}
}

func TestDeviceChanges(t *testing.T) {
	var out strings.Builder
	d := &demo{told: newTimeline(&out, false)}
	link := cardea.NewID[cardea.LinkID]()
	consents := func(v cardea.Verdict, r cardea.Reason) []client.Consent {
		return []client.Consent{
			{Key: "device_security/use", Class: cardea.ClassN, Verdict: cardea.Allow, Reason: cardea.ReasonGranted},
			{Key: "presence/use", Class: cardea.ClassA, Verdict: v, Reason: r},
		}
	}
	states := []client.Event{
		{Pairing: client.PairPending},
		{Pairing: client.PairApproved},
		{Pairing: client.PairLinked, Link: link},
		{Pairing: client.PairLinked, Link: link, Consents: consents(cardea.Deny, cardea.ReasonNotAsked)},
		{Pairing: client.PairLinked, Link: link, Consents: consents(cardea.Allow, cardea.ReasonGranted)},
		{Pairing: client.PairNone},
	}
	for i := range len(states) - 1 {
		d.deviceChanged(states[i], states[i+1])
	}
	var got []string
	for _, l := range d.told.told {
		got = append(got, strings.TrimSpace(l.what+" "+l.detail))
	}
	want := []string{
		"tokens stored",
		"statement applied 1 questions, 0 allowed",
		"applied on the device presence/use: allow (granted)",
		"unlinked the device has forgotten the account",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
