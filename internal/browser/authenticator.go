package browser

import (
	"context"
	"fmt"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// An Authenticator is a virtual one in the person's device, such as a phone's:
// it keeps passkeys, and its person says yes to each question.
type Authenticator struct {
	page *Page
	id   webauthn.AuthenticatorID
}

// Authenticator adds one to the page. It stays for as long as the page is open.
func (p *Page) Authenticator() (*Authenticator, error) {
	a := &Authenticator{page: p}
	err := p.do(webauthn.Enable(), chromedp.ActionFunc(func(ctx context.Context) (err error) {
		a.id, err = webauthn.AddVirtualAuthenticator(&webauthn.VirtualAuthenticatorOptions{
			Protocol: webauthn.AuthenticatorProtocolCtap2, Ctap2version: webauthn.Ctap2versionCtap21,
			Transport: webauthn.AuthenticatorTransportInternal, HasResidentKey: true, HasUserVerification: true,
			IsUserVerified: true, AutomaticPresenceSimulation: true,
		}).Do(ctx)
		return err
	}))
	if err != nil {
		return nil, fmt.Errorf("add an authenticator: %w", err)
	}
	return a, nil
}

// Verified sets whether the person's finger or code is right from now on.
func (a *Authenticator) Verified(yes bool) error {
	return a.page.do(webauthn.SetUserVerified(a.id, yes))
}

// Credentials is what it keeps.
func (a *Authenticator) Credentials() (all []*webauthn.Credential, err error) {
	err = a.page.do(chromedp.ActionFunc(func(ctx context.Context) (err error) {
		all, err = webauthn.GetCredentials(a.id).Do(ctx)
		return err
	}))
	return all, err
}

// Forget removes every passkey it keeps.
func (a *Authenticator) Forget() error { return a.page.do(webauthn.ClearCredentials(a.id)) }

// Remove takes the authenticator away.
func (a *Authenticator) Remove() error { return a.page.do(webauthn.RemoveVirtualAuthenticator(a.id)) }
