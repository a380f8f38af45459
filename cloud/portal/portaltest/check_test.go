package portaltest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/cloud/portal/portaltest"
)

// A listener hears what a check complains about.
type listener struct {
	testing.TB
	heard []string
}

func (l *listener) Helper() {}

func (l *listener) Errorf(format string, args ...any) {
	l.heard = append(l.heard, fmt.Sprintf(format, args...))
}

// A page that is as it should be is heard of in silence; the same page with one
// fault is not.
func TestCheckHearsEachFault(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	b.Register()
	page := b.Get("/consents")
	check := func(text string) []string {
		l := &listener{TB: t}
		d := &portaltest.Document{T: l, Status: page.Status, Header: page.Header, Text: text, Root: portaltest.Parse(t, text)}
		d.Check()
		return l.heard
	}
	if heard := check(page.Text); heard != nil {
		t.Fatalf("a good page: %q", heard)
	}
	for _, fault := range []string{
		`<script>act()</script>`, `<input type="checkbox" checked aria-label="x">`, `<a href="https://elsewhere.example">x</a>`,
		`<p style="color:red">x</p>`, `<h1>again</h1>`, `<form method="post" action="/consents"><button>no token</button></form>`, `<button></button>`,
	} {
		if heard := check(strings.Replace(page.Text, "</main>", fault+"</main>", 1)); heard == nil {
			t.Errorf("not heard of: %s", fault)
		}
	}
}
