package portaltest

import (
	"regexp"
	"strings"
	"time"

	"golang.org/x/net/html"
)

// Check demands what every page promises.
func (d *Document) Check() {
	d.T.Helper()
	checkHeaders(d)
	checkFrame(d)
	checkInert(d)
	checkForms(d)
	checkNames(d)
	checkTimes(d)
	checkPairs(d)
}

func checkHeaders(d *Document) {
	csp := d.Header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		d.T.Errorf("content security policy %q", csp)
	}
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Content-Type": "text/html; charset=utf-8", "X-Content-Type-Options": "nosniff",
		"X-Frame-Options": "DENY", "Referrer-Policy": "same-origin",
	} {
		if got := d.Header.Get(name); got != want {
			d.T.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// checkFrame: a language, a title, one heading of the first level, one main
// part, ids that are there once.
func checkFrame(d *Document) {
	count := map[string]int{}
	ids := map[string]bool{}
	for n := range d.All("") {
		count[n.Data]++
		if n.Data == "html" && Attr(n, "lang") != "en" || n.Data == "title" && !strings.HasSuffix(TextOf(n), " · Hearth") {
			d.T.Errorf("<%s> is %q", n.Data, TextOf(n))
		}
		if id := Attr(n, "id"); id != "" {
			if ids[id] {
				d.T.Errorf("id %q is there twice", id)
			}
			ids[id] = true
		}
	}
	for _, name := range []string{"h1", "main", "header", "title"} {
		if count[name] != 1 {
			d.T.Errorf("%d <%s>, want 1", count[name], name)
		}
	}
	for n := range d.All("") {
		for id := range strings.FieldsSeq(Attr(n, "aria-describedby") + " " + Attr(n, "for")) {
			if !ids[id] {
				d.T.Errorf("<%s> names %q, which is not on the page", n.Data, id)
			}
		}
	}
}

// checkInert: nothing is ticked, nothing acts, nothing comes from elsewhere.
func checkInert(d *Document) {
	for n := range d.All("") {
		if n.Data == "script" && (!strings.HasPrefix(Attr(n, "src"), "/assets/") || TextOf(n) != "") {
			d.T.Errorf("there is a script that is no asset of ours: %q", TextOf(n))
		}
		if n.Data == "style" || n.Data == "iframe" || n.Data == "object" {
			d.T.Errorf("there is a <%s>", n.Data)
		}
		for _, a := range n.Attr {
			switch {
			case a.Key == "checked" || a.Key == "style" || strings.HasPrefix(a.Key, "on"):
				d.T.Errorf("<%s> has %s", n.Data, a.Key)
			case (a.Key == "href" || a.Key == "src" || a.Key == "action") && (!strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "#") || strings.HasPrefix(a.Val, "//")):
				d.T.Errorf("<%s %s=%q> leads elsewhere", n.Data, a.Key, a.Val)
			}
		}
	}
}

// checkForms: what changes something is a POST with the token; only the form
// that asks for a code is a GET, and the choice of a language needs no token. No two forms share a field.
func checkForms(d *Document) {
	for f := range d.All("form") {
		switch method := Attr(f, "method"); {
		case method == "get" && Attr(f, "action") == "/pair", method == "post" && Attr(f, "action") == "/language":
			continue
		case method != "post":
			d.T.Errorf("form to %s is a %s", Attr(f, "action"), method)
		}
		token := 0
		for in := range Within(f, "input") {
			if Attr(in, "name") == "form" && len(Attr(in, "value")) == 43 {
				token++
			}
		}
		if token != 1 {
			d.T.Errorf("form to %s has %d tokens, want 1", Attr(f, "action"), token)
		}
	}
}

// checkNames: whatever can be used says what it is.
func checkNames(d *Document) {
	labelled := map[string]bool{}
	for l := range d.All("label") {
		labelled[Attr(l, "for")] = TextOf(l) != ""
	}
	for n := range d.All("") {
		switch n.Data {
		case "input", "select":
			if Attr(n, "type") != "hidden" && !labelled[Attr(n, "id")] {
				d.T.Errorf("field %q has no label", Attr(n, "name"))
			}
		case "button", "a":
			name, text := Attr(n, "aria-label"), TextOf(n)
			if text == "" && !HasAttr(n, "hidden") {
				d.T.Errorf("a <%s> has no words", n.Data)
			}
			if name != "" && !strings.HasPrefix(name, text) {
				d.T.Errorf("%q is called %q: who says what they see can not use it", text, name)
			}
		case "svg":
			if Attr(n, "aria-hidden") != "true" {
				d.T.Error("a picture is read out")
			}
		case "fieldset":
			if l := n.FirstChild; l == nil || nextElement(l).Data != "legend" {
				d.T.Error("a group has no name")
			}
		}
	}
}

func nextElement(n *html.Node) *html.Node {
	for n.Type != html.ElementNode {
		n = n.NextSibling
	}
	return n
}

// checkTimes: every instant can be read by a machine, and by a person who wonders
// in which zone.
func checkTimes(d *Document) {
	said := regexp.MustCompile(` UTC$| UTC on \d+ \w+( \d{4})?$|^just now$| ago$|^\d+ \w+ \d{4}$|^on \d+ \w+ \d{4}$`)
	for n := range d.All("time") {
		if _, err := time.Parse("2006-01-02T15:04:05.000Z", Attr(n, "datetime")); err != nil {
			d.T.Error(err)
		}
		if !said.MatchString(TextOf(n)) {
			d.T.Errorf("time says %q", TextOf(n))
		}
	}
}

// checkPairs: two answers to one question differ in nothing but their words.
func checkPairs(d *Document) {
	for n := range d.All("div") {
		if Attr(n, "class") != "hinge" {
			continue
		}
		var leaves []*html.Node
		for c := range n.ChildNodes() {
			if c.Type == html.ElementNode {
				leaves = append(leaves, c)
			}
		}
		if len(leaves) != 2 {
			d.T.Fatalf("%d answers side by side, want 2", len(leaves))
		}
		for _, leaf := range leaves {
			if HasAttr(leaf, "class") || HasAttr(leaf, "disabled") || HasAttr(leaf, "autofocus") {
				d.T.Errorf("%q is made to look or work apart", TextOf(leaf))
			}
		}
	}
}
