package browser_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/browser"
)

// one is the browser of all tests: it takes a second to start.
var one *browser.Browser

func TestMain(m *testing.M) {
	os.Exit(func() int {
		b, err := browser.Start(context.Background(), browser.Config{})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer b.Close()
		one = b
		return m.Run()
	}())
}

// serve answers with a page whose body is given, at every path.
func serve(t *testing.T, body string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>A page</title>
<link rel="icon" href="data:,"><style>body { background: white } @media (prefers-color-scheme: dark) { body { background: black; color: white } }</style>
<body>%s<p>At %s in %s, said %s</p></body></html>`, body, r.URL.Path, r.Header.Get("Accept-Language"), r.FormValue("name"))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func open(t *testing.T, look browser.Look, url string) *browser.Page {
	t.Helper()
	p, err := one.Page(look)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	must(t, p.Open(url))
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func says(t *testing.T, p *browser.Page, words ...string) {
	t.Helper()
	text, err := p.Text()
	must(t, err)
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("the page does not say %q:\n%s", w, text)
		}
	}
}

func TestHands(t *testing.T) {
	url := serve(t, `<form action="/sent"><label>Your name <input name="name" value="old"></label><button>Send it</button></form>
		<details><summary>More</summary><p>unfolded</p></details><a href="/gone">Go on</a>`)
	p := open(t, browser.Look{Language: "th"}, url)
	must(t, p.Fill("Your name", "new"))
	must(t, p.Press("Send it"))
	says(t, p, "At /sent in th, said new")
	must(t, p.Click("More"))
	says(t, p, "unfolded")
	must(t, p.PressIn("body", "a[href]"))
	if path, err := p.Path(); err != nil || path != "/gone" {
		t.Errorf("at %s: %v", path, err)
	}
	if err := p.Press("Nothing"); err == nil || !strings.Contains(err.Error(), `nothing called "Nothing"`) {
		t.Errorf("press nothing: %v", err)
	}
	if err := p.Fill("Nothing", "x"); err == nil {
		t.Error("typed into nothing")
	}
}

func TestKeysAlone(t *testing.T) {
	url := serve(t, `<form action="/sent"><label>Name <input name="name"></label><button>Send</button></form>`)
	p := open(t, browser.Look{}, url)
	must(t, p.Key(browser.Tab))
	e, err := p.Focus()
	must(t, err)
	if e.Tag != "input" || e.Name != "Name" || e.Box.Width == 0 {
		t.Errorf("focus %+v", e)
	}
	must(t, p.Type("keys"))
	must(t, p.Key(browser.Tab))
	if e, err = p.Focus(); err != nil || e.Tag != "button" || !e.Ring {
		t.Errorf("focus %+v: %v", e, err)
	}
	must(t, p.Go(browser.Enter))
	says(t, p, "said keys")
}

func TestLooks(t *testing.T) {
	url := serve(t, `<div id="wide" style="width: 400px; height: 3000px">x</div><noscript>no script</noscript><script>document.body.append("script ran")</script>`)
	for _, c := range []struct {
		look browser.Look
		says string
		over int
		r    uint32
	}{
		{browser.Look{Width: 320, Height: 640}, "script ran", 88, 0xffff},
		{browser.Look{Width: 1280, Height: 640, Dark: true}, "script ran", 0, 0},
		{browser.Look{Width: 768, Height: 640, NoScript: true}, "no script", 0, 0xffff},
	} {
		p := open(t, c.look, url)
		says(t, p, c.says)
		over, err := p.Overflow()
		must(t, err)
		if over < c.over-16 || over > c.over+16 {
			t.Errorf("%+v: %d px beside the window, want about %d", c.look, over, c.over)
		}
		img, err := p.Picture()
		must(t, err)
		r, _, _, _ := img.At(c.look.Width-2, 2).RGBA()
		if img.Bounds().Dx() != c.look.Width || img.Bounds().Dy() < 3000 || r != c.r {
			t.Errorf("%+v: picture %v, corner %x", c.look, img.Bounds(), r)
		}
	}
}

func TestBoxes(t *testing.T) {
	p := open(t, browser.Look{}, serve(t, `<button style="position: absolute; left: 10px; top: 2000px; width: 100px; height: 40px">A</button>`))
	boxes, err := p.Boxes("button")
	must(t, err)
	if len(boxes) != 1 || boxes[0] != (browser.Box{X: 10, Y: 2000, Width: 100, Height: 40}) {
		t.Errorf("boxes %+v", boxes)
	}
}

func TestComplaints(t *testing.T) {
	p := open(t, browser.Look{}, serve(t, `<script>undefined_thing()</script><img src="http://127.0.0.1:9/x.png">`))
	all := strings.Join(p.Complaints(), "\n")
	for _, want := range []string{"script failed", "asked another host: 127.0.0.1:9", "could not load"} {
		if !strings.Contains(all, want) {
			t.Errorf("complaints lack %q:\n%s", want, all)
		}
	}
	if again := p.Complaints(); len(again) > 0 {
		t.Errorf("told twice: %v", again)
	}
}

// Each page is another person's.
func TestPagesShareNothing(t *testing.T) {
	url := serve(t, `<script>document.body.append("cookie " + document.cookie)</script>`)
	p := open(t, browser.Look{}, url)
	must(t, p.SetCookie("who", "me", url))
	must(t, p.Open(url))
	says(t, p, "cookie who=me")
	if text, err := open(t, browser.Look{}, url).Text(); err != nil || strings.Contains(text, "who=me") {
		t.Errorf("another page has the cookie: %s %v", text, err)
	}
}

func TestAuthenticator(t *testing.T) {
	url := strings.Replace(serve(t, ""), "127.0.0.1", "localhost", 1)
	p := open(t, browser.Look{}, url)
	a, err := p.Authenticator()
	must(t, err)
	var id string
	must(t, p.Run(`navigator.credentials.create({publicKey: {challenge: new Uint8Array(16), rp: {name: "x"}, user: {id: new Uint8Array(4), name: "n", displayName: "d"},
		pubKeyCredParams: [{type: "public-key", alg: -7}], authenticatorSelection: {residentKey: "required", userVerification: "required"}}}).then(c => c.id)`, &id))
	kept, err := a.Credentials()
	must(t, err)
	if len(kept) != 1 || id == "" {
		t.Errorf("%d passkeys, id %q", len(kept), id)
	}
	must(t, a.Verified(false))
	must(t, a.Forget())
	must(t, a.Remove())
}

func TestGlyphs(t *testing.T) {
	p := open(t, browser.Look{}, serve(t, `<p>Übung 한국어 ไทย 日本語</p>`))
	n, missing, err := p.Glyphs()
	must(t, err)
	if n < 20 || len(missing) > 0 {
		t.Errorf("%d characters, missing %v", n, missing)
	}
	// A character that is for private use is in no font.
	p = open(t, browser.Look{}, serve(t, "<p>a \U000F1234 b</p>"))
	if _, missing, err = p.Glyphs(); err != nil || len(missing) == 0 || !strings.Contains(missing[0], "U+F1234") {
		t.Errorf("missing %v: %v", missing, err)
	}
}

// A stand-in for axe-core shows that the page is given to it and its answer read.
func TestAxe(t *testing.T) {
	p := open(t, browser.Look{}, serve(t, `<img alt="">`))
	got, err := p.Axe(`window.axe = {run: async () => ({violations: [{id: "image-alt", help: "Say it", impact: "critical", nodes: [{html: "<img>", any: [{message: "no"}]}]}]})}`)
	must(t, err)
	if len(got) != 1 || got[0].String() != `image-alt (critical): Say it: ["<img> (no)"]` {
		t.Errorf("findings %v", got)
	}
}

func TestNoBrowser(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := browser.Start(t.Context(), browser.Config{}); err == nil || !strings.Contains(err.Error(), "make chromium") {
		t.Errorf("started without a browser: %v", err)
	}
}
