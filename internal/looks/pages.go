package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/browser"
	"github.com/cardea-id/cardea/pairing"
)

// A kind is a page as it is when it is looked at. open leads there, once for
// each language.
type kind struct {
	name string
	page *browser.Page
	open func() error
}

// pagesAmong are the files that are pages, by name: those that define "main".
func pagesAmong(files []string) (names []string, err error) {
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if bytes.Contains(text, []byte(`{{define "main"}}`)) {
			names = append(names, strings.TrimSuffix(filepath.Base(file), ".html"))
		}
	}
	return names, nil
}

// everyPage has each page looked at, and every template there is: in a house
// without mail, and in one with it.
func everyPage(ctx context.Context, bin string, b *browser.Browser, look looker, only string) error {
	wanted, err := templates()
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, mail := range []bool{false, true} {
		h, err := newHouse(ctx, bin, b, mail)
		if err != nil {
			return err
		}
		if mail {
			err = h.everyLetter(ctx, look, only, seen)
		} else {
			err = h.everyKind(ctx, look, only, seen)
		}
		if err := errors.Join(err, h.Close()); err != nil {
			return err
		}
	}
	for _, name := range wanted {
		if !seen[name] && only == "" {
			err = errors.Join(err, fmt.Errorf("no way to the page %q is known: add one to internal/looks", name))
		}
	}
	return errors.Join(look.done(), err)
}

// everyKind shows each page in each language to the looker, and notes whose
// templates were seen.
func (h *house) everyKind(ctx context.Context, look looker, only string, seen map[string]bool) error {
	kinds := h.asGuest()
	if err := h.register(); err != nil {
		return fmt.Errorf("register: %w", err)
	}
	empty := []kind{
		h.at("devices-none", h.owner, "/devices"), h.at("history-none", h.owner, "/history"),
		h.at("again", h.owner, "/again?next=%2Faccount&sure=2"),
	}
	for _, k := range slices.Concat(kinds, empty) {
		if err := h.see(look, k, seen, only); err != nil {
			return err
		}
	}
	if err := steps(
		func() error { return h.owner.SetCookie("cardea_language", "en", h.URL) },
		func() error { return h.furnish(ctx) },
	); err != nil {
		return fmt.Errorf("furnish the house: %w", err)
	}
	kinds, err := h.asOwner(ctx)
	if err != nil {
		return err
	}
	for _, k := range kinds {
		if err := h.see(look, k, seen, only); err != nil {
			return err
		}
	}
	return nil
}

// see opens a page in each language and has it looked at.
func (h *house) see(look looker, k kind, seen map[string]bool, only string) error {
	if only != "" && only != k.name {
		return nil
	}
	for _, language := range look.languages() {
		err := steps(
			func() error { return k.page.SetLook(browser.Look{}) },
			func() error { return k.page.SetCookie("cardea_language", language, h.URL) },
			k.open,
		)
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		if err := k.page.Run("window.stop()", nil); err != nil { // a page that waits would go on by itself
			return err
		}
		var template, spoken string
		if err := k.page.Run(`document.body.dataset.page || ""`, &template); err != nil {
			return err
		}
		if err := k.page.Run(`document.documentElement.lang`, &spoken); err != nil {
			return err
		}
		if template == "" || spoken != language {
			return fmt.Errorf("%s: the page says it is %q, in %q", k.name, template, spoken)
		}
		if wrong := slices.DeleteFunc(k.page.Complaints(), func(c string) bool { return strings.Contains(c, h.elsewhere.Listener.Addr().String()) }); len(wrong) > 0 {
			return fmt.Errorf("%s: %s", k.name, strings.Join(wrong, "; "))
		}
		seen[template] = true
		if err := look.at(k.page, k.name, language); err != nil {
			return fmt.Errorf("%s in %s: %w", k.name, language, err)
		}
		k.page.Complaints() // looking asks the browser for what it no longer has
	}
	return nil
}

func (h *house) at(name string, p *browser.Page, path string) kind {
	return kind{name, p, func() error { return p.Open(h.URL + path) }}
}

// asGuest are the pages of somebody who has no account.
func (h *house) asGuest() []kind {
	press := func(path, button string, fields ...string) func() error {
		return func() error {
			if err := h.guest.Open(h.URL + path); err != nil {
				return err
			}
			for i := 0; i < len(fields); i += 2 {
				if err := h.guest.Fill(fields[i], fields[i+1]); err != nil {
					return err
				}
			}
			return h.guest.PressIn("main form.stack", button)
		}
	}
	return []kind{
		h.at("signin", h.guest, "/signin"), h.at("signin-for-a-device", h.guest, "/signin?next=%2Fpair%3Fcode%3DWDJB-MJHT"), h.at("register", h.guest, "/register"),
		{"signin-wrong", h.guest, press("/signin", "button", "email", "nobody@example.com", "password", "something else")},
		h.at("no-page", h.guest, "/nothing"),
	}
}

// asOwner are the pages of the owner of the house: those that links lead to, and
// those that only a step of theirs does.
func (h *house) asOwner(ctx context.Context) ([]kind, error) {
	found, err := h.linked()
	if err != nil {
		return nil, err
	}
	code, err := h.asks(ctx, &pairing.Client{Issuer: h.URL, ClientID: "tv-app"}, "tv")
	if err != nil {
		return nil, err
	}
	far := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(elsewhere)}}).DialContext(ctx, network, h.Listen)
	}}}
	afar, err := h.asks(ctx, &pairing.Client{Issuer: h.URL, ClientID: "tv-app", HTTP: far}, "tv")
	if err != nil {
		return nil, err
	}
	label := pairing.LabelOf(h.label.Public())
	if _, err := h.asks(ctx, &pairing.Client{
		Issuer: h.URL, ClientID: "cardea-agent", Signer: h.other.Signer(), Label: h.label.Signer(),
	}, "speaker"); err != nil {
		return nil, err
	}
	approve := func() error {
		if err := h.owner.Open(h.URL + labelPage(label)); err != nil {
			return err
		}
		var asks bool
		if err := h.owner.Run(`!!document.querySelector("button[value=approve]")`, &asks); err != nil || !asks {
			return err // approved in another language already
		}
		return h.owner.PressIn("main form", "button[value=approve]")
	}
	leave := func() error {
		return steps(
			func() error { return h.guest.Open(h.URL + "/signin") },
			func() error { return h.guest.PressIn("form.with", "button") },
		)
	}
	return slices.Concat(found, []kind{
		{"elsewhere", h.guest, leave}, h.at("notice", h.guest, "/notices/recommendations/1/en"),
		h.at("pair-nearby", h.owner, "/pair?code="+code), h.at("pair-from-afar", h.owner, "/pair?code="+afar), h.at("pair-wrong-code", h.owner, "/pair?code=WWWWWWWW"),
		h.at("declined", h.owner, "/pair/declined"), h.at("approved", h.owner, "/pair/approved?grant=none"),
		h.at("asleep", h.owner, labelPage(pairing.LabelOf(h.asleep.Public()))), h.at("label", h.owner, labelPage(label)),
		{"press", h.owner, approve}, {"erased", h.guest, h.gone()},
	}), nil
}

// gone leads to the page that is left of an account, which is made for it.
func (h *house) gone() func() error {
	var page string
	return func() (err error) {
		if page == "" {
			err = steps(
				func() error { return h.guest.Open(h.URL + "/register") },
				func() error { return h.guest.Fill("email", "gone@example.com") },
				func() error { return h.guest.Fill("password", password) },
				func() error { return h.guest.PressIn(`form[action="/register"]`, "button") },
				func() error { return h.guest.Open(h.URL + "/leaving/erase") },
				func() error { return h.guest.PressIn(`form[action="/leaving/erase"]`, "button") },
				func() error { page, err = h.guest.URL(); return err },
			)
		}
		if err != nil {
			return err
		}
		return h.guest.Open(page)
	}
}

func labelPage(l pairing.Label) string { return "/pair/label?label=" + string(l) }

// asks has a device ask to be paired, and returns its code.
func (h *house) asks(ctx context.Context, c *pairing.Client, kind string) (string, error) {
	a, err := c.Start(ctx, pairing.Device{Kind: kind, Model: "Model Three", Serial: "1138"})
	if err != nil {
		return "", fmt.Errorf("ask to be paired: %w", err)
	}
	return a.UserCode, nil
}

// linked follows every link of the owner's pages, and keeps the first of each
// kind: one path, with one set of parameters.
func (h *house) linked() ([]kind, error) {
	kinds := map[string]kind{}
	waiting := []string{"/consents", "/devices", "/account", "/history", "/pair"}
	for len(waiting) > 0 {
		at := waiting[0]
		waiting = waiting[1:]
		u, err := url.Parse(at)
		if err != nil {
			return nil, err
		}
		var name strings.Builder
		name.WriteString(strings.Trim(strings.ReplaceAll(u.Path, "/", "-"), "-"))
		for _, parameter := range slices.Sorted(maps.Keys(u.Query())) {
			name.WriteString("-by-" + parameter)
		}
		if _, known := kinds[name.String()]; known {
			continue
		}
		if err := h.owner.Open(h.URL + at); err != nil {
			continue // no page, but a file to keep
		}
		h.owner.Complaints()
		kinds[name.String()] = h.at(name.String(), h.owner, at)
		var links []string
		if err := h.owner.Run(`[...document.querySelectorAll('a[href^="/"]')].filter(a => !a.hasAttribute("download")).map(a => a.getAttribute("href").split("#")[0])`, &links); err != nil {
			return nil, err
		}
		for _, link := range links {
			if link != "/" && !strings.HasPrefix(link, "/assets/") {
				waiting = append(waiting, link)
			}
		}
	}
	var out []kind
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		out = append(out, kinds[name])
	}
	return out, nil
}

// nextCatalogue is what the brand asks a month later: its recommendations go to
// one more country, and it says so.
func nextCatalogue(text string, now time.Time) string {
	text = strings.Replace(text, "id: recommendations\n    version: 1", "id: recommendations\n    version: 2\n    change: material\n    reconsent_by: "+
		now.AddDate(0, 1, 0).UTC().Format(time.RFC3339), 1)
	text = strings.Replace(text, "countries: [SE, FI]\n    facets: [use, third_party]", "countries: [SE, FI, US]\n    facets: [use, third_party]", 1)
	for title, changed := range map[string]string{
		"Recommendations": "What you play is kept in the United States as well.",
		"Empfehlungen":    "Was Sie hören, liegt nun auch in den Vereinigten Staaten.",
		"추천":              "재생한 내용을 미국에도 보관해요.",
		"คำแนะนำ":         "สิ่งที่คุณฟังจะถูกเก็บในสหรัฐอเมริกาด้วย",
		"おすすめ":            "再生した内容はアメリカ合衆国にも保管されます。",
	} {
		text = strings.Replace(text, "        title: "+title+"\n", "        title: "+title+"\n        changed: "+changed+"\n", 1)
	}
	return text
}
