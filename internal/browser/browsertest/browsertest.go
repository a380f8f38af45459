// Package browsertest puts a person in front of a real browser: what they can not
// do, or do not read, fails the test, and the taps of their thumb are counted. It
// is for tests.
package browsertest

import (
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/browser"
)

// A Person looks at one page, in a browser that knows nobody else. Taps are those
// that led to another page.
type Person struct {
	T    testing.TB
	Page *browser.Page
	Taps int
}

// Start starts a browser that ends with the test.
func Start(t testing.TB) *browser.Browser {
	t.Helper()
	b, err := browser.Start(t.Context(), browser.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// New is somebody with an empty page, which is closed when the test ends.
func New(t testing.TB, b *browser.Browser, look browser.Look) *Person {
	t.Helper()
	page, err := b.Page(look)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { page.Close() })
	return &Person{T: t, Page: page}
}

// Must ends the test on an error of the browser.
func (p *Person) Must(err error) {
	p.T.Helper()
	if err != nil {
		p.T.Fatal(err)
	}
}

// Open goes to an address, by scanning a code or from what is kept: no tap.
func (p *Person) Open(address string) {
	p.T.Helper()
	p.Must(p.Page.Open(address))
}

// Tap presses what is called so and leads on.
func (p *Person) Tap(name string) {
	p.T.Helper()
	p.Must(p.Page.Press(name))
	p.Taps++
}

// TapIn is the same for the button of a selector in a part of the page.
func (p *Person) TapIn(part, button string) {
	p.T.Helper()
	p.Must(p.Page.PressIn(part, button))
	p.Taps++
}

// Fill types into a field.
func (p *Person) Fill(label, text string) {
	p.T.Helper()
	p.Must(p.Page.Fill(label, text))
}

// Counted is how many taps something takes.
func (p *Person) Counted(does func()) int {
	before := p.Taps
	does()
	return p.Taps - before
}

// Says fails the test unless the page says all of it.
func (p *Person) Says(words ...string) {
	p.T.Helper()
	text := p.Text()
	for _, w := range words {
		if !strings.Contains(text, w) {
			p.T.Errorf("the page does not say %q:\n%s", w, text)
		}
	}
}

// SaysNot fails the test if the page says any of it.
func (p *Person) SaysNot(words ...string) {
	p.T.Helper()
	text := p.Text()
	for _, w := range words {
		if strings.Contains(text, w) {
			p.T.Errorf("the page says %q:\n%s", w, text)
		}
	}
}

// Text is what the page says.
func (p *Person) Text() string {
	p.T.Helper()
	text, err := p.Page.Text()
	p.Must(err)
	return text
}

// Is asks the page whether a script's value is true.
func (p *Person) Is(script string) (is bool) {
	p.T.Helper()
	p.Must(p.Page.Run("!!("+script+")", &is))
	return is
}

// Await waits until a script's value is true, without the page being loaded anew.
func (p *Person) Await(script string) {
	p.T.Helper()
	p.Must(p.Page.Await(script))
}

// At fails the test unless the page is at a path that begins so.
func (p *Person) At(path string) {
	p.T.Helper()
	if at, err := p.Page.Path(); err != nil || !strings.HasPrefix(at, path) {
		p.T.Errorf("at %q, %v, want %s; it says\n%s", at, err, path, p.Text())
	}
}

// Content fails the test if something went wrong that no reader would see.
func (p *Person) Content() {
	p.T.Helper()
	if wrong := p.Page.Complaints(); len(wrong) > 0 {
		p.T.Errorf("the browser complains: %q", wrong)
	}
}
