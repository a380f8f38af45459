package ledger_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/store/accountdb"
)

// selling is the shipped catalogue of a brand that sells what is played, and shows
// advertising across companies.
func selling(t *testing.T) string {
	t.Helper()
	text := shippedText(t)
	at := strings.Index(text, "  - id: recommendations\n")
	sold := strings.Replace(text[at:], "name: Music service, relation: third_party, country: FI}", "name: Music service, relation: third_party, country: FI, sold: true}", 1)
	sold = strings.Replace(sold, "  - id: offers\n    version: 1\n", "  - id: offers\n    version: 1\n    advertising: true\n", 1)
	return text[:at] + sold
}

func (d *desk) signal() []cardea.Key {
	d.Helper()
	keys, err := d.ledger.Signal(d.Context(), d.account.ID)
	if err != nil {
		d.Fatal(err)
	}
	return keys
}

const passOn = cardea.Key("recommendations/third_party")

func TestSignalStopsSelling(t *testing.T) {
	d := stored(t, selling(t))
	for _, key := range []cardea.Key{"recommendations/use", passOn, "offers/marketing"} {
		d.say(cardea.ChannelPortal, cardea.Scope{}, cardea.ActGrant, key)
	}
	want := []cardea.Key{passOn, "offers/use", "offers/marketing"}
	if got := d.signal(); !slices.Equal(got, want) {
		t.Errorf("denied %q, want %q", got, want)
	}
	if !d.facet("recommendations/use").Standing.Given() {
		t.Error("it is no general no: what is not sold was stopped too")
	}
	for _, key := range want {
		f := d.facet(key)
		if f.Standing.Given() || f.Signal == nil || !f.Signal.ByIt {
			t.Errorf("%s: %s, %+v", key, f.Standing.Reason, f.Signal)
		}
	}
	if got := d.signal(); len(got) > 0 {
		t.Errorf("said again: %q", got)
	}
	entries := d.entries()
	if last := entries[len(entries)-1]; last.Channel != cardea.ChannelGPC || last.Act != cardea.ActDeny || !last.Scope.Everywhere() || len(entries) != 6 {
		t.Errorf("%d entries, the last %+v", len(entries), last)
	}
}

func (d *desk) entries() (entries []cardea.Entry) {
	d.Helper()
	err := d.ledger.DB.View(d.Context(), func(tx *accountdb.Tx) (err error) {
		entries, err = tx.Entries(d.account.ID, 0)
		return err
	})
	if err != nil {
		d.Fatal(err)
	}
	return entries
}

// TestYesInSpiteOfTheSignal: only a yes on a page that told of the signal answers
// it; the absence of the signal means nothing.
func TestYesInSpiteOfTheSignal(t *testing.T) {
	d := stored(t, selling(t))
	allow := func(told bool) {
		t.Helper()
		_, err := d.ledger.Propose(t.Context(), d.account.ID, ledger.Proposal{
			Decision: d.grant(passOn), Channel: cardea.ChannelPortal, Shown: accountdb.Notice{Signal: told},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	d.signal()
	allow(false) // in another browser
	if got := d.signal(); !slices.Equal(got, []cardea.Key{passOn}) {
		t.Errorf("a yes that knew nothing of it was answered by %q", got)
	}
	allow(true)
	if got := d.signal(); len(got) > 0 || !d.facet(passOn).Standing.Given() || !d.facet(passOn).Signal.InSpite {
		t.Errorf("a yes in spite of it: denied %q, stands %s", got, d.facet(passOn).Standing.Reason)
	}
	d.say(cardea.ChannelPortal, cardea.Scope{}, cardea.ActDeny, passOn)
	before := len(d.entries())
	if d.signal(); len(d.entries()) != before {
		t.Error("what its owner stopped was stopped once more")
	}
}

// TestSignalFromTwoTabs: it is recorded once.
func TestSignalFromTwoTabs(t *testing.T) {
	d := stored(t, selling(t))
	var tabs sync.WaitGroup
	for range 4 {
		tabs.Go(func() {
			if _, err := d.ledger.Signal(t.Context(), d.account.ID); err != nil {
				t.Error(err)
			}
		})
	}
	tabs.Wait()
	if n := len(d.entries()); n != 3 {
		t.Errorf("%d entries, want 3", n)
	}
}

// TestNobodyGrantsBySignal: the channel can only stop something.
func TestNobodyGrantsBySignal(t *testing.T) {
	d := stored(t, selling(t))
	if r := d.take(cardea.ChannelGPC, cardea.Scope{}, d.grant(passOn)); r != cardea.RejectedConfirm {
		t.Errorf("a yes by signal: %q", r)
	}
	if d := stored(t, shippedText(t)); len(d.signal()) > 0 || len(d.entries()) > 0 {
		t.Error("where nothing is sold it stopped something")
	}
}

// TestWhatWasShownIsKept: version, language and hash, of a no too.
func TestWhatWasShownIsKept(t *testing.T) {
	d := stored(t, shippedText(t))
	cat, _ := d.ledger.Catalogue.Current()
	purpose, _ := cat.Purpose("recommendations")
	shown := func(e cardea.Entry) (s accountdb.Notice) {
		t.Helper()
		err := d.ledger.DB.View(t.Context(), func(tx *accountdb.Tx) (err error) {
			s, err = tx.Shown(d.account.ID, e.Position.Seq)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	want := accountdb.Notice{Language: "en", Version: 1, Hash: purpose.Notice("en")}
	if got := shown(d.say(cardea.ChannelPortal, cardea.Scope{}, cardea.ActGrant, passOn)); got != want {
		t.Errorf("of a yes: %+v", got)
	}
	no := ledger.Proposal{Decision: d.grant(passOn), Channel: cardea.ChannelPortal, Shown: accountdb.Notice{Version: 1, Hash: purpose.Notice("en")}}
	no.Act, no.Version, no.Notice = cardea.ActDeny, 0, cardea.Hash{}
	propose := func() cardea.Entry {
		t.Helper()
		no.Event = cardea.NewID[cardea.EventID]()
		e, err := d.ledger.Propose(t.Context(), d.account.ID, no)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	if got := shown(propose()); got != want {
		t.Errorf("of a no: %+v", got)
	}
	no.Shown.Hash = cardea.Hash{1}
	if got := shown(propose()); got != (accountdb.Notice{}) {
		t.Errorf("of a no on a page that never was: %+v", got)
	}
}
