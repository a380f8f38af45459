package browser

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// A Page is one open page of a person who has no other. It is used by one
// goroutine at a time.
type Page struct {
	ctx     context.Context
	cancel  context.CancelFunc
	browser *Browser
	jar     cdp.BrowserContextID // where its cookies are
	look    Look
	loaded  chan struct{}

	mu         sync.Mutex
	host       string
	complaints []string
}

// Page opens an empty page, with no cookies.
func (b *Browser) Page(look Look) (*Page, error) {
	id, jar, err := b.window()
	if err != nil {
		return nil, fmt.Errorf("open a page: %w", err)
	}
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithTargetID(id))
	p := &Page{ctx: ctx, cancel: cancel, browser: b, jar: jar, loaded: make(chan struct{}, 1)}
	chromedp.ListenTarget(ctx, p.hear)
	if err := p.do(network.Enable(), page.Enable(), runtime.Enable()); err != nil {
		cancel()
		return nil, fmt.Errorf("open a page: %w", err)
	}
	return p, p.SetLook(look)
}

// window opens an empty one that shares nothing with any other.
func (b *Browser) window() (target.ID, cdp.BrowserContextID, error) {
	ctx := cdp.WithExecutor(b.ctx, chromedp.FromContext(b.ctx).Browser)
	jar, err := target.CreateBrowserContext().Do(ctx)
	if err != nil {
		return "", "", err
	}
	id, err := target.CreateTarget("about:blank").WithBrowserContextID(jar).WithNewWindow(true).Do(ctx)
	return id, jar, err
}

// Close closes the page and forgets its cookies.
func (p *Page) Close() error {
	p.cancel()
	return target.DisposeBrowserContext(p.jar).Do(cdp.WithExecutor(p.browser.ctx, chromedp.FromContext(p.browser.ctx).Browser))
}

// hear keeps what happens on the page.
func (p *Page) hear(event any) {
	switch e := event.(type) {
	case *page.EventLoadEventFired:
		select {
		case p.loaded <- struct{}{}:
		default:
		}
	case *runtime.EventExceptionThrown:
		p.complain("script failed: " + e.ExceptionDetails.Error())
	case *network.EventRequestWillBeSent:
		p.mu.Lock()
		host := p.host
		p.mu.Unlock()
		if u, err := url.Parse(e.Request.URL); err == nil && u.Host != "" && host != "" && u.Host != host {
			p.complain("asked another host: " + u.Host)
		}
	case *network.EventLoadingFailed:
		if !e.Canceled {
			p.complain("could not load: " + e.ErrorText)
		}
	}
}

func (p *Page) complain(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.complaints = append(p.complaints, what)
}

// Complaints are what went wrong since the last call that no reader would see:
// scripts that failed, and requests that failed or went elsewhere.
func (p *Page) Complaints() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.complaints
	p.complaints = nil
	return out
}

// do runs actions within Patience.
func (p *Page) do(actions ...chromedp.Action) error {
	// The first run of a context makes its page, which must outlive this call.
	if chromedp.FromContext(p.ctx).Target == nil {
		if err := chromedp.Run(p.ctx); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(p.ctx, Patience)
	defer cancel()
	return chromedp.Run(ctx, actions...)
}

// loading does something that makes the browser load a page, and waits until it
// is there.
func (p *Page) loading(what string, act ...chromedp.Action) error {
	select {
	case <-p.loaded:
	default:
	}
	if err := p.do(act...); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	ctx, cancel := context.WithTimeout(p.ctx, Patience)
	defer cancel()
	select {
	case <-p.loaded:
		return nil
	case <-ctx.Done():
		where, _ := p.URL()
		return fmt.Errorf("%s: no page came within %s: at %s", what, Patience, where)
	}
}

// Open goes to an address.
func (p *Page) Open(address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	p.mu.Lock()
	p.host = strings.ToLower(u.Host)
	p.mu.Unlock()
	return p.loading("open "+address, chromedp.ActionFunc(func(ctx context.Context) error {
		_, _, failed, _, err := page.Navigate(address).Do(ctx)
		if err == nil && failed != "" {
			err = fmt.Errorf("%s", failed)
		}
		return err
	}))
}

// URL is where the page is.
func (p *Page) URL() (string, error) {
	var at string
	return at, p.Run("location.href", &at)
}

// Path is the path and query of where the page is.
func (p *Page) Path() (string, error) {
	at, err := p.URL()
	if err != nil {
		return "", err
	}
	u, err := url.Parse(at)
	if err != nil {
		return "", err
	}
	return u.RequestURI(), nil
}

// Run evaluates a script in the page and waits for its value, if that is a
// promise. It runs even where the page's own scripts do not.
func (p *Page) Run(script string, out any) error {
	wait := func(e *runtime.EvaluateParams) *runtime.EvaluateParams { return e.WithAwaitPromise(true) }
	if err := p.do(chromedp.Evaluate(script, out, wait)); err != nil {
		return fmt.Errorf("run %.60q: %w", strings.TrimSpace(script), err)
	}
	return nil
}

// Await waits until a script's value is true, looking again whenever the page
// changes. It does not load the page anew.
func (p *Page) Await(script string) error {
	var ok bool
	return p.Run(`new Promise(done => {
		const look = () => { if (`+script+`) { watch.disconnect(); done(true); } };
		const watch = new MutationObserver(look);
		watch.observe(document, {subtree: true, childList: true, characterData: true, attributes: true});
		look();
	})`, &ok)
}

// Text is what a reader sees of the page.
func (p *Page) Text() (string, error) {
	var text string
	return text, p.Run("document.body.innerText", &text)
}

// Title is the page's title.
func (p *Page) Title() (string, error) {
	var text string
	return text, p.Run("document.title", &text)
}

// SetCookie gives the page's person a cookie of the host it is on.
func (p *Page) SetCookie(name, value, address string) error {
	return p.do(network.SetCookie(name, value).WithURL(address))
}
