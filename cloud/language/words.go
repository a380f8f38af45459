package language

import (
	"strings"
	"unicode/utf8"

	tags "golang.org/x/text/language"
)

// A habit is how a language writes, apart from its words.
type habit struct {
	stop string // at the end of a sentence
	era  int    // years its calendar is ahead of the one in machines
}

var habits = map[string]habit{
	"en": {stop: "."}, "de": {stop: "."}, "ko": {stop: "."}, "ja": {stop: "。"},
	"th": {era: 543}, // sentences end with a space; years are Buddhist
}

// List is several things in a row: "a, b, c".
func (l *Language) List(items []string) string {
	return strings.Join(items, l.Text("page.comma"))
}

// Or is one of several things: "a", "a or b", "a, b or c".
func (l *Language) Or(items []string) string {
	if len(items) < 2 {
		return strings.Join(items, "")
	}
	last := len(items) - 1
	return l.Text("page.or", "Rest", l.List(items[:last]), "Last", items[last])
}

// Country is the name of a country, or its ISO 3166-1 code where that is not known.
func (l *Language) Country(code string) string {
	region, err := tags.ParseRegion(code)
	if err != nil {
		return code
	}
	if name := l.regions.Name(region); name != "" {
		return name
	}
	return code
}

// Sentence is a text of the brand's with a capital and a full stop, where the
// language has them.
func (l *Language) Sentence(text string) string {
	last, _ := utf8.DecodeLastRuneInString(text)
	if text != "" && !strings.ContainsRune(".。!！?？…", last) {
		text += l.habit.stop
	}
	return Capital(text)
}

// Capital is a text with its first letter in upper case.
func Capital(text string) string {
	for i, r := range text {
		return strings.ToUpper(string(r)) + text[i+utf8.RuneLen(r):]
	}
	return text
}
