// Package provider signs owners in with an account they have elsewhere: at any
// OpenID provider the brand has registered with (OpenID Connect Core 1.0, the
// authorization code flow, with PKCE as RFC 9700 wants it).
//
// It promises that an [Identity] it returns was asserted by that provider, for
// this client, in answer to this very request of this browser, and is still
// good; and, where it was to have its user sign in anew, that it says that it did.
// A provider is trusted for who its own users are and for nothing else:
// what it says of an e-mail address is passed on as its word.
//
// A provider that is slow, gone or talks nonsense costs its own sign-in, after
// [Config].Timeout at most, and nobody else's.
package provider

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const (
	pause      = 3 * time.Second // after a failure, before the provider is asked again
	maxAnswer  = 256 << 10       // bytes of one answer
	maxSubject = 255             // OpenID Connect Core, Section 2
)

// What can come of it, beside an Identity.
var (
	// ErrUnavailable: the provider did not answer, or failed. Trying later may help.
	ErrUnavailable = errors.New("the provider does not answer")
	// ErrDeclined: the owner, or the provider, said no.
	ErrDeclined = errors.New("declined at the provider")
	// ErrRefused: what came back is not what an honest provider answers to this
	// request. Trying again does not help.
	ErrRefused = errors.New("the provider's answer is not to be trusted")
	// ErrStale: the provider was asked to have its user sign in anew, and does not
	// say that they did.
	ErrStale = errors.New("the provider did not have its user sign in anew")
)

// Config is a registration with a provider.
type Config struct {
	// ID names the provider in addresses: lower-case letters, digits and dashes.
	ID string
	// Name is what owners know it by.
	Name string
	// Issuer is the provider's issuer identifier, from which all else is
	// discovered (OpenID Connect Discovery 1.0, Section 4).
	Issuer string
	// ClientID and ClientSecret are what it gave the brand. No secret makes a
	// public client.
	ClientID     string
	ClientSecret Secret
	// Redirect is where it sends browsers back to, as registered with it.
	Redirect string
	// Timeout bounds each time the provider is asked. Zero is 8 seconds.
	Timeout time.Duration
}

// A Secret prints as "redacted".
type Secret string

func (Secret) String() string { return "redacted" }

// GoString keeps %#v from printing the secret.
func (Secret) GoString() string { return "redacted" }

// An Identity is who somebody is at a provider: issuer and subject together, and
// nothing else, tell people apart (OpenID Connect Core, Section 5.7).
type Identity struct {
	Issuer  string
	Subject string
	// Email is an address the provider says it has verified; empty otherwise.
	Email string
	// Shown is when they last showed the provider who they are; zero: it does not say.
	Shown time.Time
}

// A Provider is safe for concurrent use.
type Provider struct {
	Config
	client *http.Client

	mu     sync.Mutex
	found  *discovered // nil until it has answered once
	failed error       // why not, until again
	again  time.Time
}

// discovered is what a provider said of itself.
type discovered struct {
	metadata
	endpoint oauth2.Endpoint
	keys     oidc.KeySet
}

// metadata is what the library does not read of the provider's metadata.
type metadata struct {
	IssInAnswer bool   `json:"authorization_response_iss_parameter_supported"` // RFC 9207
	Auth        string `json:"authorization_endpoint"`
	Token       string `json:"token_endpoint"`
	JWKS        string `json:"jwks_uri"`
}

// New checks a registration. The provider itself is asked when somebody signs
// in, so that one that is away keeps no cloud from starting.
func New(c Config) (*Provider, error) {
	if err := secureURL(c.Issuer); err != nil {
		return nil, fmt.Errorf("provider %q: issuer: %w", c.ID, err)
	}
	if c.ClientID == "" {
		return nil, fmt.Errorf("provider %q: client_id: enter what the provider gave you", c.ID)
	}
	if !validID(c.ID) {
		return nil, fmt.Errorf("provider %q: id: use up to 32 lower-case letters, digits and dashes", c.ID)
	}
	if c.Timeout == 0 {
		c.Timeout = 8 * time.Second
	}
	return &Provider{Config: c, client: &http.Client{Timeout: c.Timeout, Transport: bounded{http.DefaultTransport}}}, nil
}

// secureURL wants TLS, but for a provider on this very machine.
func secureURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return fmt.Errorf("%.200q is no address such as https://login.example.com", text)
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()) {
		return nil
	}
	return fmt.Errorf("%.200q: a provider is reached over https only", text)
}

// Authorize is where to send the browser. The attempt goes with the browser and
// is wanted back by Finish. anew has the provider ask its user who they are, whether
// or not they are signed in there (OpenID Connect Core, Section 3.1.2.1). Errors:
// ErrUnavailable, ErrRefused.
func (p *Provider) Authorize(ctx context.Context, a Attempt, anew bool) (string, error) {
	found, err := p.discover(ctx)
	if err != nil {
		return "", err
	}
	options := []oauth2.AuthCodeOption{oidc.Nonce(a.nonce(p.ID)), oauth2.S256ChallengeOption(a.verifier(p.ID))}
	if anew { // max_age makes it say when they did
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0"))
	}
	return p.oauth(found).AuthCodeURL(a.state(p.ID), options...), nil
}

func (p *Provider) oauth(found *discovered) *oauth2.Config {
	return &oauth2.Config{ClientID: p.ClientID, ClientSecret: string(p.ClientSecret), Endpoint: found.endpoint,
		RedirectURL: p.Redirect, Scopes: []string{oidc.ScopeOpenID, "email"}}
}

// skew is how much a provider's clock may differ.
const skew = time.Minute

// Finish reads what the browser was sent back with. since is when it was sent to
// sign in anew: the answer counts if that was done after it. Zero: whenever they
// did. Errors: ErrUnavailable, ErrDeclined, ErrRefused, ErrStale.
func (p *Provider) Finish(ctx context.Context, a Attempt, answer url.Values, since time.Time) (Identity, error) {
	who, err := p.finish(ctx, a, answer)
	switch {
	case err != nil || since.IsZero():
		return who, err
	case who.Shown.IsZero():
		return Identity{}, fmt.Errorf("%w: the ID token has no auth_time", ErrStale)
	case who.Shown.Before(since.Add(-skew)): // OpenID Connect Core, Section 3.1.3.7, item 13
		return Identity{}, fmt.Errorf("%w: auth_time is %s before it was asked", ErrStale, since.Sub(who.Shown).Round(time.Second))
	case who.Shown.After(time.Now().Add(skew)):
		return Identity{}, fmt.Errorf("%w: auth_time lies ahead", ErrRefused)
	}
	return who, nil
}

func (p *Provider) finish(ctx context.Context, a Attempt, answer url.Values) (who Identity, err error) {
	if subtle.ConstantTimeCompare([]byte(answer.Get("state")), []byte(a.state(p.ID))) != 1 {
		return who, fmt.Errorf("%w: the state is of another attempt", ErrRefused)
	}
	found, err := p.discover(ctx)
	if err != nil {
		return who, err
	}
	if iss := answer.Get("iss"); iss != p.Issuer && (iss != "" || found.IssInAnswer) {
		return who, fmt.Errorf("%w: it answers for another issuer (RFC 9207)", ErrRefused)
	}
	if answer.Get("error") != "" {
		return who, declined(answer.Get("error"))
	}
	ctx = oidc.ClientContext(ctx, p.client)
	tokens, err := p.oauth(found).Exchange(ctx, answer.Get("code"), oauth2.VerifierOption(a.verifier(p.ID)))
	if err != nil {
		return who, exchangeError(err)
	}
	raw, _ := tokens.Extra("id_token").(string)
	return p.verify(ctx, found, raw, a.nonce(p.ID))
}

// declined sorts an error answer (RFC 6749, Section 4.1.2.1).
func declined(code string) error {
	switch code {
	case "server_error", "temporarily_unavailable":
		return ErrUnavailable
	case "access_denied", "login_required", "interaction_required", "consent_required", "account_selection_required":
		return ErrDeclined
	}
	return fmt.Errorf("%w: it refuses the request with %.40q: compare the registration", ErrRefused, code)
}

func exchangeError(err error) error {
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		return fmt.Errorf("%w: the code was not taken (%.40q)", ErrRefused, refused.ErrorCode)
	}
	return fmt.Errorf("%w: %.200v", ErrUnavailable, err)
}

// algorithms are the signatures taken: asymmetric ones, which only the provider
// can make.
var algorithms = []string{oidc.RS256, oidc.PS256, oidc.ES256, oidc.EdDSA}

// fetching remembers why keys could not be had: the library's verifier tells it
// in words only.
type fetching struct {
	oidc.KeySet
	failed error
}

func (f *fetching) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	payload, err := f.KeySet.VerifySignature(ctx, token)
	if _, ok := errors.AsType[net.Error](err); ok {
		f.failed = err
	}
	return payload, err
}

// verify reads an ID token (OpenID Connect Core, Section 3.1.3.7).
func (p *Provider) verify(ctx context.Context, found *discovered, raw, nonce string) (who Identity, err error) {
	keys := &fetching{KeySet: found.keys}
	token, err := oidc.NewVerifier(p.Issuer, keys, &oidc.Config{ClientID: p.ClientID, SupportedSigningAlgs: algorithms}).Verify(ctx, raw)
	if keys.failed != nil {
		return who, fmt.Errorf("%w: keys: %.200v", ErrUnavailable, keys.failed)
	}
	if err != nil {
		return who, fmt.Errorf("%w: ID token: %.200v", ErrRefused, err)
	}
	var claims struct {
		AuthorizedParty string `json:"azp"`
		Email           string `json:"email"`
		Verified        any    `json:"email_verified"`
		At              any    `json:"auth_time"`
	}
	if err := token.Claims(&claims); err != nil {
		return who, fmt.Errorf("%w: claims: %.200v", ErrRefused, err)
	}
	switch azp := claims.AuthorizedParty; {
	case subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(nonce)) != 1:
		return who, fmt.Errorf("%w: the ID token is of another attempt", ErrRefused)
	case azp != p.ClientID && (azp != "" || len(token.Audience) > 1):
		return who, fmt.Errorf("%w: the ID token was made for another client", ErrRefused)
	case token.Subject == "" || len(token.Subject) > maxSubject:
		return who, fmt.Errorf("%w: a subject of %d bytes", ErrRefused, len(token.Subject))
	}
	who = Identity{Issuer: p.Issuer, Subject: token.Subject}
	if seconds, ok := claims.At.(float64); ok && seconds > 0 && seconds < 1<<40 {
		who.Shown = time.Unix(int64(seconds), 0)
	}
	// Some providers write the truth as text.
	if claims.Verified == true || claims.Verified == "true" {
		who.Email = claims.Email
	}
	return who, nil
}

// discover asks the provider for its metadata, once. All who sign in while it is
// slow wait for one answer, and hear of a failure for a moment after.
func (p *Provider) discover(ctx context.Context) (*discovered, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found == nil && time.Now().After(p.again) {
		p.found, p.failed = p.ask(context.WithoutCancel(ctx))
		p.again = time.Now().Add(pause)
	}
	return p.found, p.failed
}

func (p *Provider) ask(ctx context.Context) (*discovered, error) {
	ctx = oidc.ClientContext(ctx, p.client)
	found, err := oidc.NewProvider(ctx, p.Issuer)
	if _, lies := errors.AsType[*oidc.IssuerMismatchError](err); lies {
		return nil, fmt.Errorf("%w: its metadata is of another issuer", ErrRefused)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: metadata: %.200v", ErrUnavailable, err)
	}
	var says metadata
	if err := found.Claims(&says); err != nil {
		return nil, fmt.Errorf("%w: metadata: %.200v", ErrRefused, err)
	}
	for _, endpoint := range []string{says.Auth, says.Token, says.JWKS} {
		if err := secureURL(endpoint); err != nil {
			return nil, fmt.Errorf("%w: metadata: %.200v", ErrRefused, err)
		}
	}
	return &discovered{says, found.Endpoint(), oidc.NewRemoteKeySet(ctx, says.JWKS)}, nil
}

// validID reports whether a provider may be called so in addresses.
func validID(id string) bool {
	return id != "" && len(id) <= 32 && !slices.ContainsFunc([]byte(id), func(c byte) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-'
	})
}
