package portal_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/portal"
)

// everyPage opens each page there is, with something on it.
func everyPage(t *testing.T) map[string]*document {
	h := open(t)
	anyone, owner := h.browser(t), h.browser(t)
	account := owner.register()
	h.furnish(t, owner, account)
	pages := map[string]*document{
		"sign in":       anyone.get("/signin?next=/pair%3Fcode%3DWDJB-MJHT"),
		"register":      anyone.get("/register"),
		"wrong sign in": anyone.press(anyone.get("/signin"), "Sign in", "email", "eve@example.com", "password", "x"),
		"bad address":   anyone.press(anyone.get("/register"), "Create account", "email", "nobody", "password", "x"),
		"bad password":  anyone.press(anyone.get("/register"), "Create account", "email", "eve@example.com", "password", "x"),
		"no page":       anyone.get("/nothing"),
		"foreign":       anyone.post("/signin", url.Values{}),
	}
	for name, path := range map[string]string{
		"consents": "/consents", "devices": "/devices", "history": "/history", "account": "/account", "type a code": "/pair", "pair": "/pair?code=WDJB-MJHT",
		"bad code": "/pair?code=hello", "wrong code": "/pair?code=XXXXXXXX", "approved": "/pair/approved?grant=the-grant",
		"declined": "/pair/declined", "unlink": "/devices/unlink?link=" + h.devices.get()[0].Link.String(),
		"unlink nothing": "/devices/unlink?link=x",
	} {
		pages[name] = owner.get(path)
	}
	for link := range h.devices.losses {
		pages["lost"] = owner.get("/devices/lost?link=" + link.String())
	}
	pages["bad name"] = owner.press(pages["pair"], "Approve", "name", strings.Repeat("x", 10<<10))
	h.pairings.asks.SameNetwork = false
	pages["pair from afar"] = owner.get("/pair?code=WDJB-MJHT")
	return pages
}

// furnish gives an owner devices in every state, a conflict, a stop on one
// device and a yes on another.
func (h *house) furnish(t *testing.T, b *browser, account cardea.AccountID) {
	now := time.Now()
	h.aSpeaker()
	speaker := h.link(t, account, hub.Device{Name: "Kitchen speaker", Kind: "speaker", Model: "Hearth Mini", Serial: "4F2A",
		Online: true, LastSeen: now, State: hub.StateApplied, AppliedAt: now.Add(-time.Hour), Grant: "the-grant"})
	car := h.link(t, account, hub.Device{Name: "Car", Kind: "car", LastSeen: now.Add(-3 * time.Hour), State: hub.StateStops,
		StopsBy: now.Add(40 * time.Minute), Stops: map[cardea.Key]time.Time{"recommendations/use": now.Add(40 * time.Minute)}})
	h.link(t, account, hub.Device{Name: "Hall", Kind: "doorbell", State: hub.StateWaiting})
	h.link(t, account, hub.Device{Name: "Old TV", Kind: "tv", State: hub.StateLeaving, StopsBy: now.Add(-time.Minute), LastSeen: now.AddDate(0, -2, 0)})
	radio := h.link(t, account, hub.Device{Name: "Bath radio", Kind: "speaker", Forked: true, Lost: true, State: hub.StateApplied, AppliedAt: now})
	h.devices.losses = map[cardea.LinkID]hub.Loss{radio.Link: {
		ID: cardea.NewID[cardea.LossID](), Device: radio, Given: []cardea.Key{"recommendations/use", "voice_clips/use"},
	}}
	h.link(t, account, hub.Device{Name: "Copy", Kind: "speaker", Forked: true, State: hub.StateStops, StopsBy: now.Add(-time.Minute)})

	before := h.head(t, account)
	h.decide(t, account, "recommendations/use", cardea.ActGrant, "", before)
	h.decide(t, account, "recommendations/use", cardea.ActDeny, "", h.head(t, account))
	h.decide(t, account, "recommendations/third_party", cardea.ActDeny, "", before)
	h.decide(t, account, "recommendations/third_party", cardea.ActGrant, "", before) // has not seen the no
	h.decide(t, account, "voice_clips/use", cardea.ActDeny, speaker.Device, before)
	h.decide(t, account, "voice_clips/use", cardea.ActGrant, "", before)
	h.decide(t, account, "routes/use", cardea.ActGrant, car.Device, before)
}

func (h *house) head(t testing.TB, account cardea.AccountID) cardea.Position {
	t.Helper()
	page, err := h.ledger.Page(t.Context(), account, "en")
	if err != nil {
		t.Fatal(err)
	}
	return page.Head
}

// decide puts a decision into the ledger past the pages.
func (h *house) decide(t testing.TB, account cardea.AccountID, key cardea.Key, act cardea.Act, device cardea.DeviceID, base cardea.Position) {
	t.Helper()
	cat, _ := h.ledger.Catalogue.Current()
	purpose, _ := cat.Purpose(key.Purpose())
	d := cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: act, Key: key, Version: purpose.Version, Notice: purpose.Notice("en"), Base: base}
	if _, err := h.ledger.Decide(t.Context(), account, cardea.ChannelPortal, cardea.Scope{Device: device}, d); err != nil {
		t.Fatal(err)
	}
}

func TestEveryPage(t *testing.T) {
	for name, d := range everyPage(t) {
		t.Run(name, func(t *testing.T) {
			d.t = t
			checkHeaders(d)
			checkFrame(d)
			checkInert(d)
			checkForms(d)
			checkNames(d)
			checkTimes(d)
			checkPairs(d)
		})
	}
}

func checkHeaders(d *document) {
	csp := d.Header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		d.t.Errorf("content security policy %q", csp)
	}
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Content-Type": "text/html; charset=utf-8", "X-Content-Type-Options": "nosniff",
		"X-Frame-Options": "DENY", "Referrer-Policy": "same-origin",
	} {
		if got := d.Header.Get(name); got != want {
			d.t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// checkFrame: a language, a title, one heading of the first level, one main
// part, ids that are there once.
func checkFrame(d *document) {
	count := map[string]int{}
	ids := map[string]bool{}
	for n := range d.all("") {
		count[n.Data]++
		if n.Data == "html" && attr(n, "lang") != "en" || n.Data == "title" && !strings.HasSuffix(textOf(n), " · Hearth") {
			d.t.Errorf("<%s> is %q", n.Data, textOf(n))
		}
		if id := attr(n, "id"); id != "" {
			if ids[id] {
				d.t.Errorf("id %q is there twice", id)
			}
			ids[id] = true
		}
	}
	for _, name := range []string{"h1", "main", "header", "title"} {
		if count[name] != 1 {
			d.t.Errorf("%d <%s>, want 1", count[name], name)
		}
	}
	for n := range d.all("") {
		for id := range strings.FieldsSeq(attr(n, "aria-describedby") + " " + attr(n, "for")) {
			if !ids[id] {
				d.t.Errorf("<%s> names %q, which is not on the page", n.Data, id)
			}
		}
	}
}

// checkInert: nothing is ticked, nothing acts, nothing comes from elsewhere.
func checkInert(d *document) {
	for n := range d.all("") {
		if n.Data == "script" || n.Data == "style" || n.Data == "iframe" || n.Data == "object" {
			d.t.Errorf("there is a <%s>", n.Data)
		}
		for _, a := range n.Attr {
			switch {
			case a.Key == "checked" || a.Key == "style" || strings.HasPrefix(a.Key, "on"):
				d.t.Errorf("<%s> has %s", n.Data, a.Key)
			case (a.Key == "href" || a.Key == "src" || a.Key == "action") && (!strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "#") || strings.HasPrefix(a.Val, "//")):
				d.t.Errorf("<%s %s=%q> leads elsewhere", n.Data, a.Key, a.Val)
			}
		}
	}
}

// checkForms: what changes something is a POST with the token; only the form
// that asks for a code is a GET. No two forms share a field.
func checkForms(d *document) {
	for f := range d.all("form") {
		switch method := attr(f, "method"); {
		case method == "get" && attr(f, "action") == "/pair":
			continue
		case method != "post":
			d.t.Errorf("form to %s is a %s", attr(f, "action"), method)
		}
		token := 0
		for in := range within(f, "input") {
			if attr(in, "name") == "form" && len(attr(in, "value")) == 43 {
				token++
			}
		}
		if token != 1 {
			d.t.Errorf("form to %s has %d tokens, want 1", attr(f, "action"), token)
		}
	}
}

// checkNames: whatever can be used says what it is.
func checkNames(d *document) {
	labelled := map[string]bool{}
	for l := range d.all("label") {
		labelled[attr(l, "for")] = textOf(l) != ""
	}
	for n := range d.all("") {
		switch n.Data {
		case "input", "select":
			if attr(n, "type") != "hidden" && !labelled[attr(n, "id")] {
				d.t.Errorf("field %q has no label", attr(n, "name"))
			}
		case "button", "a":
			name, text := attr(n, "aria-label"), textOf(n)
			if text == "" && !hasAttr(n, "hidden") {
				d.t.Errorf("a <%s> has no words", n.Data)
			}
			if name != "" && !strings.HasPrefix(name, text) {
				d.t.Errorf("%q is called %q: who says what they see can not use it", text, name)
			}
		case "svg":
			if attr(n, "aria-hidden") != "true" {
				d.t.Error("a picture is read out")
			}
		case "fieldset":
			if l := n.FirstChild; l == nil || nextElement(l).Data != "legend" {
				d.t.Error("a group has no name")
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
func checkTimes(d *document) {
	said := regexp.MustCompile(` UTC$|^just now$| ago$|^\d+ \w+ \d{4}$|^on \d+ \w+ \d{4}$`)
	for n := range d.all("time") {
		if _, err := time.Parse("2006-01-02T15:04:05.000Z", attr(n, "datetime")); err != nil {
			d.t.Error(err)
		}
		if !said.MatchString(textOf(n)) {
			d.t.Errorf("time says %q", textOf(n))
		}
	}
}

// checkPairs: two answers to one question differ in nothing but their words.
func checkPairs(d *document) {
	for n := range d.all("div") {
		if attr(n, "class") != "hinge" {
			continue
		}
		var leaves []*html.Node
		for c := range n.ChildNodes() {
			if c.Type == html.ElementNode {
				leaves = append(leaves, c)
			}
		}
		if len(leaves) != 2 {
			d.t.Fatalf("%d answers side by side, want 2", len(leaves))
		}
		for _, leaf := range leaves {
			if hasAttr(leaf, "class") || hasAttr(leaf, "disabled") || hasAttr(leaf, "autofocus") {
				d.t.Errorf("%q is made to look or work apart", textOf(leaf))
			}
		}
	}
}

// The sheet gives the leaves of a hinge nothing apart but their corners.
func TestPairsLookAlike(t *testing.T) {
	sheet, err := os.ReadFile("assets/style.css")
	if err != nil {
		t.Fatal(err)
	}
	rules := regexp.MustCompile(`\.hinge > :(?:first|last)-child \{([^}]*)\}`).FindAllStringSubmatch(string(sheet), -1)
	if len(rules) != 2 {
		t.Fatalf("%d rules for the leaves, want 2", len(rules))
	}
	for _, rule := range rules {
		for property := range strings.SplitSeq(strings.Trim(rule[1], " ;"), ";") {
			if name, _, _ := strings.Cut(strings.TrimSpace(property), ":"); !strings.HasSuffix(name, "-radius") {
				t.Errorf("one leaf has its own %s", name)
			}
		}
	}
	if strings.Contains(string(sheet), "button[") || strings.Contains(string(sheet), "[value") {
		t.Error("the sheet picks out an answer")
	}
}

func TestAssets(t *testing.T) {
	h := open(t)
	d := h.browser(t).get("/signin")
	for n := range d.all("link") {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", attr(n, "href"), nil))
		if w.Code != http.StatusOK || w.Body.Len() == 0 || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d, %q", attr(n, "href"), w.Code, w.Header().Get("Cache-Control"))
		}
		if strings.Contains(w.Body.String(), "http://") && !strings.Contains(w.Body.String(), "http://www.w3.org/2000/svg") || strings.Contains(w.Body.String(), "@import") {
			t.Errorf("%s loads something from elsewhere", attr(n, "href"))
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/assets/style.css", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("an asset without its hash: %d", w.Code)
	}
}

func TestFaultShowsNothingInternal(t *testing.T) {
	h := open(t)
	b := h.browser(t)
	b.register()
	h.devices.err = errors.New("disk 7 burns")
	d := b.get("/devices")
	if d.Status != http.StatusInternalServerError || strings.Contains(d.Text, "burns") {
		t.Errorf("status %d:\n%s", d.Status, d.Text)
	}
	d.mustSay("Something failed here")
}

func TestNewRefusesAnIssuerThatIsNoAddress(t *testing.T) {
	for _, issuer := range []string{"", "id.example.com", "ftp://id.example.com", "https://", "http://%zz"} {
		if _, err := portal.New(portal.Config{Issuer: issuer}); err == nil {
			t.Errorf("%q was accepted", issuer)
		}
	}
}
