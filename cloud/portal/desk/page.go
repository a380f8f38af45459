package desk

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/cardea-id/cardea/cloud/language"
)

//go:embed pages/*.html
var pageFiles embed.FS

// A View is what a template is given. Body is the page's own part; who is asking
// is filled in when it is shown.
type View struct {
	Title   string // a message's key, or words
	Page    string // the template's name, without its ending
	Brand   string
	Logo    string // the address of the brand's own, and of its colours; may be empty
	Sheet   string
	Section string // the place in the navigation
	Owner   bool   // somebody is signed in
	Email   string // theirs, if they have one
	Form    string // the token every form carries
	Tongues []Tongue
	Here    string // this page's address, to come back to; empty: it has none
	Body    any
}

// A Tongue is a language to choose.
type Tongue struct {
	Tag, Name string
	Spoken    bool // by this page
}

// frames are what stands around each page, and the parts pages share, by
// language.
var frames = func() map[*language.Language]*template.Template {
	all := map[*language.Language]*template.Template{}
	for _, l := range language.All() {
		all[l] = template.Must(template.New("layout").Funcs(template.FuncMap{"asset": assetPath, "capital": language.Capital}).Funcs(l.Funcs()).
			ParseFS(pageFiles, "pages/layout.html", "pages/parts.html", "pages/terms.html", "pages/icons.html"))
	}
	return all
}()

// Pages are the pages of a room, in every language.
type Pages struct {
	desk   *Desk
	spoken map[*language.Language]map[string]*template.Template
}

// Pages makes pages of the templates pages/*.html, each of which defines "main".
// It panics on one that is none: they are part of the program.
func (d *Desk) Pages(files fs.FS) *Pages {
	names, err := fs.Glob(files, "pages/*.html")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	p := &Pages{desk: d, spoken: map[*language.Language]map[string]*template.Template{}}
	for l, frame := range frames {
		p.spoken[l] = map[string]*template.Template{}
		for _, name := range names {
			p.spoken[l][path.Base(name)] = template.Must(template.Must(frame.Clone()).ParseFS(files, name))
		}
	}
	return p
}

// Show answers with a page. It is rendered whole first, so that a fault in it
// never leaves half a page.
func (p *Pages) Show(w http.ResponseWriter, v Visit, status int, name string, content View) error {
	page, ok := p.spoken[v.Language][name]
	if !ok {
		return fmt.Errorf("no page %s", name)
	}
	content.Title, content.Page = v.Language.Text(content.Title), strings.TrimSuffix(name, ".html")
	content.Brand, content.Owner, content.Email = p.desk.Brand.Name, !v.Account.IsZero(), v.Email
	content.Logo, content.Sheet = p.desk.logo, p.desk.sheet
	content.Tongues, content.Here = tongues(v.Language), v.here
	if v.secret != nil {
		content.Form = v.Form()
	}
	var out bytes.Buffer
	if err := page.ExecuteTemplate(&out, "layout", content); err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", v.Language.Tag())
	w.WriteHeader(status)
	w.Write(out.Bytes()) // the browser is gone if this fails
	return nil
}
