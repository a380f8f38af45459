package portaltest

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

// A Browser keeps cookies, follows no redirect by itself and sends forms as
// browsers do.
type Browser struct {
	T     testing.TB
	House *House
	Jar   http.CookieJar
	Site  string // what it says of where a form stood
	From  string
}

// Browser is one that knows nothing yet.
func (h *House) Browser(t testing.TB) *Browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Browser{T: t, House: h, Jar: jar, Site: "same-origin", From: "203.0.113.7:40000"}
}

// Base is the address of the portal.
var Base = &url.URL{Scheme: "http", Host: "cardea.test"}

// A Document is a page that was answered.
type Document struct {
	T      testing.TB
	Status int
	Header http.Header
	Text   string
	Root   *html.Node
}

// Do sends a request as it is, with the cookies.
func (b *Browser) Do(r *http.Request) *Document {
	b.T.Helper()
	for _, c := range b.Jar.Cookies(Base) {
		r.AddCookie(c)
	}
	r.RemoteAddr = b.From
	w := httptest.NewRecorder()
	b.House.ServeHTTP(w, r)
	b.Jar.SetCookies(Base, w.Result().Cookies())
	text, err := io.ReadAll(w.Body)
	if err != nil {
		b.T.Fatal(err)
	}
	page := string(text)
	if b.House.rewrite != nil {
		page = b.House.rewrite(page)
	}
	return &Document{T: b.T, Status: w.Code, Header: w.Header(), Text: page, Root: Parse(b.T, page)}
}

// Parse reads a page.
func Parse(t testing.TB, text string) *html.Node {
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// Get opens a page.
func (b *Browser) Get(path string) *Document {
	b.T.Helper()
	return b.Do(httptest.NewRequest("GET", "http://cardea.test"+path, nil))
}

// Post sends fields as if from a form.
func (b *Browser) Post(path string, fields url.Values) *Document {
	b.T.Helper()
	r := httptest.NewRequest("POST", "http://cardea.test"+path, strings.NewReader(fields.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if b.Site != "" {
		r.Header.Set("Sec-Fetch-Site", b.Site)
	}
	return b.Do(r)
}

// Follow gets where a page leads, with the fragment left out as browsers do.
func (b *Browser) Follow(d *Document) *Document {
	b.T.Helper()
	if d.Status != http.StatusSeeOther {
		b.T.Fatalf("status %d, want a redirect; page:\n%s", d.Status, d.Text)
	}
	path, _, _ := strings.Cut(d.Header.Get("Location"), "#")
	return b.Get(path)
}

// Press submits the form that has a button with these words, as pressing it
// does, with fields typed over those it has.
func (b *Browser) Press(d *Document, words string, typed ...string) *Document {
	b.T.Helper()
	f := d.Form(words)
	for i := 0; i+1 < len(typed); i += 2 {
		f.Fields.Set(typed[i], typed[i+1])
	}
	if f.Method == "get" {
		return b.Get(f.Action + "?" + f.Fields.Encode())
	}
	return b.Post(f.Action, f.Fields)
}

// Register makes an account and signs in.
func (b *Browser) Register() cardea.AccountID {
	b.T.Helper()
	return b.RegisterAs(Email)
}

// RegisterAs makes an account with an address and the tests' password.
func (b *Browser) RegisterAs(email string) cardea.AccountID {
	b.T.Helper()
	d := b.Press(b.Get("/register"), "Create account", "email", email, "password", Password)
	if d.Status != http.StatusSeeOther {
		b.T.Fatalf("register: status %d\n%s", d.Status, d.Text)
	}
	login, err := b.House.DB.LoginByEmail(context.Background(), email)
	if err != nil {
		b.T.Fatal(err)
	}
	return login.Account
}

// A Form as it stands on a page, with the button that is pressed.
type Form struct {
	Method, Action string
	Fields         url.Values
}

// Form is the one with a button of these words.
func (d *Document) Form(words string) Form {
	d.T.Helper()
	for f := range d.All("form") {
		for b := range Within(f, "button") {
			if TextOf(b) == words || Attr(b, "aria-label") == words {
				out := Form{strings.ToLower(Attr(f, "method")), Attr(f, "action"), url.Values{}}
				for in := range Within(f, "input") {
					if kind := Attr(in, "type"); (kind == "radio" || kind == "checkbox") && !HasAttr(in, "checked") {
						continue
					}
					out.Fields.Set(Attr(in, "name"), Attr(in, "value"))
				}
				if name := Attr(b, "name"); name != "" {
					out.Fields.Set(name, Attr(b, "value"))
				}
				if there := Attr(b, "formaction"); there != "" {
					out.Action = there
				}
				return out
			}
		}
	}
	d.T.Fatalf("no button %q on the page:\n%s", words, d.Text)
	panic("unreachable")
}

// All walks the elements of a name; "" is every element.
func (d *Document) All(name string) func(func(*html.Node) bool) { return Within(d.Root, name) }

// Within walks the elements of a name below one; "" is every element.
func Within(root *html.Node, name string) func(func(*html.Node) bool) {
	return func(yield func(*html.Node) bool) {
		for n := range root.Descendants() {
			if n.Type == html.ElementNode && (name == "" || n.Data == name) && !yield(n) {
				return
			}
		}
	}
}

// Find is the element with the id, or nil.
func (d *Document) Find(id string) *html.Node {
	for n := range d.All("") {
		if Attr(n, "id") == id {
			return n
		}
	}
	return nil
}

// Attr is an attribute of an element, or "".
func Attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// HasAttr reports whether an element has an attribute, whatever its value.
func HasAttr(n *html.Node, key string) bool {
	for _, a := range n.Attr {
		if a.Key == key {
			return true
		}
	}
	return false
}

// TextOf is what is read of an element, with space made single.
func TextOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// MustSay fails the test unless each of the words stands on the page.
func (d *Document) MustSay(words ...string) {
	d.T.Helper()
	text := TextOf(d.Root)
	for _, w := range words {
		if !strings.Contains(text, w) {
			d.T.Errorf("page does not say %q:\n%s", w, text)
		}
	}
}

// Facet is what the page shows and offers for a key, at one device or everywhere.
func (d *Document) Facet(key cardea.Key, device cardea.DeviceID) (form *html.Node) {
	for f := range d.All("form") {
		if strings.Contains(Attr(f, "class"), "facet") || Attr(f, "class") == "place" {
			if Value(f, "key") == string(key) && Value(f, "device") == string(device) {
				return f
			}
		}
	}
	d.T.Fatalf("%s is not asked on %q:\n%s", key, device, d.Text)
	return nil
}

// Value is that of a field of a form.
func Value(form *html.Node, name string) string {
	for in := range Within(form, "input") {
		if Attr(in, "name") == name {
			return Attr(in, "value")
		}
	}
	return ""
}

// Tap presses a button of one facet and opens what follows.
func (b *Browser) Tap(d *Document, key cardea.Key, device cardea.DeviceID, words string) *Document {
	b.T.Helper()
	return b.Follow(b.Send(d.Facet(key, device), words))
}

// Send submits a form with one of its buttons.
func (b *Browser) Send(f *html.Node, words string) *Document {
	b.T.Helper()
	fields := url.Values{}
	for in := range Within(f, "input") {
		fields.Set(Attr(in, "name"), Attr(in, "value"))
	}
	for button := range Within(f, "button") {
		if TextOf(button) == words {
			fields.Set(Attr(button, "name"), Attr(button, "value"))
			return b.Post(Attr(f, "action"), fields)
		}
	}
	b.T.Fatalf("no button %q in %s", words, TextOf(f))
	return nil
}

// Card is what the page shows of a device.
func (d *Document) Card(name string) *html.Node {
	d.T.Helper()
	for n := range d.All("article") {
		for h := range Within(n, "h2") {
			if TextOf(h) == name {
				return n
			}
		}
	}
	d.T.Fatalf("no device %q:\n%s", name, d.Text)
	return nil
}

// First is the first element of a walk, or nil.
func First(seq func(func(*html.Node) bool)) (out *html.Node) {
	for n := range seq {
		return n
	}
	return nil
}

// Leave presses the button to sign in elsewhere and returns where the browser is
// then sent back to, without going there.
func (b *Browser) Leave(d *Document, words string) string {
	b.T.Helper()
	d = b.Press(d, words)
	if d.Status != http.StatusOK {
		b.T.Fatalf("on the way there: status %d\n%s", d.Status, d.Text)
	}
	for a := range d.All("a") {
		if TextOf(a) == "Continue to Elsewhere" {
			return b.AnswerOf(Attr(a, "href"))
		}
	}
	b.T.Fatalf("no way on:\n%s", d.Text)
	panic("unreachable")
}

// AnswerOf asks the provider as the browser does, on a real connection.
func (b *Browser) AnswerOf(there string) string {
	b.T.Helper()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r, err := client.Get(there)
	if err != nil {
		b.T.Fatal(err)
	}
	defer r.Body.Close()
	back, ok := strings.CutPrefix(r.Header.Get("Location"), "http://cardea.test")
	if !ok {
		b.T.Fatalf("the provider answered %s, to %q", r.Status, r.Header.Get("Location"))
	}
	return back
}

// Elsewhere signs in with the provider.
func (b *Browser) Elsewhere() *Document {
	b.T.Helper()
	return b.Get(b.Leave(b.Get("/signin"), "Continue with Elsewhere"))
}

// Who is the account a browser is signed in to.
func (b *Browser) Who() cardea.AccountID {
	b.T.Helper()
	for _, c := range b.Jar.Cookies(Base) {
		if c.Name == "cardea_session" {
			return b.House.Session(b.T, c.Value)
		}
	}
	return cardea.AccountID{}
}

// Items are the decisions on a page, as they are read.
func Items(d *Document) (all []string) {
	for li := range d.All("li") {
		if li.Parent.Data == "ol" {
			all = append(all, TextOf(li))
		}
	}
	return all
}
