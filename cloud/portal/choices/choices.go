package choices

import (
	"slices"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/language"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/cloud/portal/desk"
)

// Choices are the page of consents.
type choices struct {
	Signal    bool // the browser asks not to sell or share
	Sells     bool // and something here is about that
	Conflicts []conflict
	Progress  progress
	Purposes  []purpose
	Necessary []purpose // listed, not asked
}

// A progress is how far the devices are with what was decided.
type progress struct {
	Devices int
	InStep  int
	Behind  []behind
}

// behind is a device that has not confirmed.
type behind struct {
	Name   string
	Online bool
	Stops  *language.Moment // until when it may go on; nil: nothing runs on
}

// A purpose is a card.
type purpose struct {
	Title, What, Why, Benefit, Refusal language.Phrase
	Data                               language.Phrase
	Recipients                         []recipient
	Countries                          string
	Retention                          language.Phrase
	Counts                             string // how long a yes counts
	Reach                              string // what happens where a device cannot reach us
	Basis                              language.Phrase
	Gated                              bool // whether it is asked at all
	Stays                              bool // on the device
	Shared                             int  // with so many other companies
	Sold                               bool
	Advertising                        bool // across companies
	Change                             *change
	Facets                             []facet
}

type recipient struct {
	Name    language.Phrase
	What    string // what it is to us, and where
	Sold    bool
	Country string
}

// A facet is one question with its two buttons. The hidden fields of its forms
// say what the page showed.
type facet struct {
	ID       string
	Question language.Phrase
	On       bool
	State    string
	Until    *language.Moment
	Effect   *effect
	OffOn    []place
	OnlyOn   []place
	DeniedOn []string    // names of devices whose owner denies it for all
	To       []recipient // whom a yes lets have the data, where that is asked apart
	Refused  bool        // by a browser that asks not to sell
	InSpite  bool        // allowed though a browser asks not to
	ask
}

// An ask is what every form about a key carries.
type ask struct {
	Form    string
	Key     string
	Version uint32
	Notice  string
	Base    string
	Device  string // the scope, empty for everywhere
	Signal  bool   // the page says that the browser asks not to sell this
}

// on is the same form for one device.
func (a ask) on(device cardea.DeviceID) ask {
	a.Device = string(device)
	return a
}

// A place is a device on which a facet was stopped or allowed apart.
type place struct {
	Name  string
	Until *language.Moment
	ask
}

// An effect is what became of the last decision on a facet.
type effect struct {
	Allowed bool
	Done    int
	Of      int
	Behind  []behind
}

// A conflict is a no that did not know of a yes.
type conflict struct {
	Title, Question language.Phrase
	Name            string // the device it was said for, empty for everywhere
	ask
}

func choicesOf(v desk.Visit, asked ledger.Page, devices []hub.Device, now time.Time) choices {
	l := v.Language
	c := choices{Progress: progressOf(l, devices, now), Signal: v.Signal}
	for _, choice := range asked.Choices {
		p := purposeOf(l, choice)
		p.Change = changeOf(l, choice, now)
		for _, f := range choice.Facets {
			seen := ask{
				Form: v.Form(), Key: string(f.Key), Version: choice.Purpose.Version,
				Notice: choice.Notice.String(), Base: desk.BaseText(asked.Head), Signal: v.Signal && f.Signal != nil,
			}
			c.Sells = c.Sells || f.Signal != nil
			in := voiceOf(l, choice)
			shown := facetOf(l, f, seen, now, effectOf(l, choice.Purpose, f, asked.Head, devices, now))
			shown.Question = in.text(f.Question)
			if shown.On && choice.FormerEnds != 0 && f.Standing.Version < seen.Version {
				shown.State = "allowed_before"
			}
			shown.To = in.toOf(choice.Purpose.Said(choice.Text), f.Key.Facet())
			p.Facets = append(p.Facets, shown)
			c.Conflicts = append(c.Conflicts, in.conflicts(choice.Text.Title, f, seen)...)
		}
		if p.Gated {
			c.Purposes = append(c.Purposes, p)
		} else {
			c.Necessary = append(c.Necessary, p)
		}
	}
	return c
}

func progressOf(l *language.Language, devices []hub.Device, now time.Time) progress {
	var s progress
	for _, d := range devices {
		switch {
		case d.State == hub.StateLeaving:
		case d.State == hub.StateApplied:
			s.Devices++
			s.InStep++
		default:
			s.Devices++
			s.Behind = append(s.Behind, behindOf(l, d, d.StopsBy, now))
		}
	}
	return s
}

func behindOf(l *language.Language, d hub.Device, stops, now time.Time) behind {
	b := behind{Name: d.Name, Online: d.Online}
	if stops.After(now) {
		b.Stops = new(l.By(stops, now))
	}
	return b
}

func purposeOf(l *language.Language, c ledger.Choice) purpose {
	p, t, in := c.Purpose.Said(c.Text), c.Text, voiceOf(l, c)
	out := purpose{
		Title: in.text(t.Title), What: in.text(t.What), Why: in.text(t.Why), Benefit: in.text(t.Benefit), Refusal: in.text(t.Refusal),
		Data: in.names(p.Data), Retention: in.kept(c), Basis: in.basis(p),
		Gated: p.Class != cardea.ClassN, Reach: reachOf(l, p),
	}
	var countries []string
	for _, code := range p.Countries {
		countries = append(countries, l.Country(code))
	}
	out.Countries = l.List(countries)
	for _, r := range p.Recipients {
		out.Recipients = append(out.Recipients, in.recipient(r))
		out.Sold = out.Sold || r.Sold
		if r.Relation == cardea.RelationThirdParty {
			out.Shared++
		}
	}
	out.Stays, out.Advertising = p.Class == cardea.ClassL, p.Advertising
	if out.Gated {
		out.Counts = l.Text("choices.counts", "Time", l.Span(p.Validity))
	}
	return out
}

// reachOf says in words how old a yes may be on a device.
func reachOf(l *language.Language, p cardea.Purpose) string {
	var kinds []string
	for _, k := range p.Devices {
		kinds = append(kinds, l.Text("kind.the."+string(desk.KindOf(k))))
	}
	switch p.Class {
	case cardea.ClassN:
		return ""
	case cardea.ClassL:
		return l.Text("choices.reach.L", "Who", l.Or(kinds), "Time", l.Span(p.MaxStaleness()))
	}
	return l.Text("choices.reach.other_class", "Who", l.Or(kinds), "Time", l.Span(p.MaxStaleness()))
}

func facetOf(l *language.Language, f ledger.FacetChoice, seen ask, now time.Time, e *effect) facet {
	out := facet{ID: desk.Anchor(f.Key), ask: seen, Effect: e}
	out.On, out.State, out.Until = stateOf(l, f.Standing, now)
	if f.Signal != nil {
		out.Refused, out.InSpite = f.Signal.ByIt, out.On && f.Signal.InSpite
	}
	for _, off := range f.OffOn {
		out.OffOn = append(out.OffOn, place{Name: off.Name, ask: seen.on(off.Device)})
	}
	for _, denied := range f.DeniedOn {
		out.DeniedOn = append(out.DeniedOn, denied.Name)
	}
	for _, only := range f.OnlyOn {
		if on, _, until := stateOf(l, only.Standing, now); on {
			out.OnlyOn = append(out.OnlyOn, place{only.Name, until, seen.on(only.Device)})
		}
	}
	return out
}

// stateOf is what stands of a key: whether it is on, which member of the family of
// messages "choices.state" says so, and the end it has or had.
func stateOf(l *language.Language, c cardea.Consent, now time.Time) (on bool, state string, until *language.Moment) {
	end := c.ValidUntil.Time()
	switch {
	case c.Given() && c.ValidUntil != 0 && !end.After(now):
		return false, "ended", new(l.Day(end))
	case c.Given() && c.ValidUntil != 0:
		return true, "allowed_until", new(l.Day(end))
	case c.Given():
		return true, "allowed", nil
	}
	switch c.Reason {
	case cardea.ReasonNotAsked:
		return false, "not_asked", nil
	case cardea.ReasonExpired:
		return false, "expired", nil
	case cardea.ReasonNotice:
		return false, "notice", nil
	case cardea.ReasonConflict:
		return false, "conflict", nil
	}
	return false, "off", nil
}

// effectOf says what became of a no while devices are still stopping, and of
// whatever was decided last.
func effectOf(l *language.Language, p cardea.Purpose, f ledger.FacetChoice, head cardea.Position, devices []hub.Device, now time.Time) *effect {
	e := &effect{Allowed: f.Standing.Given()}
	running := 0
	for _, d := range devices {
		stops := d.Stops[f.Key]
		if !p.On(d.Kind) || d.State == hub.StateLeaving && !stops.After(now) {
			continue
		}
		if e.Allowed && slices.ContainsFunc(f.DeniedOn, func(o ledger.Place) bool { return o.Device == d.Device }) {
			continue // a yes is not in force there
		}
		e.Of++
		switch {
		case stops.After(now):
			running++
			e.Behind = append(e.Behind, behindOf(l, d, stops, now))
		case d.State != hub.StateApplied && (e.Allowed || d.Endless[f.Key] || p.Class == cardea.ClassL): // which stops at no known time
			e.Behind = append(e.Behind, behind{Name: d.Name, Online: d.Online})
		default:
			e.Done++
		}
	}
	last := f.Standing.Decided == head.Point() && head.Seq > 0
	if e.Of == 0 || !last && running == 0 {
		return nil
	}
	return e
}
