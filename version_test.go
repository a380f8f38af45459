package cardea_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
)

var spring = time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)

// versions makes a catalogue whose purpose "voice" has gone through the steps,
// the first version being 1.
func versions(steps ...func(*cardea.Purpose)) *cardea.Catalogue {
	c := catalogue()
	p := c.Purposes[0]
	for _, step := range steps {
		c.Former = append(c.Former, p)
		p.Version, p.Change, p.ReconsentBy = p.Version+1, "", time.Time{}
		step(&p)
	}
	c.Purposes[0] = p
	return c
}

func editorial(p *cardea.Purpose) { p.Change = cardea.ChangeEditorial }
func notify(p *cardea.Purpose)    { p.Change = cardea.ChangeNotify }
func unsaid(*cardea.Purpose)      {}

func material(by time.Time) func(*cardea.Purpose) {
	return func(p *cardea.Purpose) { p.Change, p.ReconsentBy = cardea.ChangeMaterial, by }
}

func all(steps ...func(*cardea.Purpose)) func(*cardea.Purpose) {
	return func(p *cardea.Purpose) {
		for _, step := range steps {
			step(p)
		}
	}
}

func facets(f ...cardea.Facet) func(*cardea.Purpose) {
	return func(p *cardea.Purpose) { p.Facets = f }
}

func TestTermsOfFormerVersions(t *testing.T) {
	by, later := cardea.MillisOf(spring), spring.Add(240*time.Hour)
	type ends map[uint32]cardea.Millis
	for name, c := range map[string]struct {
		steps []func(*cardea.Purpose)
		want  ends
	}{
		"the first":             {nil, ends{}},
		"not said":              {[]func(*cardea.Purpose){unsaid}, ends{}},
		"editorial":             {[]func(*cardea.Purpose){editorial}, ends{1: 0}},
		"notify":                {[]func(*cardea.Purpose){notify}, ends{1: 0}},
		"material":              {[]func(*cardea.Purpose){material(spring)}, ends{1: by}},
		"words, then substance": {[]func(*cardea.Purpose){editorial, material(spring)}, ends{1: by, 2: by}},
		"substance, then words": {[]func(*cardea.Purpose){material(spring), notify}, ends{1: by, 2: 0}},
		"the earlier end":       {[]func(*cardea.Purpose){material(spring), material(later)}, ends{1: by, 2: cardea.MillisOf(later)}},
		"not put off":           {[]func(*cardea.Purpose){material(later), material(spring)}, ends{1: by, 2: by}},
		"cut in between":        {[]func(*cardea.Purpose){editorial, unsaid, editorial}, ends{3: 0}},
		"necessary before":      {[]func(*cardea.Purpose){func(p *cardea.Purpose) { p.Class = cardea.ClassN }, all(material(spring), func(p *cardea.Purpose) { p.Class = cardea.ClassA })}, ends{}},
	} {
		terms, ok := versions(c.steps...).Terms("voice/use")
		got := ends{}
		for _, f := range terms.Former {
			got[f.Version] = f.Until
		}
		if !ok || len(got) != len(c.want) || len(terms.Former) != len(got) {
			t.Errorf("%s: %v, want %v", name, terms.Former, c.want)
		}
		for version, until := range c.want {
			if end, ok := got[version]; !ok || end != until {
				t.Errorf("%s: version %d ends %d %v, want %d", name, version, end, ok, until)
			}
			if terms.GoesOn(version) != (until == 0) {
				t.Errorf("%s: version %d goes on: %v", name, version, until != 0)
			}
		}
	}
}

// TestFacetThatWasAway: a yes to a facet does not come back with it.
func TestFacetThatWasAway(t *testing.T) {
	c := versions(all(material(spring), facets(cardea.FacetUse)), all(material(spring), facets(cardea.FacetUse, cardea.FacetSale)))
	use, _ := c.Terms("voice/use")
	sale, _ := c.Terms("voice/sale")
	if len(use.Former) != 2 || len(sale.Former) != 0 {
		t.Errorf("use %v, sale %v", use.Former, sale.Former)
	}
}

// TestYesToFormerVersion gives version 1 at 1 s and looks at version 2.
func TestYesToFormerVersion(t *testing.T) {
	until := cardea.Millis(1000).Add(time.Hour)
	v1 := cardea.Former{Version: 1, Class: cardea.ClassL, Staleness: 720 * time.Hour, Validity: year}
	ends := v1
	ends.Until = until
	given := func(version uint32, class cardea.Class, until cardea.Millis) cardea.Consent {
		return cardea.Consent{Version: version, Class: class, ValidUntil: until, Reason: cardea.ReasonGranted}
	}
	second := yes()
	second.Version = 2
	second.Scope.Device = kitchen
	denyHere, yesHere := no(), yes()
	denyHere.Scope.Device, yesHere.Scope.Device = kitchen, kitchen
	for name, c := range map[string]struct {
		former []cardea.Former
		make   func(*book)
		want   cardea.Consent
	}{
		"not accepted": {nil, func(b *book) { b.add(yes(), 0) }, cardea.Consent{Version: 2, Class: cardea.ClassC, Reason: cardea.ReasonNotice}},
		"goes on":      {[]cardea.Former{v1}, func(b *book) { b.add(yes(), 0) }, given(1, cardea.ClassL, cardea.Millis(1000).Add(year))},
		"until":        {[]cardea.Former{ends}, func(b *book) { b.add(yes(), 0) }, given(1, cardea.ClassL, until)},
		"asked anew and given": {[]cardea.Former{ends}, func(b *book) { b.add(yes(), 0); b.add(second, 1) },
			given(2, cardea.ClassC, cardea.Millis(2000).Add(year))},
		"a no ends it": {[]cardea.Former{ends}, func(b *book) { b.add(yes(), 0); b.add(no(), 1) },
			cardea.Consent{Version: 2, Class: cardea.ClassC, Reason: cardea.ReasonWithdrawn}},
		"a no that knew nothing of it": {[]cardea.Former{ends}, func(b *book) { b.add(yes(), 0); b.add(no(), 0) },
			cardea.Consent{Version: 2, Class: cardea.ClassC, Reason: cardea.ReasonConflict}},
		"a no to the old one binds the new": {[]cardea.Former{ends}, func(b *book) { b.add(no(), 0); b.add(second, 0) },
			cardea.Consent{Version: 2, Class: cardea.ClassC, Reason: cardea.ReasonConflict}},
		"what answers the no here is old": {[]cardea.Former{ends}, func(b *book) {
			account := second
			account.Scope = cardea.Scope{}
			b.add(denyHere, 0)
			b.add(yesHere, 1)
			b.add(account, 2)
		}, given(1, cardea.ClassL, until)},
	} {
		var b book
		c.make(&b)
		next := terms
		next.Version, next.Former = 2, c.former
		got := cardea.Fold(b).On(kitchen, voice, next)
		got.Key, got.Decided, got.Staleness = "", cardea.Point{}, 0
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// TestOldYesEndsByItself: nobody tells the device anything any more.
func TestOldYesEndsByItself(t *testing.T) {
	until := cardea.Millis(1000).Add(time.Minute)
	next := terms
	next.Version = 2
	next.Former = []cardea.Former{{Version: 1, Class: cardea.ClassC, Staleness: time.Hour, Validity: year, Until: until}}
	var b book
	b.add(yes(), 0)
	stated := cardea.Fold(b).On(kitchen, voice, next)
	v := cardea.NewView([]cardea.Consent{stated}, nil, 1000, until.Add(year))
	for at, want := range map[cardea.Millis]cardea.Reason{2000: cardea.ReasonGranted, until - 1: cardea.ReasonGranted, until: cardea.ReasonExpired} {
		if a := cardea.Decide(v, cardea.Now{Time: at, Synced: true}, cardea.Query{Key: voice}); a.Reason != want {
			t.Errorf("at %d: %s, want %s", at, a.Reason, want)
		}
	}
}

func TestChangesThatMustBeMaterial(t *testing.T) {
	for field, change := range map[string]func(*cardea.Purpose){
		"":            func(p *cardea.Purpose) { p.Validity, p.Staleness = time.Hour, time.Minute },
		"class":       func(p *cardea.Purpose) { p.Class = cardea.ClassB },
		"legal_basis": func(p *cardea.Purpose) { p.LegalBasis = "our interest" },
		"data":        func(p *cardea.Purpose) { p.Data = append(slices.Clone(p.Data), "more") },
		"recipients":  func(p *cardea.Purpose) { p.Recipients = nil },
		"retention":   func(p *cardea.Purpose) { p.Retention = "for ever" },
		"countries":   func(p *cardea.Purpose) { p.Countries = append(slices.Clone(p.Countries), "US") },
		"facets":      facets(cardea.FacetUse),
	} {
		for _, step := range []func(*cardea.Purpose){editorial, notify, material(spring), unsaid} {
			c := versions(all(step, change))
			next := c.Purposes[0]
			err := next.Follows(c.Former[0])
			if refused := field != "" && (next.Change == cardea.ChangeEditorial || next.Change == cardea.ChangeNotify); (err != nil) != refused {
				t.Errorf("%q as %q: %v", field, next.Change, err)
			}
			if err != nil && !strings.Contains(err.Error(), field) {
				t.Errorf("%q is not named: %v", field, err)
			}
		}
	}
	c := versions(func(p *cardea.Purpose) {
		p.Facets, p.Data = slices.Clone(p.Facets), slices.Clone(p.Data)
		slices.Reverse(p.Facets)
		slices.Reverse(p.Data)
	})
	if d := c.Purposes[0].Differs(c.Former[0]); len(d) > 0 {
		t.Errorf("another order is another %v", d)
	}
}

func TestValidateChange(t *testing.T) {
	changed := func(p *cardea.Purpose) {
		text := p.Texts["en"]
		text.Changed = "We ask more."
		p.Texts = map[string]cardea.Text{"en": text}
	}
	for name, c := range map[string]struct {
		step func(*cardea.Purpose)
		good bool
	}{
		"editorial":            {editorial, true},
		"not said":             {unsaid, true},
		"notify":               {all(notify, changed), true},
		"notify, not told":     {notify, false},
		"material":             {all(material(spring), changed), true},
		"material, not told":   {material(spring), false},
		"material, no end":     {all(material(time.Time{}), changed), false},
		"material, a fraction": {all(material(spring.Add(time.Millisecond)), changed), false},
		"material, never":      {all(material(spring.AddDate(200, 0, 0)), changed), false},
		"an end for words":     {func(p *cardea.Purpose) { p.Change, p.ReconsentBy = cardea.ChangeEditorial, spring }, false},
		"of the first":         {func(p *cardea.Purpose) { p.Version, p.Change = 1, cardea.ChangeEditorial }, false},
		"another word":         {func(p *cardea.Purpose) { p.Change = "small" }, false},
	} {
		err := versions(c.step).Validate()
		if c.good != (err == nil) || err != nil && !errors.Is(err, cardea.ErrInvalidCatalogue) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNoticeNamesTheChange: what the owner was told of the change is what they
// agreed to.
func TestNoticeNamesTheChange(t *testing.T) {
	seen := map[cardea.Hash]bool{}
	for _, step := range []func(*cardea.Purpose){
		unsaid, editorial, notify, material(spring), material(spring.Add(time.Hour)),
		all(notify, func(p *cardea.Purpose) {
			text := p.Texts["en"]
			text.Changed = "We ask more."
			p.Texts = map[string]cardea.Text{"en": text}
		}),
	} {
		seen[versions(step).Purposes[0].Notice("en")] = true
	}
	if len(seen) != 6 {
		t.Errorf("%d notices, want 6", len(seen))
	}
	c := versions(editorial)
	for version, ok := range map[uint32]bool{1: true, 2: true, 3: false} {
		if p, found := c.VersionOf("voice", version); found != ok || ok && p.Version != version {
			t.Errorf("version %d: %v", version, found)
		}
	}
}
