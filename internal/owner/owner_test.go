package owner_test

import (
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/owner"
)

const shop = `<html><head><title>no</title></head><body>
<section><h2>Tea</h2><form method="post" action="/buy"><input type="hidden" name="what" value="tea">
<input name="note" value=""><input type="checkbox" name="gift" value="1">
<select name="size"><option value="s">S</option><option value="l" selected>L</option></select>
<button name="do" value="yes">Buy</button><button name="do" value="no" formaction="/leave">Leave</button></form></section>
<section><h2>Cake</h2><form method="post" action="/buy"><input type="hidden" name="what" value="cake">
<button name="do" value="yes">Buy</button></form></section>
<ul><li>Tea <a href="second">Onward</a></li><li>Cake <a href="third">Onward</a></li></ul>
<noscript><form action="/plain"><button>Without scripts</button></form></noscript><p>Ready at <time datetime="2026-01-02T03:04:05Z">then</time></p></body></html>`

func serve(t *testing.T) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "seen", Value: "1"})
		fmt.Fprint(w, shop)
	})
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		_, err := r.Cookie("seen")
		fmt.Fprintf(w, "<p>%s %s cookie=%t origin=%t site=%s", r.URL.Path, html.EscapeString(r.PostForm.Encode()), err == nil,
			strings.HasSuffix(r.Header.Get("Origin"), r.Host), r.Header.Get("Sec-Fetch-Site"))
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func TestPress(t *testing.T) {
	s := serve(t)
	for _, test := range []struct{ words, near, want string }{
		{"Buy", "Cake", "/buy do=yes&what=cake cookie=true origin=true site=same-origin"},
		{"buy", "Tea", "/buy do=yes&note=please&size=l&what=tea cookie=true origin=true site=same-origin"},
		{"Leave", "", "/leave do=no&note=please&size=l&what=tea cookie=true origin=true site=same-origin"},
	} {
		o := owner.New(nil)
		if err := o.Open(t.Context(), s.URL); err != nil {
			t.Fatal(err)
		}
		o.Fill("note", "please")
		o.Fill("nowhere", "not sent")
		if err := o.Press(t.Context(), test.words, test.near); err != nil {
			t.Fatal(err)
		}
		if o.Text() != test.want {
			t.Errorf("%s near %s: %s\nwant %s", test.words, test.near, o.Text(), test.want)
		}
	}
}

// Where a question's own button is gone, its neighbour's is not pressed instead.
func TestPressStaysWithItsQuestion(t *testing.T) {
	const page = `<main><article><form><p>Music?</p><button name="music" value="no">Stop</button></form></article>
<article><form><p>Voice?</p><button name="voice" value="yes">Allow</button></form>
<form><p>stopped there</p><button name="here" value="yes" aria-label="Allow here. Voice?">Allow here</button></form></article></main>`
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, page) }))
	t.Cleanup(s.Close)
	for _, test := range []struct{ words, near, query string }{
		{"Allow", "Voice?", "voice=yes"},
		{"Allow here", "Voice?", "here=yes"},
		{"Stop", "Music?", "music=no"},
		{"Allow", "Music?", ""},
		{"Allow here", "Music?", ""},
		{"Stop", "Voice?", ""},
	} {
		o := owner.New(nil)
		if err := o.Open(t.Context(), s.URL); err != nil {
			t.Fatal(err)
		}
		err := o.Press(t.Context(), test.words, test.near)
		if test.query == "" != errors.Is(err, owner.ErrNoButton) || o.URL().RawQuery != test.query {
			t.Errorf("%s near %s: sent %q, %v", test.words, test.near, o.URL().RawQuery, err)
		}
	}
}

func TestTick(t *testing.T) {
	s := serve(t)
	o := owner.New(nil)
	if err := o.Open(t.Context(), s.URL); err != nil {
		t.Fatal(err)
	}
	o.Tick("1")
	if err := o.Press(t.Context(), "Buy", "Tea"); err != nil || !strings.Contains(o.Text(), "do=yes&gift=1&note=&size=l&what=tea") {
		t.Errorf("%s: %v", o.Text(), err)
	}
}

func TestFollow(t *testing.T) {
	s := serve(t)
	o := owner.New(nil)
	if err := o.Open(t.Context(), s.URL+"/first"); err != nil {
		t.Fatal(err)
	}
	if err := o.Follow(t.Context(), "onward"); err != nil || o.URL().Path != "/second" {
		t.Errorf("at %s: %v", o.URL(), err)
	}
	if err := o.FollowNear(t.Context(), "onward", "Cake"); err != nil || o.URL().Path != "/third" {
		t.Errorf("at %s: %v", o.URL(), err)
	}
	if err := o.Follow(t.Context(), "nowhere"); err == nil {
		t.Error("followed a link that is not there")
	}
	if err := o.FollowNear(t.Context(), "onward", "Coffee"); err == nil {
		t.Error("followed a link near nothing")
	}
}

// What a page has for browsers without scripts is on the page.
func TestNoScripts(t *testing.T) {
	s := serve(t)
	o := owner.New(nil)
	if err := o.Open(t.Context(), s.URL); err != nil {
		t.Fatal(err)
	}
	if err := o.Press(t.Context(), "Without scripts", ""); err != nil || o.URL().Path != "/plain" {
		t.Errorf("at %s: %v", o.URL(), err)
	}
}

func TestWhatIsNotThereIsNotPressed(t *testing.T) {
	s := serve(t)
	o := owner.New(nil)
	if err := o.Open(t.Context(), s.URL); err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{"Steal", "Tea"} {
		if err := o.Press(t.Context(), words, ""); err == nil {
			t.Errorf("pressed %q", words)
		}
	}
	if got := o.Times(); len(got) != 1 || got[0] != "2026-01-02T03:04:05Z" {
		t.Errorf("times = %v", got)
	}
}
