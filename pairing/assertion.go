package pairing

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/cardea-id/cardea/internal/jose"
)

// An Assertion is what a device signs to get its own token for the broker
// (RFC 7523, Section 3). It has no expiry, for which a device without a clock
// has no time: Nonce, the server's current one, proves that it is fresh.
type Assertion struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	ID       string `json:"jti"`
	Nonce    string `json:"nonce"`
}

// DeviceToken fetches the device's own token, which names no account and opens
// nothing but the broker's door. It is given while the device has a link; the
// [Error] is [InvalidClient] or [InvalidGrant] when it has none.
func (c *Client) DeviceToken(ctx context.Context) (Tokens, error) {
	m, err := c.Discover(ctx)
	if err != nil {
		return Tokens{}, err
	}
	endpoint, err := url.Parse(m.TokenEndpoint)
	if err != nil {
		return Tokens{}, fmt.Errorf("%w: token endpoint", ErrMalformed)
	}
	// The assertion carries the nonce as the proof does, so it is signed anew
	// for each. Without one the first try is the question for it.
	t, err := c.deviceToken(ctx, endpoint)
	for try := 1; try < maxTries && HasCode(err, UseDPoPNonce); try++ {
		t, err = c.deviceToken(ctx, endpoint)
	}
	if err != nil {
		return Tokens{}, fmt.Errorf("fetch the device's token: %w", err)
	}
	return t, nil
}

func (c *Client) deviceToken(ctx context.Context, endpoint *url.URL) (Tokens, error) {
	nonce := c.nonce(endpoint)
	assertion, err := c.assert(nonce)
	if err != nil {
		return Tokens{}, err
	}
	form := url.Values{
		"grant_type": {GrantClientCredentials}, "scope": {ScopeMQTT},
		"client_id":             {jose.Thumbprint(c.public())},
		"client_assertion_type": {AssertionJWT}, "client_assertion": {assertion},
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	a, err := c.once(ctx, request{
		method: http.MethodPost, url: endpoint.String(), media: formMedia, body: []byte(form.Encode()),
		proof: true, nonce: nonce,
	})
	switch {
	case err != nil:
		return Tokens{}, err
	case a.status != http.StatusOK || !a.json():
		return Tokens{}, a.failure()
	}
	return ParseTokens(a.body)
}

func (c *Client) assert(nonce string) (string, error) {
	pub := c.public()
	if pub == nil {
		return "", ErrNoKey
	}
	id := jose.Thumbprint(pub)
	header := map[string]any{"typ": "JWT", "jwk": json.RawMessage(jose.JWK(pub))}
	signed, err := jose.Sign(c.Signer, header, Assertion{id, id, c.Issuer, rand.Text(), nonce})
	if err != nil {
		return "", fmt.Errorf("sign the assertion: %w", err)
	}
	return signed, nil
}
