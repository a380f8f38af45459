package browser

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// A Look is how somebody looks at a page.
type Look struct {
	Width, Height int     // of the window, in CSS pixels; default 1280 x 800
	Scale         float64 // pixels of the screen for one of CSS; default 1
	Dark          bool
	NoScript      bool   // scripts do not run
	Language      string // what Accept-Language says; default: the browser's
	Still         bool   // nothing moves: prefers-reduced-motion
}

// phone is the width below which the window is a phone's.
const phone = 600

// SetLook changes how the page is looked at. What it was loaded with, its
// language and its scripts, changes when it is loaded anew.
func (p *Page) SetLook(l Look) error {
	if l.Width == 0 {
		l.Width, l.Height = 1280, 800
	}
	if l.Scale == 0 {
		l.Scale = 1
	}
	theme, motion := "light", "no-preference"
	if l.Dark {
		theme = "dark"
	}
	if l.Still {
		motion = "reduce"
	}
	headers := network.Headers{}
	if l.Language != "" {
		headers["Accept-Language"] = l.Language
	}
	p.look = l
	err := p.do(
		emulation.SetDeviceMetricsOverride(int64(l.Width), int64(l.Height), l.Scale, l.Width < phone),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: motion},
		}),
		emulation.SetScriptExecutionDisabled(l.NoScript),
		network.SetExtraHTTPHeaders(headers),
	)
	if err != nil {
		return fmt.Errorf("look at the page in another way: %w", err)
	}
	return nil
}

// Shot is a picture of the whole page, as PNG.
func (p *Page) Shot() ([]byte, error) {
	var out []byte
	err := p.do(chromedp.ActionFunc(func(ctx context.Context) error {
		_, _, _, _, _, size, err := page.GetLayoutMetrics().Do(ctx)
		if err != nil {
			return err
		}
		clip := &page.Viewport{Width: float64(p.look.Width), Height: max(size.Height, float64(p.look.Height)), Scale: 1}
		out, err = page.CaptureScreenshot().WithCaptureBeyondViewport(true).WithClip(clip).Do(ctx)
		return err
	}))
	if err != nil {
		return nil, fmt.Errorf("picture: %w", err)
	}
	return out, nil
}

// Picture is Shot, decoded.
func (p *Page) Picture() (image.Image, error) {
	raw, err := p.Shot()
	if err != nil {
		return nil, err
	}
	return png.Decode(bytes.NewReader(raw))
}

// Overflow is how many CSS pixels of the page lie beside the window, to be
// scrolled to: none, on a page that is well made.
func (p *Page) Overflow() (int, error) {
	var beside int
	return beside, p.Run(fmt.Sprintf("Math.max(0, document.documentElement.scrollWidth - %d)", p.look.Width), &beside)
}
