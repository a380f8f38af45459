package entry_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/cloud/portal"
	"github.com/cardea-id/cardea/cloud/portal/portaltest"
	"github.com/cardea-id/cardea/internal/browser"
)

// must fails the test on an error of the browser.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// says fails the test unless the page says all of it.
func says(t *testing.T, p *browser.Page, words ...string) {
	t.Helper()
	text, err := p.Text()
	must(t, err)
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("page does not say %q:\n%s", w, text)
		}
	}
}

// A person makes a passkey in a real browser, signs in with it by one press, and
// pairs a device: nothing is typed. In a browser without scripts the other ways are
// there, and no button that would do nothing.
func TestPasskeyInABrowser(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	_, port, _ := strings.Cut(server.Listener.Addr().String(), ":")
	origin := "http://localhost:" + port
	h := portaltest.Open(t, withPasskeys, func(c *portal.Config) { c.Issuer = origin })
	server.Config.Handler = http.HandlerFunc(h.ServeHTTP)
	server.Start()
	t.Cleanup(server.Close)
	code := h.ASpeaker()

	chromium, err := browser.Start(context.Background(), browser.Config{})
	must(t, err)
	t.Cleanup(func() { chromium.Close() })
	p, err := chromium.Page(browser.Look{})
	must(t, err)
	defer p.Close()
	phone, err := p.Authenticator()
	must(t, err)

	must(t, p.Open(origin+"/register"))
	must(t, p.Fill("E-mail", portaltest.Email))
	must(t, p.Fill("Password", portaltest.Password))
	must(t, p.Press("Create account"))
	must(t, p.Open(origin+"/account"))
	must(t, p.Press("Add a passkey"))
	must(t, p.Fill("What you call it", "My phone"))
	must(t, p.Press("Make the passkey"))
	says(t, p, "My phone", "used just now")
	kept, err := phone.Credentials()
	must(t, err)
	if len(kept) != 1 || !kept[0].IsResidentCredential || strings.Contains(string(kept[0].UserHandle), portaltest.Email) {
		t.Fatalf("the phone keeps %d passkeys: %+v", len(kept), kept)
	}
	must(t, p.Press("Sign out"))

	// Somebody else's finger signs nobody in.
	must(t, phone.Verified(false))
	must(t, p.Open(origin+"/pair?code="+string(code)))
	must(t, p.Click("Sign in with a passkey"))
	if path, err := p.Path(); err != nil || !strings.HasPrefix(path, "/signin") {
		t.Errorf("at %q, %v", path, err)
	}

	must(t, phone.Verified(true))
	must(t, p.Open(origin+"/pair?code="+string(code)))
	says(t, p, "A device is waiting for you")
	must(t, p.Press("Sign in with a passkey")) // the first tap
	says(t, p, "Is this your speaker?")
	must(t, p.Press("Approve")) // the second
	if got := h.Pairings.Answered(code); !strings.HasPrefix(got, "approved") {
		t.Errorf("the device was %q", got)
	}
	if wrong := p.Complaints(); len(wrong) != 0 {
		t.Errorf("the browser complains: %q", wrong)
	}

	plain, err := chromium.Page(browser.Look{NoScript: true})
	must(t, err)
	defer plain.Close()
	must(t, plain.Open(origin+"/signin"))
	text, err := plain.Text()
	must(t, err)
	if strings.Contains(text, "passkey") {
		t.Errorf("without scripts a passkey is offered:\n%s", text)
	}
	must(t, plain.Fill("E-mail", portaltest.Email))
	must(t, plain.Fill("Password", portaltest.Password))
	must(t, plain.Press("Sign in"))
	says(t, plain, "Your choices")
}
