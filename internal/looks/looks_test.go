package main

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/browser"
	"github.com/cardea-id/cardea/internal/stage"
	"github.com/cardea-id/cardea/pairing"
)

// The programs and the browser are started once, the house by each test anew.
var (
	bin string
	one *browser.Browser
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if bin, err = os.MkdirTemp("", "looks-bin-"); err == nil {
			defer os.RemoveAll(bin)
			if err = stage.Build(bin); err == nil {
				one, err = browser.Start(context.Background(), browser.Config{})
			}
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer one.Close()
		return m.Run()
	}())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, mail bool) *house {
	t.Helper()
	h, err := newHouse(t.Context(), bin, one, mail)
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(h.Logs())
		}
		must(t, h.Close())
	})
	return h
}

// narrow looks for pages that one has to scroll sideways on the smallest screen,
// and for buttons too small for a finger.
type narrow struct {
	t     *testing.T
	pages int
}

// German has the longest words.
func (n *narrow) languages() []string { return []string{"de"} }

func (n *narrow) at(p *browser.Page, kind, language string) error {
	n.pages++
	if err := p.SetLook(browser.Look{Width: 320, Height: 640}); err != nil {
		return err
	}
	over, err := p.Overflow()
	if err != nil {
		return err
	}
	if over > 0 {
		n.t.Errorf("%s in %s: %d px beside the window", kind, language, over)
	}
	boxes, err := p.Boxes("main button, main a.solid, .hinge > *")
	if err != nil {
		return err
	}
	for _, b := range boxes {
		if b.Height < 44 {
			n.t.Errorf("%s in %s: a button is %.0f px high", kind, language, b.Height)
		}
	}
	pairs, err := p.Boxes(".hinge > *")
	for i := 0; i+1 < len(pairs); i += 2 {
		if no, yes := pairs[i], pairs[i+1]; no.Width != yes.Width || no.Height != yes.Height || no.Y != yes.Y {
			n.t.Errorf("%s in %s: no is %v, yes is %v", kind, language, no, yes)
		}
	}
	if err != nil {
		return err
	}
	var unlike []string
	err = p.Run(unlikeLeaves, &unlike)
	for _, words := range unlike {
		n.t.Errorf("%s in %s: %q are two answers that look unlike", kind, language, words)
	}
	return err
}

// unlikeLeaves are the words of each hinge whose leaves are not set alike: an
// answer is a link on one page and a button on another.
const unlikeLeaves = `[...document.querySelectorAll(".hinge")].filter(hinge => new Set([...hinge.children].map(leaf => {
	const s = getComputedStyle(leaf)
	return [s.fontSize, s.fontWeight, s.color, s.backgroundColor, s.borderTopColor, s.borderTopWidth, s.display, s.padding].join()
})).size > 1).map(hinge => hinge.innerText)`

func (n *narrow) done() error { return nil }

// TestPages: no page has to be scrolled sideways on a small telephone, and of two
// answers side by side neither is larger, nearer or higher; and an owner gets
// along by the keyboard alone, and without scripts.
func TestPages(t *testing.T) {
	h := open(t, false)
	for name, look := range map[string]browser.Look{"keyboard": {}, "no scripts": {NoScript: true}} {
		t.Run(name, func(t *testing.T) {
			p, err := one.Page(look)
			must(t, err)
			defer p.Close()
			live(t, h, p, strings.ReplaceAll(name, " ", "-")+"@example.com")
		})
	}
	n := &narrow{t: t}
	must(t, h.everyKind(t.Context(), n, "", map[string]bool{}))
	t.Attr("pages", fmt.Sprint(n.pages))
}

// walk presses Tab until the focus is where it should be, and sees that it can be
// seen on the way.
func walk(t *testing.T, p *browser.Page, there func(browser.Element) bool) browser.Element {
	t.Helper()
	var passed []string
	for range 200 {
		must(t, p.Key(browser.Tab))
		e, err := p.Focus()
		must(t, err)
		if e.Tag != "body" && !e.Ring {
			t.Errorf("<%s> %q has the focus and one does not see it", e.Tag, e.Name)
		}
		if there(e) {
			return e
		}
		passed = append(passed, e.Tag+" "+e.Name)
	}
	t.Fatalf("the keyboard does not lead there; it passed %s", strings.Join(passed, ", "))
	return browser.Element{}
}

func called(tag, name string) func(browser.Element) bool {
	return func(e browser.Element) bool { return e.Tag == tag && e.Name == name }
}

// live has an owner register, add a device, allow something and stop it again, by
// the keyboard alone.
func live(t *testing.T, h *house, p *browser.Page, email string) {
	t.Helper()
	code, err := h.asks(t.Context(), &pairing.Client{Issuer: h.URL, ClientID: "tv-app"}, "tv")
	must(t, err)
	must(t, p.Open(h.URL+"/register?next=%2Fpair%3Fcode%3D"+code))
	walk(t, p, func(e browser.Element) bool { return e.Tag == "input" && e.Name == "E-mail" })
	must(t, p.Type(email))
	walk(t, p, func(e browser.Element) bool { return e.Tag == "input" && e.Name == "Password" })
	must(t, p.Type(password))
	must(t, p.Go(browser.Enter))
	walk(t, p, called("button", "Approve"))
	must(t, p.Go(browser.Enter))
	must(t, p.Open(h.URL+"/consents"))
	for _, step := range []struct{ press, says string }{{"Allow", "Allowed until"}, {"Don’t allow", "Off"}} {
		walk(t, p, called("button", step.press))
		must(t, p.Go(browser.Enter))
		text, err := p.Text()
		must(t, err)
		if !strings.Contains(text, step.says) {
			t.Errorf("after %s the page says\n%s", step.press, text)
		}
	}
	walk(t, p, called("button", "Deutsch"))
	must(t, p.Go(browser.Enter))
	if text, err := p.Text(); err != nil || !strings.Contains(text, "Ihre Entscheidungen") {
		t.Errorf("in German the page says %s, %v", text, err)
	}
	if wrong := p.Complaints(); len(wrong) > 0 {
		t.Errorf("complaints: %s", strings.Join(wrong, "; "))
	}
}

func TestSheets(t *testing.T) {
	red := image.NewRGBA(image.Rect(0, 0, 30, 60))
	for i := range red.Pix {
		red.Pix[i] = []uint8{255, 0, 0, 255}[i%4]
	}
	small := smaller(red, 3)
	if small.Bounds() != image.Rect(0, 0, 10, 20) || small.At(9, 19) != (color.RGBA{255, 0, 0, 255}) {
		t.Errorf("smaller: %v %v", small.Bounds(), small.At(9, 19))
	}
	sheet := contacts([]image.Image{small, small, small}, 2)
	if want := image.Rect(0, 0, 3*gap+20, 3*gap+40); sheet.Bounds() != want {
		t.Errorf("sheet %v, want %v", sheet.Bounds(), want)
	}
	if at := sheet.At(gap+9, 2*gap+39); at != (color.RGBA{255, 0, 0, 255}) {
		t.Errorf("the third picture is not in the second row: %v", at)
	}
}

func TestArguments(t *testing.T) {
	for _, args := range [][]string{nil, {"nonsense"}, {"-nonsense"}} {
		if err := run(t.Context(), args, t.Output()); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
}

func TestTemplates(t *testing.T) {
	names, err := templates()
	must(t, err)
	if !slices.Contains(names, "consents") || slices.Contains(names, "layout") {
		t.Errorf("pages %v", names)
	}
	if _, err := pagesAmong([]string{filepath.Join(t.TempDir(), "none.html")}); err == nil {
		t.Error("a file that is not there was read")
	}
}
