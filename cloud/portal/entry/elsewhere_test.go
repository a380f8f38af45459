package entry_test

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/cloud/portal"
	"github.com/cardea-id/cardea/cloud/portal/portaltest"
	"github.com/cardea-id/cardea/cloud/provider"
	"github.com/cardea-id/cardea/cloud/provider/providertest"
	"github.com/cardea-id/cardea/internal/jose"
)

// openWith is a portal with a provider called Elsewhere.
func openWith(t *testing.T) (*portaltest.House, *providertest.Provider) {
	t.Helper()
	there := providertest.New(t, "cardea")
	at, err := provider.New(provider.Config{ID: "elsewhere", Name: "Elsewhere", Issuer: there.Issuer, ClientID: "cardea",
		ClientSecret: "shared", Redirect: "http://cardea.test/signin/with/elsewhere/back"})
	if err != nil {
		t.Fatal(err)
	}
	return portaltest.Open(t, func(c *portal.Config) { c.Providers = []*provider.Provider{at} }), there
}

func TestSignInElsewhere(t *testing.T) {
	h, there := openWith(t)
	there.Claims = map[string]any{"email": "Ada@Example.com", "email_verified": true}
	b := h.Browser(t)
	first := b.Elsewhere()
	if first.Status != http.StatusSeeOther || first.Header.Get("Location") != "/consents" {
		t.Fatalf("status %d, to %q\n%s", first.Status, first.Header.Get("Location"), first.Text)
	}
	b.Get("/consents").MustSay("Signed in as ada@example.com")
	account := b.Who()

	again := h.Browser(t)
	again.Elsewhere()
	if got := again.Who(); got != account || got.IsZero() {
		t.Errorf("signed in again to %v, want %v", got, account)
	}
	there.Subject = "user-2"
	there.Claims = nil
	other := h.Browser(t)
	other.Elsewhere()
	if got := other.Who(); got == account || got.IsZero() {
		t.Errorf("another user is signed in to %v", got)
	}
	other.Get("/consents").MustSay("Signed in · Account")
}

// The way on is kept, also for a device that waits, and the provider never
// learns the device's code.
func TestElsewhereLeadsOn(t *testing.T) {
	h, _ := openWith(t)
	code := h.ASpeaker()
	b := h.Browser(t)
	page := b.Follow(b.Get("/pair?code=" + string(code)))
	back := b.Leave(page, "Continue with Elsewhere")
	if strings.Contains(back, "WDJB") {
		t.Errorf("the provider saw %q", back)
	}
	b.Follow(b.Get(back)).MustSay("Is this your speaker?", string(code))
}

func TestConnect(t *testing.T) {
	h, there := openWith(t)
	b := h.Browser(t)
	account := b.Register()
	b.Get("/account").MustSay("E-mail address", "ada@example.com", "Elsewhere Not connected")
	b.Follow(b.Get(b.Leave(b.Get("/account"), "Connect Elsewhere"))).MustSay("Elsewhere Connected")
	phone := h.Browser(t)
	phone.Elsewhere()
	if got := phone.Who(); got != account {
		t.Errorf("with the provider one is signed in to %v, want %v", got, account)
	}
	// Who it is at the provider can not belong to a second account.
	there.Subject = "user-2"
	other := h.Browser(t)
	other.Press(other.Get("/register"), "Create account", "email", "eve@example.com", "password", portaltest.Password)
	there.Subject = "user-1"
	other.Get(other.Leave(other.Get("/account"), "Connect Elsewhere")).MustSay("Someone else signs in with this")
	if got := other.Who(); got == account || got.IsZero() {
		t.Errorf("now signed in to %v", got)
	}
}

// An address alone joins nobody to an account.
func TestElsewhereNeverMergesByAddress(t *testing.T) {
	h, there := openWith(t)
	owner := h.Browser(t)
	account := owner.Register()
	for _, verified := range []any{true, "true", false, "false", nil, 1, "yes"} {
		there.Subject = "stranger"
		there.Claims = map[string]any{"email": portaltest.Email, "email_verified": verified}
		b := h.Browser(t)
		d := b.Elsewhere()
		if got := b.Who(); got == account {
			t.Fatalf("email_verified %v: a stranger is signed in to the account", verified)
		}
		if verified == true || verified == "true" {
			if d.Status != http.StatusConflict {
				t.Errorf("email_verified %v: status %d", verified, d.Status)
			}
			d.MustSay("You have an account already", "connect Elsewhere there")
		}
	}
}

// An address the provider has not verified is nobody's, and is not kept.
func TestUnverifiedAddressIsNotKept(t *testing.T) {
	h, there := openWith(t)
	there.Claims = map[string]any{"email": portaltest.Email, "email_verified": false}
	b := h.Browser(t)
	b.Elsewhere()
	if text := portaltest.TextOf(b.Get("/account").Root); strings.Contains(text, portaltest.Email) {
		t.Errorf("the page shows the address: %s", text)
	}
	owner := h.Browser(t)
	owner.Register() // would fail if the address were taken
}

// rogue is what a provider may get wrong, and what the owner is told.
type rogue struct {
	lie  func(p *providertest.Provider)
	says string
}

func claim(name string, value any) func(*providertest.Provider) {
	return func(p *providertest.Provider) { p.Claims = map[string]any{name: value} }
}

func sign(f func(claims map[string]any) string) func(*providertest.Provider) {
	return func(p *providertest.Provider) { p.Sign = f }
}

func jws(header, claims map[string]any, signature string) string {
	b := base64.RawURLEncoding
	h, _ := json.Marshal(header)
	c, _ := json.Marshal(claims)
	return b.EncodeToString(h) + "." + b.EncodeToString(c) + "." + b.EncodeToString([]byte(signature))
}

func serve(path string, f http.HandlerFunc) func(*providertest.Provider) {
	return func(p *providertest.Provider) {
		p.Serve = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == path {
				f(w, r)
			}
			return r.URL.Path == path
		}
	}
}

const (
	distrust = "We could not trust the answer"
	silence  = "Elsewhere does not answer"
)

func rogues() map[string]rogue {
	foreign := jose.GenerateKey()
	fail := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusInternalServerError) }
	noise := func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>hello")) }
	endless := func(w http.ResponseWriter, _ *http.Request) {
		for chunk := []byte(strings.Repeat(" ", 1<<16)); ; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}
	return map[string]rogue{
		"issuer in the ID token":   {claim("iss", "https://elsewhere.example"), distrust},
		"issuer in the metadata":   {func(p *providertest.Provider) { p.Metadata = map[string]any{"issuer": "https://elsewhere.example"} }, distrust},
		"issuer in the answer":     {func(p *providertest.Provider) { p.Answer = url.Values{"iss": {"https://elsewhere.example"}} }, distrust},
		"no issuer in the answer":  {func(p *providertest.Provider) { p.Answer = url.Values{"iss": nil} }, distrust},
		"endpoint without TLS":     {func(p *providertest.Provider) { p.Metadata = map[string]any{"token_endpoint": "http://203.0.113.9/t"} }, distrust},
		"keys without TLS":         {func(p *providertest.Provider) { p.Metadata = map[string]any{"jwks_uri": "http://203.0.113.9/k"} }, distrust},
		"nonce":                    {claim("nonce", "another"), distrust},
		"no nonce":                 {claim("nonce", nil), distrust},
		"audience":                 {claim("aud", "somebody-else"), distrust},
		"several audiences":        {claim("aud", []string{"cardea", "somebody-else"}), distrust},
		"authorized party":         {claim("azp", "somebody-else"), distrust},
		"expired":                  {claim("exp", time.Now().Add(-time.Hour).Unix()), distrust},
		"no subject":               {claim("sub", nil), distrust},
		"a subject without end":    {claim("sub", strings.Repeat("x", 300)), distrust},
		"a subject that is none":   {claim("sub", 7), distrust},
		"state":                    {func(p *providertest.Provider) { p.Answer = url.Values{"state": {"another"}} }, distrust},
		"no state":                 {func(p *providertest.Provider) { p.Answer = url.Values{"state": nil} }, distrust},
		"a made-up code":           {func(p *providertest.Provider) { p.Answer = url.Values{"code": {"made-up"}} }, distrust},
		"signed by another key":    {sign(func(c map[string]any) string { return providertest.SignWith(foreign, c) }), distrust},
		"not signed":               {sign(func(c map[string]any) string { return jws(map[string]any{"alg": "none"}, c, "") }), distrust},
		"signed with our secret":   {sign(func(c map[string]any) string { return jws(map[string]any{"alg": "HS256", "kid": "1"}, c, "mac") }), distrust},
		"no ID token":              {sign(func(map[string]any) string { return "" }), distrust},
		"an ID token that is none": {sign(func(map[string]any) string { return "a.b.c" }), distrust},
		"an error we do not know": {func(p *providertest.Provider) {
			p.Answer = url.Values{"error": {"<script>alert(1)</script>"}, "code": nil}
		}, distrust},

		"declined": {func(p *providertest.Provider) { p.Answer = url.Values{"error": {"access_denied"}, "code": nil} }, "You did not sign in"},
		"busy": {func(p *providertest.Provider) {
			p.Answer = url.Values{"error": {"temporarily_unavailable"}, "code": nil}
		}, silence},
		"failing at its tokens":   {serve("/token", fail), silence},
		"no JSON for tokens":      {serve("/token", noise), silence},
		"tokens without end":      {serve("/token", endless), silence},
		"failing at its metadata": {serve("/.well-known/openid-configuration", fail), silence},
		"no JSON for metadata":    {serve("/.well-known/openid-configuration", noise), silence},
		"metadata without end":    {serve("/.well-known/openid-configuration", endless), silence},
		"no keys":                 {serve("/keys", fail), silence},
		"keys without end":        {serve("/keys", endless), distrust},
	}
}

// A provider that lies signs nobody in, and one that fails harms nobody.
func TestLyingProvider(t *testing.T) {
	all := rogues()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) {
			h, there := openWith(t)
			all[name].lie(there)
			b := h.Browser(t)
			d := b.Press(b.Get("/signin"), "Continue with Elsewhere")
			if d.Status == http.StatusOK {
				for a := range d.All("a") {
					if portaltest.TextOf(a) == "Continue to Elsewhere" {
						d = b.Get(b.AnswerOf(portaltest.Attr(a, "href")))
						break
					}
				}
			}
			d.MustSay(all[name].says)
			d.Check()
			if !b.Who().IsZero() {
				t.Error("somebody is signed in")
			}
			if d.Status < 400 {
				t.Errorf("status %d", d.Status)
			}
		})
	}
}

// A provider that does not answer is given up, for all who wait for it.
func TestDeadProvider(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	at, err := provider.New(provider.Config{ID: "gone", Name: "Gone", Issuer: gone.URL, ClientID: "cardea", Redirect: "http://cardea.test/signin/with/gone/back"})
	if err != nil {
		t.Fatal(err)
	}
	h := portaltest.Open(t, func(c *portal.Config) { c.Providers = []*provider.Provider{at} })
	b := h.Browser(t)
	b.Press(b.Get("/signin"), "Continue with Gone").MustSay("Gone does not answer", "Sign in another way")
	b.Register() // the other ways go on
}

// Nobody else can start or end a journey for an owner.
func TestForeignJourneys(t *testing.T) {
	h, there := openWith(t)
	stranger := h.Browser(t)
	there.Subject = "stranger"
	back := stranger.Leave(stranger.Get("/signin"), "Continue with Elsewhere")

	owner := h.Browser(t)
	account := owner.Register()
	owner.Get(back).MustSay("This took too long")
	form := owner.Get("/account").Form("Connect Elsewhere")
	owner.Site = "cross-site"
	if d := owner.Post(form.Action, form.Fields); d.Status != http.StatusForbidden {
		t.Errorf("a form of another site: status %d", d.Status)
	}
	owner.Site = "same-origin"
	form.Fields.Set("form", "guessed")
	if d := owner.Post(form.Action, form.Fields); d.Status != http.StatusForbidden {
		t.Errorf("a form with another token: status %d", d.Status)
	}
	connections, err := h.DB.Connections(t.Context(), account)
	if err != nil || len(connections) != 0 {
		t.Errorf("connected: %v, %v", connections, err)
	}
}

// A journey ends where it began: in the same session, once.
func TestJourneyEndsInItsSession(t *testing.T) {
	h, _ := openWith(t)
	b := h.Browser(t)
	b.Register()
	back := b.Leave(b.Get("/account"), "Connect Elsewhere")
	b.Press(b.Get("/account"), "Sign out")
	b.Get(back).MustSay("You signed out on the way", "Nothing was connected")
	b.Get(back).MustSay("This took too long")
	fresh := h.Browser(t)
	fresh.Elsewhere()
	if text := portaltest.TextOf(fresh.Get("/account").Root); strings.Contains(text, portaltest.Email) {
		t.Errorf("connected all the same: %s", text)
	}
}

// Who is signed in shows a provider anew who they are: it is asked to ask, and what
// it answers counts only if it says that it did, just now. Otherwise nothing is
// connected, nothing counts as shown, and the owner reads what to do.
func TestProviderMustAskAnew(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		at   any // auth_time; "honest": as it is
		says string
	}{
		"an honest one":              {"honest", ""},
		"its clock is a little slow": {now.Add(-30 * time.Second).Unix(), ""},
		"it does not say when":       {nil, "did not ask you again"},
		"it says so in words":        {"now", "did not ask you again"},
		"long ago":                   {now.Add(-time.Hour).Unix(), "did not ask you again"},
		"a while ago":                {now.Add(-3 * time.Minute).Unix(), "did not ask you again"},
		"never":                      {0, "did not ask you again"},
		"before time began":          {-5, "did not ask you again"},
		"tomorrow":                   {now.AddDate(0, 0, 1).Unix(), distrust},
	} {
		t.Run(name, func(t *testing.T) {
			h, there := openWith(t)
			if c.at != "honest" {
				there.Claims = map[string]any{"auth_time": c.at}
			}
			b := h.Browser(t)
			account := b.Register()
			page := b.Press(b.Get("/account"), "Connect Elsewhere")
			for _, part := range []string{"prompt=login", "max_age=0"} {
				if !strings.Contains(page.Text, part) {
					t.Errorf("the provider is not asked %s", part)
				}
			}
			d := b.Get(b.Leave(b.Get("/account"), "Connect Elsewhere"))
			connections, err := h.DB.Connections(t.Context(), account)
			if err != nil || (len(connections) == 1) != (c.says == "") {
				t.Errorf("connected: %v, %v", connections, err)
			}
			if c.says != "" {
				d.MustSay(c.says)
				d.Check()
			}
		})
	}
}

// A browser that says that it left long ago is not believed.
func TestJourneyCanNotBeMadeOlder(t *testing.T) {
	h, there := openWith(t)
	b := h.Browser(t)
	account := b.Register()
	there.Claims = map[string]any{"auth_time": time.Now().Add(-time.Hour).Unix()}
	back := b.Leave(b.Get("/account"), "Connect Elsewhere")
	for _, c := range b.Jar.Cookies(portaltest.Base) {
		if i := strings.LastIndex(c.Value, "."); strings.Contains(c.Name, "attempt") && i > 0 {
			c.Value, c.Path = c.Value[:i+1]+"1", "/"
			b.Jar.SetCookies(portaltest.Base, []*http.Cookie{c})
		}
	}
	b.Get(back).MustSay("did not ask you again")
	if connections, _ := h.DB.Connections(t.Context(), account); len(connections) != 0 {
		t.Errorf("connected: %v", connections)
	}
}

// To sign in, a session at the provider is enough.
func TestSigningInAsksNothingAnew(t *testing.T) {
	h, there := openWith(t)
	there.Claims = map[string]any{"auth_time": time.Now().Add(-time.Hour).Unix()}
	b := h.Browser(t)
	page := b.Press(b.Get("/signin"), "Continue with Elsewhere")
	if strings.Contains(page.Text, "prompt=") || strings.Contains(page.Text, "max_age") {
		t.Error("the provider is asked to ask anew")
	}
	if b.Elsewhere(); b.Who().IsZero() {
		t.Error("not signed in")
	}
}

// A session at the provider that was begun long ago shows nothing of who sits there
// now. What needs the owner asks; a provider that does not say when is taken to have
// asked.
func TestOldSessionElsewhereIsNotShownJustNow(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		at   any // auth_time
		asks bool
	}{
		"just now":           {now.Unix(), false},
		"its clock is ahead": {now.Add(30 * time.Second).Unix(), false},
		"six minutes ago":    {now.Add(-6 * time.Minute).Unix(), true},
		"a day ago":          {now.AddDate(0, 0, -1).Unix(), true},
		"it does not say":    {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			h, there := openWith(t)
			there.Claims = map[string]any{"auth_time": c.at}
			b := h.Browser(t)
			b.Elsewhere()
			to := b.Press(b.Get("/leaving/copy"), "Download the copy").Header.Get("Location")
			if strings.HasPrefix(to, "/again?") != c.asks {
				t.Errorf("asks: %t, led to %q", !c.asks, to)
			}
		})
	}
}
