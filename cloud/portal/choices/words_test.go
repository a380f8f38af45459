package choices_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/cloud/catalogue"
	"github.com/cardea-id/cardea/cloud/language"
	"github.com/cardea-id/cardea/cloud/portal/portaltest"
)

// TestNamesInEveryLanguage: the shipped catalogue's names are said in the language
// of the page, wherever one stands: data, recipients, legal basis and how long.
func TestNamesInEveryLanguage(t *testing.T) {
	text, err := os.ReadFile("../../../testdata/catalogue.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cat, err := catalogue.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	h := portaltest.Open(t)
	h.Ledger.Catalogue.Replace(cat)
	b := h.Browser(t)
	b.Register()
	names := map[string]bool{}
	for _, p := range cat.Purposes {
		names[p.Retention], names[p.LegalBasis] = true, true
		for _, r := range p.Recipients {
			names[r.Name] = true
		}
		for _, d := range p.Data {
			names[d] = len(d) > len("consent") // "when" may be part of a word
		}
	}
	for _, l := range language.All() {
		for _, path := range []string{"/consents", "/notices/recommendations/1/" + l.Tag()} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Header.Set("Accept-Language", l.Tag())
			d := b.Do(r)
			said := cat.Purposes[3].Said(cat.Purposes[3].Texts[l.Tag()])
			d.MustSay(said.Recipients[1].Name, said.Retention)
			for name, is := range names {
				if is && l.Tag() != "en" && strings.Contains(portaltest.TextOf(d.Root), name) {
					t.Errorf("%s in %s says %q", path, l.Tag(), name)
				}
			}
		}
	}
}
