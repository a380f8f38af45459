package owner

import (
	"net/url"
	"strings"

	"golang.org/x/net/html"
)

// find looks for the button with these words, of several the one that stands
// closest to the words near, and the form it sends. A button of something else is
// none.
func (o *Owner) find(words, near string) (button, form *html.Node) {
	best := -1
	for n := range o.page.Descendants() {
		if !isButton(n) || !strings.EqualFold(label(n), words) {
			continue
		}
		f := o.formOf(n)
		if d := distance(n, near); f != nil && d >= 0 && (best < 0 || d < best) {
			best, button, form = d, n, f
		}
	}
	if best > 0 && elsewhere(button, near, best) {
		return nil, nil
	}
	return button, form
}

// elsewhere reports that the words near, which stand distance elements around a
// button, have buttons of their own there: then this one belongs to its own
// neighbour, such as the next question of a list. A button that names them itself,
// to those who do not see the page, belongs to them.
func elsewhere(button *html.Node, near string, distance int) bool {
	around := button
	for range distance {
		around = around.Parent
	}
	for c := range around.ChildNodes() {
		if strings.Contains(text(c), near) && hasButton(c) {
			return true
		}
	}
	return false
}

func hasButton(n *html.Node) bool {
	for d := range n.Descendants() {
		if isButton(d) {
			return true
		}
	}
	return false
}

// link looks for a link as find does for a button.
func (o *Owner) link(words, near string) (link *html.Node) {
	best := -1
	for n := range o.page.Descendants() {
		if n.Type != html.ElementNode || n.Data != "a" || !strings.EqualFold(text(n), words) {
			continue
		}
		if d := distance(n, near); d >= 0 && (best < 0 || d < best) {
			best, link = d, n
		}
	}
	return link
}

// distance is how many elements around n must be taken in until near is among
// what they say, or -1. What n is called by those who do not see it counts.
func distance(n *html.Node, near string) int {
	if strings.Contains(attr(n, "aria-label"), near) {
		return 0
	}
	for d := 0; n != nil; n, d = n.Parent, d+1 {
		if strings.Contains(text(n), near) {
			return d
		}
	}
	return -1
}

func isButton(n *html.Node) bool {
	if n.Type != html.ElementNode {
		return false
	}
	return n.Data == "button" && attr(n, "type") != "button" || n.Data == "input" && attr(n, "type") == "submit"
}

func label(n *html.Node) string {
	if n.Data == "input" {
		return attr(n, "value")
	}
	return text(n)
}

// formOf is the form a button belongs to: named by its form attribute, or
// around it.
func (o *Owner) formOf(button *html.Node) *html.Node {
	if id := attr(button, "form"); id != "" {
		for n := range o.page.Descendants() {
			if n.Type == html.ElementNode && n.Data == "form" && attr(n, "id") == id {
				return n
			}
		}
	}
	for n := range button.Ancestors() {
		if n.Type == html.ElementNode && n.Data == "form" {
			return n
		}
	}
	return nil
}

// fields collects what a form would send if nothing were touched but the boxes the
// owner ticks: one that is not ticked sends nothing.
func (o *Owner) fields(form *html.Node) url.Values {
	values := url.Values{}
	for n := range form.Descendants() {
		if n.Type != html.ElementNode || attr(n, "name") == "" {
			continue
		}
		switch n.Data {
		case "input":
			o.addInput(values, n)
		case "select":
			values.Set(attr(n, "name"), selected(n))
		case "textarea":
			values.Set(attr(n, "name"), text(n))
		}
	}
	return values
}

func (o *Owner) addInput(values url.Values, n *html.Node) {
	switch attr(n, "type") {
	case "submit", "button", "image", "reset":
	case "checkbox", "radio":
		if value := attr(n, "value"); has(n, "checked") || o.tick[value] {
			values.Add(attr(n, "name"), value)
		}
	default:
		values.Set(attr(n, "name"), attr(n, "value"))
	}
}

func selected(n *html.Node) string {
	first, found := "", false
	for option := range n.Descendants() {
		if option.Type != html.ElementNode || option.Data != "option" {
			continue
		}
		value := attr(option, "value")
		if !has(option, "value") {
			value = text(option)
		}
		if has(option, "selected") {
			return value
		}
		if !found {
			first, found = value, true
		}
	}
	return first
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}

// text is what a part of a page says, spaces made one.
func text(n *html.Node) string {
	var b strings.Builder
	write(&b, n)
	return strings.Join(strings.Fields(b.String()), " ")
}

func write(b *strings.Builder, n *html.Node) {
	if n.Type == html.TextNode {
		b.WriteString(n.Data)
	}
	if n.Type == html.ElementNode && (n.Data == "style" || n.Data == "script" || n.Data == "head") {
		return
	}
	for c := range n.ChildNodes() {
		write(b, c)
	}
	b.WriteByte(' ')
}
