package choices

import (
	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/language"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/cloud/portal/desk"
)

// A voice is how the brand's texts are said on a page: its reader's language, that
// of the texts, and that of the names in them.
type voice struct {
	page             *language.Language
	textTag, nameTag string
}

func voiceOf(l *language.Language, c ledger.Choice) voice {
	v := voice{l, c.Language, c.Language}
	if len(c.Text.Words) == 0 && c.Names != "" {
		v.nameTag = c.Names
	}
	return v
}

func (v voice) text(text string) language.Phrase { return v.page.Phrase(text, v.textTag) }

// sentence is a text with the full stop of its own language.
func (v voice) sentence(text, tag string) language.Phrase {
	if own, ok := language.Of(tag); ok {
		text = own.Sentence(text)
	}
	return v.page.Phrase(text, tag)
}

// names are several in a row, as their own language lists them.
func (v voice) names(all []string) language.Phrase {
	var plain []string
	for _, name := range all {
		plain = append(plain, desk.Plain(name))
	}
	own, ok := language.Of(v.nameTag)
	if !ok {
		own = v.page
	}
	return v.page.Phrase(language.Capital(own.List(plain)), v.nameTag)
}

// kept is how long the data is kept.
func (v voice) kept(c ledger.Choice) language.Phrase {
	tag := v.nameTag
	if c.Text.Retention != "" {
		tag = v.textTag
	}
	return v.sentence(c.Purpose.Kept(c.Text), tag)
}

func (v voice) basis(p cardea.Purpose) language.Phrase {
	return v.sentence(desk.Plain(p.LegalBasis), v.nameTag)
}

func (v voice) recipient(r cardea.Recipient) recipient {
	l := v.page
	return recipient{
		Name: l.Phrase(r.Name, v.nameTag), What: l.Text("choices.relation." + string(r.Relation)), Sold: r.Sold, Country: l.Country(r.Country),
	}
}

// toOf are the companies that a question is about which asks for passing on or
// selling: who they are must stand beside the buttons.
func (v voice) toOf(p cardea.Purpose, f cardea.Facet) (to []recipient) {
	for _, r := range p.Recipients {
		if f == cardea.FacetThirdParty && r.Relation == cardea.RelationThirdParty || f == cardea.FacetSale && r.Sold {
			to = append(to, v.recipient(r))
		}
	}
	return to
}

func (v voice) conflicts(title string, f ledger.FacetChoice, seen ask) []conflict {
	var out []conflict
	if f.Standing.Reason == cardea.ReasonConflict {
		out = append(out, conflict{Title: v.text(title), Question: v.text(f.Question), ask: seen})
	}
	for _, off := range f.OffOn {
		if off.Standing.Reason == cardea.ReasonConflict && f.Standing.Reason != cardea.ReasonConflict {
			out = append(out, conflict{Title: v.text(title), Question: v.text(f.Question), Name: off.Name, ask: seen.on(off.Device)})
		}
	}
	return out
}
