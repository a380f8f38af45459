package choices

import (
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/cloud/portal/words"
)

// Choices are the page of consents and preferences.
type choices struct {
	Conflicts   []conflict
	Progress    progress
	Purposes    []purpose
	Necessary   []purpose // listed, not asked
	Preferences []preference
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
	Stops  *words.Moment // until when it may go on; nil: nothing runs on
}

// A purpose is a card.
type purpose struct {
	Title, What, Why, Benefit, Refusal string
	Data                               string
	Recipients                         []recipient
	Countries                          string
	Retention                          string
	Counts                             string // how long a yes counts
	Reach                              string // what happens where a device cannot reach us
	Basis                              string
	Gated                              bool // whether it is asked at all
	Change                             *change
	Facets                             []facet
}

type recipient struct {
	Name    string
	What    string // what it is to us, and where
	Sold    bool
	Country string
}

// A facet is one question with its two buttons. The hidden fields of its forms
// say what the page showed.
type facet struct {
	ID       string
	Question string
	On       bool
	State    string
	Until    *words.Moment
	Effect   *effect
	OffOn    []place
	OnlyOn   []place
	DeniedOn []string // names of devices whose owner denies it for all
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
}

// on is the same form for one device.
func (a ask) on(device cardea.DeviceID) ask {
	a.Device = string(device)
	return a
}

// A place is a device on which a facet was stopped or allowed apart.
type place struct {
	Name  string
	Until *words.Moment
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
	Title, Question string
	Name            string // the device it was said for, empty for everywhere
	ask
}

func choicesOf(asked ledger.Page, devices []hub.Device, now time.Time, form string) choices {
	c := choices{Progress: progressOf(devices, now)}
	for _, choice := range asked.Choices {
		p := purposeOf(choice)
		p.Change = changeOf(choice, now)
		for _, f := range choice.Facets {
			seen := ask{
				Form: form, Key: string(f.Key), Version: choice.Purpose.Version,
				Notice: choice.Notice.String(), Base: desk.BaseText(asked.Head),
			}
			shown := facetOf(f, seen, now, effectOf(choice.Purpose, f, asked.Head, devices, now))
			if shown.On && choice.FormerEnds != 0 && f.Standing.Version < seen.Version {
				shown.State = "Allowed as asked before, until"
			}
			p.Facets = append(p.Facets, shown)
			c.Conflicts = append(c.Conflicts, conflictsOf(choice.Text.Title, f, seen)...)
		}
		if p.Gated {
			c.Purposes = append(c.Purposes, p)
		} else {
			c.Necessary = append(c.Necessary, p)
		}
	}
	for _, choice := range asked.Preferences {
		c.Preferences = append(c.Preferences, preferenceOf(choice, form, desk.BaseText(asked.Head)))
	}
	return c
}

func progressOf(devices []hub.Device, now time.Time) progress {
	var s progress
	for _, d := range devices {
		switch {
		case d.State == hub.StateLeaving:
		case d.State == hub.StateApplied:
			s.Devices++
			s.InStep++
		default:
			s.Devices++
			s.Behind = append(s.Behind, behindOf(d, d.StopsBy, now))
		}
	}
	return s
}

func behindOf(d hub.Device, stops, now time.Time) behind {
	b := behind{Name: d.Name, Online: d.Online}
	if stops.After(now) {
		b.Stops = new(words.By(stops, now))
	}
	return b
}

func purposeOf(c ledger.Choice) purpose {
	p := c.Purpose
	out := purpose{
		Title: c.Text.Title, What: c.Text.What, Why: c.Text.Why, Benefit: c.Text.Benefit, Refusal: c.Text.Refusal,
		Retention: words.Sentence(p.Retention), Basis: words.Sentence(words.Plain(p.LegalBasis)), Gated: p.Class != cardea.ClassN, Reach: reachOf(p),
	}
	var data, countries []string
	for _, d := range p.Data {
		data = append(data, words.Plain(d))
	}
	for _, code := range p.Countries {
		countries = append(countries, words.Country(code))
	}
	out.Data, out.Countries = words.Capital(strings.Join(data, ", ")), strings.Join(countries, ", ")
	for _, r := range p.Recipients {
		out.Recipients = append(out.Recipients, recipientOf(r))
	}
	if out.Gated {
		out.Counts = "A yes counts for " + words.Span(p.Validity) + ". Then we ask again."
	}
	return out
}

func recipientOf(r cardea.Recipient) recipient {
	what := map[cardea.Relation]string{
		cardea.RelationOwn: "part of us", cardea.RelationProcessor: "works for us", cardea.RelationThirdParty: "another company, for its own ends",
	}[r.Relation]
	return recipient{Name: r.Name, What: what, Sold: r.Sold, Country: words.Country(r.Country)}
}

// reachOf says in words how old a yes may be on a device.
func reachOf(p cardea.Purpose) string {
	var kinds []string
	for _, k := range p.Devices {
		kinds = append(kinds, "the "+words.KindOf(k).Word)
	}
	who := words.Listed(kinds, "or")
	switch p.Class {
	case cardea.ClassN:
		return ""
	case cardea.ClassL:
		return "It stays on the device. If " + who + " cannot reach us, it stops there within " + words.Span(p.MaxStaleness()) + ". Restarted meanwhile, it goes on until it has reached us."
	}
	return "If " + who + " cannot reach us, it stops there within " + words.Span(p.MaxStaleness()) + "."
}

func facetOf(f ledger.FacetChoice, seen ask, now time.Time, e *effect) facet {
	out := facet{ID: desk.Anchor(f.Key), Question: f.Question, ask: seen, Effect: e}
	out.On, out.State, out.Until = stateOf(f.Standing, now)
	for _, off := range f.OffOn {
		out.OffOn = append(out.OffOn, place{Name: off.Name, ask: seen.on(off.Device)})
	}
	for _, denied := range f.DeniedOn {
		out.DeniedOn = append(out.DeniedOn, denied.Name)
	}
	for _, only := range f.OnlyOn {
		if on, _, until := stateOf(only.Standing, now); on {
			out.OnlyOn = append(out.OnlyOn, place{only.Name, until, seen.on(only.Device)})
		}
	}
	return out
}

// stateOf puts what stands of a key in words.
func stateOf(c cardea.Consent, now time.Time) (on bool, state string, until *words.Moment) {
	end := c.ValidUntil.Time()
	switch {
	case c.Given() && c.ValidUntil != 0 && !end.After(now):
		return false, "Off. Your yes ended on", new(words.Day(end))
	case c.Given() && c.ValidUntil != 0:
		return true, "Allowed until", new(words.Day(end))
	case c.Given():
		return true, "Allowed", nil
	}
	switch c.Reason {
	case cardea.ReasonNotAsked:
		return false, "Not asked yet", nil
	case cardea.ReasonExpired:
		return false, "Off. Your yes has ended", nil
	case cardea.ReasonNotice:
		return false, "Off. What is asked has changed since your yes", nil
	case cardea.ReasonConflict:
		return false, "Off. A no and a yes crossed", nil
	}
	return false, "Off", nil
}

// effectOf says what became of a no while devices are still stopping, and of
// whatever was decided last.
func effectOf(p cardea.Purpose, f ledger.FacetChoice, head cardea.Position, devices []hub.Device, now time.Time) *effect {
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
			e.Behind = append(e.Behind, behindOf(d, stops, now))
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

func conflictsOf(title string, f ledger.FacetChoice, seen ask) []conflict {
	var out []conflict
	if f.Standing.Reason == cardea.ReasonConflict {
		out = append(out, conflict{Title: title, Question: f.Question, ask: seen})
	}
	for _, off := range f.OffOn {
		if off.Standing.Reason == cardea.ReasonConflict && f.Standing.Reason != cardea.ReasonConflict {
			out = append(out, conflict{Title: title, Question: f.Question, Name: off.Name, ask: seen.on(off.Device)})
		}
	}
	return out
}
