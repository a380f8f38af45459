package browsertest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/cardea-id/cardea/internal/browser"
	"github.com/cardea-id/cardea/internal/browser/browsertest"
)

// A teller is a test that fails and goes on.
type teller struct {
	testing.TB
	errors int
}

func (l *teller) Errorf(string, ...any) { l.errors++ }

func TestPerson(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!doctype html><html lang="en"><title>A page</title><link rel="icon" href="data:,">
<form action="/sent"><label>Name <input name="name"></label><button>Send</button></form><p>At %s, said %s</p>`, r.URL.Path, r.FormValue("name"))
		if r.URL.Path == "/sent" {
			io.WriteString(w, `<script>addEventListener("load", () => setTimeout(() => document.body.append("later")))</script>`)
		}
	}))
	t.Cleanup(server.Close)
	p := browsertest.New(t, browsertest.Start(t), browser.Look{})
	taps := p.Counted(func() {
		p.Open(server.URL)
		p.Fill("Name", "Ada")
		p.Tap("Send")
		p.Await(`document.body.innerText.includes("later")`)
		p.Says("At /sent", "said Ada", "later")
		p.TapIn("form", "button")
	})
	if taps != 2 || p.Is("document.forms.length === 2") {
		t.Errorf("%d taps", taps)
	}
	p.At("/sent?name=")
	p.Content()

	failed := &teller{TB: t}
	wrong := &browsertest.Person{T: failed, Page: p.Page}
	wrong.Says("Grace")
	wrong.SaysNot("At /sent")
	wrong.At("/elsewhere")
	if p.Must(p.Page.Run("undefined_thing = 1; setTimeout(() => other_thing(), 0); new Promise(done => setTimeout(done, 50))", nil)); true {
		wrong.Content()
	}
	if failed.errors != 4 {
		t.Errorf("%d of 4 were noticed", failed.errors)
	}
}
