package provider_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea/cloud/provider"
	"github.com/cardea-id/cardea/cloud/provider/providertest"
)

func config(issuer string) provider.Config {
	return provider.Config{ID: "elsewhere", Name: "Elsewhere", Issuer: issuer, ClientID: "cardea", ClientSecret: "shared",
		Redirect: "https://id.example.com/signin/with/elsewhere/back"}
}

func open(t *testing.T, c provider.Config) *provider.Provider {
	t.Helper()
	p, err := provider.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// visit goes to the provider and returns what the browser is sent back with.
func visit(t *testing.T, there string) url.Values {
	t.Helper()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r, err := client.Get(there)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	back, err := r.Location()
	if err != nil {
		t.Fatalf("%s: %v", r.Status, err)
	}
	return back.Query()
}

func TestSignIn(t *testing.T) {
	there := providertest.New(t, "cardea")
	there.Claims = map[string]any{"email": "ada@example.com", "email_verified": "true"}
	p := open(t, config(there.Issuer))
	attempt := provider.NewAttempt()
	url, err := p.Authorize(t.Context(), attempt, false)
	if err != nil {
		t.Fatal(err)
	}
	answer := visit(t, url)
	got, err := p.Finish(t.Context(), attempt, answer, time.Time{})
	if want := (provider.Identity{Issuer: there.Issuer, Subject: "user-1", Email: "ada@example.com"}); err != nil || got != want {
		t.Fatalf("%+v, %v, want %+v", got, err, want)
	}
	if _, err := p.Finish(t.Context(), attempt, answer, time.Time{}); !errors.Is(err, provider.ErrRefused) {
		t.Errorf("the same answer again: %v", err)
	}
}

// Of all that a provider tells, who it is and a verified address are taken and
// nothing else, and nothing else is asked for.
func TestNothingElseIsTaken(t *testing.T) {
	there := providertest.New(t, "cardea")
	there.Claims = map[string]any{
		"email": "ada@example.com", "email_verified": true, "name": "Ada", "given_name": "Ada", "family_name": "L.", "nickname": "A",
		"picture": "https://example.com/ada.png", "birthdate": "1815-12-10", "gender": "female", "locale": "en-GB", "zoneinfo": "Europe/London",
		"phone_number": "+44 20 7946 0000", "address": map[string]any{"country": "GB"}, "friends": []string{"Charles"},
	}
	p := open(t, config(there.Issuer))
	attempt := provider.NewAttempt()
	address, err := p.Authorize(t.Context(), attempt, false)
	if err != nil {
		t.Fatal(err)
	}
	if u, err := url.Parse(address); err != nil || u.Query().Get("scope") != "openid email" || u.Query().Has("claims") {
		t.Errorf("it is asked for %q", address)
	}
	who, err := p.Finish(t.Context(), attempt, visit(t, address), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if told := fmt.Sprintf("%+v", who); told != fmt.Sprintf("{Issuer:%s Subject:user-1 Email:ada@example.com Shown:%s}", there.Issuer, time.Time{}) {
		t.Errorf("what is kept: %s", told)
	}
}

// An answer is good for the attempt it was made for and no other, so that one
// that was stolen or planted is worth nothing.
func TestAnswersBelongToAnAttempt(t *testing.T) {
	there := providertest.New(t, "cardea")
	p := open(t, config(there.Issuer))
	mine, theirs := provider.NewAttempt(), provider.NewAttempt()
	url, err := p.Authorize(t.Context(), theirs, false)
	if err != nil {
		t.Fatal(err)
	}
	stolen := visit(t, url)
	if _, err := p.Finish(t.Context(), mine, stolen, time.Time{}); !errors.Is(err, provider.ErrRefused) {
		t.Errorf("an answer of another attempt: %v", err)
	}
	url, err = p.Authorize(t.Context(), mine, false)
	if err != nil {
		t.Fatal(err)
	}
	mixed := visit(t, url)
	mixed.Set("code", stolen.Get("code"))
	if _, err := p.Finish(t.Context(), mine, mixed, time.Time{}); !errors.Is(err, provider.ErrRefused) {
		t.Errorf("a code of another attempt: %v", err)
	}
}

func TestWhatIsSent(t *testing.T) {
	there := providertest.New(t, "cardea")
	p := open(t, config(there.Issuer))
	attempt := provider.NewAttempt()
	text, err := p.Authorize(t.Context(), attempt, false)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	for name, want := range map[string]string{"response_type": "code", "client_id": "cardea", "scope": "openid email",
		"code_challenge_method": "S256", "redirect_uri": "https://id.example.com/signin/with/elsewhere/back"} {
		if got := q.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if q.Get("state") == q.Get("nonce") || q.Get("state") == "" || q.Get("code_challenge") == "" {
		t.Errorf("state, nonce and challenge: %v", q)
	}
	if strings.Contains(text, "shared") {
		t.Error("the secret is in the address")
	}
}

// One that is slow costs one timeout, however many wait for it.
func TestSlow(t *testing.T) {
	there := providertest.New(t, "cardea")
	release := make(chan struct{})
	asked := make(chan struct{}, 100)
	there.Serve = func(http.ResponseWriter, *http.Request) bool {
		asked <- struct{}{}
		<-release
		return false
	}
	t.Cleanup(func() { close(release) })
	c := config(there.Issuer)
	c.Timeout = 50 * time.Millisecond
	p := open(t, c)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := p.Authorize(t.Context(), provider.NewAttempt(), false); !errors.Is(err, provider.ErrUnavailable) {
				t.Errorf("slow: %v", err)
			}
		})
	}
	wg.Wait()
	if n := len(asked); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestRegistrationsThatCanNotWork(t *testing.T) {
	for name, change := range map[string]func(*provider.Config){
		"plain http":   func(c *provider.Config) { c.Issuer = "http://login.example.com" },
		"no address":   func(c *provider.Config) { c.Issuer = "login.example.com" },
		"with a user":  func(c *provider.Config) { c.Issuer = "https://a:b@login.example.com" },
		"no client":    func(c *provider.Config) { c.ClientID = "" },
		"no id":        func(c *provider.Config) { c.ID = "" },
		"id as a path": func(c *provider.Config) { c.ID = "../x" },
	} {
		c := config("https://login.example.com")
		change(&c)
		if _, err := provider.New(c); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestSecretsPrintNothing(t *testing.T) {
	c := config("https://login.example.com")
	a := provider.NewAttempt()
	if text := fmt.Sprintf("%v %+v %#v %s %v %#v", c, c, c, c.ClientSecret, a, a); strings.Contains(text, "shared") || strings.Count(text, "redacted") < 5 {
		t.Error(text)
	}
}
