package pairs_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/cloud/portal"
	"github.com/cardea-id/cardea/cloud/portal/brand"
	"github.com/cardea-id/cardea/cloud/portal/portaltest"
	"github.com/cardea-id/cardea/cloud/token"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
)

// A drill attacks a person: the attacker's own device asks for a code, and its
// link is sent to somebody who is signed in, on a network of their own.
type drill struct {
	*portaltest.House
	t      testing.TB
	issuer *issuer.Issuer
	victim *portaltest.Browser
	holes  []string // what would have let the attack through
}

func newDrill(t testing.TB, rewrite func(page string) string) *drill {
	t.Helper()
	d := &drill{t: t}
	d.House = portaltest.Open(t)
	keys, err := token.Open(t.Context(), "http://cardea.test", d.DB.Secrets())
	if err != nil {
		t.Fatal(err)
	}
	d.issuer, err = issuer.New(issuer.Config{
		Issuer: "http://cardea.test", Storage: d.DB.Grants(), Tokens: keys, Secret: keys.Derive("codes"),
		Clients: []issuer.Client{{ID: "speaker", Scopes: []string{"profile"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.issuer.Close)
	d.Portal, err = portal.New(portal.Config{
		Issuer: "http://cardea.test", Brand: brand.Config{Name: "Hearth"}, Accounts: d.DB, Ledger: d.Ledger, Devices: d.Devices, Pairings: d.issuer,
	})
	if err != nil {
		t.Fatal(err)
	}
	d.Rewrite(rewrite)
	d.victim = d.Browser(t)
	d.victim.Register()
	return d
}

func asItIs(page string) string { return page }

// call sends a form to the issuer from the attacker's network.
func (d *drill) call(path string, fields url.Values) (status int, answer map[string]any) {
	d.t.Helper()
	fields.Set("client_id", "speaker")
	r := httptest.NewRequest("POST", "http://cardea.test"+path, strings.NewReader(fields.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Prefer", "wait=0")
	r.RemoteAddr = "198.51.100.66:4000"
	w := httptest.NewRecorder()
	d.issuer.ServeHTTP(w, r)
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		d.t.Fatalf("%s: %s", path, w.Body)
	}
	return w.Code, answer
}

// A bait is what the attacker holds.
type bait struct {
	deviceCode, link string
	code             pairing.UserCode
}

func (d *drill) cast() bait {
	_, a := d.call(issuer.PathDeviceAuthorization, url.Values{"device_kind": {"speaker"}, "device_model": {"Hearth Mini"}, "device_serial": {"4F2A"}})
	link, _ := strings.CutPrefix(a["verification_uri_complete"].(string), "http://cardea.test")
	return bait{a["device_code"].(string), link, pairing.UserCode(a["user_code"].(string))}
}

// caught is whether the attacker has tokens of the victim.
func (d *drill) caught(b bait) bool {
	status, _ := d.call(issuer.PathToken, url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {b.deviceCode}})
	return status == http.StatusOK
}

func (d *drill) want(ok bool, hole string) {
	if !ok {
		d.holes = append(d.holes, hole)
	}
}

// run plays the attack on victims of each degree of care and collects what
// would have helped none of them.
func (d *drill) run() []string {
	b := d.cast()
	page := d.victim.Get(b.link)
	d.want(!d.caught(b), "opening the link is enough")
	d.readsThePage(page, b)

	d.victim.Press(page, "Approve")
	d.want(!d.caught(b), "Approve alone is enough")
	d.picks(page, b)
	return d.holes
}

// readsThePage is the careful victim: the page must give them every reason to
// decline, and a way to.
func (d *drill) readsThePage(page *portaltest.Document, b bait) {
	said := portaltest.TextOf(page.Root)
	d.want(strings.Contains(said, "Hearth Mini") && strings.Contains(said, "4F2A"), "the page does not say which device asks")
	d.want(regexp.MustCompile(`Asked (just now|.* ago)`).MatchString(said), "the page does not say when it asked")
	d.want(strings.Contains(said, "from another network"), "the page does not say that the device is elsewhere")
	d.want(strings.Contains(said, "Go on only if the device is in front of you"), "the page does not say when to go on")
	d.want(strings.Contains(said, "Did somebody send you here? Then decline."), "the page does not warn of links that were sent")
	d.want(strings.Contains(said, "tells it who you are"), "the page does not say what approving does")
	d.want(!alone(page, b.code), "the page gives the code away")
	d.want(weight(page, "Decline") == weight(page, "Approve"), "Decline weighs less than Approve")
}

// alone reports whether the page shows the code other than among the others.
func alone(page *portaltest.Document, code pairing.UserCode) bool {
	picks := 0
	for n := range page.All("input") {
		if portaltest.Attr(n, "type") == "radio" && !portaltest.HasAttr(n, "checked") {
			picks++
		}
	}
	return picks != 3 || strings.Count(portaltest.TextOf(page.Root), string(code)) != 1
}

// weight is all that a button says of itself but its words.
func weight(page *portaltest.Document, words string) string {
	for n := range page.All("button") {
		if portaltest.TextOf(n) == words {
			return portaltest.Attr(n, "class") + "|" + n.Parent.Data + "|" + portaltest.Attr(n.Parent, "class")
		}
	}
	return words + " is not there"
}

// picks is the careless victim, who approves with whatever code comes first.
// One in three is caught at most, and who errs has declined.
func (d *drill) picks(page *portaltest.Document, b bait) {
	if len(picksOf(page)) != 3 {
		return // said already: Approve alone, or the code given away
	}
	other := picksOf(page)[0]
	if other == string(b.code) {
		other = picksOf(page)[1]
	}
	d.victim.Press(page, "Approve", "picked", other)
	d.victim.Press(page, "Approve", "picked", string(b.code))
	d.want(!d.caught(b), "a second try at the code is allowed")
}

func picksOf(page *portaltest.Document) (codes []string) {
	for n := range page.All("input") {
		if portaltest.Attr(n, "name") == "picked" {
			codes = append(codes, portaltest.Attr(n, "value"))
		}
	}
	return codes
}

// The page must hold against a link that somebody else sent (RFC 10027).
func TestPhishingDrill(t *testing.T) {
	if holes := newDrill(t, asItIs).run(); len(holes) > 0 {
		t.Errorf("the attack would work: %s", strings.Join(holes, "; "))
	}
}

// A drill that passes on any page would be none.
func TestPhishingDrillFindsAWeakPage(t *testing.T) {
	without := func(text string) func(string) string {
		return func(page string) string {
			if strings.Contains(page, "Hearth Mini") && !strings.Contains(page, text) {
				t.Fatalf("the page has no %q any more: change this test with it", text)
			}
			return strings.ReplaceAll(page, text, "")
		}
	}
	for name, c := range map[string]struct {
		page func(string) string
		hole string
	}{
		"no warning":   {without("Did somebody send you here? Then decline."), "warn of links"},
		"no condition": {without("Go on only if the device is in front of you."), "when to go on"},
		"no network":   {without("from another network"), "elsewhere"},
		"no device":    {without("<bdi>4F2A</bdi>"), "which device"},
		"shows the code": {func(p string) string {
			code := regexp.MustCompile(`name="code" value="([B-Z]{4}-[B-Z]{4})"`).FindStringSubmatch(p)
			if code == nil {
				return p
			}
			return strings.ReplaceAll(p, "</section>", `<p class="code">`+code[1]+"</p></section>")
		}, "gives the code away"},
		"picked already": {func(p string) string { return strings.ReplaceAll(p, `name="picked"`, `name="picked" checked`) }, "gives the code away"},
		"a loud Approve": {func(p string) string {
			return strings.ReplaceAll(p, `value="approve"`, `value="approve" class="solid"`)
		}, "weighs less"},
		"a hidden button": {func(p string) string { return strings.ReplaceAll(p, ">Decline<", "><") }, "weighs less"},
	} {
		holes := newDrill(t, c.page).run()
		if !slices.ContainsFunc(holes, func(h string) bool { return strings.Contains(h, c.hole) }) {
			t.Errorf("%s: the drill found %q", name, holes)
		}
	}
}

// On another network the code must be picked, and picking wrongly declines.
func TestPick(t *testing.T) {
	h := portaltest.Open(t)
	code := h.ASpeaker()
	h.Pairings.Asks.SameNetwork = false
	b := h.Browser(t)
	b.Register()
	page := b.Get("/pair?code=" + string(code))
	page.MustSay("from another network", "Which code does the device show?")
	if got := picksOf(page); len(got) != 3 || !slices.Contains(got, string(code)) {
		t.Fatalf("choices %q", got)
	}
	for _, picked := range []string{"", "WDJB", "none of them"} {
		d := b.Press(page, "Approve", "picked", picked, "name", "Küche")
		if d.Status != http.StatusUnprocessableEntity || portaltest.Attr(d.Find("name"), "value") != "Küche" {
			t.Errorf("picked %q: status %d", picked, d.Status)
		}
		d.MustSay("Pick the code that you see on the device")
	}
	if got := h.Pairings.Answered(code); got != "" {
		t.Errorf("without a pick the code was %s", got)
	}
	b.Press(page, "Approve", "picked", strings.ToLower(string(code)))
	if got := h.Pairings.Answered(code); !strings.HasPrefix(got, "approved") {
		t.Errorf("the right code was %q", got)
	}

	delete(h.Pairings.Answers, code)
	b.Press(page, "Approve", "picked", "WWWW-ZZZZ").MustSay("The device shows another code", "it was declined")
	if got := h.Pairings.Answered(code); got != "declined" {
		t.Errorf("a wrong pick: %q", got)
	}
	page.Check()
}

// Decline needs no pick.
func TestDeclineWithoutPicking(t *testing.T) {
	h := portaltest.Open(t)
	code := h.ASpeaker()
	h.Pairings.Asks.SameNetwork = false
	b := h.Browser(t)
	b.Register()
	page := b.Get("/pair?code=" + string(code))
	for n := range page.All("button") {
		if portaltest.TextOf(n) == "Decline" && !portaltest.HasAttr(n, "formnovalidate") {
			t.Error("a browser would ask for a pick before it declines")
		}
	}
	b.Follow(b.Press(page, "Decline")).MustSay("Declined")
}
