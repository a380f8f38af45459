package cloud_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/cloud"
	"github.com/cardea-id/cardea/internal/owner"
)

var (
	// A text in the source that may be a route: a path, with or without a method.
	routeText = regexp.MustCompile(`"(?:(?:GET|POST|PUT|DELETE|PATCH) )?(/[a-z0-9._/{}$-]*)"`)
	wildcard  = regexp.MustCompile(`\{[a-z]+\}`)
)

// paths are what the cloud may answer: every text in its source that looks like a
// route, so that no route can be added without being tested here.
func paths(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, dir := range []string{".", "../pairing"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, m := range routeText.FindAllStringSubmatch(string(text), -1) {
				found = append(found, wildcard.ReplaceAllString(strings.TrimSuffix(m[1], "{$}"), "x"))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// checkAnswer looks at the headers of an answer, whatever it is.
func checkAnswer(t *testing.T, what string, h http.Header) {
	t.Helper()
	for name, want := range map[string]string{
		"Strict-Transport-Security": "max-age=31536000", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %s is %q, want %q", what, name, got, want)
		}
	}
	csp := h.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
		if !strings.Contains(csp, want) || strings.Contains(csp, "unsafe") || strings.Contains(csp, "data:") {
			t.Errorf("%s: content security policy %q", what, csp)
		}
	}
	if p := h.Get("Referrer-Policy"); p != "no-referrer" && p != "same-origin" {
		t.Errorf("%s: referrer policy %q", what, p)
	}
	if p := h.Get("Permissions-Policy"); !strings.Contains(p, "camera=()") || !strings.Contains(p, "geolocation=()") {
		t.Errorf("%s: permissions policy %q", what, p)
	}
	for _, bad := range []string{"Server", "X-Powered-By", "Access-Control-Allow-Origin"} {
		if h.Get(bad) != "" {
			t.Errorf("%s: says %s: %s", what, bad, h.Get(bad))
		}
	}
}

// Every answer of every route keeps to itself, and what is anybody's own is kept
// by nobody.
func TestHeadersOnEveryRoute(t *testing.T) {
	p := newProtected(t)
	const key = "the brand's key"
	p.AdminKeys = []cloud.AdminKey{{Name: "test", SHA256: fmt.Sprintf("%x", sha256.Sum256([]byte(key)))}}
	start(t, p.Config)
	cookies := signedIn(t, p)
	all := paths(t)
	for _, must := range []string{"/", "/signin", "/consents", "/devices/unlink", "/oauth/token", "/v1/up", "/v1/keys", "/admin/v1/changes", "/assets/x", "/.well-known/openid-configuration"} {
		if !slices.Contains(all, must) {
			t.Errorf("%s is not among %q", must, all)
		}
	}
	for _, path := range append(all, "/no/such/page", "/assets/"+asset(t, p)) {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodHead, http.MethodOptions} {
			for who, send := range map[string]func(*http.Request){
				"a stranger": func(*http.Request) {},
				"the owner": func(r *http.Request) {
					for _, c := range cookies {
						r.AddCookie(c)
					}
				},
				"the brand": func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+key) },
			} {
				r, err := http.NewRequestWithContext(t.Context(), method, p.Issuer+path, http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				send(r)
				answer, err := p.web.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				answer.Body.Close()
				what := fmt.Sprintf("%s %s by %s (%d)", method, path, who, answer.StatusCode)
				checkAnswer(t, what, answer.Header)
				kept := answer.Header.Get("Cache-Control")
				everybodys := strings.HasPrefix(path, "/assets/") || slices.Contains([]string{"/v1/keys", "/receipts/keys", "/.well-known/gpc.json"}, path)
				if kept != "no-store" && !everybodys || kept == "" {
					t.Errorf("%s: Cache-Control is %q", what, kept)
				}
			}
		}
	}
}

// signedIn are an owner's cookies.
func signedIn(t *testing.T, p protected) []*http.Cookie {
	t.Helper()
	seen := &cookies{RoundTripper: p.web.Transport}
	o := owner.New(seen)
	if err := o.Open(t.Context(), p.Issuer+"/register"); err != nil {
		t.Fatal(err)
	}
	o.Fill("email", "ada@example.com")
	o.Fill("password", "correct horse battery")
	if err := o.Press(t.Context(), "Create account", ""); err != nil {
		t.Fatal(err)
	}
	last := seen.set[len(seen.set)-1]
	for _, c := range seen.set {
		if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly {
			t.Errorf("a cookie that can be read or sent elsewhere: %+v", c)
		}
		if c.MaxAge > 0 && c.Value != "" {
			last = c
		}
	}
	return []*http.Cookie{{Name: last.Name, Value: last.Value}}
}

// A cookies remembers what a browser was given.
type cookies struct {
	http.RoundTripper
	set []*http.Cookie
}

func (c *cookies) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := c.RoundTripper.RoundTrip(r)
	if err == nil {
		c.set = append(c.set, answer.Cookies()...)
	}
	return answer, err
}

// asset is the name of a style sheet that is there.
func asset(t *testing.T, p protected) string {
	t.Helper()
	answer, err := p.web.Get(p.Issuer + "/signin")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`/assets/([^"]+\.css)`).FindSubmatch(text)
	if name == nil {
		t.Fatalf("no style sheet in %s", text)
	}
	return string(name[1])
}
