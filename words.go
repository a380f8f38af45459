package cardea

import (
	"fmt"
	"maps"
	"slices"
)

// Settle gives each purpose the catalogue's words for what it names, so that they
// are part of its text, of its version and of the notice that is agreed to. A
// purpose's own come first.
func (c *Catalogue) Settle() {
	for _, p := range c.Purposes {
		for language, t := range p.Texts {
			said := map[string]string{}
			for _, name := range p.names() {
				if word := c.Words[language][name]; word != "" && (name != p.Retention || t.Retention == "") {
					said[name] = word
				}
			}
			maps.Copy(said, t.Words)
			if len(said) > 0 {
				t.Words = said
				p.Texts[language] = t
			}
		}
	}
}

// validateWords wants everything said in every language, if anything is, and no
// word for what nothing names.
func (c *Catalogue) validateWords() error {
	for language := range c.Words {
		if i := slices.Index(c.Languages, language); i < 1 {
			return fmt.Errorf("words.%.40s: only for the languages after the first, %q", language, c.Languages[1:])
		}
	}
	used := map[string]bool{}
	for _, p := range c.Purposes {
		if err := c.validateWordsOf(p); err != nil {
			return err
		}
		for _, name := range p.names() {
			used[name] = true
		}
	}
	for _, language := range slices.Sorted(maps.Keys(c.Words)) {
		for _, name := range slices.Sorted(maps.Keys(c.Words[language])) {
			if !used[name] {
				return fmt.Errorf("words.%s: no purpose names %.60q", language, name)
			}
		}
	}
	return nil
}

func (c *Catalogue) validateWordsOf(p Purpose) error {
	for _, language := range c.Languages {
		t, names := p.Texts[language], p.names()
		for _, name := range slices.Sorted(maps.Keys(t.Words)) {
			if !slices.Contains(names, name) || t.Words[name] == "" {
				return fmt.Errorf("purpose %q: texts.%s.words: %.60q is nothing it names, or has no word", p.ID, language, name)
			}
		}
		if len(c.Words) == 0 || language == c.Languages[0] {
			continue
		}
		for _, name := range names {
			if t.Words[name] == "" && (name != p.Retention || t.Retention == "") {
				return fmt.Errorf("words.%s: %.60q must be set: purpose %q names it", language, name, p.ID)
			}
		}
	}
	return nil
}
