package pairing

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// ErrNoRevocation is returned when the metadata names no revocation endpoint:
// the grant ends when its owner or the server ends it.
var ErrNoRevocation = errors.New("the server does not offer revocation (RFC 7009)")

// Revoke ends the grant of a refresh token, or takes back a device code, and
// returns when the server has done so. A token the server does not know is no
// error (RFC 7009, Section 2.2), so it can be tried again. With a key the proof
// goes with it.
func (c *Client) Revoke(ctx context.Context, token Secret) error {
	m, err := c.Discover(ctx)
	if err != nil {
		return err
	}
	if m.RevocationEndpoint == "" {
		return ErrNoRevocation
	}
	if strings.HasPrefix(c.Issuer, "https:") && !secure(m.RevocationEndpoint) { // RFC 7009, Section 2
		return fmt.Errorf("%w: the revocation endpoint of %.100q is not https", ErrMalformed, c.Issuer)
	}
	form := url.Values{"token": {token.Reveal()}, "client_id": {c.ClientID}}
	a, err := c.send(ctx, request{
		method: http.MethodPost, url: m.RevocationEndpoint, media: formMedia, body: []byte(form.Encode()),
		proof: m.DPoP() && c.public() != nil, timeout: answerTime,
	})
	if err == nil && a.status != http.StatusOK { // the body says nothing
		err = a.failure()
	}
	if err != nil {
		return fmt.Errorf("revoke: %w", err)
	}
	return nil
}
