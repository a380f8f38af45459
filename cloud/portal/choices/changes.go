package choices

import (
	"strings"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/cloud/portal/words"
)

// A change is how what is asked differs from what the owner said yes to. The
// brand's own words come first; what is new in the lists is taken from the
// catalogue, so that no words can hide it.
type change struct {
	Words  string
	News   []news
	Ends   *words.Moment // of the old yes; nil: it goes on
	Over   bool          // that end has come
	Before purpose
}

// A news is one thing that was not there before.
type news struct{ Word, Text string }

// changeOf is nil while the owner's yes is to what is asked now, or there is none.
func changeOf(c ledger.Choice, now time.Time) *change {
	if c.Former == nil {
		return nil
	}
	out := &change{
		Words: words.Sentence(c.Text.Changed), News: newsOf(c),
		Before: purposeOf(ledger.Choice{Purpose: *c.Former, Text: c.FormerText}),
	}
	if c.FormerEnds != 0 {
		end := c.FormerEnds.Time()
		out.Over = !end.After(now)
		out.Ends = new(words.Day(end))
		if left := end.Sub(now); left > 0 && left < 48*time.Hour {
			out.Ends = new(words.Clock(end, now))
		}
	}
	return out
}

func newsOf(c ledger.Choice) (out []news) {
	p, old := c.Purpose, *c.Former
	add := func(word string, texts []string) {
		if len(texts) > 0 {
			out = append(out, news{word, strings.Join(texts, ", ")})
		}
	}
	var data, who, countries, questions []string
	for _, d := range cardea.Beyond(p.Data, old.Data) {
		data = append(data, words.Plain(d))
	}
	for _, r := range cardea.Beyond(p.Recipients, old.Recipients) {
		text := r.Name + " (" + words.Country(r.Country) + ", " + recipientOf(r).What
		if r.Sold {
			text += ", we are paid for it"
		}
		who = append(who, text+")")
	}
	for _, code := range cardea.Beyond(p.Countries, old.Countries) {
		countries = append(countries, words.Country(code))
	}
	for _, f := range cardea.Beyond(p.Facets, old.Facets) {
		questions = append(questions, c.Text.Facets[f])
	}
	add("New data:", data)
	add("New, gets it:", who)
	add("New, kept in:", countries)
	if p.Retention != old.Retention {
		add("Kept now:", []string{p.Retention})
	}
	add("New question, off until you answer:", questions)
	return out
}
