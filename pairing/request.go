package pairing

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/jose"
)

const (
	formMedia  = "application/x-www-form-urlencoded"
	maxAnswer  = 64 << 10         // bytes of a body that are read
	maxNonce   = 512              // bytes of a server's nonce
	answerTime = 15 * time.Second // for an answer that is not held
)

type request struct {
	method, url string
	media       string // of the body
	body        []byte
	proof       bool   // with a DPoP proof
	nonce       string // in the proof; empty: the server's last
	access      Tokens // authorises the request, if set
	hold        time.Duration
	timeout     time.Duration
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

// post sends a form and returns the body of a 200.
func (c *Client) post(ctx context.Context, endpoint string, form url.Values, proof bool, hold time.Duration) ([]byte, error) {
	a, err := c.send(ctx, request{
		method: http.MethodPost, url: endpoint,
		media: formMedia, body: []byte(form.Encode()),
		proof: proof && c.public() != nil, hold: hold, timeout: hold + answerTime,
	})
	switch {
	case err != nil:
		return nil, err
	case a.status != http.StatusOK || !a.json():
		return nil, a.failure()
	}
	return a.body, nil
}

// Call sends a request that the tokens authorise, with a proof if they are
// bound to the key (RFC 9449, Section 7.1), and returns the answer's status and
// body whatever they are.
func (c *Client) Call(ctx context.Context, t Tokens, method, url, media string, body []byte) (int, []byte, error) {
	a, err := c.send(ctx, request{
		method: method, url: url, media: media, body: body,
		proof: t.TokenType == TypeDPoP, access: t, timeout: answerTime,
	})
	return a.status, a.body, err
}

// maxTries bounds how often a request is sent for the sake of a nonce: once to
// learn it, and again where a server lets each count only once and other
// requests are under way.
const maxTries = 3

// send sends a request, and again if the server wants its nonce in the proof:
// it hands one out with that refusal (RFC 9449, Sections 8 and 9).
func (c *Client) send(ctx context.Context, r request) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	for try := 1; ; try++ {
		a, err := c.once(ctx, r)
		if err != nil || !r.proof || !a.wantsNonce() || try == maxTries {
			return a, err
		}
		r.nonce = a.header.Get("DPoP-Nonce")
	}
}

func (c *Client) once(ctx context.Context, r request) (answer, error) {
	req, err := c.prepare(ctx, r)
	if err != nil {
		return answer{}, err
	}
	client := c.client()
	resp, err := client.Do(req)
	if err != nil {
		// A connection that died with the network would fail the next request too.
		client.CloseIdleConnections()
		return answer{}, hideURL(err)
	}
	defer resp.Body.Close()
	c.keepNonce(req.URL, resp.Header)
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return answer{}, fmt.Errorf("read the answer: %w", err)
	}
	if len(body) > maxAnswer {
		return answer{}, fmt.Errorf("%w: over %d bytes", ErrMalformed, maxAnswer)
	}
	return answer{resp.StatusCode, resp.Header, body}, nil
}

func (c *Client) prepare(ctx context.Context, r request) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, r.url, bytes.NewReader(r.body))
	if err != nil {
		return nil, fmt.Errorf("%w: an endpoint is no address", ErrMalformed)
	}
	req.Header.Set("Accept", "application/json")
	if r.media != "" {
		req.Header.Set("Content-Type", r.media)
	}
	if r.hold > 0 {
		req.Header.Set("Prefer", "wait="+strconv.Itoa(int(r.hold.Seconds()))) // RFC 7240, Section 4.3
	}
	if r.access.AccessToken != "" {
		req.Header.Set("Authorization", r.access.TokenType+" "+r.access.AccessToken.Reveal())
	}
	if r.proof {
		if c.public() == nil {
			return nil, ErrNoKey
		}
		nonce := cmp.Or(r.nonce, c.nonce(req.URL))
		proof, err := jose.NewProof(c.Signer, r.method, r.url, nonce, r.access.AccessToken.Reveal(), time.Now())
		if err != nil {
			return nil, fmt.Errorf("prove the key: %w", err)
		}
		req.Header.Set("DPoP", proof)
	}
	return req, nil
}

// client is the caller's with its redirects restrained: what carries a secret
// is never sent on, and metadata only within its own origin.
func (c *Client) client() *http.Client {
	var own http.Client
	if c.HTTP != nil {
		own = *c.HTTP
	}
	own.CheckRedirect = func(next *http.Request, via []*http.Request) error {
		if via[0].Method != http.MethodGet || via[0].Header.Get("Authorization") != "" ||
			origin(next.URL) != origin(via[0].URL) || len(via) > 3 {
			return ErrRedirect
		}
		return nil
	}
	return &own
}

func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

func (c *Client) nonce(u *url.URL) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nonces[origin(u)]
}

// keepNonce remembers the nonce of every answer, also of a success (RFC 9449,
// Section 8.2), so that the next proof is right at once.
func (c *Client) keepNonce(u *url.URL, h http.Header) {
	nonce := h.Get("DPoP-Nonce")
	if nonce == "" || len(nonce) > maxNonce || !sendable(Secret(nonce)) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.nonces == nil {
		c.nonces = map[string]string{}
	}
	c.nonces[origin(u)] = nonce
}

// wantsNonce reports a refusal for the nonce only, by an authorization server
// (RFC 9449, Section 8) or a resource server (Section 9).
func (a answer) wantsNonce() bool {
	switch a.status {
	case http.StatusBadRequest:
		return a.json() && ParseError(a.status, a.body).Code == UseDPoPNonce
	case http.StatusUnauthorized:
		return strings.Contains(strings.Join(a.header.Values("WWW-Authenticate"), ","), UseDPoPNonce) ||
			a.json() && ParseError(a.status, a.body).Code == UseDPoPNonce
	}
	return false
}

// json tells the server's own answers from those of a captive portal.
func (a answer) json() bool {
	media, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	return err == nil && (media == "application/json" || strings.HasSuffix(media, "+json"))
}

func (a answer) failure() *Error {
	if !a.json() || a.status == http.StatusOK {
		return &Error{Status: a.status, Code: ServerError, Description: "the answer is not the server's own; does the network want a sign-in?"}
	}
	e := ParseError(a.status, a.body)
	if after, err := strconv.Atoi(a.header.Get("Retry-After")); err == nil && after > 0 {
		e.RetryAfter = min(time.Duration(after)*time.Second, maxPause)
	}
	return e
}

// hideURL drops the URL from a transport's error: the rest says what failed.
func hideURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
