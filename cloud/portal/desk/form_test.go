package desk_test

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/cardea-id/cardea/cloud/language"
	"github.com/cardea-id/cardea/cloud/portal/desk"
)

func TestReturnPath(t *testing.T) {
	for next, want := range map[string]string{
		"/pair?code=WDJB-MJHT": "/pair?code=WDJB-MJHT", "/pair": "/pair", "/devices": "/devices",
		"/pair?code=A&code=B&x=y": "/pair?code=A", "/pair?code=a%26b%3Dc": "/pair?code=a%26b%3Dc", "/pair?code=X#y": "/pair?code=X",
		"/pair?%zz": "/pair", "": "/consents", "/": "/consents", "/admin": "/consents", "pair": "/consents",
	} {
		if got := desk.ReturnPath(next); got != want {
			t.Errorf("%q leads to %q, want %q", next, got, want)
		}
	}
	if got := desk.WithNext("/signin", "/pair?code=WDJB-MJHT"); got != "/signin?next=%2Fpair%3Fcode%3DWDJB-MJHT" {
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
		got := desk.ReturnPath(next)
		if len(got) < 2 || got[0] != '/' || got[1] == '/' || got[1] == '\\' || strings.ContainsAny(got, "\\\r\n\t #") {
			t.Fatalf("%q leads to %q", next, got)
		}
		u, err := issuer.Parse(got)
		if err != nil || u.Host != issuer.Host || u.Scheme != issuer.Scheme || u.User != nil {
			t.Fatalf("%q leads to %v, %v", next, u, err)
		}
		if again := desk.ReturnPath(got); again != got {
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
		p, err := desk.ParseBase(text)
		if err != nil {
			return
		}
		again, err := desk.ParseBase(desk.BaseText(p))
		if err != nil || again != p {
			t.Fatalf("%q: %v, %v", text, again, err)
		}
	})
}

func FuzzName(f *testing.F) {
	for _, name := range []string{"Kitchen", "Küche von Özgür", "부엌", "ห้องครัว", "台所", "<b>x</b>", "👩\u200d🍳"} {
		f.Add(name)
	}
	f.Add("\u202e")
	f.Add("a\xff")
	v := desk.Visit{Language: language.All()[0]}
	f.Fuzz(func(t *testing.T, text string) {
		name, wrong := v.CheckName(text)
		if wrong != "" {
			return
		}
		if name == "" || !utf8.ValidString(name) || utf8.RuneCountInString(name) > 60 || len(name) > 240 || strings.ContainsAny(name, "\r\n\t\x00\u202e") {
			t.Fatalf("%q became %q", text, name)
		}
		if again, wrong := v.CheckName(name); again != name || wrong != "" {
			t.Fatalf("%q became %q and then %q", text, name, again)
		}
	})
}

func FuzzEmail(f *testing.F) {
	for _, seed := range []string{"ada@example.com", "Ada <ada@example.com>", "a@b@c", "ädä@exämple.com", "\"a b\"@example.com", " A@B ", "a@b\r\nBcc: c@d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		email, ok := desk.ParseEmail(text)
		if !ok {
			return
		}
		if len(email) > 254 || strings.ContainsAny(email, "\r\n\x00") || !strings.Contains(email, "@") {
			t.Fatalf("%q became %q", text, email)
		}
		if again, ok := desk.ParseEmail(email); !ok || again != email {
			t.Fatalf("%q became %q and then %q", text, email, again)
		}
	})
}
