package cardea_test

import (
	"slices"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
)

const (
	voice   = cardea.Key("voice/use")
	kitchen = cardea.DeviceID("kitchen")
	car     = cardea.DeviceID("car")
	year    = 365 * 24 * time.Hour
)

// terms are those of version 1 of a purpose of class C.
var terms = cardea.Terms{
	Version: 1, Class: cardea.ClassC, Staleness: time.Hour, Validity: year,
	Required: []cardea.Authoriser{cardea.Owner},
}

// A book is a ledger in the making.
type book []cardea.Entry

// add appends an entry that has seen the ledger up to base.
func (b *book) add(e cardea.Entry, base uint64) cardea.Entry {
	var head cardea.Position
	if n := len(*b); n > 0 {
		head = (*b)[n-1].Position
	}
	if e.Event.IsZero() {
		e.Event = cardea.NewID[cardea.EventID]()
	}
	if e.Key == "" {
		e.Key = voice
	}
	if e.By == "" {
		e.By = cardea.Owner
	}
	if base > 0 {
		e.Base = (*b)[base-1].Position
	}
	e.Recorded = cardea.Millis(head.Seq+1) * 1000
	e = e.Chain(1, head)
	*b = append(*b, e)
	return e
}

func yes() cardea.Entry {
	return cardea.Entry{Decision: cardea.Decision{Act: cardea.ActGrant, Version: 1}, Channel: cardea.ChannelPortal}
}

func no() cardea.Entry {
	return cardea.Entry{Decision: cardea.Decision{Act: cardea.ActDeny}, Channel: cardea.ChannelPortal}
}

// in puts an entry into a device's log; its scope is the device.
func in(log byte, n uint64, device cardea.DeviceID, e cardea.Entry) cardea.Entry {
	e.Log, e.N, e.Channel, e.Scope = cardea.LogID{log}, n, cardea.ChannelDevice, cardea.Scope{Device: device}
	return e
}

// everywhere makes an entry reach the whole account.
func everywhere(e cardea.Entry) cardea.Entry {
	e.Scope = cardea.Scope{}
	return e
}

func TestOn(t *testing.T) {
	// A line says what is decided, having seen how much of the ledger.
	type line struct {
		e    cardea.Entry
		base uint64
	}
	for name, c := range map[string]struct {
		lines        []line
		kitchen, car cardea.Reason
	}{
		"nothing":                          {nil, cardea.ReasonNotAsked, cardea.ReasonNotAsked},
		"yes":                              {[]line{{yes(), 0}}, cardea.ReasonGranted, cardea.ReasonGranted},
		"no":                               {[]line{{no(), 0}}, cardea.ReasonRefused, cardea.ReasonRefused},
		"yes, no":                          {[]line{{yes(), 0}, {no(), 1}}, cardea.ReasonWithdrawn, cardea.ReasonWithdrawn},
		"yes, no, no":                      {[]line{{yes(), 0}, {no(), 1}, {no(), 2}}, cardea.ReasonWithdrawn, cardea.ReasonWithdrawn},
		"yes, no, yes":                     {[]line{{yes(), 0}, {no(), 1}, {yes(), 2}}, cardea.ReasonGranted, cardea.ReasonGranted},
		"a no that saw no yes":             {[]line{{yes(), 0}, {no(), 0}}, cardea.ReasonConflict, cardea.ReasonConflict},
		"a yes that saw no no":             {[]line{{no(), 0}, {yes(), 0}}, cardea.ReasonConflict, cardea.ReasonConflict},
		"conflict, allow again":            {[]line{{yes(), 0}, {no(), 0}, {yes(), 2}}, cardea.ReasonGranted, cardea.ReasonGranted},
		"conflict, leave off":              {[]line{{yes(), 0}, {no(), 0}, {no(), 2}}, cardea.ReasonWithdrawn, cardea.ReasonWithdrawn},
		"a yes that saw one of two":        {[]line{{no(), 0}, {no(), 0}, {yes(), 1}}, cardea.ReasonConflict, cardea.ReasonConflict},
		"a stop said here":                 {[]line{{yes(), 0}, {in(1, 1, kitchen, no()), 1}}, cardea.ReasonWithdrawn, cardea.ReasonGranted},
		"a stop said here that saw no yes": {[]line{{yes(), 0}, {in(1, 1, kitchen, no()), 0}}, cardea.ReasonConflict, cardea.ReasonGranted},
		"stop, then allow, offline": {[]line{
			{yes(), 0}, {in(1, 1, kitchen, no()), 1}, {in(1, 2, kitchen, yes()), 1},
		}, cardea.ReasonGranted, cardea.ReasonGranted},
		"allow, then stop, offline": {[]line{
			{in(1, 1, kitchen, yes()), 0}, {in(1, 2, kitchen, no()), 0},
		}, cardea.ReasonWithdrawn, cardea.ReasonNotAsked},
		"another log has seen nothing": {[]line{
			{in(1, 1, kitchen, no()), 0}, {in(2, 2, kitchen, yes()), 0},
		}, cardea.ReasonConflict, cardea.ReasonNotAsked},
		"an allow here does not answer a stop everywhere": {[]line{
			{everywhere(in(1, 1, kitchen, no())), 0}, {in(1, 2, kitchen, yes()), 0},
		}, cardea.ReasonWithdrawn, cardea.ReasonRefused},
		"an allow everywhere does not answer a stop here": {[]line{
			{in(1, 1, kitchen, no()), 0}, {yes(), 1},
		}, cardea.ReasonWithdrawn, cardea.ReasonGranted},
		"a yes for one device": {[]line{{in(1, 1, car, yes()), 0}}, cardea.ReasonNotAsked, cardea.ReasonGranted},
		"a yes of the brand": {[]line{
			{func() cardea.Entry { e := yes(); e.Channel = cardea.ChannelBrand; return e }(), 0},
		}, cardea.ReasonNotAsked, cardea.ReasonNotAsked},
		"a no of the brand": {[]line{
			{yes(), 0}, {func() cardea.Entry { e := no(); e.Channel = cardea.ChannelBrand; return e }(), 1},
		}, cardea.ReasonWithdrawn, cardea.ReasonWithdrawn},
		"a yes by nobody who is asked": {[]line{
			{func() cardea.Entry { e := yes(); e.By = "neighbour"; return e }(), 0},
		}, cardea.ReasonNotice, cardea.ReasonNotice},
		"something else": {[]line{
			{cardea.Entry{Decision: cardea.Decision{Act: cardea.ActLink}}, 0},
			{cardea.Entry{Decision: cardea.Decision{Act: "dance"}}, 0},
		}, cardea.ReasonNotAsked, cardea.ReasonNotAsked},
	} {
		var b book
		for _, l := range c.lines {
			b.add(l.e, l.base)
		}
		fold := cardea.Fold(b)
		for device, want := range map[cardea.DeviceID]cardea.Reason{kitchen: c.kitchen, car: c.car} {
			got := fold.On(device, voice, terms)
			if got.Reason != want || got.Given() != (want == cardea.ReasonGranted) {
				t.Errorf("%s: on %s %s, want %s", name, device, got.Reason, want)
			}
			if got.Given() != (got.ValidUntil > 0) {
				t.Errorf("%s: on %s %s until %d", name, device, got.Reason, got.ValidUntil)
			}
		}
	}
}

func TestOnSaysWhatItKnows(t *testing.T) {
	var b book
	b.add(yes(), 0)
	got := cardea.Fold(b).On(kitchen, voice, terms)
	want := cardea.Consent{
		Key: voice, Version: 1, Reason: cardea.ReasonGranted, Decided: b[0].Position.Point(),
		ValidUntil: b[0].Recorded.Add(year), Class: cardea.ClassC, Staleness: 3600,
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if other := cardea.Fold(b).On(kitchen, "voice/sale", terms); other.Given() || other.Decided != (cardea.Point{}) {
		t.Errorf("another key: %+v", other)
	}
	if elsewhere := cardea.Fold(b).Anywhere(voice, terms); elsewhere != want {
		t.Errorf("anywhere: %+v", elsewhere)
	}
}

// A denial binds every version of a purpose, a grant exactly one.
func TestVersions(t *testing.T) {
	second := terms
	second.Version = 2
	var b book
	b.add(yes(), 0)
	if got := cardea.Fold(b).On(kitchen, voice, second); got.Reason != cardea.ReasonNotice {
		t.Errorf("a yes to the old version: %s", got.Reason)
	}
	b.add(no(), 1)
	if got := cardea.Fold(b).On(kitchen, voice, second); got.Given() {
		t.Error("a no to the old version does not bind the new one")
	}
	again := yes()
	again.Version = 2
	b.add(again, 2)
	if got := cardea.Fold(b).On(kitchen, voice, second); !got.Given() {
		t.Errorf("a yes to the new version: %s", got.Reason)
	}
	if got := cardea.Fold(b).On(kitchen, voice, terms); got.Reason != cardea.ReasonNotice {
		t.Errorf("a yes to the new version, asked for the old one: %s", got.Reason)
	}
}

// What was answered at one scope and fell with its version closes that scope:
// a yes at the other does not answer its denial.
func TestAnOldAnswerClosesItsScope(t *testing.T) {
	second := terms
	second.Version = 2
	var b book
	b.add(no(), 0)
	b.add(yes(), 1) // to version 1
	here := in(1, 1, kitchen, yes())
	here.Version = 2
	b.add(here, 2)
	if got := cardea.Fold(b).On(kitchen, voice, second); got.Reason != cardea.ReasonNotice {
		t.Errorf("%s, want notice", got.Reason)
	}
}

func TestValidity(t *testing.T) {
	var b book
	first := b.add(yes(), 0)
	here := b.add(in(1, 1, kitchen, yes()), 1)
	fold := cardea.Fold(b)
	if got := fold.On(kitchen, voice, terms).ValidUntil; got != here.Recorded.Add(year) {
		t.Errorf("of two yeses the longer one counts: %d", got)
	}
	if got := fold.On(car, voice, terms).ValidUntil; got != first.Recorded.Add(year) {
		t.Errorf("elsewhere the account's counts: %d", got)
	}
	renewed := b.add(yes(), 2)
	if got := cardea.Fold(b).On(car, voice, terms).ValidUntil; got != renewed.Recorded.Add(year) {
		t.Errorf("a renewed yes counts from its renewal: %d", got)
	}
}

// A yes that answers a no on the device must still stand for the device to be
// open, however long the account's counts.
func TestValidityOfAnAnsweredNo(t *testing.T) {
	var b book
	b.add(in(1, 1, kitchen, no()), 0)
	here := b.add(in(1, 2, kitchen, yes()), 0)
	b.add(yes(), 2)
	if got := cardea.Fold(b).On(kitchen, voice, terms).ValidUntil; got != here.Recorded.Add(year) {
		t.Errorf("valid until %d, want %d", got, here.Recorded.Add(year))
	}
}

func TestNoConsentIsEndless(t *testing.T) {
	e := yes()
	e.Event, e.Key, e.By, e.Position = cardea.EventID{1}, voice, cardea.Owner, cardea.Position{Seq: 1}
	short := terms
	short.Validity = 0
	if got := cardea.Fold([]cardea.Entry{e}).On(kitchen, voice, short); got.Given() && got.ValidUntil == 0 {
		t.Error("a yes without an end")
	}
}

func TestSomebodyMustBeRequired(t *testing.T) {
	var b book
	b.add(yes(), 0)
	nobody := terms
	nobody.Required = nil
	if cardea.Fold(b).On(kitchen, voice, nobody).Given() || cardea.Fold(b).On(kitchen, voice, cardea.Terms{}).Given() {
		t.Error("given though nobody was asked")
	}
}

// Of joint guardians each has to say yes, and a no between two yeses needs both
// again.
func TestJointGuardians(t *testing.T) {
	joint := terms
	joint.Required = []cardea.Authoriser{"mother", "father"}
	by := func(who cardea.Authoriser, e cardea.Entry) cardea.Entry { e.By = who; return e }
	var b book
	for i, step := range []struct {
		e    cardea.Entry
		want cardea.Reason
	}{
		{by("mother", yes()), cardea.ReasonGuardian},
		{by("father", yes()), cardea.ReasonGranted},
		{by("father", no()), cardea.ReasonWithdrawn},
		{by("mother", yes()), cardea.ReasonGuardian},
		{by("mother", no()), cardea.ReasonWithdrawn},
		{by("father", yes()), cardea.ReasonGuardian},
		{by("mother", yes()), cardea.ReasonGranted},
	} {
		b.add(step.e, uint64(i))
		if got := cardea.Fold(b).On(kitchen, voice, joint).Reason; got != step.want {
			t.Errorf("step %d: %s, want %s", i, got, step.want)
		}
	}
	until := b[len(b)-2].Recorded.Add(year)
	if got := cardea.Fold(b).On(kitchen, voice, joint).ValidUntil; got != until {
		t.Errorf("valid until %d, want the first end %d", got, until)
	}
}

func TestClassNIsNotGated(t *testing.T) {
	var b book
	b.add(no(), 0)
	necessary := cardea.Terms{Version: 1, Class: cardea.ClassN}
	got := cardea.Fold(b).On(kitchen, voice, necessary)
	if !got.Given() || got.Decided != b[0].Position.Point() {
		t.Errorf("%+v", got)
	}
}

// The same event counts once, however often it is appended.
func TestDuplicates(t *testing.T) {
	var b book
	b.add(yes(), 0)
	b.add(no(), 1)
	b.add(b[0], 2) // the first yes again, now as if it had seen the no
	if got := cardea.Fold(b).On(kitchen, voice, terms); got.Reason != cardea.ReasonWithdrawn {
		t.Errorf("a repeated yes made it %s", got.Reason)
	}
	// Entries without an event are not taken for one another.
	no1, no2 := no(), no()
	no1.Key, no2.Key, no1.Position.Seq, no2.Position.Seq = voice, "voice/sale", 1, 2
	fold := cardea.Fold([]cardea.Entry{no1, no2})
	if got := fold.On(kitchen, "voice/sale", terms); got.Reason != cardea.ReasonRefused {
		t.Errorf("a no without an event was lost: %s", got.Reason)
	}
}

// A cloud that lost entries can get old ones of a log after newer ones. Their
// numbers, not their arrival, say who has seen whom.
func TestLogOutOfOrder(t *testing.T) {
	var b book
	b.add(in(1, 3, kitchen, no()), 0)
	b.add(in(1, 2, kitchen, yes()), 0)
	if got := cardea.Fold(b).On(kitchen, voice, terms); got.Reason != cardea.ReasonWithdrawn {
		t.Errorf("yes 2 after no 3: %s", got.Reason)
	}
	b = nil
	b.add(in(1, 3, kitchen, yes()), 0)
	b.add(in(1, 2, kitchen, no()), 0)
	if got := cardea.Fold(b).On(kitchen, voice, terms); !got.Given() {
		t.Errorf("no 2 after yes 3: %s", got.Reason)
	}
}

// A base is resolved before it is appended; should one get through, nobody has
// seen what came later.
func TestNobodyHasSeenTheFuture(t *testing.T) {
	var b book
	e := yes()
	e.Base.Seq = 1000
	b.add(e, 0)
	b.add(no(), 0)
	if got := cardea.Fold(b).On(kitchen, voice, terms); got.Given() {
		t.Error("given past a later denial")
	}
}

func TestOffOn(t *testing.T) {
	var b book
	b.add(yes(), 0)
	b.add(in(1, 1, kitchen, no()), 1)
	b.add(in(2, 1, car, no()), 1)
	if got := cardea.Fold(b).OffOn(voice, terms); !slices.Equal(got, []cardea.DeviceID{car, kitchen}) {
		t.Errorf("off on %v", got)
	}
	b.add(in(2, 2, car, yes()), 1)
	b.add(in(3, 1, "tv", yes()), 1)
	if got := cardea.Fold(b).OffOn(voice, terms); !slices.Equal(got, []cardea.DeviceID{kitchen}) {
		t.Errorf("off on %v", got)
	}
	if got := cardea.Fold(b).OffOn("voice/sale", terms); len(got) != 0 {
		t.Errorf("another key is off on %v", got)
	}
}

func TestEmptyLedger(t *testing.T) {
	var c cardea.Consents
	if c.On(kitchen, voice, terms).Reason != cardea.ReasonNotAsked || len(c.OffOn(voice, terms)) != 0 {
		t.Error("an empty ledger says something")
	}
}

func BenchmarkFold(b *testing.B) {
	var entries book
	for i := range uint64(200) {
		e := yes()
		if i%2 == 1 {
			e = no()
		}
		entries.add(e, i)
	}
	for b.Loop() {
		cardea.Fold(entries).On(kitchen, voice, terms)
	}
}
