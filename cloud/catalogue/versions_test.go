package catalogue_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/catalogue"
)

// version is the small catalogue at a later version of its purpose, with more
// lines about it.
func version(n, lines string) string {
	text := strings.Replace(small, "version: 1", "version: "+n+"\n    "+lines, 1)
	return strings.Replace(text, "refusal: r,", "refusal: r, changed: more,", 1)
}

func formers(h *catalogue.Holder) []cardea.Former {
	cat, _ := h.Current()
	terms, _ := cat.Terms("p/use")
	return terms.Former
}

func TestFormerVersionsAreKept(t *testing.T) {
	db := openDB(t)
	h := open(t, db, small)
	put := func(text string) {
		t.Helper()
		if err := h.Put(t.Context(), db, []byte(text), "brand test"); err != nil {
			t.Fatal(err)
		}
	}
	put(version("2", "change: editorial"))
	if f := formers(h); len(f) != 1 || f[0].Version != 1 || f[0].Until != 0 {
		t.Errorf("after an editorial change: %+v", f)
	}
	put(version("3", "change: material\n    reconsent_by: 2027-03-01"))
	by := cardea.MillisOf(time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC))
	for name, h := range map[string]*catalogue.Holder{"at once": h, "after a restart": open(t, db, "")} {
		f := formers(h)
		if len(f) != 2 || f[0].Version != 2 || f[1].Version != 1 || f[0].Until != by || f[1].Until != by {
			t.Errorf("%s, after a material change: %+v", name, f)
		}
		cat, _ := h.Current()
		if p, ok := cat.VersionOf("p", 1); !ok || !p.ShowsNotice(p.Notice("en")) || p.Texts["en"].Title != "t" {
			t.Errorf("%s: the first version is gone", name)
		}
	}

	// While it is not asked its versions are remembered.
	put(strings.NewReplacer("id: p", "id: other", "purpose: p", "purpose: other").Replace(small))
	put(version("4", "change: notify"))
	if f := formers(h); len(f) != 3 || f[0].Until != 0 || f[1].Until != by {
		t.Errorf("after it was away: %+v", f)
	}
	put(version("5", ""))
	if f := formers(h); len(f) != 0 {
		t.Errorf("after a change that was not said: %+v", f)
	}
}

func TestSubstanceIsNoMatterOfWords(t *testing.T) {
	db := openDB(t)
	h := open(t, db, small)
	for _, change := range []string{"editorial", "notify"} {
		for _, line := range [][2]string{
			{"data: [a]", "data: [a, b]"},
			{"name: X", "name: Y"},
			{"retention: none", "retention: for ever"},
			{"facets: [use]", "countries: [SE]\n    facets: [use]"},
			{"class: C", "class: B"},
		} {
			next := strings.Replace(version("2", "change: "+change), line[0], line[1], 1)
			if err := h.Put(t.Context(), db, []byte(next), "brand test"); !errors.Is(err, cardea.ErrInvalidCatalogue) {
				t.Errorf("%s as %s: %v, want it refused", line[1], change, err)
			}
		}
	}
	next := strings.Replace(version("2", "change: material\n    reconsent_by: 2027-03-01T12:00:00Z"), "name: X", "name: Y", 1)
	if err := h.Put(t.Context(), db, []byte(next), "brand test"); err != nil {
		t.Error(err)
	}
	// Nor does a version in between, which was never in force, make it one.
	back := strings.Replace(version("4", "change: editorial"), "retention: none", "retention: for ever", 1)
	if err := h.Put(t.Context(), db, []byte(back), "brand test"); !errors.Is(err, cardea.ErrInvalidCatalogue) {
		t.Errorf("%v, want it refused against the version there was", err)
	}
}

// inTwo is the small catalogue in two languages.
func inTwo(t *testing.T) string {
	t.Helper()
	text := strings.NewReplacer(
		"languages: [en]", "languages: [en, de]",
		"texts: {en: {title: t, what: w, why: y, benefit: b, refusal: r, facets: {use: \"?\"}}}",
		`texts: {en: {title: t, what: w, why: y, benefit: b, refusal: r, facets: {use: "?"}}, de: {title: t, what: w, why: y, benefit: b, refusal: r, facets: {use: "?"}}}`,
		"titles: {en: Mode}", "titles: {en: Mode, de: Modus}",
	).Replace(small)
	return text + "words:\n  de: {consent: Einwilligung, a: A-Daten, X: X AG, none: nicht}\n"
}

// A word for a recipient belongs to the version it stands in: to say it otherwise
// is a new one, which asks nobody again. Another recipient does.
func TestWordsOfARecipient(t *testing.T) {
	db := openDB(t)
	h := open(t, db, inTwo(t))
	put := func(replace ...string) error {
		return h.Put(t.Context(), db, []byte(strings.NewReplacer(replace...).Replace(inTwo(t))), "brand test")
	}
	if err := put("X: X AG", "X: X GmbH"); !errors.Is(err, cardea.ErrInvalidCatalogue) || !strings.Contains(err.Error(), "raise the version") {
		t.Errorf("another word under the same version: %v", err)
	}
	if err := put("X: X AG, ", ""); !errors.Is(err, cardea.ErrInvalidCatalogue) || !strings.Contains(err.Error(), `words.de: "X" must be set`) {
		t.Errorf("a word that is missing: %v", err)
	}
	if err := put("version: 1", "version: 2\n    change: editorial", "name: X", "name: Y", "X: X AG", "Y: X AG"); !errors.Is(err, cardea.ErrInvalidCatalogue) {
		t.Errorf("another recipient as a matter of words: %v", err)
	}
	if err := put("version: 1", "version: 2\n    change: editorial", "X: X AG", "X: X GmbH"); err != nil {
		t.Fatal(err)
	}
	if f := formers(h); len(f) != 1 || f[0].Until != 0 {
		t.Errorf("a yes to the version before: %+v", f)
	}
	cat, _ := open(t, db, "").Current()
	for version, want := range map[uint32]string{1: "X AG", 2: "X GmbH"} {
		p, ok := cat.VersionOf("p", version)
		if said := p.Said(p.Texts["de"]); !ok || said.Recipients[0].Name != want || said.Retention != "nicht" {
			t.Errorf("version %d after a restart: %+v", version, said)
		}
	}
}

// A file without words is as good as it was, and gets them as it gets any text.
func TestFileWithoutWords(t *testing.T) {
	before, _, _ := strings.Cut(inTwo(t), "words:\n")
	db := openDB(t)
	h := open(t, db, before)
	cat, _ := h.Current()
	if p := cat.Purposes[0]; p.Said(p.Texts["de"]).Recipients[0].Name != "X" {
		t.Error("a name without a word is not shown as it is")
	}
	if err := h.Put(t.Context(), db, []byte(strings.Replace(inTwo(t), "version: 1", "version: 2\n    change: editorial", 1)), "brand test"); err != nil {
		t.Error(err)
	}
}
