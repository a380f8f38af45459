package portal_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/cloud/portal"
	"github.com/cardea-id/cardea/cloud/portal/portaltest"
)

// everyPage opens each page there is, with something on it.
func everyPage(t *testing.T) map[string]*portaltest.Document {
	h := portaltest.Open(t)
	anyone, owner := h.Browser(t), h.Browser(t)
	account := owner.Register()
	h.Furnish(t, owner, account)
	pages := map[string]*portaltest.Document{
		"sign in":       anyone.Get("/signin?next=/pair%3Fcode%3DWDJB-MJHT"),
		"register":      anyone.Get("/register"),
		"wrong sign in": anyone.Press(anyone.Get("/signin"), "Sign in", "email", "eve@example.com", "password", "x"),
		"bad address":   anyone.Press(anyone.Get("/register"), "Create account", "email", "nobody", "password", "x"),
		"bad password":  anyone.Press(anyone.Get("/register"), "Create account", "email", "eve@example.com", "password", "x"),
		"no page":       anyone.Get("/nothing"),
		"foreign":       anyone.Post("/signin", url.Values{}),
	}
	for name, path := range map[string]string{
		"consents": "/consents", "devices": "/devices", "history": "/history", "settings": "/preferences", "messages": "/communication", "account": "/account", "type a code": "/pair", "pair": "/pair?code=WDJB-MJHT",
		"bad code": "/pair?code=hello", "wrong code": "/pair?code=WWWWWWWW", "approved": "/pair/approved?grant=the-grant",
		"declined": "/pair/declined", "unlink": "/devices/unlink?link=" + h.Devices.Get()[0].Link.String(),
		"unlink nothing": "/devices/unlink?link=x", "no receipt": "/history/receipt?entry=99",
		"notice": "/notices/recommendations/1/en", "no notice": "/notices/recommendations/9/en",
		"device":      "/devices/device?link=" + h.Devices.Get()[0].Link.String(),
		"device away": "/devices/device?link=" + h.Devices.Get()[1].Link.String() + "&shows=", "no device": "/devices/device?link=x",
		"missed": "/devices/missed?link=" + h.Devices.Get()[1].Link.String(), "given away": "/devices/given?link=" + h.Devices.Get()[0].Link.String(),
		"leaving": "/leaving", "take back": "/leaving/withdraw", "copy": "/leaving/copy", "erase": "/leaving/erase", "no proof": "/erased?proof=x",
	} {
		pages[name] = owner.Get(path)
	}
	for li := range pages["history"].All("a") {
		if portaltest.TextOf(li) == "Receipt" {
			pages["receipt"] = owner.Get(portaltest.Attr(li, "href"))
		}
	}
	if pages["receipt"] == nil {
		t.Error("no decision has a receipt")
	}
	for link := range h.Devices.Losses {
		pages["lost"] = owner.Get("/devices/lost?link=" + link.String())
	}
	pages["bad name"] = owner.Press(pages["pair"], "Approve", "name", strings.Repeat("x", 10<<10))
	pages["bad new name"] = owner.Press(pages["device"], "Save the name", "name", strings.Repeat("x", 10<<10))
	h.Pairings.Asks.SameNetwork = false
	pages["pair from afar"] = owner.Get("/pair?code=WDJB-MJHT")
	pages["erased"] = owner.Follow(owner.Press(pages["erase"], "Erase everything"))
	return pages
}

func TestEveryPage(t *testing.T) {
	for name, d := range everyPage(t) {
		t.Run(name, func(t *testing.T) {
			d.T = t
			d.Check()
		})
	}
}

// Who goes away before the answer is no fault of ours, and not told as one.
func TestReaderGoesAway(t *testing.T) {
	var log strings.Builder
	h := portaltest.Open(t, func(c *portal.Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	b := h.Browser(t)
	b.Register()
	ctx, leave := context.WithCancel(t.Context())
	leave()
	b.Do(httptest.NewRequestWithContext(ctx, "GET", "http://cardea.test/consents", nil))
	if log.String() != "" {
		t.Errorf("it is told: %s", &log)
	}
}

// The sheet gives the leaves of a hinge nothing apart but their corners.
func TestPairsLookAlike(t *testing.T) {
	sheet, err := os.ReadFile("desk/assets/style.css")
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
	h := portaltest.Open(t)
	d := h.Browser(t).Get("/signin")
	for n := range d.All("link") {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", portaltest.Attr(n, "href"), nil))
		if w.Code != http.StatusOK || w.Body.Len() == 0 || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d, %q", portaltest.Attr(n, "href"), w.Code, w.Header().Get("Cache-Control"))
		}
		if strings.Contains(w.Body.String(), "http://") && !strings.Contains(w.Body.String(), "http://www.w3.org/2000/svg") || strings.Contains(w.Body.String(), "@import") {
			t.Errorf("%s loads something from elsewhere", portaltest.Attr(n, "href"))
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/assets/style.css", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("an asset without its hash: %d", w.Code)
	}
}

func TestFaultShowsNothingInternal(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	b.Register()
	h.Devices.Err = errors.New("disk 7 burns")
	d := b.Get("/devices")
	if d.Status != http.StatusInternalServerError || strings.Contains(d.Text, "burns") {
		t.Errorf("status %d:\n%s", d.Status, d.Text)
	}
	d.MustSay("Something failed here")
}

func TestNewRefusesAnIssuerThatIsNoAddress(t *testing.T) {
	for _, issuer := range []string{"", "id.example.com", "ftp://id.example.com", "https://", "http://%zz"} {
		if _, err := portal.New(portal.Config{Issuer: issuer}); err == nil {
			t.Errorf("%q was accepted", issuer)
		}
	}
}
