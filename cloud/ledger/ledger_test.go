package ledger_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/catalogue"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

// A desk is a ledger on a real database, one account and the shipped catalogue.
type desk struct {
	*testing.T
	ledger  *ledger.Ledger
	account accountdb.Account
	woken   int
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	text, err := os.ReadFile("../../testdata/catalogue.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cat, err := catalogue.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	db := accountdbtest.Open(t)
	d := &desk{T: t, account: accountdbtest.Account(t, db)}
	d.ledger = &ledger.Ledger{DB: db, Catalogue: catalogue.New(cat), Wake: func(cardea.AccountID) { d.woken++ }}
	return d
}

func (d *desk) page() ledger.Page {
	d.Helper()
	page, err := d.ledger.Page(d.Context(), d.account.ID, "en")
	if err != nil {
		d.Fatal(err)
	}
	return page
}

func (d *desk) facet(key cardea.Key) ledger.FacetChoice {
	d.Helper()
	for _, c := range d.page().Choices {
		for _, f := range c.Facets {
			if f.Key == key {
				return f
			}
		}
	}
	d.Fatalf("the page does not ask %s", key)
	return ledger.FacetChoice{}
}

func (d *desk) grant(key cardea.Key) cardea.Decision {
	cat, _ := d.ledger.Catalogue.Current()
	p, _ := cat.Purpose(key.Purpose())
	return cardea.Decision{
		Event: cardea.NewID[cardea.EventID](), Act: cardea.ActGrant, Key: key,
		Version: p.Version, Notice: p.Notice("en"), Base: d.page().Head,
	}
}

func (d *desk) take(channel cardea.Channel, scope cardea.Scope, decision cardea.Decision) cardea.Rejected {
	d.Helper()
	_, err := d.ledger.Decide(d.Context(), d.account.ID, channel, scope, decision)
	if rejected, ok := errors.AsType[*ledger.RejectedError](err); ok {
		return rejected.Reason
	}
	if err != nil {
		d.Fatal(err)
	}
	return ""
}

func TestPageAsksWithoutAnswering(t *testing.T) {
	d := newDesk(t)
	for _, c := range d.page().Choices {
		if c.Text.Title == "" || c.Notice.IsZero() {
			t.Errorf("%s has no text", c.Purpose.ID)
		}
		for _, f := range c.Facets {
			if f.Question == "" || f.Standing.Given() && f.Standing.Class != cardea.ClassN {
				t.Errorf("%s: question %q, stands as %q", f.Key, f.Question, f.Standing.Reason)
			}
		}
	}
}

func TestGrantAndWithdraw(t *testing.T) {
	d := newDesk(t)
	const key = cardea.Key("recommendations/use")
	if r := d.take(cardea.ChannelPortal, cardea.Scope{}, d.grant(key)); r != "" {
		t.Fatalf("rejected: %s", r)
	}
	if s := d.facet(key).Standing; !s.Given() || s.ValidUntil == 0 {
		t.Errorf("stands as %+v", s)
	}
	d.take(cardea.ChannelPortal, cardea.Scope{}, cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActDeny, Key: key})
	if s := d.facet(key).Standing; s.Given() || s.ValidUntil != 0 {
		t.Errorf("after a denial that has seen nothing: %+v", s)
	}
	if d.woken != 2 {
		t.Errorf("woken %d times, want 2", d.woken)
	}
}

// The same event counts once, and is refused for anything else.
func TestEventIsOneDecision(t *testing.T) {
	d := newDesk(t)
	decide := func(scope cardea.Scope, c cardea.Decision) error {
		_, err := d.ledger.Decide(t.Context(), d.account.ID, cardea.ChannelPortal, scope, c)
		return err
	}
	const key = cardea.Key("recommendations/use")
	here := cardea.Scope{Device: cardea.DeviceID(strings.Repeat("A", 43))}
	said := cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActDeny, Key: key}
	set := cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActPrefer, Preference: "voice_speed", Value: "120"}
	for _, c := range []cardea.Decision{said, set} {
		for range 2 {
			if err := decide(cardea.Scope{}, c); err != nil {
				t.Fatal(err)
			}
		}
		if err := decide(here, c); !errors.Is(err, ledger.ErrReused) {
			t.Errorf("at another place: %v", err)
		}
	}
	if head := d.page().Head; head.Seq != 2 {
		t.Errorf("%d entries, want 2", head.Seq)
	}
	other, louder := said, set
	other.Key, louder.Value = "presence/use", "90"
	for _, c := range []cardea.Decision{other, louder, {Event: said.Event, Act: cardea.ActLift, Key: key}, {Event: set.Event, Act: cardea.ActDeny, Key: key}} {
		if err := decide(cardea.Scope{}, c); !errors.Is(err, ledger.ErrReused) {
			t.Errorf("%s %s%s %s: %v", c.Act, c.Key, c.Preference, c.Value, err)
		}
	}
}

// Two protect at once, and a device takes back what it said itself, without having
// heard of the other: in no order is the other one's protection gone.
func TestProtectionNobodyHasSeenStays(t *testing.T) {
	kitchen := cardea.Scope{Device: cardea.DeviceID(strings.Repeat("A", 43))}
	for _, order := range [][]string{{"said", "unheard", "back"}, {"unheard", "said", "back"}, {"said", "back", "unheard"}} {
		d := newDesk(t)
		log, base := cardea.NewID[cardea.LogID](), d.page().Head
		for _, what := range order {
			p := ledger.Proposal{
				Decision: cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActPrefer, Preference: "microphone_off", Value: "true", Base: base},
				Channel:  cardea.ChannelDevice, Scope: kitchen, Log: log, N: 1,
			}
			switch what {
			case "unheard":
				p.Channel, p.Log, p.N = cardea.ChannelPortal, cardea.LogID{}, 0
			case "back":
				p.Value, p.N = "false", 2
			}
			err := d.ledger.DB.Update(t.Context(), func(tx *accountdb.Tx) error {
				_, err := d.ledger.Take(tx, d.account.ID, p)
				return err
			})
			rejected, _ := errors.AsType[*ledger.RejectedError](err)
			if err != nil && (what != "back" || rejected == nil || rejected.Reason != cardea.RejectedConflict) {
				t.Fatalf("%v: %s: %v", order, what, err)
			}
		}
		err := d.ledger.DB.View(t.Context(), func(tx *accountdb.Tx) error {
			stands, err := tx.Setting(d.account.ID, "microphone_off", kitchen)
			if err == nil && stands.Value != "true" {
				t.Errorf("%v: the microphone is off: %s", order, stands.Value)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhoMayGrantWhat(t *testing.T) {
	d := newDesk(t)
	here := cardea.Scope{Device: cardea.DeviceID(strings.Repeat("A", 43))}
	const analytics, presence = cardea.Key("product_analytics/use"), cardea.Key("presence/use")
	for _, test := range []struct {
		name    string
		channel cardea.Channel
		scope   cardea.Scope
		key     cardea.Key
		change  func(*cardea.Decision)
		want    cardea.Rejected
	}{
		{"owner, anything asked", cardea.ChannelPortal, cardea.Scope{}, presence, nil, ""},
		{"owner, for one device", cardea.ChannelPortal, here, presence, nil, ""},
		{"device, class C, here", cardea.ChannelDevice, here, analytics, nil, ""},
		{"device, class C, everywhere", cardea.ChannelDevice, cardea.Scope{}, analytics, nil, cardea.RejectedConfirm},
		{"device, class A", cardea.ChannelDevice, here, presence, nil, cardea.RejectedConfirm},
		{"the brand, for nobody", cardea.ChannelBrand, cardea.Scope{}, analytics, nil, cardea.RejectedConfirm},
		{"another version", cardea.ChannelPortal, cardea.Scope{}, analytics, func(d *cardea.Decision) { d.Version++ }, cardea.RejectedNotice},
		{"another notice", cardea.ChannelPortal, cardea.Scope{}, analytics, func(d *cardea.Decision) { d.Notice[0] ^= 1 }, cardea.RejectedNotice},
		{"no notice", cardea.ChannelPortal, cardea.Scope{}, analytics, func(d *cardea.Decision) { d.Notice = cardea.Hash{} }, cardea.RejectedNotice},
		{"not asked", cardea.ChannelPortal, cardea.Scope{}, "recommendations/sale", nil, cardea.RejectedUnknown},
		{"not gated", cardea.ChannelPortal, cardea.Scope{}, "device_security/use", nil, cardea.RejectedUnknown},
		{"from the future", cardea.ChannelPortal, cardea.Scope{}, analytics, func(d *cardea.Decision) { d.Base.Seq += 1000 }, cardea.RejectedBase},
		{"no act", cardea.ChannelPortal, cardea.Scope{}, analytics, func(d *cardea.Decision) { d.Act = "wish" }, cardea.RejectedUnknown},
	} {
		decision := d.grant(test.key)
		if test.change != nil {
			test.change(&decision)
		}
		before := d.page().Head
		got := d.take(test.channel, test.scope, decision)
		if got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
		if moved := d.page().Head != before; moved != (test.want == "") {
			t.Errorf("%s: ledger moved = %t", test.name, moved)
		}
	}
}

func TestDenialIsNeverRejected(t *testing.T) {
	d := newDesk(t)
	for _, decision := range []cardea.Decision{
		{Key: "recommendations/use"},
		{Key: "never_heard_of/use"},
		{Key: "recommendations/use", Base: cardea.Position{Era: 9, Seq: 1 << 40, Hash: cardea.Hash{1}}},
		{Key: "recommendations/use", Version: 44},
	} {
		for _, channel := range []cardea.Channel{cardea.ChannelPortal, cardea.ChannelDevice, cardea.ChannelBrand} {
			decision.Act, decision.Event = cardea.ActDeny, cardea.NewID[cardea.EventID]()
			if r := d.take(channel, cardea.Scope{}, decision); r != "" {
				t.Errorf("denial of %s through %s rejected: %s", decision.Key, channel, r)
			}
		}
	}
}

func TestSameEventCountsOnce(t *testing.T) {
	d := newDesk(t)
	decision := d.grant("recommendations/use")
	d.take(cardea.ChannelPortal, cardea.Scope{}, decision)
	d.take(cardea.ChannelPortal, cardea.Scope{}, decision)
	if head := d.page().Head; head.Seq != 1 {
		t.Errorf("the ledger has %d entries, want 1", head.Seq)
	}
}

func TestUnknownHashHasSeenNothing(t *testing.T) {
	d := newDesk(t)
	const key = cardea.Key("recommendations/use")
	d.take(cardea.ChannelPortal, cardea.Scope{}, cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActDeny, Key: key})
	decision := d.grant(key)
	decision.Base.Hash[3] ^= 1
	if r := d.take(cardea.ChannelPortal, cardea.Scope{}, decision); r != "" {
		t.Fatalf("rejected %s", r)
	}
	if s := d.facet(key).Standing; s.Reason != cardea.ReasonConflict {
		t.Errorf("stands as %q, want conflict", s.Reason)
	}
}

// What the devices could no longer be told is refused where it is asked, and
// a denial is not.
func TestTooBigIsRefused(t *testing.T) {
	d := newDesk(t)
	cat, _ := d.ledger.Catalogue.Current()
	big := *cat
	big.Preferences = nil
	for i := range 12 {
		big.Preferences = append(big.Preferences, cardea.PreferenceDef{
			Key: cardea.PreferenceKey(fmt.Sprintf("text_%d", i)), Type: cardea.TypeString, Default: `""`,
			Devices: []cardea.DeviceKind{"speaker"}, Titles: map[string]string{"en": "A text"},
		})
	}
	d.ledger.Catalogue.Replace(&big)
	link(d)
	refused := 0
	for i := range 12 {
		r := d.take(cardea.ChannelPortal, cardea.Scope{}, cardea.Decision{
			Event: cardea.NewID[cardea.EventID](), Act: cardea.ActPrefer, Base: d.page().Head,
			Preference: big.Preferences[i].Key, Value: cardea.Value(`"` + strings.Repeat("x", 1000) + `"`),
		})
		if r == cardea.RejectedTooBig {
			refused++
		}
	}
	if refused == 0 || refused == 12 {
		t.Errorf("%d of 12 refused", refused)
	}
	if r := d.take(cardea.ChannelDevice, cardea.Scope{}, cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActDeny, Key: "recommendations/use"}); r != "" {
		t.Errorf("a denial was refused: %s", r)
	}
}

func link(d *desk) {
	err := d.ledger.DB.Update(d.Context(), func(tx *accountdb.Tx) error {
		device := accountdb.Device{ID: cardea.DeviceID(strings.Repeat("A", 43)), PublicKey: []byte("{}"), Kind: "speaker"}
		if err := tx.PutDevice(device); err != nil {
			return err
		}
		l := accountdb.Link{ID: cardea.NewID[cardea.LinkID](), Account: d.account.ID, Device: device.ID, Grant: "g"}
		return tx.CreateLink(l, wire.NewLinkKey(), "Kitchen")
	})
	if err != nil {
		d.Fatal(err)
	}
}

func TestOffOnOneDeviceIsShown(t *testing.T) {
	d := newDesk(t)
	link(d)
	const key = cardea.Key("recommendations/use")
	d.take(cardea.ChannelPortal, cardea.Scope{}, d.grant(key))
	here := cardea.Scope{Device: cardea.DeviceID(strings.Repeat("A", 43))}
	d.take(cardea.ChannelDevice, here, cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActDeny, Key: key, Base: d.page().Head})
	f := d.facet(key)
	if !f.Standing.Given() || len(f.OffOn) != 1 || f.OffOn[0].Name != "Kitchen" || f.OffOn[0].Standing.Given() {
		t.Errorf("facet = %+v", f)
	}
	if r := d.take(cardea.ChannelPortal, here, d.grant(key)); r != "" {
		t.Fatalf("rejected: %s", r)
	}
	if f := d.facet(key); len(f.OffOn) != 0 {
		t.Errorf("still off on %v after it was allowed there", f.OffOn)
	}
}

func TestStandingForTheBrand(t *testing.T) {
	d := newDesk(t)
	c, _, err := d.ledger.Standing(t.Context(), d.account.Subject, "recommendations/use")
	if err != nil || c.Reason != cardea.ReasonNotAsked {
		t.Errorf("standing = %+v, %v", c, err)
	}
	c, _, err = d.ledger.Standing(t.Context(), d.account.Subject, "nothing/use")
	if err != nil || c.Reason != cardea.ReasonUnknown {
		t.Errorf("unknown key = %+v, %v", c, err)
	}
	if _, _, err = d.ledger.Standing(t.Context(), "nobody", "recommendations/use"); !errors.Is(err, accountdb.ErrNotFound) {
		t.Errorf("unknown subject: %v", err)
	}
}

func TestPrivacyPreferenceProtects(t *testing.T) {
	d := newDesk(t)
	set := func(value cardea.Value, base cardea.Position) cardea.Rejected {
		return d.take(cardea.ChannelPortal, cardea.Scope{}, cardea.Decision{
			Event: cardea.NewID[cardea.EventID](), Act: cardea.ActPrefer, Preference: "microphone_off", Value: value, Base: base,
		})
	}
	old := d.page().Head
	if r := set("true", old); r != "" {
		t.Fatal(r)
	}
	if r := set("false", old); r != cardea.RejectedConflict {
		t.Errorf("the microphone went on by somebody who had not seen it go off: %q", r)
	}
	if r := set("false", d.page().Head); r != "" {
		t.Errorf("having seen it: %s", r)
	}
	if r := set("true", old); r != "" {
		t.Errorf("off again, concurrently: %s", r)
	}
	brand := func(value cardea.Value) cardea.Rejected {
		return d.take(cardea.ChannelBrand, cardea.Scope{}, cardea.Decision{
			Event: cardea.NewID[cardea.EventID](), Act: cardea.ActPrefer, Preference: "microphone_off", Value: value, Base: d.page().Head,
		})
	}
	if r := brand("false"); r != cardea.RejectedConfirm {
		t.Errorf("the brand took protection back: %q", r)
	}
	if r := brand("true"); r != "" {
		t.Errorf("the brand protects: %s", r)
	}
}

// A protective value follows the rules of a denial: a base that the cloud has
// lost does not hold it up.
func TestProtectionIsNeverRejected(t *testing.T) {
	d := newDesk(t)
	for _, base := range []cardea.Position{{}, d.page().Head, {Era: 9, Seq: 1 << 40, Hash: cardea.Hash{1}}} {
		for _, channel := range []cardea.Channel{cardea.ChannelPortal, cardea.ChannelDevice, cardea.ChannelBrand} {
			r := d.take(channel, cardea.Scope{}, cardea.Decision{
				Event: cardea.NewID[cardea.EventID](), Act: cardea.ActPrefer, Preference: "microphone_off", Value: "true", Base: base,
			})
			if r != "" {
				t.Errorf("through %s on base %d: rejected %s", channel, base.Seq, r)
			}
		}
	}
}

// To take back protection is to grant: the owner does it, and a device only for
// itself.
func TestWhoMayTakeBackProtection(t *testing.T) {
	d := newDesk(t)
	here := cardea.Scope{Device: cardea.DeviceID(strings.Repeat("A", 43))}
	for _, test := range []struct {
		channel cardea.Channel
		scope   cardea.Scope
		want    cardea.Rejected
	}{
		{cardea.ChannelBrand, cardea.Scope{}, cardea.RejectedConfirm},
		{cardea.ChannelBrand, here, cardea.RejectedConfirm},
		{cardea.ChannelDevice, cardea.Scope{}, cardea.RejectedConfirm},
		{cardea.ChannelDevice, here, ""},
		{cardea.ChannelPortal, cardea.Scope{}, ""},
	} {
		r := d.take(test.channel, test.scope, cardea.Decision{
			Event: cardea.NewID[cardea.EventID](), Act: cardea.ActPrefer, Preference: "microphone_off", Value: "false", Base: d.page().Head,
		})
		if r != test.want {
			t.Errorf("through %s for %q: %q, want %q", test.channel, test.scope.Device, r, test.want)
		}
	}
}

// That a device was paired nobody can say but the cloud.
func TestNobodyProposesALink(t *testing.T) {
	d := newDesk(t)
	r := d.take(cardea.ChannelDevice, cardea.Scope{}, cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActLink})
	if r != cardea.RejectedUnknown || d.page().Head.Seq != 0 {
		t.Errorf("rejected %q, want %q", r, cardea.RejectedUnknown)
	}
}

// Of whom nothing is proved says yes to nothing that leaves the device.
func TestLiteAccountSharesNothing(t *testing.T) {
	d := newDesk(t)
	err := d.ledger.DB.Update(t.Context(), func(tx *accountdb.Tx) (err error) {
		d.account.ID, err = tx.RegisterLite("Ada", "ada@example.com")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	sure := accountdb.Assurance{}
	decide := func(key cardea.Key) error {
		_, err := d.ledger.Propose(t.Context(), d.account.ID, ledger.Proposal{Decision: d.grant(key), Channel: cardea.ChannelPortal, Assurance: &sure})
		return err
	}
	const shared, local = cardea.Key("product_analytics/use"), cardea.Key("on_device_personalisation/use")
	rejected, ok := errors.AsType[*ledger.RejectedError](decide(shared))
	if !ok || rejected.Reason != cardea.RejectedConfirm {
		t.Errorf("%s: %v, want it to be confirmed first", shared, decide(shared))
	}
	if err := decide(local); err != nil {
		t.Errorf("%s: %v", local, err)
	}
	err = d.ledger.DB.Update(t.Context(), func(tx *accountdb.Tx) error { return tx.Confirm(d.account.ID, "ada@example.com") })
	if err != nil {
		t.Fatal(err)
	}
	sure = accountdb.Assurance{Level: accountdb.Shown, Methods: []string{"otp"}}
	if err := decide(shared); err != nil {
		t.Errorf("confirmed: %v", err)
	}
	err = d.ledger.DB.View(t.Context(), func(tx *accountdb.Tx) error {
		a, err := tx.Assurance(d.account.ID, d.page().Head.Seq)
		if a.Level != accountdb.Shown || len(a.Methods) != 1 || a.Methods[0] != "otp" {
			t.Errorf("recorded: %+v", a)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What a voice reveals is asked by itself, is off until it is allowed by itself,
// and a yes to the rest does not reach it.
func TestWhatAVoiceRevealsIsAskedApart(t *testing.T) {
	d := newDesk(t)
	const keep, reveal = cardea.Key("voice_history/use"), cardea.Key("voice_history/sensitive")
	given := func() [2]bool { return [2]bool{d.facet(keep).Standing.Given(), d.facet(reveal).Standing.Given()} }
	if given() != [2]bool{false, false} {
		t.Errorf("before anything was decided: %v", given())
	}
	if rejected := d.take(cardea.ChannelPortal, cardea.Scope{}, d.grant(keep)); rejected != "" || given() != [2]bool{true, false} {
		t.Errorf("a yes to recordings: %q, %v", rejected, given())
	}
	if rejected := d.take(cardea.ChannelDevice, cardea.Scope{}, d.grant(reveal)); rejected != cardea.RejectedConfirm || given()[1] {
		t.Errorf("said on a device: %q, %v", rejected, given())
	}
	if rejected := d.take(cardea.ChannelPortal, cardea.Scope{}, d.grant(reveal)); rejected != "" || given() != [2]bool{true, true} {
		t.Errorf("a yes to what they reveal: %q, %v", rejected, given())
	}
}
