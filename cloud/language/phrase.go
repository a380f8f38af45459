package language

import "html/template"

// A Phrase is a text that somebody else wrote, with the language it is in if that
// is not the page's: by it a reader's voice speaks and a browser sets the text
// (WCAG 2.2, 3.1.2).
type Phrase struct {
	Text string
	Tag  string // empty: the page's own
}

// Phrase is a text in the language with the tag, which may be this one.
func (l *Language) Phrase(text, tag string) Phrase {
	if tag == l.Tag() {
		tag = ""
	}
	return Phrase{text, tag}
}

// String is the text alone.
func (p Phrase) String() string { return p.Text }

// HTML is the phrase as part of a page.
func (p Phrase) HTML() template.HTML {
	if p.Tag == "" {
		return template.HTML(template.HTMLEscapeString(p.Text))
	}
	return p.within("span")
}

// within is the phrase in an element of its own.
func (p Phrase) within(element string) template.HTML {
	lang := ""
	if p.Tag != "" {
		lang = ` lang="` + template.HTMLEscapeString(p.Tag) + `"`
	}
	return template.HTML("<" + element + lang + ">" + template.HTMLEscapeString(p.Text) + "</" + element + ">")
}
