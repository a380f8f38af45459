package choices_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/cloud/portal/portaltest"
	"github.com/cardea-id/cardea/internal/browser"
	"github.com/cardea-id/cardea/internal/browser/browsertest"
)

// A reader is an owner who looks at the portal with a real browser.
type reader struct {
	*browsertest.Person
	house   *portaltest.House
	account cardea.AccountID
	url     string
}

// TestInARealBrowser: two answers are as large as each other, a no takes no more
// taps than a yes, pairing takes two, and the page goes on saying what devices do.
func TestInARealBrowser(t *testing.T) {
	h := portaltest.Open(t)
	server := httptest.NewServer(http.HandlerFunc(h.ServeHTTP))
	t.Cleanup(server.Close)
	t.Cleanup(h.Desk.Live.Close)
	b := h.Browser(t)
	p := &reader{
		Person: browsertest.New(t, browsertest.Start(t), browser.Look{Width: 390, Height: 800, Language: "en"}),
		house:  h, account: b.Register(), url: server.URL,
	}
	for _, c := range b.Jar.Cookies(portaltest.Base) {
		p.Must(p.Page.SetCookie(c.Name, c.Value, server.URL))
	}
	h.Link(t, p.account, portaltest.HubDevice("Kitchen"))
	t.Run("answers are alike", p.answersAreAlike)
	t.Run("taps", p.countTaps)
	t.Run("live", p.livePage)
	t.Run("live devices", p.liveDevices)
	p.Content()
}

// answersAreAlike measures every pair of answers, at each width.
func (p *reader) answersAreAlike(t *testing.T) {
	p.T = t
	pairs := 0
	for _, width := range []int{320, 390, 1280} {
		p.Must(p.Page.SetLook(browser.Look{Width: width, Height: 800, Language: "en"}))
		p.Open(p.url + "/consents")
		boxes, err := p.Page.Boxes(".hinge > *")
		p.Must(err)
		for i := 0; i+1 < len(boxes); i += 2 {
			no, yes := boxes[i], boxes[i+1]
			pairs++
			if no.Width != yes.Width || no.Height != yes.Height || no.Y != yes.Y || no.Width < 44 || no.Height < 44 {
				t.Errorf("at %d: one answer is %+v, the other %+v", width, no, yes)
			}
		}
		if wide, err := p.Page.Overflow(); err != nil || wide > 0 {
			t.Errorf("at %d the page is %d too wide, %v", width, wide, err)
		}
	}
	if pairs < 9 {
		t.Errorf("%d pairs measured", pairs)
	}
}

// countTaps counts what a thumb does, from the page that is open.
func (p *reader) countTaps(t *testing.T) {
	p.T = t
	p.Open(p.url + "/consents")
	give := p.Counted(func() { p.Tap("Allow") })
	if !p.Is(`document.querySelector(".facet .state.on")`) {
		t.Error("allowed, and the page does not say so")
	}
	back := p.Counted(func() { p.Tap("Don’t allow") })
	if p.Is(`document.querySelector(".facet .state.on")`) {
		t.Error("taken back, and the page does not say so")
	}
	code := p.house.ASpeaker()
	pair := p.Counted(func() {
		p.Open(p.url + "/pair?code=" + string(code)) // the scan
		p.Taps++
		p.Tap("Approve")
	})
	t.Logf("taps: give=%d withdraw=%d pair=%d", give, back, pair)
	if give != 1 || back > give || pair != 2 || p.house.Pairings.Answered(code) == "" {
		t.Errorf("%d taps to give, %d to take back, %d to pair", give, back, pair)
	}
}

// livePage: what a device does appears by itself, what holds the focus stays, and
// nothing scrolls.
func (p *reader) livePage(t *testing.T) {
	p.T = t
	behind := p.house.Devices.Get()
	behind[0].State, behind[0].Online = hub.StateWaiting, false
	p.house.Devices.Set(behind...)
	p.Open(p.url + "/consents")
	if !p.Is(`document.querySelector(".progress.waiting")`) {
		t.Fatal("the device is not behind")
	}
	defer p.changes()()
	p.Must(p.Page.Run(`window.button = document.querySelector("#c-recommendations-use button"); button.focus(); window.scrollTo(0, 300)`, nil))
	b := p.house.Browser(t)
	b.Press(b.Get("/signin"), "Sign in", "email", portaltest.Email, "password", portaltest.Password)
	b.Send(b.Get("/consents").Facet(recommendations, ""), "Allow") // in another browser
	behind[0].State, behind[0].Online = hub.StateApplied, true
	p.house.Devices.Set(behind...)

	p.Await(`!document.querySelector(".progress.waiting")`)
	if !p.Is(`document.activeElement === button && button.isConnected && window.scrollY === 300`) {
		t.Error("the focus or the page has moved")
	}
	if p.Is(`document.querySelector("#c-recommendations-use .state.on")`) {
		t.Error("what holds the focus was put anew under the person's hand")
	}
	p.Must(p.Page.Run(`button.blur()`, nil))
	p.Await(`document.querySelector("#c-recommendations-use .state.on")`)
}

// changes says again and again that something has changed: the browser opens its
// stream in its own time.
func (p *reader) changes() (stop func()) {
	ended := make(chan struct{})
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ended:
				return
			case <-tick.C:
				p.house.Desk.Live.Changed(desk.StreamOf(p.account))
			}
		}
	}()
	return func() { close(ended) }
}

// liveDevices: the page of devices tells as it happens that one is in step.
func (p *reader) liveDevices(t *testing.T) {
	p.T = t
	behind := p.house.Devices.Get()
	behind[0].State, behind[0].Online, behind[0].AppliedAt = hub.StateWaiting, false, time.Time{}
	p.house.Devices.Set(behind...)
	p.Open(p.url + "/devices")
	if p.Is(`document.querySelector(".applied")`) {
		t.Fatal("the device is in step")
	}
	defer p.changes()()
	behind[0].State, behind[0].Online, behind[0].AppliedAt = hub.StateApplied, true, time.Now()
	p.house.Devices.Set(behind...)
	p.Await(`document.querySelector(".machine .applied")`)
}
