package entry_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/cloud/portal"
	"github.com/cardea-id/cardea/cloud/portal/portaltest"
	"github.com/cardea-id/cardea/internal/browser"
	"github.com/cardea-id/cardea/internal/browser/browsertest"
)

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

	chromium := browsertest.Start(t)
	p := browsertest.New(t, chromium, browser.Look{})
	phone, err := p.Page.Authenticator()
	p.Must(err)

	p.Open(origin + "/register")
	p.Fill("E-mail", portaltest.Email)
	p.Fill("Password", portaltest.Password)
	p.Tap("Create account")
	p.Open(origin + "/account")
	p.Tap("Add a passkey")
	p.Fill("What you call it", "My phone")
	p.Tap("Make the passkey")
	p.Says("My phone", "used just now")
	kept, err := phone.Credentials()
	p.Must(err)
	if len(kept) != 1 || !kept[0].IsResidentCredential || strings.Contains(string(kept[0].UserHandle), portaltest.Email) {
		t.Fatalf("the phone keeps %d passkeys: %+v", len(kept), kept)
	}
	p.Tap("Sign out")

	// Somebody else's finger signs nobody in.
	p.Must(phone.Verified(false))
	p.Open(origin + "/pair?code=" + string(code))
	p.Must(p.Page.Click("Sign in with a passkey"))
	p.At("/signin")

	p.Must(phone.Verified(true))
	p.Open(origin + "/pair?code=" + string(code))
	p.Says("A device is waiting for you")
	p.Tap("Sign in with a passkey")
	p.Says("Is this your speaker?")
	p.Tap("Approve")
	if got := h.Pairings.Answered(code); !strings.HasPrefix(got, "approved") {
		t.Errorf("the device was %q", got)
	}
	p.Content()

	plain := browsertest.New(t, chromium, browser.Look{NoScript: true})
	plain.Open(origin + "/signin")
	plain.SaysNot("passkey")
	plain.Fill("E-mail", portaltest.Email)
	plain.Fill("Password", portaltest.Password)
	plain.Tap("Sign in")
	plain.Says("Your choices")
}
