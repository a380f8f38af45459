package desk

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"

	"github.com/cardea-id/cardea/cloud/portal/words"
)

//go:embed pages/*.html
var pageFiles embed.FS

// Language is the one the pages are written in, and so the one in which they
// ask.
const Language = "en"

// A View is what a template is given. Body is the page's own part; who is asking
// is filled in when it is shown.
type View struct {
	Title   string
	Brand   string
	Section string // the place in the navigation
	Owner   bool   // somebody is signed in
	Email   string // theirs, if they have one
	Form    string // the token every form carries
	Body    any
}

// frame is what stands around each page, and the parts pages share.
var frame = template.Must(template.New("layout").Funcs(template.FuncMap{"asset": assetPath, "capital": words.Capital}).
	ParseFS(pageFiles, "pages/layout.html", "pages/parts.html", "pages/icons.html"))

// Pages are the pages of a room.
type Pages struct {
	desk   *Desk
	byName map[string]*template.Template
}

// Pages makes pages of the templates pages/*.html, each of which defines "main".
// It panics on one that is none: they are part of the program.
func (d *Desk) Pages(files fs.FS) *Pages {
	names, err := fs.Glob(files, "pages/*.html")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	p := &Pages{desk: d, byName: map[string]*template.Template{}}
	for _, name := range names {
		p.byName[path.Base(name)] = template.Must(template.Must(frame.Clone()).ParseFS(files, name))
	}
	return p
}

// Show answers with a page. It is rendered whole first, so that a fault in it
// never leaves half a page.
func (p *Pages) Show(w http.ResponseWriter, v Visit, status int, name string, content View) error {
	page, ok := p.byName[name]
	if !ok {
		return fmt.Errorf("no page %s", name)
	}
	content.Brand, content.Owner, content.Email = p.desk.Brand, !v.Account.IsZero(), v.Email
	if v.secret != nil {
		content.Form = v.Form()
	}
	var out bytes.Buffer
	if err := page.ExecuteTemplate(&out, "layout", content); err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(out.Bytes()) // the browser is gone if this fails
	return nil
}
