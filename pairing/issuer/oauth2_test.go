package issuer_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
)

// The unmodified client of golang.org/x/oauth2 over HTTP: a bearer that polls
// every five seconds and knows nothing of ours. It waits one interval before its
// first poll, so the scenarios run side by side.
func TestOAuth2Client(t *testing.T) {
	scenarios := map[string]func(context.Context, *world) error{
		"pairs and refreshes, finding out how to authenticate": pairsAndRefreshes(oauth2.AuthStyleAutoDetect),
		"pairs and refreshes, with Basic and an empty secret":  pairsAndRefreshes(oauth2.AuthStyleInHeader),
		"pairs and refreshes, with client_id in the form":      pairsAndRefreshes(oauth2.AuthStyleInParams),
		"is declined": isDeclined,
		"is held":     isHeld,
	}
	var all sync.WaitGroup
	for name, scenario := range scenarios {
		w := newServer(t)
		all.Go(func() {
			if err := scenario(t.Context(), w); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	all.Wait()
}

func oauth2Config(w *world, style oauth2.AuthStyle) *oauth2.Config {
	return &oauth2.Config{ClientID: plain, Scopes: []string{"profile"}, Endpoint: oauth2.Endpoint{
		DeviceAuthURL: w.base + issuer.PathDeviceAuthorization, TokenURL: w.base + issuer.PathToken, AuthStyle: style,
	}}
}

func pairsAndRefreshes(style oauth2.AuthStyle) func(context.Context, *world) error {
	return func(ctx context.Context, w *world) error {
		c := oauth2Config(w, style)
		a, err := c.DeviceAuth(ctx)
		if err != nil {
			return err
		}
		if a.Interval != 5 || a.VerificationURIComplete == "" || time.Until(a.Expiry) > 10*time.Minute {
			return fmt.Errorf("%+v", a)
		}
		if _, err := w.Approve(ctx, w.owner.ID, pairing.UserCode(a.UserCode), "Tablet"); err != nil {
			return err
		}
		first, err := c.DeviceAccessToken(ctx, a)
		if err != nil {
			return err
		}
		if first.TokenType != "Bearer" || first.RefreshToken == "" || !first.Valid() {
			return fmt.Errorf("%s, valid %v", first.TokenType, first.Valid())
		}
		first.Expiry = time.Now().Add(-time.Minute)
		second, err := c.TokenSource(ctx, first).Token()
		if err != nil {
			return err
		}
		if second.AccessToken == first.AccessToken || second.RefreshToken == first.RefreshToken {
			return errors.New("the refresh gave nothing new")
		}
		return opens(w, second.AccessToken)
	}
}

// opens checks that a resource would take the token.
func opens(w *world, token string) error {
	r := httptest.NewRequest(http.MethodGet, w.base+"/v1/x", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	access, err := w.keys.VerifyAccess(httptest.NewRecorder(), r)
	if err != nil || access.Subject != w.owner.Subject || access.Scope != "profile" || access.Client != plain {
		return fmt.Errorf("%+v, %w", access, err)
	}
	return nil
}

func isDeclined(ctx context.Context, w *world) error {
	c := oauth2Config(w, oauth2.AuthStyleAutoDetect)
	a, err := c.DeviceAuth(ctx)
	if err != nil {
		return err
	}
	if err := w.Deny(ctx, w.owner.ID, pairing.UserCode(a.UserCode)); err != nil {
		return err
	}
	_, err = c.DeviceAccessToken(ctx, a)
	if refusal, ok := errors.AsType[*oauth2.RetrieveError](err); !ok || refusal.ErrorCode != pairing.AccessDenied {
		return fmt.Errorf("it was not told so: %w", err)
	}
	return nil
}

// isHeld answers while the first poll is held, and the client needs no second.
func isHeld(ctx context.Context, w *world) error {
	c := oauth2Config(w, oauth2.AuthStyleInParams)
	a, err := c.DeviceAuth(ctx)
	if err != nil {
		return err
	}
	sent := &counter{next: http.DefaultTransport}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: sent})
	answered := make(chan error, 1)
	go func() {
		for w.asked() == 0 {
			time.Sleep(time.Millisecond)
		}
		_, err := w.Approve(ctx, w.owner.ID, pairing.UserCode(a.UserCode), "Tablet")
		answered <- err
	}()
	if _, err := c.DeviceAccessToken(ctx, a); err != nil {
		return err
	}
	if n := sent.n.Load(); n != 1 {
		return fmt.Errorf("it took %d polls", n)
	}
	return <-answered
}

// A counter counts requests.
type counter struct {
	next http.RoundTripper
	n    atomic.Int32
}

func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.next.RoundTrip(r)
}

// The device's client of this project pairs, refreshes and hears a no at once.
func TestOwnClient(t *testing.T) {
	w := newServer(t)
	d := w.keyed()
	c := &pairing.Client{Issuer: w.base, ClientID: agent, Signer: d.key.Signer()}
	a, err := c.Start(t.Context(), pairing.Device{Kind: "car", Model: "Model C", Serial: "0042"})
	if err != nil {
		t.Fatal(err)
	}
	approved := make(chan error, 1)
	go func() {
		for w.asked() == 0 { // until the poll is held
			time.Sleep(time.Millisecond)
		}
		_, err := w.Approve(context.Background(), w.owner.ID, pairing.UserCode(a.UserCode), "Car")
		approved <- err
	}()
	tokens, err := c.Wait(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-approved; err != nil {
		t.Fatal(err)
	}
	again, err := c.Refresh(t.Context(), tokens.RefreshToken)
	if err != nil || again.TokenType != pairing.TypeDPoP {
		t.Fatal(again.TokenType, err)
	}
	if a, err = c.Start(t.Context(), pairing.Device{}); err != nil {
		t.Fatal(err)
	}
	if err := w.Deny(t.Context(), w.owner.ID, pairing.UserCode(a.UserCode)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Wait(t.Context(), a); !pairing.HasCode(err, pairing.AccessDenied) {
		t.Fatal(err)
	}
	if _, err := c.DeviceToken(t.Context()); !pairing.HasCode(err, pairing.InvalidGrant) {
		t.Fatalf("a device without a link got %v", err)
	}
	link(t, w.db, w.owner, jose.Thumbprint(d.key.Public()))
	token, err := c.DeviceToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	device, _, err := w.keys.VerifyDevice(token.AccessToken.Reveal())
	if err != nil || string(device) != jose.Thumbprint(d.key.Public()) {
		t.Fatal(device, err)
	}
}
