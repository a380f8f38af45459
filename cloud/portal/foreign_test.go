package portal_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/cardea-id/cardea/cloud/catalogue"
	"github.com/cardea-id/cardea/cloud/portal/portaltest"
)

// brandTexts is what the catalogue says in its one language.
func brandTexts(t *testing.T) (texts []string) {
	cat, err := catalogue.Parse([]byte(portaltest.Catalogue))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range cat.Purposes {
		text := p.Texts["en"]
		texts = append(texts, text.Title, text.What, text.Why, text.Benefit, text.Refusal)
		for _, question := range text.Facets {
			texts = append(texts, question)
		}
	}
	for _, d := range cat.Preferences {
		texts = append(texts, d.Titles["en"])
		for _, words := range d.Words["en"] {
			texts = append(texts, words)
		}
	}
	return texts
}

// spokenIn is the language in which a voice reads what stands at n.
func spokenIn(n *html.Node) string {
	for ; n != nil; n = n.Parent {
		if lang := portaltest.Attr(n, "lang"); lang != "" {
			return lang
		}
	}
	return ""
}

// What the brand has not written in the language of a page is marked with the
// language it is in, and nothing else is: WCAG 2.2, 3.1.2.
func TestTextsInAnotherLanguage(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	account := b.Register()
	h.Furnish(t, b, account)
	paths := []string{"/consents", "/history", "/preferences", "/leaving/withdraw", "/notices/recommendations/1/en"}
	for link := range h.Devices.Losses {
		paths = append(paths, "/devices/lost?link="+link.String())
	}
	for a := range b.Get("/history").All("a") {
		if portaltest.TextOf(a) == "Receipt" {
			paths = append(paths, portaltest.Attr(a, "href"))
			break
		}
	}
	if d := b.Post("/language", url.Values{"language": {"de"}, "next": {"/consents"}}); d.Status != http.StatusSeeOther {
		t.Fatal(d.Text)
	}
	texts := brandTexts(t)
	for _, path := range paths {
		d := b.Get(path)
		foreign := 0
		for n := range d.Root.Descendants() {
			text := strings.TrimSpace(n.Data)
			if n.Type != html.TextNode || n.Parent.Data == "title" || text == "" {
				continue
			}
			lang := spokenIn(n)
			for _, brand := range texts {
				if strings.Contains(text, brand) {
					foreign++
					if lang != "en" {
						t.Errorf("%s: %q is read in %q", path, text, lang)
					}
				}
			}
			if (strings.Contains(text, "Wozu") || strings.Contains(text, "Erlauben") || strings.Contains(text, "Geräte")) && lang != "de" {
				t.Errorf("%s: %q is read in %q", path, text, lang)
			}
		}
		if foreign == 0 {
			t.Errorf("%s: the brand says nothing there:\n%s", path, d.Text)
		}
	}
}
