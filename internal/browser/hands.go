package browser

import (
	"encoding/json"
	"fmt"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Keys for Key.
const (
	Tab       = kb.Tab
	Enter     = kb.Enter
	Space     = " "
	ArrowDown = kb.ArrowDown
	Escape    = kb.Escape
)

// A Box is where an element is drawn, in CSS pixels from the top left of the page.
type Box struct{ X, Y, Width, Height float64 }

// An Element is one that has the focus.
type Element struct {
	Tag  string // "button"
	ID   string
	Name string // what a screen reader calls it, nearly: its label or its text
	Href string
	Box  Box
	Ring bool // whether one sees that it has the focus
}

// find is the script of functions that find elements by selector, or by what
// they are called: their label or text.
const find = `
const called = e => (e.getAttribute("aria-label") || (e.labels && e.labels.length ? e.labels[0].innerText : e.innerText) || "").replace(/\s+/g, " ").trim();
const named = (selector, name) => [...document.querySelectorAll(selector)].find(e => called(e) === name && e.getClientRects().length);
const boxOf = e => { const r = e.getBoundingClientRect(); return {X: r.x + scrollX, Y: r.y + scrollY, Width: r.width, Height: r.height}; };
`

func quote(s string) string {
	text, _ := json.Marshal(s) // a string always can
	return string(text)
}

// pressable is what is pressed, and fillable what is typed into.
const (
	pressable = "button, a[href], summary, input[type=radio], input[type=checkbox], label"
	fillable  = "input, textarea, select"
)

// Press presses the button or link of that name, with the mouse, and waits for
// the page it leads to.
func (p *Page) Press(name string) error {
	click, err := p.aim(pressable, name)
	if err != nil {
		return err
	}
	return p.loading("press "+name, click...)
}

// PressIn presses the first element of a selector below the first of another, and
// waits for the page it leads to.
func (p *Page) PressIn(within, selector string) error {
	e := "document.querySelector(" + quote(within) + ")?.querySelector(" + quote(selector) + ")"
	click, err := p.aimAt(e, "no "+selector+" in "+within)
	if err != nil {
		return err
	}
	return p.loading("press "+selector+" in "+within, click...)
}

// Click presses what leads nowhere: a box to tick, or something to unfold.
func (p *Page) Click(name string) error {
	click, err := p.aim(pressable, name)
	if err != nil {
		return err
	}
	return p.do(click...)
}

// aim finds an element by what it is called and says how to press it.
func (p *Page) aim(selector, name string) ([]chromedp.Action, error) {
	return p.aimAt("named("+quote(selector)+", "+quote(name)+")", "nothing called "+quote(name))
}

// aimAt brings the element of an expression into the window and says how to press
// its middle.
func (p *Page) aimAt(element, none string) ([]chromedp.Action, error) {
	var at *struct{ X, Y float64 }
	err := p.Run(`(() => {`+find+`const e = `+element+`; if (!e) return null;
		e.scrollIntoView({block: "center", behavior: "instant"});
		const r = e.getClientRects()[0]; return r ? {X: r.x + r.width / 2, Y: r.y + r.height / 2} : null; })()`, &at)
	if err != nil {
		return nil, err
	}
	if at == nil {
		where, _ := p.URL()
		text, _ := p.Text()
		return nil, fmt.Errorf("%s at %s, which says:\n%s", none, where, text)
	}
	button := func(kind input.MouseType) chromedp.Action {
		return input.DispatchMouseEvent(kind, at.X, at.Y).WithButton(input.Left).WithClickCount(1)
	}
	return []chromedp.Action{button(input.MousePressed), button(input.MouseReleased)}, nil
}

// Fill types into the field of that label, or of that name, in place of what was
// there.
func (p *Page) Fill(label, text string) error {
	var found bool
	err := p.Run(`(() => {`+find+`const e = named(`+quote(fillable)+`, `+quote(label)+`) || document.getElementsByName(`+quote(label)+`)[0]; if (!e) return false;
		e.focus(); if (e.select) e.select(); return true; })()`, &found)
	if err != nil {
		return err
	}
	if !found {
		where, _ := p.URL()
		return fmt.Errorf("no field called %q at %s", label, where)
	}
	return p.do(input.InsertText(text))
}

// Key presses keys, one after the other.
func (p *Page) Key(keys ...string) error {
	for _, key := range keys {
		if err := p.do(chromedp.KeyEvent(key)); err != nil {
			return fmt.Errorf("key %q: %w", key, err)
		}
	}
	return nil
}

// Go presses a key that leads to another page, and waits for that.
func (p *Page) Go(key string) error { return p.loading("key", chromedp.KeyEvent(key)) }

// Type types text where the focus is.
func (p *Page) Type(text string) error { return p.do(input.InsertText(text)) }

// Focus is the element that has the focus; its Tag is "body" where none has.
func (p *Page) Focus() (Element, error) {
	var e Element
	err := p.Run(`(() => {`+find+`const e = document.activeElement || document.body, s = getComputedStyle(e);
		const ring = x => x.matches(":focus-visible") && getComputedStyle(x).outlineStyle !== "none" && parseFloat(getComputedStyle(x).outlineWidth) > 0;
		const around = e.closest("label");
		const lit = ring(e) || !!around && getComputedStyle(around).outlineStyle !== "none";
		return {Tag: e.localName, ID: e.id, Name: called(e), Href: e.getAttribute("href") || "", Box: boxOf(e), Ring: lit}; })()`, &e)
	return e, err
}

// Boxes are where the elements of a selector are, in the page's order.
func (p *Page) Boxes(selector string) ([]Box, error) {
	var boxes []Box
	err := p.Run(`(() => {`+find+`return [...document.querySelectorAll(`+quote(selector)+`)].filter(e => e.getClientRects().length).map(boxOf); })()`, &boxes)
	return boxes, err
}
