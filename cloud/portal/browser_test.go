package portal_test

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/cardea-id/cardea"
)

// A browser keeps cookies, follows no redirect by itself and sends forms as
// browsers do.
type browser struct {
	t     testing.TB
	house *house
	jar   http.CookieJar
	site  string // what it says of where a form stood
	from  string
}

func (h *house) browser(t testing.TB) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, house: h, jar: jar, site: "same-origin", from: "203.0.113.7:40000"}
}

var base = &url.URL{Scheme: "http", Host: "cardea.test"}

// A document is a page that was answered.
type document struct {
	t      testing.TB
	Status int
	Header http.Header
	Text   string
	root   *html.Node
}

func (b *browser) do(r *http.Request) *document {
	b.t.Helper()
	for _, c := range b.jar.Cookies(base) {
		r.AddCookie(c)
	}
	r.RemoteAddr = b.from
	w := httptest.NewRecorder()
	b.house.ServeHTTP(w, r)
	b.jar.SetCookies(base, w.Result().Cookies())
	text, err := io.ReadAll(w.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return &document{t: b.t, Status: w.Code, Header: w.Header(), Text: string(text), root: parse(b.t, string(text))}
}

func parse(t testing.TB, text string) *html.Node {
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func (b *browser) get(path string) *document {
	b.t.Helper()
	return b.do(httptest.NewRequest("GET", "http://cardea.test"+path, nil))
}

func (b *browser) post(path string, fields url.Values) *document {
	b.t.Helper()
	r := httptest.NewRequest("POST", "http://cardea.test"+path, strings.NewReader(fields.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if b.site != "" {
		r.Header.Set("Sec-Fetch-Site", b.site)
	}
	return b.do(r)
}

// follow gets where a page leads, with the fragment left out as browsers do.
func (b *browser) follow(d *document) *document {
	b.t.Helper()
	if d.Status != http.StatusSeeOther {
		b.t.Fatalf("status %d, want a redirect; page:\n%s", d.Status, d.Text)
	}
	path, _, _ := strings.Cut(d.Header.Get("Location"), "#")
	return b.get(path)
}

// press submits the form that has a button with these words, as pressing it
// does, with fields typed over those it has.
func (b *browser) press(d *document, words string, typed ...string) *document {
	b.t.Helper()
	f := d.form(words)
	for i := 0; i+1 < len(typed); i += 2 {
		f.fields.Set(typed[i], typed[i+1])
	}
	if f.method == "get" {
		return b.get(f.action + "?" + f.fields.Encode())
	}
	return b.post(f.action, f.fields)
}

// register makes an account and signs in.
func (b *browser) register() cardea.AccountID {
	b.t.Helper()
	return b.registerAs(testEmail)
}

func (b *browser) registerAs(email string) cardea.AccountID {
	b.t.Helper()
	d := b.press(b.get("/register"), "Create account", "email", email, "password", testPassword)
	if d.Status != http.StatusSeeOther {
		b.t.Fatalf("register: status %d\n%s", d.Status, d.Text)
	}
	login, err := b.house.db.LoginByEmail(context.Background(), email)
	if err != nil {
		b.t.Fatal(err)
	}
	return login.Account
}

// A form as it stands on a page, with the button that is pressed.
type form struct {
	method, action string
	fields         url.Values
}

func (d *document) form(words string) form {
	d.t.Helper()
	for f := range d.all("form") {
		for b := range within(f, "button") {
			if textOf(b) == words || attr(b, "aria-label") == words {
				out := form{strings.ToLower(attr(f, "method")), attr(f, "action"), url.Values{}}
				for in := range within(f, "input") {
					if kind := attr(in, "type"); (kind == "radio" || kind == "checkbox") && !hasAttr(in, "checked") {
						continue
					}
					out.fields.Set(attr(in, "name"), attr(in, "value"))
				}
				if name := attr(b, "name"); name != "" {
					out.fields.Set(name, attr(b, "value"))
				}
				return out
			}
		}
	}
	d.t.Fatalf("no button %q on the page:\n%s", words, d.Text)
	panic("unreachable")
}

// all walks the elements of a name; "" is every element.
func (d *document) all(name string) func(func(*html.Node) bool) { return within(d.root, name) }

func within(root *html.Node, name string) func(func(*html.Node) bool) {
	return func(yield func(*html.Node) bool) {
		for n := range root.Descendants() {
			if n.Type == html.ElementNode && (name == "" || n.Data == name) && !yield(n) {
				return
			}
		}
	}
}

// find is the element with the id, or nil.
func (d *document) find(id string) *html.Node {
	for n := range d.all("") {
		if attr(n, "id") == id {
			return n
		}
	}
	return nil
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func hasAttr(n *html.Node, key string) bool {
	for _, a := range n.Attr {
		if a.Key == key {
			return true
		}
	}
	return false
}

// textOf is what is read of an element, with space made single.
func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func (d *document) mustSay(words ...string) {
	d.t.Helper()
	text := textOf(d.root)
	for _, w := range words {
		if !strings.Contains(text, w) {
			d.t.Errorf("page does not say %q:\n%s", w, text)
		}
	}
}
