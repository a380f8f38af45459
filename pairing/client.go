package pairing

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/cardea-id/cardea"
)

// A Client is a device that asks one server for tokens. The zero values of the
// optional fields work. Its methods may be called concurrently; its fields may
// not be changed once one was.
type Client struct {
	// Issuer is the server's identifier, an https URL, exactly as its metadata
	// writes it.
	Issuer string
	// ClientID is the public client's name at the server.
	ClientID string
	// Scope is what is asked for, words separated by spaces. Empty leaves it
	// to the server.
	Scope string
	// HTTP sends the requests. Nil is a client with the system's trust. Its
	// CheckRedirect is not used: see [ErrRedirect].
	HTTP *http.Client
	// Signer is the device key (ECDSA P-256). With it, tokens are bound to the
	// key where the server can (RFC 9449); without, they are bearer tokens.
	Signer crypto.Signer
	// Label is the key of the label on a device without a screen (ECDSA P-256), with
	// which the code belongs to the label. Needs Signer. Nil: it has none.
	Label crypto.Signer
	// Endpoints replaces discovery, for a server that publishes no metadata:
	// DeviceAuthorizationEndpoint and TokenEndpoint, and DPoPAlgs if it takes
	// proofs.
	Endpoints *Metadata
	// Boot is a clock that goes on in suspend and never steps, such as
	// CLOCK_BOOTTIME. Nil is the process's monotonic clock, which makes a code
	// look alive for longer after a suspend; the server's word ends it then.
	Boot func() time.Duration
	// Trouble is told what Wait waits out, and nil when the server answers
	// again. Nil is nobody.
	Trouble func(error)
	// Log gets what went wrong on the way and was survived. Nil is silence.
	Log *slog.Logger

	mu       sync.Mutex
	metadata *Metadata
	nonces   map[string]string // by origin: the last the server gave, RFC 9449, Section 8.2
}

// ErrNoKey is returned for what only a client with a key can do.
var ErrNoKey = errors.New("the client has no ECDSA key")

// Discover fetches the issuer's metadata: first RFC 8414's place, then OpenID
// Connect's. The answer is kept until the process ends.
func (c *Client) Discover(ctx context.Context) (Metadata, error) {
	if c.Endpoints != nil {
		return *c.Endpoints, nil
	}
	c.mu.Lock()
	known := c.metadata
	c.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	m, err := c.discover(ctx)
	if err != nil {
		return Metadata{}, fmt.Errorf("read the server's metadata: %w", err)
	}
	c.mu.Lock()
	c.metadata = &m
	c.mu.Unlock()
	return m, nil
}

func (c *Client) discover(ctx context.Context) (Metadata, error) {
	places, err := wellKnown(c.Issuer)
	if err != nil {
		return Metadata{}, err
	}
	for _, place := range places {
		answer, err := c.send(ctx, request{method: http.MethodGet, url: place, timeout: answerTime})
		if err != nil {
			return Metadata{}, err
		}
		if answer.status >= http.StatusInternalServerError {
			return Metadata{}, answer.failure()
		}
		if answer.status != http.StatusOK {
			continue
		}
		m, err := ParseMetadata(answer.body, c.Issuer)
		if errors.Is(err, ErrUnsupported) {
			continue
		}
		if err != nil {
			return Metadata{}, err
		}
		if strings.HasPrefix(c.Issuer, "https:") && !(secure(m.TokenEndpoint) && secure(m.DeviceAuthorizationEndpoint)) {
			return Metadata{}, fmt.Errorf("%w: an endpoint of %.100q is not https", ErrMalformed, c.Issuer)
		}
		return m, nil
	}
	return Metadata{}, ErrUnsupported
}

// wellKnown lists where an issuer's metadata may stand. RFC 8414, Section 3.1
// puts the well-known part before the issuer's path, OpenID Connect after it.
func wellKnown(issuer string) ([]string, error) {
	u, err := url.Parse(issuer)
	if err != nil || !links(issuer) || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%w: issuer %.100q: want https://host or https://host/path", ErrMalformed, issuer)
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	origin := u.Scheme + "://" + u.Host
	return []string{origin + WellKnownOAuth + path, origin + path + WellKnownOIDC}, nil
}

func secure(uri string) bool { return strings.HasPrefix(uri, "https:") }

// Start asks for a new code (RFC 8628, Section 3.1).
func (c *Client) Start(ctx context.Context, d Device) (Authorization, error) {
	m, err := c.Discover(ctx)
	if err != nil {
		return Authorization{}, err
	}
	form := d.Values()
	form.Set("client_id", c.ClientID)
	if c.Scope != "" {
		form.Set("scope", c.Scope)
	}
	var body []byte
	if c.Label != nil && m.DPoP() {
		body, err = c.startLabelled(ctx, m.DeviceAuthorizationEndpoint, form)
	} else {
		body, err = c.post(ctx, m.DeviceAuthorizationEndpoint, form, m.DPoP(), 0)
	}
	if err != nil {
		return Authorization{}, fmt.Errorf("ask for a code: %w", err)
	}
	return ParseAuthorization(body)
}

// Poll asks once for the tokens of a device code (RFC 8628, Section 3.4). A
// server that can holds the request for up to [MaxHold] while nothing is
// decided, then or at once answers an [Error] of code [AuthorizationPending].
func (c *Client) Poll(ctx context.Context, code Secret) (Tokens, error) {
	form := url.Values{"grant_type": {GrantDeviceCode}, "device_code": {code.Reveal()}, "client_id": {c.ClientID}}
	return c.tokens(ctx, form, MaxHold)
}

// Refresh fetches new tokens (RFC 6749, Section 6). An answer without a
// refresh token leaves the old one in use. [InvalidGrant] means that the grant
// has ended.
func (c *Client) Refresh(ctx context.Context, refresh Secret) (Tokens, error) {
	return c.RefreshFor(ctx, refresh, "", "")
}

// RefreshFor is Refresh for an access token of one audience and a part of the
// granted scope; empty is what was granted. An audience that is an absolute URI
// is asked for as RFC 8707, Section 2 says, another by its name in "audience",
// as RFC 8693 has it. A server that knows neither gives a token for another
// audience: whoever asked has to look.
func (c *Client) RefreshFor(ctx context.Context, refresh Secret, audience, scope string) (Tokens, error) {
	return c.RefreshLink(ctx, cardea.LinkID{}, refresh, audience, scope)
}

// RefreshLink is RefreshFor for a link of our own server, which gives new tokens
// for the proof of the link's key if it does not know the refresh token: the
// [Error] is [UnknownLink] if it does not know the link either.
func (c *Client) RefreshLink(ctx context.Context, link cardea.LinkID, refresh Secret, audience, scope string) (Tokens, error) {
	form := url.Values{"grant_type": {GrantRefreshToken}, "refresh_token": {refresh.Reveal()}, "client_id": {c.ClientID}}
	if !link.IsZero() {
		form.Set("link", link.String())
	}
	if scope != "" {
		form.Set("scope", scope)
	}
	if u, err := url.Parse(audience); err == nil && u.IsAbs() {
		form.Set("resource", audience)
	} else if audience != "" {
		form.Set("audience", audience)
	}
	t, err := c.tokens(ctx, form, 0)
	if err != nil {
		return Tokens{}, fmt.Errorf("refresh the tokens: %w", err)
	}
	return t, nil
}

func (c *Client) tokens(ctx context.Context, form url.Values, hold time.Duration) (Tokens, error) {
	m, err := c.Discover(ctx)
	if err != nil {
		return Tokens{}, err
	}
	body, err := c.post(ctx, m.TokenEndpoint, form, m.DPoP(), hold)
	if err != nil {
		return Tokens{}, err
	}
	return ParseTokens(body)
}

// public is the key's public half, nil without an ECDSA key.
func (c *Client) public() *ecdsa.PublicKey {
	if c.Signer == nil {
		return nil
	}
	pub, _ := c.Signer.Public().(*ecdsa.PublicKey)
	return pub
}

func (c *Client) log() *slog.Logger {
	if c.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return c.Log
}
