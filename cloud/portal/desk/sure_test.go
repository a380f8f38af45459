package desk_test

import (
	"errors"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/store/accountdb"
)

func TestWhatNeedsTheStrongestMethod(t *testing.T) {
	now := time.Now()
	password := accountdb.Ways{Password: true, Email: true}
	for _, c := range []struct {
		name   string
		policy []desk.Act
		s      accountdb.Session
		act    desk.Act
		page   string // empty: it may go on
	}{
		{"just signed in", nil, accountdb.Session{Ways: password, Proofs: accountdb.Proofs{Password: now}}, desk.Erase, ""},
		{"six minutes ago", nil, accountdb.Session{Ways: password, Proofs: accountdb.Proofs{Password: now.Add(-6 * time.Minute)}}, desk.Erase, "/again?next=%2Fdevices"},
		{"by less than they have", nil, accountdb.Session{Ways: password, Proofs: accountdb.Proofs{Code: now}}, desk.Ways, "/again?next=%2Fdevices"},
		{"pairing", nil, accountdb.Session{Ways: password, Proofs: accountdb.Proofs{Code: now}}, desk.Pairing, ""},
		{"pairing under a policy", []desk.Act{desk.Pairing}, accountdb.Session{Ways: password, Proofs: accountdb.Proofs{Password: now}}, desk.Pairing, "/again?next=%2Fdevices&sure=2"},
		{"with both", []desk.Act{desk.Pairing}, accountdb.Session{Ways: password, Proofs: accountdb.Proofs{Password: now, Code: now}}, desk.Pairing, ""},
		{"with a passkey", []desk.Act{desk.Erase}, accountdb.Session{Ways: accountdb.Ways{Passkeys: 1}, Proofs: accountdb.Proofs{Passkey: now}}, desk.Erase, ""},
		{"nothing to show", nil, accountdb.Session{Claimed: true}, desk.Erase, ""},
		{"nothing to show under a policy", []desk.Act{desk.Erase}, accountdb.Session{Claimed: true}, desk.Erase, "/again?next=%2Fdevices&sure=2"},
	} {
		d := &desk.Desk{Policy: desk.Policy{Verified: c.policy}}
		err := d.Sure(desk.Visit{Session: c.s}, c.act, "/devices")
		if got := leadsTo(err); got != c.page {
			t.Errorf("%s: led to %q (%v), want %q", c.name, got, err, c.page)
		}
	}
}

// A yes needs more in a session that is younger than the pairing.
func TestWideningInAYoungSession(t *testing.T) {
	now := time.Now()
	weak := accountdb.Session{Started: now.Add(-time.Hour), Ways: accountdb.Ways{Password: true}, Proofs: accountdb.Proofs{Password: now.Add(-time.Hour)}}
	fresh := weak
	fresh.Proofs.Password = now
	lite := accountdb.Session{Started: now.Add(-time.Hour), Claimed: true}
	for _, c := range []struct {
		name   string
		s      accountdb.Session
		class  cardea.Class
		paired time.Time
		page   string
	}{
		{"no device", weak, cardea.ClassA, time.Time{}, ""},
		{"an older session", weak, cardea.ClassA, now.Add(-time.Minute), ""},
		{"a younger session", weak, cardea.ClassA, now.Add(-2 * time.Hour), "/again?next=%2Fdevices"},
		{"a younger one that showed it", fresh, cardea.ClassA, now.Add(-2 * time.Hour), ""},
		{"nothing proved, shared", lite, cardea.ClassC, now.Add(-time.Minute), "/account/confirm?next=%2Fdevices"},
		{"nothing proved, kept on the device", lite, cardea.ClassL, now.Add(-time.Minute), ""},
	} {
		err := (&desk.Desk{}).SureToWiden(desk.Visit{Session: c.s}, c.class, c.paired, "/devices")
		if got := leadsTo(err); got != c.page {
			t.Errorf("%s: led to %q (%v), want %q", c.name, got, err, c.page)
		}
	}
}

// leadsTo is where an error leads, empty for none.
func leadsTo(err error) string {
	if again, ok := errors.AsType[desk.Again](err); ok {
		return again.Page()
	}
	return ""
}

// Nothing from outside becomes a place to go back to.
func TestAgainLeadsOnlyToOurPages(t *testing.T) {
	if got := (desk.Again{Back: "https://evil.example/"}).Page(); got != "/again?next=%2Fconsents" {
		t.Errorf("led to %q", got)
	}
}

func TestBrowserName(t *testing.T) {
	for agent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0":                                                                  "Firefox, Linux",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1": "Safari, iPhone",
		"Mozilla/5.0 (Linux; Android 16; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/146.0.0.0 Mobile Safari/537.36":                         "Chrome, Android",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/146.0.0.0 Safari/537.36 Edg/146.0.0.0":           "Edge, Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Safari/605.1.15":                   "Safari, Mac",
		"<script>alert(1)</script>": "", "": "",
	} {
		if got := desk.BrowserName(agent); got != want {
			t.Errorf("%.60q: %q, want %q", agent, got, want)
		}
	}
}
