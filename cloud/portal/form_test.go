package portal_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/portal"
)

func TestReturnPath(t *testing.T) {
	for next, want := range map[string]string{
		"/pair?code=WDJB-MJHT": "/pair?code=WDJB-MJHT", "/pair": "/pair", "/devices": "/devices",
		"/pair?code=A&code=B&x=y": "/pair?code=A", "/pair?code=a%26b%3Dc": "/pair?code=a%26b%3Dc", "/pair?code=X#y": "/pair?code=X",
		"/pair?%zz": "/pair", "": "/consents", "/": "/consents", "/admin": "/consents", "pair": "/consents",
	} {
		if got := portal.ReturnPath(next); got != want {
			t.Errorf("%q leads to %q, want %q", next, got, want)
		}
	}
	if got := portal.WithNext("/signin", "/pair?code=WDJB-MJHT"); got != "/signin?next=%2Fpair%3Fcode%3DWDJB-MJHT" {
		t.Errorf("with next: %q", got)
	}
}

func FuzzReturnPath(f *testing.F) {
	for _, seed := range []string{
		"/pair?code=WDJB-MJHT", "//evil.example", "/\\evil.example", "https://evil.example", "/pair?code=%0d%0aSet-Cookie:a=b", "/./pair", "/pair;x", "\t//x", "/consents?a=b",
	} {
		f.Add(seed)
	}
	issuer := &url.URL{Scheme: "https", Host: "id.example.com"}
	f.Fuzz(func(t *testing.T, next string) {
		got := portal.ReturnPath(next)
		if len(got) < 2 || got[0] != '/' || got[1] == '/' || got[1] == '\\' || strings.ContainsAny(got, "\\\r\n\t #") {
			t.Fatalf("%q leads to %q", next, got)
		}
		u, err := issuer.Parse(got)
		if err != nil || u.Host != issuer.Host || u.Scheme != issuer.Scheme || u.User != nil {
			t.Fatalf("%q leads to %v, %v", next, u, err)
		}
		if again := portal.ReturnPath(got); again != got {
			t.Fatalf("%q leads to %q and then to %q", next, got, again)
		}
	})
}

func FuzzBase(f *testing.F) {
	hash := strings.Repeat("0f", 32)
	for _, seed := range []string{"1.7." + hash, "0.0.", "4294967295.18446744073709551615." + hash, "4294967296.0.", "1.2", "..", "-1.1.", "1.+1.", "1.1.zz"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := portal.ParseBase(text)
		if err != nil {
			return
		}
		again, err := portal.ParseBase(portal.BaseText(p))
		if err != nil || again != p {
			t.Fatalf("%q: %v, %v", text, again, err)
		}
	})
}

func FuzzDecision(f *testing.F) {
	f.Add("key=voice_clips%2Fuse&decision=deny&base=0.0.")
	f.Add("key=voice_clips%2Fuse&decision=allow&base=0.0.&version=3&notice=" + strings.Repeat("0f", 32))
	f.Add("key=voice_clips%2Fuse&decision=allow&base=0.0.&version=3&notice=&device=x")
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest("POST", "/consents", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		d, scope, err := portal.DecisionOf(r)
		if err != nil {
			return
		}
		if _, err := cardea.ParseKey(string(d.Key)); err != nil || d.Event.IsZero() {
			t.Fatalf("%q: %+v", body, d)
		}
		if d.Act != cardea.ActGrant && d.Act != cardea.ActDeny {
			t.Fatalf("%q does %q", body, d.Act)
		}
		if _, err := cardea.ParseDeviceID(string(scope.Device)); err != nil && !scope.Everywhere() {
			t.Fatalf("%q on %q", body, scope.Device)
		}
	})
}

// Whatever is sent as a form, the answer is a page and no fault of ours.
func FuzzForms(f *testing.F) {
	h := open(f)
	b := h.browser(f)
	b.register()
	h.aSpeaker()
	token := b.get("/pair?code=WDJB-MJHT").form("Approve").fields.Get("form")
	f.Add("/pair", "code=WDJB-MJHT&answer=approve&name=Kitchen")
	f.Add("/consents", "key=voice_clips/use&decision=deny&base=0.0.")
	f.Add("/preferences", "preference=volume&value=5&base=0.0.")
	f.Add("/devices/unlink", "link=x")
	f.Add("/devices/confirm", "link=AAAAAAAAAAAAAAAAAAAAAA")
	f.Add("/nowhere", "a=b;c=d&&=")
	f.Fuzz(func(t *testing.T, path, body string) {
		switch path {
		case "/signin", "/register": // each takes a hash
			return
		}
		u, err := url.Parse(path)
		if err != nil || !strings.HasPrefix(path, "/") {
			return
		}
		r := httptest.NewRequest("POST", "http://cardea.test/", strings.NewReader("form="+token+"&"+body))
		r.URL.Path = u.Path
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for _, c := range b.jar.Cookies(base) {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code == http.StatusInternalServerError {
			t.Fatalf("%s %q: %s", path, body, w.Body)
		}
	})
}

func FuzzName(f *testing.F) {
	for _, name := range names {
		f.Add(name)
	}
	f.Add("\u202e")
	f.Add("a\xff")
	f.Fuzz(func(t *testing.T, text string) {
		name, wrong := portal.CheckName(text)
		if wrong != "" {
			return
		}
		if name == "" || !utf8.ValidString(name) || utf8.RuneCountInString(name) > 60 || len(name) > 240 || strings.ContainsAny(name, "\r\n\t\x00\u202e") {
			t.Fatalf("%q became %q", text, name)
		}
		if again, wrong := portal.CheckName(name); again != name || wrong != "" {
			t.Fatalf("%q became %q and then %q", text, name, again)
		}
	})
}

func FuzzEmail(f *testing.F) {
	for _, seed := range []string{"ada@example.com", "Ada <ada@example.com>", "a@b@c", "ädä@exämple.com", "\"a b\"@example.com", " A@B ", "a@b\r\nBcc: c@d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		email, ok := portal.ParseEmail(text)
		if !ok {
			return
		}
		if len(email) > 254 || strings.ContainsAny(email, "\r\n\x00") || !strings.Contains(email, "@") {
			t.Fatalf("%q became %q", text, email)
		}
		if again, ok := portal.ParseEmail(email); !ok || again != email {
			t.Fatalf("%q became %q and then %q", text, email, again)
		}
	})
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Second: "1 second", 30 * time.Second: "30 seconds", 90 * time.Second: "90 seconds", time.Minute: "1 minute", time.Hour: "1 hour",
		24 * time.Hour: "24 hours", 36 * time.Hour: "36 hours", 72 * time.Hour: "3 days", 30 * 24 * time.Hour: "30 days",
		8760 * time.Hour: "1 year", 17520 * time.Hour: "2 years",
	} {
		if got := portal.Span(d); got != want {
			t.Errorf("%s is %q, want %q", d, got, want)
		}
	}
}

func TestThrottle(t *testing.T) {
	th := portal.NewThrot(3, time.Minute)
	now := time.Unix(1e9, 0)
	take := func(key string) bool { _, ok := portal.Take(th, key, now); return ok }
	for i := range 3 {
		if !take("a") {
			t.Fatalf("try %d is refused", i)
		}
	}
	if wait, ok := portal.Take(th, "a", now); ok || wait != time.Minute {
		t.Errorf("the fourth: %v, wait %s", ok, wait)
	}
	if !take("b") {
		t.Error("another key is refused")
	}
	portal.GiveBack(th, "a")
	if !take("a") || take("a") {
		t.Error("what was given back is not one try")
	}
	now = now.Add(time.Minute)
	if !take("a") || take("a") {
		t.Error("a minute is not one try")
	}
	now = now.Add(time.Hour)
	for i := range 3 {
		if !take("a") {
			t.Errorf("try %d after an hour is refused", i)
		}
	}
	if take("a") {
		t.Error("quiet is saved up beyond the burst")
	}
}

func TestBlock(t *testing.T) {
	for a, want := range map[string]string{
		"203.0.113.7": "203.0.113.7", "::ffff:203.0.113.7": "203.0.113.7", "2001:db8::1": "2001:db8::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := portal.Block(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s is of %s, want %s", a, got, want)
		}
	}
}
