// Package owner plays an owner with a phone: a browser without scripts. It
// knows only what a page shows. It follows links and redirects, keeps cookies,
// fills in fields by their name, and presses buttons by their words; it sends
// the headers by which servers tell a person's click from a forged one.
package owner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	"golang.org/x/net/html"
)

// maxPage bounds a page that is read.
const maxPage = 1 << 20

// ErrNoButton: the page has no such button or link.
var ErrNoButton = errors.New("not on the page")

// An Owner has one page open.
type Owner struct {
	http *http.Client
	page *html.Node
	url  *url.URL
	code int
	fill map[string]string
	tick map[string]bool // by the value of the box
}

// New gives an owner a phone with no cookies. transport may be nil.
func New(transport http.RoundTripper) *Owner {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err) // it has no options to be wrong
	}
	return &Owner{http: &http.Client{Jar: jar, Transport: transport}, fill: map[string]string{}, tick: map[string]bool{}}
}

// Open opens an address, as scanning a code does.
func (o *Owner) Open(ctx context.Context, address string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fmt.Errorf("open page: %w", err)
	}
	r.Header.Set("Sec-Fetch-Site", "none")
	return o.load(r)
}

// Fill remembers what to write into the field of a name when a form has one.
func (o *Owner) Fill(name, value string) { o.fill[name] = value }

// Tick ticks the box that stands for a value when a form has it.
func (o *Owner) Tick(value string) { o.tick[value] = true }

// Press presses the button with these words and opens what follows. If several
// buttons say the same, near is what stands closest around the right one.
func (o *Owner) Press(ctx context.Context, words, near string) error {
	button, form := o.find(words, near)
	if form == nil {
		return fmt.Errorf("%w: %q near %q on %s: %s", ErrNoButton, words, near, o.url, o.Text())
	}
	values := o.fields(form)
	for name := range values {
		if v, ok := o.fill[name]; ok {
			values.Set(name, v)
		}
	}
	if name := attr(button, "name"); name != "" {
		values.Set(name, attr(button, "value"))
	}
	return o.submit(ctx, button, form, values)
}

// Follow follows the first link with these words.
func (o *Owner) Follow(ctx context.Context, words string) error { return o.FollowNear(ctx, words, "") }

// FollowNear follows, of several links with these words, the one that near stands
// closest to.
func (o *Owner) FollowNear(ctx context.Context, words, near string) error {
	link := o.link(words, near)
	if link == nil {
		return fmt.Errorf("%w: no link %q near %q on %s: %s", ErrNoButton, words, near, o.url, o.Text())
	}
	target, err := o.url.Parse(attr(link, "href"))
	if err != nil {
		return fmt.Errorf("follow link: %w", err)
	}
	return o.Open(ctx, target.String())
}

func (o *Owner) submit(ctx context.Context, button, form *html.Node, values url.Values) error {
	action := attr(button, "formaction")
	if action == "" {
		action = attr(form, "action")
	}
	target, err := o.url.Parse(action)
	if err != nil {
		return fmt.Errorf("press button: %w", err)
	}
	if !strings.EqualFold(attr(form, "method"), http.MethodPost) {
		target.RawQuery = values.Encode()
		return o.Open(ctx, target.String())
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), strings.NewReader(values.Encode()))
	if err != nil {
		return fmt.Errorf("press button: %w", err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", o.url.Scheme+"://"+o.url.Host)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return o.load(r)
}

func (o *Owner) load(r *http.Request) error {
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Accept-Language", "en")
	answer, err := o.http.Do(r)
	if err != nil {
		return fmt.Errorf("open page: %w", err)
	}
	defer answer.Body.Close()
	page, err := html.ParseWithOptions(io.LimitReader(answer.Body, maxPage), html.ParseOptionEnableScripting(false))
	if err != nil {
		return fmt.Errorf("read page: %w", err)
	}
	o.page, o.url, o.code = page, answer.Request.URL, answer.StatusCode
	return nil
}

// URL is the address of the open page.
func (o *Owner) URL() *url.URL { return o.url }

// Status is the HTTP status the open page came with.
func (o *Owner) Status() int { return o.code }

// Text is what the open page says, in one line.
func (o *Owner) Text() string { return text(o.page) }

// Times lists the machine-readable times of the open page, in order.
func (o *Owner) Times() []string {
	var out []string
	for n := range o.page.Descendants() {
		if n.Type == html.ElementNode && n.Data == "time" {
			out = append(out, attr(n, "datetime"))
		}
	}
	return out
}

// Page is the open page, parsed.
func (o *Owner) Page() *html.Node { return o.page }
