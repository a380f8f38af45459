package portal_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/catalogue"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/cloud/portal"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
	"github.com/cardea-id/cardea/store/accountdb"
)

const (
	testEmail    = "ada@example.com"
	testPassword = "the hinge turns quietly"
)

// A house is a portal over a real database and ledger. What devices do and who
// asks to be paired is set by the test.
type house struct {
	*portal.Portal
	db       *accountdb.DB
	ledger   *ledger.Ledger
	devices  *fakeDevices
	pairings *fakePairings
}

func open(t testing.TB, change ...func(*portal.Config)) *house {
	t.Helper()
	db, err := accountdb.Open(context.Background(), filepath.Join(t.TempDir(), "cloud.db"), accountdb.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	cat, err := catalogue.Parse([]byte(testCatalogue))
	if err != nil {
		t.Fatal(err)
	}
	h := &house{
		db: db, ledger: &ledger.Ledger{DB: db, Catalogue: catalogue.New(cat)},
		devices: &fakeDevices{}, pairings: &fakePairings{answers: map[pairing.UserCode]string{}},
	}
	c := portal.Config{
		Issuer: "http://cardea.test", Brand: "Hearth",
		Accounts: db, Ledger: h.ledger, Devices: h.devices, Pairings: h.pairings,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	for _, f := range change {
		f(&c)
	}
	if h.Portal, err = portal.New(c); err != nil {
		t.Fatal(err)
	}
	return h
}

// link puts a device into the database, as joining does, and into what the hub
// answers.
func (h *house) link(t testing.TB, account cardea.AccountID, d hub.Device) hub.Device {
	t.Helper()
	sum := sha256.Sum256([]byte(d.Name))
	d.Device = cardea.DeviceID(base64.RawURLEncoding.EncodeToString(sum[:]))
	d.Link = cardea.NewID[cardea.LinkID]()
	err := h.db.Update(context.Background(), func(tx *accountdb.Tx) error {
		row := accountdb.Device{ID: d.Device, PublicKey: []byte("{}"), Kind: d.Kind, Model: d.Model, Serial: d.Serial}
		if err := tx.PutDevice(row); err != nil {
			return err
		}
		return tx.CreateLink(accountdb.Link{ID: d.Link, Account: account, Device: d.Device, Grant: d.Link.String()}, [32]byte{}, d.Name)
	})
	if err != nil {
		t.Fatal(err)
	}
	h.devices.set(append(h.devices.get(), d)...)
	return d
}

// hubDevice is a speaker in step.
func hubDevice(name string) hub.Device {
	return hub.Device{Name: name, Kind: "speaker", Model: "Hearth Mini", State: hub.StateApplied, AppliedAt: time.Now(), LastSeen: time.Now(), Online: true}
}

// fakeDevices is a hub of which the test says what devices have done.
type fakeDevices struct {
	mu        sync.Mutex
	devices   []hub.Device
	unlinked  []cardea.LinkID
	confirmed []cardea.LinkID
	err       error
}

func (f *fakeDevices) set(devices ...hub.Device) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.devices = devices
}

func (f *fakeDevices) get() []hub.Device {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]hub.Device(nil), f.devices...)
}

func (f *fakeDevices) Devices(context.Context, cardea.AccountID) ([]hub.Device, error) {
	return f.get(), f.err
}

func (f *fakeDevices) Unlink(_ context.Context, _ cardea.AccountID, link cardea.LinkID) error {
	return f.on(link, &f.unlinked)
}

func (f *fakeDevices) ConfirmFork(_ context.Context, _ cardea.AccountID, link cardea.LinkID) error {
	return f.on(link, &f.confirmed)
}

func (f *fakeDevices) on(link cardea.LinkID, done *[]cardea.LinkID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range f.devices {
		if d.Link == link {
			*done = append(*done, link)
			return f.err
		}
	}
	return accountdb.ErrNotFound
}

// fakePairings is an issuer with one pending request.
type fakePairings struct {
	mu      sync.Mutex
	code    pairing.UserCode
	asks    issuer.Request
	answers map[pairing.UserCode]string
	err     error
}

func (f *fakePairings) Lookup(_ context.Context, _ cardea.AccountID, code pairing.UserCode, _ netip.Addr) (issuer.Request, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.err != nil:
		return issuer.Request{}, f.err
	case code != f.code:
		return issuer.Request{}, issuer.ErrWrongCode
	case f.answers[code] != "":
		return issuer.Request{}, issuer.ErrUsed
	}
	return f.asks, nil
}

func (f *fakePairings) Approve(_ context.Context, _ cardea.AccountID, code pairing.UserCode, name string) (pairing.GrantID, error) {
	return "the-grant", f.answer(code, "approved "+name)
}

func (f *fakePairings) Deny(_ context.Context, _ cardea.AccountID, code pairing.UserCode) error {
	return f.answer(code, "declined")
}

func (f *fakePairings) answer(code pairing.UserCode, answer string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.err != nil:
		return f.err
	case code != f.code:
		return issuer.ErrWrongCode
	case f.answers[code] != "":
		return issuer.ErrUsed
	}
	f.answers[code] = answer
	return nil
}

func (f *fakePairings) answered(code pairing.UserCode) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.answers[code]
}

// aSpeaker asks to be paired.
func (h *house) aSpeaker() pairing.UserCode {
	h.pairings.code = "WDJB-MJHT"
	h.pairings.asks = issuer.Request{
		Device:    pairing.Device{Kind: "speaker", Model: "Hearth Mini", Serial: "4F2A"},
		Requested: time.Now().Add(-12 * time.Second), Expires: time.Now().Add(10 * time.Minute), SameNetwork: true,
	}
	return h.pairings.code
}

// A browser keeps cookies, follows no redirect by itself and sends forms as
// browsers do.
type browser struct {
	t     testing.TB
	house *house
	jar   http.CookieJar
	site  string // what it says of where a form stood
	from  string
}

func (h *house) browser(t testing.TB) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, house: h, jar: jar, site: "same-origin", from: "203.0.113.7:40000"}
}

var base = &url.URL{Scheme: "http", Host: "cardea.test"}

// A document is a page that was answered.
type document struct {
	t      testing.TB
	Status int
	Header http.Header
	Text   string
	root   *html.Node
}

func (b *browser) do(r *http.Request) *document {
	b.t.Helper()
	for _, c := range b.jar.Cookies(base) {
		r.AddCookie(c)
	}
	r.RemoteAddr = b.from
	w := httptest.NewRecorder()
	b.house.ServeHTTP(w, r)
	b.jar.SetCookies(base, w.Result().Cookies())
	text, err := io.ReadAll(w.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return &document{t: b.t, Status: w.Code, Header: w.Header(), Text: string(text), root: parse(b.t, string(text))}
}

func parse(t testing.TB, text string) *html.Node {
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func (b *browser) get(path string) *document {
	b.t.Helper()
	return b.do(httptest.NewRequest("GET", "http://cardea.test"+path, nil))
}

func (b *browser) post(path string, fields url.Values) *document {
	b.t.Helper()
	r := httptest.NewRequest("POST", "http://cardea.test"+path, strings.NewReader(fields.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if b.site != "" {
		r.Header.Set("Sec-Fetch-Site", b.site)
	}
	return b.do(r)
}

// follow gets where a page leads, with the fragment left out as browsers do.
func (b *browser) follow(d *document) *document {
	b.t.Helper()
	if d.Status != http.StatusSeeOther {
		b.t.Fatalf("status %d, want a redirect; page:\n%s", d.Status, d.Text)
	}
	path, _, _ := strings.Cut(d.Header.Get("Location"), "#")
	return b.get(path)
}

// press submits the form that has a button with these words, as pressing it
// does, with fields typed over those it has.
func (b *browser) press(d *document, words string, typed ...string) *document {
	b.t.Helper()
	f := d.form(words)
	for i := 0; i+1 < len(typed); i += 2 {
		f.fields.Set(typed[i], typed[i+1])
	}
	if f.method == "get" {
		return b.get(f.action + "?" + f.fields.Encode())
	}
	return b.post(f.action, f.fields)
}

// register makes an account and signs in.
func (b *browser) register() cardea.AccountID {
	b.t.Helper()
	d := b.press(b.get("/register"), "Create account", "email", testEmail, "password", testPassword)
	if d.Status != http.StatusSeeOther {
		b.t.Fatalf("register: status %d\n%s", d.Status, d.Text)
	}
	login, err := b.house.db.LoginByEmail(context.Background(), testEmail)
	if err != nil {
		b.t.Fatal(err)
	}
	return login.Account
}

// A form as it stands on a page, with the button that is pressed.
type form struct {
	method, action string
	fields         url.Values
}

func (d *document) form(words string) form {
	d.t.Helper()
	for f := range d.all("form") {
		for b := range within(f, "button") {
			if textOf(b) == words || attr(b, "aria-label") == words {
				out := form{strings.ToLower(attr(f, "method")), attr(f, "action"), url.Values{}}
				for in := range within(f, "input") {
					out.fields.Set(attr(in, "name"), attr(in, "value"))
				}
				if name := attr(b, "name"); name != "" {
					out.fields.Set(name, attr(b, "value"))
				}
				return out
			}
		}
	}
	d.t.Fatalf("no button %q on the page:\n%s", words, d.Text)
	panic("unreachable")
}

// all walks the elements of a name; "" is every element.
func (d *document) all(name string) func(func(*html.Node) bool) { return within(d.root, name) }

func within(root *html.Node, name string) func(func(*html.Node) bool) {
	return func(yield func(*html.Node) bool) {
		for n := range root.Descendants() {
			if n.Type == html.ElementNode && (name == "" || n.Data == name) && !yield(n) {
				return
			}
		}
	}
}

// find is the element with the id, or nil.
func (d *document) find(id string) *html.Node {
	for n := range d.all("") {
		if attr(n, "id") == id {
			return n
		}
	}
	return nil
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func hasAttr(n *html.Node, key string) bool {
	for _, a := range n.Attr {
		if a.Key == key {
			return true
		}
	}
	return false
}

// textOf is what is read of an element, with space made single.
func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func (d *document) mustSay(words ...string) {
	d.t.Helper()
	text := textOf(d.root)
	for _, w := range words {
		if !strings.Contains(text, w) {
			d.t.Errorf("page does not say %q:\n%s", w, text)
		}
	}
}

const testCatalogue = `
languages: [en]
purposes:
  - id: recommendations
    version: 1
    devices: [speaker, car]
    class: C
    validity: 17520h
    legal_basis: consent
    data: [songs you play, time_of_day]
    recipients:
      - {name: Hearth Audio, relation: own, country: DE}
      - {name: Tonic Analytics, relation: processor, country: IE}
      - {name: Broadside Media, relation: third_party, country: US, sold: true}
    retention: 13 months, then deleted.
    countries: [DE, IE, US]
    facets: [use, third_party]
    texts:
      en:
        title: Recommendations
        what: We look at what you play and when.
        why: To suggest music and stations you may like.
        benefit: Suggestions that fit, on each of your devices.
        refusal: You get the charts instead.
        facets:
          use: May we use what you play to suggest music?
          third_party: May Broadside Media get your listening profile?
  - id: voice_clips
    version: 3
    devices: [speaker]
    class: A
    staleness: 30s
    validity: 8760h
    legal_basis: consent
    data: [voice recordings]
    recipients:
      - {name: Hearth Audio, relation: own, country: DE}
    retention: 90 days.
    countries: [DE]
    facets: [use]
    texts:
      en:
        title: Better understanding
        what: Short recordings of what you say to the speaker.
        why: To train it on voices like yours.
        benefit: It understands you better over time.
        refusal: It works as it does now.
        facets:
          use: May we keep recordings of your voice to learn from?
  - id: routes
    version: 1
    devices: [car]
    class: L
    validity: 8760h
    legal_basis: consent
    data: [routes]
    recipients: []
    retention: Until you delete it in the car.
    countries: []
    facets: [use]
    texts:
      en:
        title: Usual routes
        what: The car remembers where you drive.
        why: To warn you of traffic before you ask.
        benefit: It knows your way to work.
        refusal: You type each address.
        facets:
          use: May the car remember your routes?
  - id: updates
    version: 1
    devices: [speaker, car]
    class: N
    legal_basis: security
    data: [software version]
    recipients:
      - {name: Hearth Audio, relation: own, country: DE}
    retention: As long as you have the device.
    countries: [DE]
    facets: [use]
    texts:
      en:
        title: Updates
        what: The device asks for new software once a day.
        why: To close security holes.
        benefit: It stays safe.
        refusal: It can not be refused.
        facets:
          use: Needed
preferences:
  - {key: volume, type: int, min: 0, max: 10, default: 5, devices: [speaker], titles: {en: Volume when it starts}}
  - {key: units, type: enum, choices: [metric, imperial], default: metric, devices: [speaker, car], titles: {en: Units}}
  - {key: greeting, type: string, default: Hello, devices: [speaker], titles: {en: How it greets you}}
  - {key: microphone, type: bool, default: true, devices: [speaker], privacy: true, protective: false, titles: {en: Microphone}}
`
