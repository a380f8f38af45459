package portal_test

import (
	"fmt"
	"maps"
	"math/bits"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/portal/portaltest"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/store/accountdb"
)

// TestEverySubsetOfRefusalsPairs: whatever an owner leaves out, refuses or allows of
// what a speaker or a car asks, theirs is paired, told exactly that, and does what
// is necessary. Nothing is asked on the way.
func TestEverySubsetOfRefusalsPairs(t *testing.T) {
	t.Parallel()
	s := openStreet(t)
	speaker, needed := s.askedOn("speaker")
	car, neededInCar := s.askedOn("car")
	more := slices.DeleteFunc(slices.Clone(car), func(key cardea.Key) bool { return slices.Contains(speaker, key) })
	if len(speaker)+len(more) != len(car) {
		t.Fatal("a speaker asks what no car does: their subsets are not those of one list")
	}
	car = slices.Concat(speaker, more)
	b := s.owner("ada@example.com")
	s.pairs(b, "speaker")
	s.pairs(b, "car")
	given := 0
	for step := range 1 << len(car) {
		if step > 0 { // one answer changes at each step: a Gray code
			flip := bits.TrailingZeros(uint(step))
			given ^= 1 << flip
			s.decide(b, car[flip], map[bool]string{true: "allow", false: "deny"}[given>>flip&1 == 1])
		}
		if step%256 == 0 { // they move, before so many codes are too many for one home
			s.home = fmt.Sprintf("203.0.%d.7", step>>8)
			b.From = s.home + ":40000"
		}
		if step < 1<<len(speaker) {
			s.approves(b, "speaker")
			checkTold(t, s.told(b.account, 0), speaker, needed, given)
		}
		s.approved(b, s.device(jose.GenerateKey()), "car")
		checkTold(t, s.told(b.account, 1), car, neededInCar, given)
	}
	checkTold(t, s.pairs(b, "car"), car, neededInCar, given)
	t.Logf("%d subsets of the %d keys of a speaker, %d of the %d of a car", 1<<len(speaker), len(speaker), 1<<len(car), len(car))
}

// checkTold compares what a device was told with the yeses there are, as bits.
func checkTold(t *testing.T, body cardea.Body, asked, necessary []cardea.Key, given int) {
	t.Helper()
	now := cardea.MillisOf(time.Now())
	view := cardea.NewView(body.Consents, nil, now, now.Add(time.Minute))
	decide := func(key cardea.Key, use cardea.Use) bool {
		return cardea.Decide(view, cardea.Now{Time: now, Synced: true}, cardea.Query{Key: key, Use: use}).Verdict != cardea.Deny
	}
	for i, key := range asked {
		if got, want := decide(key, cardea.UseLocal), given>>i&1 == 1; got != want {
			t.Errorf("subset %b: %s is allowed %v, want %v", given, key, got, want)
		}
	}
	if slices.ContainsFunc(body.Consents, func(c cardea.Consent) bool {
		return !slices.Contains(asked, c.Key) && !slices.Contains(necessary, c.Key)
	}) {
		t.Errorf("subset %b: told what it does not ask", given)
	}
	if slices.ContainsFunc(necessary, func(key cardea.Key) bool { return !decide(key, cardea.UseCollect) }) || body.Identity.Subject == "" {
		t.Errorf("subset %b: what is necessary does not work", given)
	}
}

// TestSecondDeviceAsksNothingDecided: a device of the same kind is told what stands
// and asks for nothing that was decided under the same notice; what asks for more
// than was read is asked.
func TestSecondDeviceAsksNothingDecided(t *testing.T) {
	s := openStreet(t)
	b := s.owner("ada@example.com")
	s.pairs(b, "speaker")
	asked, necessary := s.askedOn("speaker")
	given := 0
	for i, key := range asked {
		if i%2 == 0 {
			given |= 1 << i
		}
		s.decide(b, key, map[bool]string{true: "allow", false: "deny"}[i%2 == 0])
	}
	before := b.Get("/consents")
	second := s.pairs(b, "speaker")
	checkTold(t, second, asked, necessary, given)
	open := func(d *portaltest.Document) (keys []cardea.Key) {
		for _, key := range asked {
			text := portaltest.TextOf(d.Facet(key, ""))
			if strings.Contains(text, "Not asked yet") || strings.Contains(text, "has changed since your yes") {
				keys = append(keys, key)
			}
		}
		return keys
	}
	if now := open(b.Get("/consents")); len(open(before)) > 0 || len(now) > 0 {
		t.Errorf("the second device asks %q", now)
	}

	s.another(func(text string) string {
		return strings.Replace(text, "data: [what you play and skip, when, on which device]", "data: [what you play and skip, when, on which device, the devices you own]", 1)
	}, "recommendations")
	want := []cardea.Key{"recommendations/third_party"} // of the two, the one that was allowed
	if slices.Index(asked, "recommendations/use")%2 == 0 {
		want = []cardea.Key{"recommendations/use"}
	}
	if got := open(b.Get("/consents")); !slices.Equal(got, want) {
		t.Errorf("with a new category of data it asks %q, want %q", got, want)
	}
	third := s.pairs(b, "speaker")
	for _, c := range third.Consents {
		if c.Key == want[0] && (c.Given() || c.Reason != cardea.ReasonNotice) {
			t.Errorf("a third device is told %s: %s", c.Key, c.Reason)
		}
	}
}

// TestApproveAndDeclineAtOnce: of two tabs one wins, the other is told, and the
// device hears what won.
func TestApproveAndDeclineAtOnce(t *testing.T) {
	s := openStreet(t)
	b := s.owner("ada@example.com")
	won := map[string]int{}
	for range 12 {
		key := jose.GenerateKey()
		device := &pairing.Client{Issuer: "http://cardea.test", ClientID: "cardea-agent", Signer: key.Signer(), HTTP: &http.Client{Transport: s}}
		asked, err := device.Start(t.Context(), pairing.Device{Kind: "speaker"})
		if err != nil {
			t.Fatal(err)
		}
		var tabs sync.WaitGroup
		answers := make([]*portaltest.Document, 2)
		for i, answer := range []string{"approve", "decline"} {
			tabs.Go(func() {
				answers[i] = b.Post("/pair", url.Values{"form": {b.form}, "code": {string(asked.UserCode)}, "name": {"A device"}, "answer": {answer}})
			})
		}
		tabs.Wait()
		winner, loser := answers[0], answers[1]
		if winner.Status != http.StatusSeeOther {
			winner, loser = loser, winner
		}
		if winner.Status != http.StatusSeeOther || loser.Status != http.StatusConflict {
			t.Fatalf("answered %d and %d", answers[0].Status, answers[1].Status)
		}
		loser.MustSay("This code was used already")
		tokens, err := device.Poll(t.Context(), asked.DeviceCode)
		approved := strings.HasPrefix(winner.Header.Get("Location"), "/pair/approved")
		if approved != (err == nil && tokens.AccessToken != "") || !approved && !pairing.HasCode(err, pairing.AccessDenied) {
			t.Errorf("the page says %s, the device hears %v", winner.Header.Get("Location"), err)
		}
		won[winner.Header.Get("Location")[:len("/pair/approve")]]++
	}
	t.Logf("won: %v", maps.Collect(maps.All(won)))
}

// TestOneUnitPerPress: however a form is bent, it decides one thing.
func TestOneUnitPerPress(t *testing.T) {
	s := openStreet(t)
	b := s.owner("ada@example.com")
	fields := url.Values{"form": {b.form}, "decision": {"allow", "allow"}, "base": {"0.0.", "0.0."}, "version": {"1", "1"}}
	cat, _ := s.house.Ledger.Catalogue.Current()
	p, _ := cat.Purpose("recommendations")
	fields["notice"] = []string{p.Notice("en").String(), p.Notice("en").String()}
	for _, keys := range [][]string{
		{"recommendations/use", "recommendations/third_party"}, {"recommendations/use,recommendations/third_party"}, {"recommendations/*"}, {"recommendations"}, {""},
	} {
		fields["key"] = keys
		b.Post("/consents", fields)
	}
	entries := 0
	err := s.house.DB.View(t.Context(), func(tx *accountdb.Tx) error {
		all, err := tx.Entries(b.account, 0)
		for _, e := range all {
			if e.Act == cardea.ActGrant {
				entries++
			}
		}
		return err
	})
	if err != nil || entries != 1 {
		t.Errorf("%d units were granted by one press, %v", entries, err)
	}
}

// TestNothingIsTickedInAdvance: no page has a box or a button of a group that is
// chosen before its owner has.
func TestNothingIsTickedInAdvance(t *testing.T) {
	boxes := 0
	for name, d := range everyPage(t) {
		for in := range d.All("input") {
			if kind := portaltest.Attr(in, "type"); kind != "radio" && kind != "checkbox" {
				continue
			}
			boxes++
			if portaltest.HasAttr(in, "checked") {
				t.Errorf("%s: %q is ticked", name, portaltest.Attr(in, "value"))
			}
		}
		if strings.Contains(strings.ToLower(d.Text), " checked") {
			t.Errorf("%s: the word stands in its markup", name)
		}
	}
	if boxes == 0 {
		t.Error("no page has a box: what was looked at?")
	}
}
