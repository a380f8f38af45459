package choices

import (
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/language"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/cloud/portal/desk"
)

// A change is how what is asked differs from what the owner said yes to. The
// brand's own words come first; what is new in the lists is taken from the
// catalogue, so that no words can hide it.
type change struct {
	Words  language.Phrase
	News   []news
	Ends   *language.Moment // of the old yes; nil: it goes on
	Over   bool             // that end has come
	Before purpose
}

// A news is one thing that was not there before.
type news struct {
	Word string
	Text language.Phrase
}

// changeOf is nil while the owner's yes is to what is asked now, or there is none.
func changeOf(l *language.Language, c ledger.Choice, now time.Time) *change {
	if c.Former == nil {
		return nil
	}
	out := &change{
		Words: voiceOf(l, c).sentence(c.Text.Changed, c.Language), News: newsOf(l, c),
		Before: purposeOf(l, ledger.Choice{Purpose: *c.Former, Text: c.FormerText, Language: c.Language, Names: c.Names}),
	}
	if c.FormerEnds != 0 {
		end := c.FormerEnds.Time()
		out.Over = !end.After(now)
		out.Ends = new(l.Day(end))
		if left := end.Sub(now); left > 0 && left < 48*time.Hour {
			out.Ends = new(l.Clock(end, now))
		}
	}
	return out
}

func newsOf(l *language.Language, c ledger.Choice) (out []news) {
	p, old, in := c.Purpose, *c.Former, voiceOf(l, c)
	add := func(word string, texts []string, tag string) {
		if len(texts) > 0 {
			out = append(out, news{word, l.Phrase(l.List(texts), tag)})
		}
	}
	var data, who, countries, questions []string
	for _, d := range cardea.Beyond(p.Data, old.Data) {
		data = append(data, desk.Plain(c.Text.Say(d)))
	}
	for _, r := range cardea.Beyond(p.Recipients, old.Recipients) {
		about := []string{l.Country(r.Country), in.recipient(r).What}
		if r.Sold {
			about = append(about, l.Text("choices.sold"))
		}
		who = append(who, l.Text("choices.new.recipient", "Name", c.Text.Say(r.Name), "About", l.List(about)))
	}
	for _, code := range cardea.Beyond(p.Countries, old.Countries) {
		countries = append(countries, l.Country(code))
	}
	for _, f := range cardea.Beyond(p.Facets, old.Facets) {
		questions = append(questions, c.Text.Facets[f])
	}
	add(l.Text("choices.new.data"), data, in.nameTag)
	add(l.Text("choices.new.who"), who, l.Tag())
	add(l.Text("choices.new.countries"), countries, l.Tag())
	if p.Retention != old.Retention {
		kept := in.kept(c)
		out = append(out, news{l.Text("choices.new.kept"), language.Phrase{Text: p.Kept(c.Text), Tag: kept.Tag}})
	}
	add(l.Text("choices.new.question"), questions, in.textTag)
	return out
}
