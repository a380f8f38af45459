package archive

import (
	"context"
	_ "embed"
	"html/template"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/language"
)

//go:embed index.html
var pageText string

// pages is the page in every language. It stands alone: no script, no style or
// picture from elsewhere.
var pages = func() map[*language.Language]*template.Template {
	all := map[*language.Language]*template.Template{}
	for _, l := range language.All() {
		funcs := template.FuncMap{
			"day":     func(t time.Time) language.Moment { return l.Day(t) },
			"country": l.Country,
			"list":    l.List,
			"countries": func(codes []string) string {
				names := make([]string, len(codes))
				for i, code := range codes {
					names[i] = l.Country(code)
				}
				return l.List(names)
			},
			"given": given,
		}
		all[l] = template.Must(template.New("index.html").Funcs(l.Funcs()).Funcs(funcs).Parse(pageText))
	}
	return all
}()

// given is what a device was told it may do.
func given(told *cardea.Body) (keys []cardea.Key) {
	if told == nil {
		return nil
	}
	for _, c := range told.Consents {
		if c.Given() {
			keys = append(keys, c.Key)
		}
	}
	return keys
}

// page writes index.html, the ledger as it is read.
func (a *archive) page(ctx context.Context) error {
	out, err := a.file("index.html")
	if err != nil {
		return err
	}
	page := pages[a.speaks]
	if err := page.ExecuteTemplate(out, "top", a.facts); err != nil {
		return err
	}
	if err := a.each(ctx, func(d decision) error { return page.ExecuteTemplate(out, "decision", d) }); err != nil {
		return err
	}
	return page.ExecuteTemplate(out, "end", a.facts)
}
