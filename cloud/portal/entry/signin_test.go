package entry_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea/cloud/portal"
	"github.com/cardea-id/cardea/cloud/portal/portaltest"
	"github.com/cardea-id/cardea/store/accountdb"
)

func TestRegisterAndSignIn(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	account := b.Register()
	b.Get("/consents").MustSay("Your choices", "Signed in as "+portaltest.Email)
	if to := b.Press(b.Get("/devices"), "Sign out").Header.Get("Location"); to != "/signin" {
		t.Errorf("signing out leads to %q", to)
	}
	if d := b.Get("/consents"); d.Status != http.StatusSeeOther {
		t.Fatalf("status %d after signing out", d.Status)
	}
	d := b.Press(b.Get("/signin"), "Sign in", "email", " ADA@example.com ", "password", portaltest.Password)
	b.Follow(d).MustSay("Your choices")
	login, err := h.DB.LoginByEmail(t.Context(), portaltest.Email)
	if err != nil || login.Account != account || !strings.HasPrefix(login.Password, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("login = %+v, %v", login, err)
	}
}

// A code that was scanned survives registering and signing in.
func TestScannedCodeSurvives(t *testing.T) {
	h := portaltest.Open(t)
	code := h.ASpeaker()
	b := h.Browser(t)
	signIn := b.Follow(b.Get("/pair?code=" + string(code)))
	signIn.MustSay("A device is waiting for you")
	var register string
	for a := range signIn.All("a") {
		if portaltest.TextOf(a) == "Create an account" {
			register = portaltest.Attr(a, "href")
		}
	}
	d := b.Press(b.Get(register), "Create account", "email", portaltest.Email, "password", portaltest.Password)
	b.Follow(d).MustSay("Is this your speaker?", string(code))

	b.Press(b.Get("/devices"), "Sign out")
	d = b.Press(b.Follow(b.Get("/pair?code="+string(code))), "Sign in", "email", portaltest.Email, "password", portaltest.Password)
	b.Follow(d).MustSay("Is this your speaker?")
	if got := h.Pairings.Answered(code); got != "" {
		t.Errorf("on the way the code was %s", got)
	}
}

func TestWrongPasswordAndUnknownAddressLookAlike(t *testing.T) {
	h := portaltest.Open(t)
	h.Browser(t).Register()
	b := h.Browser(t)
	page := b.Get("/signin")
	wrong := b.Press(page, "Sign in", "email", portaltest.Email, "password", "not the password")
	unknown := b.Press(page, "Sign in", "email", "eve@example.com", "password", "not the password")
	if wrong.Status != http.StatusUnauthorized || unknown.Status != wrong.Status {
		t.Errorf("status %d and %d", wrong.Status, unknown.Status)
	}
	if got, want := strings.ReplaceAll(unknown.Text, "eve@example.com", portaltest.Email), wrong.Text; got != want {
		t.Errorf("the pages differ:\n%s\n%s", got, want)
	}
}

// Both take a turn to hash: where there is none, both wait for it in vain.
func TestWrongPasswordAndUnknownAddressDoTheSameWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := portaltest.Open(t)
		h.Browser(t).Register()
		b := h.Browser(t)
		page := b.Get("/signin")
		release := h.HoldTurns(t)
		for _, email := range []string{portaltest.Email, "eve@example.com"} {
			start := time.Now()
			d := b.Press(page, "Sign in", "email", email, "password", "not the password")
			if d.Status != http.StatusServiceUnavailable || time.Since(start) != 5*time.Second {
				t.Errorf("%s: status %d after %s", email, d.Status, time.Since(start))
			}
		}
		release()
		if d := b.Press(page, "Sign in", "email", portaltest.Email, "password", portaltest.Password); d.Status != http.StatusSeeOther {
			t.Errorf("status %d with turns free again", d.Status)
		}
	})
}

func TestTriesAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := portaltest.Open(t)
		h.Browser(t).Register()
		time.Sleep(time.Minute) // registering was a try
		b := h.Browser(t)
		page := b.Get("/signin")
		try := func(from, password string) int {
			b.From = from
			return b.Press(page, "Sign in", "email", portaltest.Email, "password", password).Status
		}
		for i := range 10 {
			if got := try("198.51.100."+string(rune('0'+i))+":1", "wrong"); got != http.StatusUnauthorized {
				t.Fatalf("try %d: status %d", i, got)
			}
		}
		if got := try("192.0.2.9:1", portaltest.Password); got != http.StatusTooManyRequests {
			t.Errorf("after ten wrong passwords from many addresses: status %d", got)
		}
		time.Sleep(time.Minute)
		if got := try("192.0.2.9:1", portaltest.Password); got != http.StatusSeeOther {
			t.Errorf("a minute later: status %d", got)
		}
	})
}

func TestAddressIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := portaltest.Open(t)
		b := h.Browser(t)
		page := b.Get("/signin")
		last := 0
		for i := range 21 {
			b.From = "[2001:db8::" + string(rune('a'+i%6)) + "]:1" // one household has a whole /64
			last = b.Press(page, "Sign in", "email", string(rune('a'+i))+"@example.com", "password", "wrong").Status
		}
		if last != http.StatusTooManyRequests {
			t.Errorf("after twenty wrong passwords from one network: status %d", last)
		}
		b.From = "[2001:db8:0:1::1]:1"
		if got := b.Press(page, "Sign in", "email", "z@example.com", "password", "wrong").Status; got != http.StatusUnauthorized {
			t.Errorf("from another network: status %d", got)
		}
	})
}

// Signing in right is no guess, however often.
func TestOwnerIsNotLimited(t *testing.T) {
	h := portaltest.Open(t)
	h.Browser(t).Register()
	for i := range 15 {
		b := h.Browser(t)
		if d := b.Press(b.Get("/signin"), "Sign in", "email", portaltest.Email, "password", portaltest.Password); d.Status != http.StatusSeeOther {
			t.Fatalf("time %d: status %d", i, d.Status)
		}
	}
}

func TestRegisterRefuses(t *testing.T) {
	h := portaltest.Open(t)
	h.Browser(t).Register()
	for _, c := range []struct {
		email, password string
		status          int
		says            string
	}{
		{"nobody", portaltest.Password, 422, "This is no e-mail address"},
		{"a@b@c", portaltest.Password, 422, "This is no e-mail address"},
		{"Eve <eve@example.com>", portaltest.Password, 422, "This is no e-mail address"},
		{strings.Repeat("e", 250) + "@example.com", portaltest.Password, 422, "This is no e-mail address"},
		{"eve@example.com", "short", 422, "at least 10 characters"},
		{"eve@example.com", strings.Repeat("x", 10<<10), 422, "at most 256 characters"},
		{"eve@example.com", "eve@example.com", 422, "other than your e-mail address"},
		{"eve@example.com", "bytes that are no text \xff", 422, "no text"},
		{portaltest.Email, "another password", 409, "There is an account"},
	} {
		b := h.Browser(t)
		d := b.Press(b.Get("/register"), "Create account", "email", c.email, "password", c.password)
		if d.Status != c.status {
			t.Errorf("%.40q %.20q: status %d, want %d", c.email, c.password, d.Status, c.status)
		}
		d.MustSay(c.says)
		if strings.Contains(d.Text, "another password") {
			t.Error("a password stands on the page")
		}
	}
}

func TestDisabledAccountCanNotSignIn(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	account := b.Register()
	if err := h.DB.Update(t.Context(), func(tx *accountdb.Tx) error { return tx.Disable(account, true) }); err != nil {
		t.Fatal(err)
	}
	if d := b.Get("/consents"); d.Status != http.StatusSeeOther {
		t.Errorf("its session: status %d", d.Status)
	}
	other := h.Browser(t)
	d := other.Press(other.Get("/signin"), "Sign in", "email", portaltest.Email, "password", portaltest.Password)
	if d.Status != http.StatusUnauthorized {
		t.Errorf("its password: status %d", d.Status)
	}
}

func TestSessionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := portaltest.Open(t)
		b := h.Browser(t)
		b.Register()
		time.Sleep(30*24*time.Hour - time.Minute)
		if d := b.Get("/consents"); d.Status != http.StatusOK {
			t.Fatalf("status %d within 30 days", d.Status)
		}
		time.Sleep(time.Minute)
		if d := b.Get("/consents"); d.Status != http.StatusSeeOther {
			t.Errorf("status %d after 30 days", d.Status)
		}
	})
}

func TestCookies(t *testing.T) {
	for _, c := range []struct {
		issuer, name string
		secure       bool
	}{
		{"http://cardea.test", "cardea_session", false},
		{"https://cardea.test", "__Host-cardea_session", true},
	} {
		h := portaltest.Open(t, func(config *portal.Config) { config.Issuer = c.issuer })
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/register", nil))
		visitor := w.Result().Cookies()[0]
		f := (&portaltest.Document{T: t, Text: w.Body.String(), Root: portaltest.Parse(t, w.Body.String())}).Form("Create account")
		f.Fields.Set("email", portaltest.Email)
		f.Fields.Set("password", portaltest.Password)
		r := httptest.NewRequest("POST", "/register", strings.NewReader(f.Fields.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.AddCookie(visitor)
		w = httptest.NewRecorder()
		h.ServeHTTP(w, r)
		var session *http.Cookie
		for _, got := range w.Result().Cookies() {
			if got.Name == c.name {
				session = got
			}
		}
		if session == nil {
			t.Fatalf("no cookie %s: %v", c.name, w.Result().Cookies())
		}
		if !session.HttpOnly || session.Secure != c.secure || session.SameSite != http.SameSiteLaxMode ||
			session.Path != "/" || session.Domain != "" || session.MaxAge != 30*24*3600 || len(session.Value) != 43 {
			t.Errorf("cookie %+v", session)
		}
	}
}

// What a browser had before it signed in, planted or not, signs nobody in after.
// By its mark it is known again, and that is all.
func TestSessionIsNew(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	b.Register()
	before := b.Jar.Cookies(portaltest.Base)
	b.Press(b.Get("/devices"), "Sign out")
	b.Press(b.Get("/signin"), "Sign in", "email", portaltest.Email, "password", portaltest.Password)
	for _, old := range before {
		for _, now := range b.Jar.Cookies(portaltest.Base) {
			if same := old.Value == now.Value; same != (old.Name == "cardea_browser") && old.Name == now.Name {
				t.Errorf("%s carried over: %v", old.Name, same)
			}
		}
	}
	thief := h.Browser(t)
	thief.Jar.SetCookies(portaltest.Base, before)
	if d := thief.Get("/consents"); d.Status != http.StatusSeeOther {
		t.Errorf("the cookie of a session that was ended: status %d", d.Status)
	}
}

func TestReturnsOnlyToOurPages(t *testing.T) {
	h := portaltest.Open(t)
	h.Browser(t).Register()
	for _, next := range []string{
		"https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "/%2f/evil.example", "/.//evil.example",
		"javascript:alert(1)", "/signout", "/pair/../signout", "/consents\r\nSet-Cookie: a=b", "http:/evil.example", "", "/pair@evil.example",
		"/consents?next=//evil.example", "/consents#//evil.example", "/%00", "/pair%3Fcode=X", strings.Repeat("/", 1000),
	} {
		b := h.Browser(t)
		d := b.Press(b.Get("/signin"), "Sign in", "email", portaltest.Email, "password", portaltest.Password, "next", next)
		if to := d.Header.Get("Location"); to != "/consents" {
			t.Errorf("next %q leads to %q", next, to)
		}
	}
}

func TestSignedInGoesStraightOn(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	b.Register()
	if to := b.Get("/signin?next=/devices").Header.Get("Location"); to != "/devices" {
		t.Errorf("leads to %q", to)
	}
}

func TestForeignFormsAreRefused(t *testing.T) {
	h := portaltest.Open(t)
	code := h.ASpeaker()
	b := h.Browser(t)
	account := b.Register()
	device := h.Link(t, account, portaltest.HubDevice("Kitchen"))
	other := h.Browser(t)
	other.Press(other.Get("/register"), "Create account", "email", "eve@example.com", "password", portaltest.Password)

	good := b.Get("/pair?code=" + string(code)).Form("Approve")
	foreign := other.Get("/pair?code=" + string(code)).Form("Approve").Fields.Get("form")
	for _, c := range []struct {
		what, token string
		header      http.Header
	}{
		{"another site", good.Fields.Get("form"), http.Header{"Sec-Fetch-Site": {"cross-site"}}},
		{"a neighbour's site", good.Fields.Get("form"), http.Header{"Sec-Fetch-Site": {"same-site"}}},
		{"another origin", good.Fields.Get("form"), http.Header{"Origin": {"https://evil.example"}}},
		{"no origin", good.Fields.Get("form"), http.Header{"Origin": {"null"}}},
		{"no token", "", http.Header{"Sec-Fetch-Site": {"same-origin"}}},
		{"another's token", foreign, http.Header{"Sec-Fetch-Site": {"same-origin"}}},
		{"no token and an old browser", "", http.Header{}},
	} {
		for path, fields := range map[string]url.Values{
			"/pair":            good.Fields,
			"/consents":        {"key": {"voice_clips/use"}, "decision": {"deny"}, "base": {"0.0."}},
			"/preferences":     {"preference": {"volume"}, "value": {"1"}, "base": {"0.0."}},
			"/devices/unlink":  {"link": {device.Link.String()}},
			"/devices/confirm": {"link": {device.Link.String()}},
			"/signin":          {"email": {portaltest.Email}, "password": {portaltest.Password}},
			"/register":        {"email": {"mallory@example.com"}, "password": {portaltest.Password}},
			"/signout":         {},
		} {
			fields.Set("form", c.token)
			r := httptest.NewRequest("POST", "http://cardea.test"+path, strings.NewReader(fields.Encode()))
			r.Header = c.header.Clone()
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if d := b.Do(r); d.Status != http.StatusForbidden {
				t.Errorf("%s, %s: status %d", path, c.what, d.Status)
			}
		}
	}
	if h.Pairings.Answered(code) != "" || len(h.Devices.Unlinked)+len(h.Devices.Confirmed) > 0 || h.Head(t, account).Seq != 0 {
		t.Error("something was changed")
	}
	if d := b.Get("/consents"); d.Status != http.StatusOK {
		t.Errorf("signed out: status %d", d.Status)
	}
}

func TestBodies(t *testing.T) {
	h := portaltest.Open(t)
	b := h.Browser(t)
	b.Register()
	for _, c := range []struct {
		media, body string
		status      int
	}{
		{"application/json", `{}`, http.StatusUnsupportedMediaType},
		{"multipart/form-data; boundary=x", "--x--", http.StatusUnsupportedMediaType},
		{"", "a=b", http.StatusUnsupportedMediaType},
		{"application/x-www-form-urlencoded", "name=" + strings.Repeat("x", 64<<10), http.StatusRequestEntityTooLarge},
		{"application/x-www-form-urlencoded", "%zz", http.StatusBadRequest},
	} {
		r := httptest.NewRequest("POST", "http://cardea.test/pair", strings.NewReader(c.body))
		r.Header.Set("Content-Type", c.media)
		if d := b.Do(r); d.Status != c.status {
			t.Errorf("%s %.20q: status %d, want %d", c.media, c.body, d.Status, c.status)
		}
	}
}

// However many sign in at once, the same few hashes are computed at a time, and
// each gets its turn.
func TestManySignInAtOnce(t *testing.T) {
	h := portaltest.Open(t)
	h.Browser(t).Register()
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() {
			b := h.Browser(t)
			if d := b.Press(b.Get("/signin"), "Sign in", "email", portaltest.Email, "password", portaltest.Password); d.Status != http.StatusSeeOther && d.Status != http.StatusTooManyRequests {
				t.Errorf("status %d", d.Status)
			}
		})
	}
	all.Wait()
}

func TestStorageFaultIsNoWrongPassword(t *testing.T) {
	h := portaltest.Open(t, func(c *portal.Config) { c.Accounts = failing{c.Accounts} })
	b := h.Browser(t)
	d := b.Press(b.Get("/signin"), "Sign in", "email", portaltest.Email, "password", portaltest.Password)
	if d.Status != http.StatusInternalServerError {
		t.Errorf("status %d", d.Status)
	}
}

// failing is a storage whose disk is gone.
type failing struct{ portal.Accounts }

func (failing) LoginByEmail(context.Context, string) (accountdb.Login, error) {
	return accountdb.Login{}, errors.New("disk 7 burns")
}
