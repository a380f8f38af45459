package portal

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"mime"
	"net/http"
	"path"
)

//go:embed pages/*.html
var pageFiles embed.FS

//go:embed assets
var assetFiles embed.FS

// A view is what a template is given. Body is the page's own part.
type view struct {
	Title   string
	Brand   string
	Section string // the place in the navigation
	Owner   bool   // somebody is signed in
	Email   string // theirs, if they have one
	Form    string // the token every form carries
	Body    any
}

var templates = parsePages(pageFiles)

// parsePages makes the pages by name, each with the layout around it. It panics
// on a page that is none: they are part of the program.
func parsePages(files fs.FS) map[string]*template.Template {
	layout := template.Must(template.New("layout").Funcs(template.FuncMap{"asset": assetPath, "capital": capital}).
		ParseFS(files, "pages/layout.html", "pages/parts.html", "pages/icons.html"))
	names, err := fs.Glob(files, "pages/*.html")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	pages := map[string]*template.Template{}
	for _, name := range names {
		pages[path.Base(name)] = template.Must(template.Must(layout.Clone()).ParseFS(files, name))
	}
	return pages
}

// show answers with a page. It is rendered whole first, so that a fault in it
// never leaves half a page.
func (p *Portal) show(w http.ResponseWriter, v visit, status int, name string, content view) error {
	content.Brand, content.Owner, content.Email = p.brand, !v.Account.IsZero(), v.Email
	if v.secret != nil {
		content.Form = v.formToken()
	}
	var out bytes.Buffer
	if err := p.pages[name].ExecuteTemplate(&out, "layout", content); err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(out.Bytes()) // the browser is gone if this fails
	return nil
}

// A problem is why a request has no answer, and what to do about it, for the
// owner to read.
type problem struct {
	Status     int
	Title      string
	Text       string
	Link, Word string // where to go on; empty: to the first page
	Code       string // what was typed, for a page that asks for a code
	AskCode    bool
}

func (e problem) Error() string { return e.Title + ": " + e.Text }

// Problems of any page.
var (
	errNoPage  = problem{Status: http.StatusNotFound, Title: "There is nothing here", Text: "The address may be mistyped or old."}
	errForeign = problem{Status: http.StatusForbidden, Title: "This page was too old",
		Text: "What you sent did not come from a page of this visit, so nothing was changed. Go on from here and do it once more."}
	errOurs = problem{Status: http.StatusInternalServerError, Title: "Something failed here",
		Text: "It is our fault, not yours. Look whether your change is there before you make it again."}
)

func (p *Portal) showProblem(w http.ResponseWriter, v visit, e problem) {
	if e.Link == "" {
		e.Link, e.Word = home, "Go to your choices"
	}
	if err := p.show(w, v, e.Status, "problem.html", view{Title: e.Title, Body: e}); err != nil {
		p.log.Error("problem page failed", "err", err)
		http.Error(w, e.Title, e.Status)
	}
}

// assetNames are the names under which assets are served: with a part of their
// content's hash, so that browsers may keep them for ever.
var assetNames, assetContents = func() (map[string]string, map[string][]byte) {
	names, contents := map[string]string{}, map[string][]byte{}
	files, err := fs.Glob(assetFiles, "assets/*")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for _, file := range files {
		content, err := assetFiles.ReadFile(file)
		if err != nil {
			panic(err) // it was listed
		}
		sum := sha256.Sum256(content)
		ext := path.Ext(file)
		base := path.Base(file)
		served := base[:len(base)-len(ext)] + "." + hex.EncodeToString(sum[:6]) + ext
		names[base], contents[served] = served, content
	}
	return names, contents
}()

func assetPath(name string) (string, error) {
	served, ok := assetNames[name]
	if !ok {
		return "", fmt.Errorf("no asset %q", name)
	}
	return "/assets/" + served, nil
}

func asset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	content, ok := assetContents[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Write(content) // the browser is gone if this fails
}
