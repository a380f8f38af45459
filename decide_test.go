package cardea_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
)

const (
	heard = cardea.Millis(1_700_000_000_000) // the cloud's last word
	month = 30 * 24 * time.Hour
)

func consent(class cardea.Class, reason cardea.Reason) cardea.Consent {
	return cardea.Consent{
		Key: voice, Version: 1, Reason: reason, Class: class,
		Staleness: uint32(class.MaxStaleness().Seconds()),
	}
}

func viewOf(c cardea.Consent, own cardea.Act) *cardea.View {
	var acts map[cardea.Key]cardea.Act
	if own != "" {
		acts = map[cardea.Key]cardea.Act{c.Key: own}
	}
	return cardea.NewView([]cardea.Consent{c}, acts, heard, heard.Add(month))
}

// after is d after the cloud's last word, on a clock that is known.
func after(d time.Duration) cardea.Now { return cardea.Now{Time: heard.Add(d), Synced: true} }

func ask(v *cardea.View, now cardea.Now) cardea.Answer {
	return cardea.Decide(v, now, cardea.Query{Key: voice})
}

func TestDecideEveryReason(t *testing.T) {
	for _, reason := range cardea.Reasons {
		want := cardea.Answer{Verdict: cardea.Deny, Reason: reason}
		if got := ask(cardea.Barred(reason), after(0)); got != want {
			t.Errorf("barred for %s: %+v", reason, got)
		}
		if reason == cardea.ReasonGranted {
			want = cardea.Answer{Verdict: cardea.Allow, Reason: reason, Left: 72 * time.Hour}
		}
		if got := ask(viewOf(consent(cardea.ClassC, reason), ""), after(0)); got != want {
			t.Errorf("stated as %s: %+v", reason, got)
		}
	}
}

// Every class, at every age, on either clock, for every use.
func TestDecideEveryClass(t *testing.T) {
	ages := map[string]struct {
		of  func(max time.Duration) time.Duration
		old bool
	}{
		"just heard":   {func(time.Duration) time.Duration { return 0 }, false},
		"nearly stale": {func(max time.Duration) time.Duration { return max - time.Millisecond }, false},
		"just stale":   {func(max time.Duration) time.Duration { return max }, true},
		"long stale":   {func(max time.Duration) time.Duration { return max + year }, true},
	}
	type cell struct {
		verdict cardea.Verdict
		reason  cardea.Reason
	}
	allow, stale, clock := cell{cardea.Allow, cardea.ReasonGranted}, cell{cardea.Deny, cardea.ReasonStale}, cell{cardea.Deny, cardea.ReasonClock}
	local, hold := cell{cardea.AllowLocal, cardea.ReasonGranted}, cardea.Hold
	want := func(class cardea.Class, use cardea.Use, synced, old bool) cell {
		egress := use == cardea.UseEgress
		switch {
		case class == cardea.ClassN:
			return allow
		case class == cardea.ClassL && egress:
			return cell{cardea.Deny, cardea.ReasonNotAsked}
		case class == cardea.ClassL && !synced:
			return local
		case class == cardea.ClassL && old:
			return stale
		case class == cardea.ClassL:
			return local
		case !synced && class == cardea.ClassC && egress:
			return cell{hold, cardea.ReasonClock}
		case !synced:
			return clock
		case old && class == cardea.ClassC && egress:
			return cell{hold, cardea.ReasonStale}
		case old:
			return stale
		}
		return allow
	}
	for _, class := range []cardea.Class{cardea.ClassA, cardea.ClassB, cardea.ClassC, cardea.ClassL, cardea.ClassN} {
		for name, age := range ages {
			for _, synced := range []bool{true, false} {
				for _, use := range []cardea.Use{"", cardea.UseCollect, cardea.UseLocal, cardea.UseEgress} {
					now := after(age.of(class.MaxStaleness()))
					now.Synced = synced
					got := cardea.Decide(viewOf(consent(class, cardea.ReasonGranted), ""), now, cardea.Query{Key: voice, Use: use})
					w := want(class, use, synced, age.old)
					if got.Verdict != w.verdict || got.Reason != w.reason {
						t.Errorf("class %s, %s, synced %t, %q: %+v, want %+v", class, name, synced, use, got, w)
					}
					checkLeft(t, class, got)
				}
			}
		}
	}
}

// checkLeft: what is allowed has an end, within what the class allows; what is
// not allowed has none.
func checkLeft(t *testing.T, class cardea.Class, a cardea.Answer) {
	t.Helper()
	longest := class.MaxStaleness()
	if class == cardea.ClassN {
		longest = month
	}
	if a.Allowed() != (a.Left > 0) || a.Left > longest {
		t.Errorf("class %s: %s for %s", class, a.Verdict, a.Left)
	}
}

func TestDecideDenials(t *testing.T) {
	for _, class := range []cardea.Class{cardea.ClassA, cardea.ClassB, cardea.ClassC, cardea.ClassL, cardea.ClassN, "", "Z"} {
		for _, reason := range append(slices.Clone(cardea.Reasons), "", "gladly") {
			if reason == cardea.ReasonGranted {
				continue
			}
			for _, use := range []cardea.Use{"", cardea.UseCollect, cardea.UseLocal, cardea.UseEgress, "share"} {
				for _, own := range []cardea.Act{"", cardea.ActDeny, cardea.ActPrefer, "nonsense"} {
					got := cardea.Decide(viewOf(consent(class, reason), own), after(0), cardea.Query{Key: voice, Use: use})
					if got.Verdict != cardea.Deny || got.Left != 0 || !slices.Contains(cardea.Reasons, got.Reason) {
						t.Errorf("class %q, stated %q, own %q, %q: %+v", class, reason, own, use, got)
					}
				}
			}
		}
	}
}

func TestDecideFailsClosed(t *testing.T) {
	given := consent(cardea.ClassC, cardea.ReasonGranted)
	with := func(change func(*cardea.Consent)) *cardea.View {
		c := given
		change(&c)
		return viewOf(c, "")
	}
	view := func(fresh, lease cardea.Millis, c ...cardea.Consent) *cardea.View {
		return cardea.NewView(c, nil, fresh, lease)
	}
	refused := consent(cardea.ClassC, cardea.ReasonRefused)
	for name, c := range map[string]struct {
		view *cardea.View
		now  cardea.Now
		q    cardea.Query
		want cardea.Reason
	}{
		"no view":                    {nil, after(0), cardea.Query{Key: voice}, cardea.ReasonStore},
		"an empty view":              {new(cardea.View), after(0), cardea.Query{Key: voice}, cardea.ReasonUnknown},
		"no reason to bar":           {cardea.Barred(""), after(0), cardea.Query{Key: voice}, cardea.ReasonUnknown},
		"another purpose":            {viewOf(given, ""), after(0), cardea.Query{Key: "other/use"}, cardea.ReasonUnknown},
		"another facet":              {viewOf(given, ""), after(0), cardea.Query{Key: "voice/sale"}, cardea.ReasonUnknown},
		"no key":                     {viewOf(given, ""), after(0), cardea.Query{}, cardea.ReasonUnknown},
		"an unknown use":             {viewOf(given, ""), after(0), cardea.Query{Key: voice, Use: "share"}, cardea.ReasonUnknown},
		"an unknown class":           {with(func(c *cardea.Consent) { c.Class = "Z" }), after(0), cardea.Query{Key: voice}, cardea.ReasonUnknown},
		"no class":                   {with(func(c *cardea.Consent) { c.Class = "" }), after(0), cardea.Query{Key: voice}, cardea.ReasonUnknown},
		"no staleness":               {with(func(c *cardea.Consent) { c.Staleness = 0 }), after(0), cardea.Query{Key: voice}, cardea.ReasonStale},
		"longer than the class has":  {with(func(c *cardea.Consent) { c.Staleness = math.MaxUint32 }), after(72 * time.Hour), cardea.Query{Key: voice}, cardea.ReasonStale},
		"never heard":                {view(0, heard.Add(month), given), after(0), cardea.Query{Key: voice}, cardea.ReasonStale},
		"no lease":                   {view(heard, 0, given), after(0), cardea.Query{Key: voice}, cardea.ReasonStale},
		"the lease is over":          {view(heard, heard.Add(time.Hour), given), after(time.Hour), cardea.Query{Key: voice}, cardea.ReasonStale},
		"valid no longer":            {with(func(c *cardea.Consent) { c.ValidUntil = heard.Add(time.Hour) }), after(time.Hour), cardea.Query{Key: voice}, cardea.ReasonExpired},
		"valid before all":           {with(func(c *cardea.Consent) { c.ValidUntil = -1 }), after(0), cardea.Query{Key: voice}, cardea.ReasonExpired},
		"earlier than the last word": {viewOf(given, ""), after(-time.Millisecond), cardea.Query{Key: voice}, cardea.ReasonClock},
		"at the beginning of time":   {viewOf(given, ""), cardea.Now{Time: math.MinInt64, Synced: true}, cardea.Query{Key: voice}, cardea.ReasonClock},
		"at the end of time":         {viewOf(given, ""), cardea.Now{Time: math.MaxInt64, Synced: true}, cardea.Query{Key: voice}, cardea.ReasonStale},
		"stated twice, no first":     {view(heard, heard.Add(month), refused, given), after(0), cardea.Query{Key: voice}, cardea.ReasonRefused},
		"stated twice, no last":      {view(heard, heard.Add(month), given, refused), after(0), cardea.Query{Key: voice}, cardea.ReasonRefused},
	} {
		if got := cardea.Decide(c.view, c.now, c.q); got != (cardea.Answer{Verdict: cardea.Deny, Reason: c.want}) {
			t.Errorf("%s: %+v, want %s", name, got, c.want)
		}
	}
}

// The first of staleness, lease and validity ends a yes.
func TestDecideLeft(t *testing.T) {
	for _, class := range []cardea.Class{cardea.ClassB, cardea.ClassL} {
		for name, c := range map[string]struct {
			staleness, lease, validity, left time.Duration
		}{
			"staleness": {10 * time.Second, time.Minute, time.Minute, 9 * time.Second},
			"lease":     {time.Minute, 10 * time.Second, time.Minute, 9 * time.Second},
			"validity":  {time.Minute, time.Minute, 10 * time.Second, 9 * time.Second},
		} {
			given := consent(class, cardea.ReasonGranted)
			given.Staleness, given.ValidUntil = uint32(c.staleness.Seconds()), heard.Add(c.validity)
			v := cardea.NewView([]cardea.Consent{given}, nil, heard, heard.Add(c.lease))
			if got := ask(v, after(time.Second)); !got.Allowed() || got.Left != c.left {
				t.Errorf("class %s, %s: %+v, want %s left", class, name, got, c.left)
			}
			if got := ask(v, after(10*time.Second)); got.Allowed() {
				t.Errorf("class %s, %s is over: %+v", class, name, got)
			}
		}
	}
}

// reconsidered is what a device says whose user said no and then yes.
func reconsidered() cardea.Act {
	return cardea.NewLog().Append(said(cardea.ActDeny, "")).Append(said(cardea.ActGrant, "")).Own()[voice]
}

// An own no counts at once. An own yes counts for class L, where nobody has
// said no; anywhere else it waits for the cloud.
func TestDecideOwn(t *testing.T) {
	given, notAsked, refused, withdrawn := cardea.ReasonGranted, cardea.ReasonNotAsked, cardea.ReasonRefused, cardea.ReasonWithdrawn
	for _, c := range []struct {
		class  cardea.Class
		stated cardea.Reason
		own    cardea.Act
		want   cardea.Reason
	}{
		{cardea.ClassC, given, cardea.ActDeny, withdrawn},
		{cardea.ClassC, notAsked, cardea.ActDeny, refused},
		{cardea.ClassC, withdrawn, cardea.ActDeny, withdrawn},
		{cardea.ClassC, given, cardea.ActGrant, given},
		{cardea.ClassC, notAsked, cardea.ActGrant, notAsked},
		{cardea.ClassC, given, reconsidered(), withdrawn},
		{cardea.ClassC, notAsked, reconsidered(), refused},
		{cardea.ClassL, given, cardea.ActDeny, withdrawn},
		{cardea.ClassL, given, cardea.ActGrant, given},
		{cardea.ClassL, notAsked, cardea.ActGrant, given},
		{cardea.ClassL, refused, cardea.ActGrant, refused},
		{cardea.ClassL, withdrawn, cardea.ActGrant, withdrawn},
		{cardea.ClassL, cardea.ReasonConflict, cardea.ActGrant, cardea.ReasonConflict},
		{cardea.ClassL, cardea.ReasonGuardian, cardea.ActGrant, cardea.ReasonGuardian},
		{cardea.ClassL, cardea.ReasonNotice, cardea.ActGrant, cardea.ReasonNotice},
		{cardea.ClassL, given, reconsidered(), given},
		{cardea.ClassL, notAsked, reconsidered(), given},
		{cardea.ClassL, refused, reconsidered(), refused},
		{cardea.ClassN, given, cardea.ActDeny, given},
	} {
		got := ask(viewOf(consent(c.class, c.stated), c.own), after(0))
		if got.Reason != c.want || got.Allowed() != (c.want == given) {
			t.Errorf("class %s, stated %s, own %s: %+v, want %s", c.class, c.stated, c.own, got, c.want)
		}
	}
}

func TestDecideOwnOfUnstatedKey(t *testing.T) {
	for own, want := range map[cardea.Act]cardea.Reason{
		cardea.ActDeny: cardea.ReasonRefused, cardea.ActGrant: cardea.ReasonUnknown, reconsidered(): cardea.ReasonRefused,
	} {
		v := cardea.NewView(nil, map[cardea.Key]cardea.Act{voice: own}, heard, heard.Add(month))
		if got := ask(v, after(0)); got != (cardea.Answer{Verdict: cardea.Deny, Reason: want}) {
			t.Errorf("own %s of a key that is absent: %+v", own, got)
		}
	}
}

// A View does not change with what it was made from.
func TestViewIsACopy(t *testing.T) {
	consents := []cardea.Consent{consent(cardea.ClassC, cardea.ReasonRefused)}
	own := map[cardea.Key]cardea.Act{voice: cardea.ActDeny}
	v := cardea.NewView(consents, own, heard, heard.Add(month))
	consents[0].Reason = cardea.ReasonGranted
	delete(own, voice)
	if got := ask(v, after(0)); got.Allowed() {
		t.Errorf("%+v", got)
	}
}

func TestRegressed(t *testing.T) {
	at := func(reason cardea.Reason, era uint32, seq uint64) []cardea.Consent {
		c := consent(cardea.ClassC, reason)
		c.Decided = cardea.Point{Era: era, Seq: seq}
		return []cardea.Consent{c}
	}
	given, refused := cardea.ReasonGranted, cardea.ReasonRefused
	for name, c := range map[string]struct {
		held, next []cardea.Consent
		want       bool
	}{
		"nothing held":                   {nil, at(given, 1, 1), false},
		"nothing stated":                 {at(given, 1, 1), nil, false},
		"the same":                       {at(given, 1, 5), at(given, 1, 5), false},
		"newer":                          {at(refused, 1, 5), at(given, 1, 6), false},
		"older, given":                   {at(refused, 1, 5), at(given, 1, 4), true},
		"older, not given":               {at(given, 1, 5), at(refused, 1, 4), false},
		"a later era begins lower":       {at(refused, 1, 5), at(given, 2, 3), false},
		"an earlier era, however far on": {at(refused, 2, 5), at(given, 1, 9), true},
	} {
		key, got := cardea.Regressed(c.held, c.next)
		if got != c.want || got != (key == voice) {
			t.Errorf("%s: %q, %t", name, key, got)
		}
	}
}

func TestDecideDoesNotAllocate(t *testing.T) {
	views := []*cardea.View{
		viewOf(consent(cardea.ClassC, cardea.ReasonGranted), ""),
		viewOf(consent(cardea.ClassL, cardea.ReasonGranted), cardea.ActGrant),
		viewOf(consent(cardea.ClassA, cardea.ReasonRefused), cardea.ActDeny),
		cardea.Barred(cardea.ReasonGuest),
	}
	for _, use := range []cardea.Use{cardea.UseCollect, cardea.UseEgress, "share"} {
		for i, v := range views {
			n := testing.AllocsPerRun(100, func() { cardea.Decide(v, after(time.Minute), cardea.Query{Key: voice, Use: use}) })
			if n != 0 {
				t.Errorf("view %d, %s: %v allocations", i, use, n)
			}
		}
	}
}

// BenchmarkDecide asks for one of forty keys. Its target is 50 ns and no
// allocation.
func BenchmarkDecide(b *testing.B) {
	var consents []cardea.Consent
	for i := range 40 {
		c := consent(cardea.ClassC, cardea.ReasonGranted)
		c.Key = cardea.KeyOf(cardea.PurposeID("purpose_"+string(rune('a'+i%26))+string(rune('a'+i/26))), cardea.FacetUse)
		c.ValidUntil = heard.Add(year)
		consents = append(consents, c)
	}
	v := cardea.NewView(consents, nil, heard, heard.Add(month))
	now, q := after(time.Minute), cardea.Query{Key: consents[20].Key, Use: cardea.UseEgress}
	if !cardea.Decide(v, now, q).Allowed() {
		b.Fatal("not allowed")
	}
	b.ReportAllocs()
	for b.Loop() {
		cardea.Decide(v, now, q)
	}
}
