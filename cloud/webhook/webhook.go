// Package webhook sends signed messages to one address, as Standard Webhooks says
// (https://www.standardwebhooks.com): webhook-id names the message and stays when
// it is sent again, webhook-timestamp is when it was sent, and webhook-signature
// is the HMAC-SHA256 of both and the body under a secret that the receiver has.
//
// What is not answered by a 2xx was not delivered; to try again is the caller's.
// Redirects are not followed. The address is https, or on this machine.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A Secret signs. It prints as "redacted".
type Secret []byte

func (Secret) String() string { return "redacted" }

// GoString keeps %#v from printing the secret.
func (Secret) GoString() string { return "redacted" }

const prefix = "whsec_"

// ParseSecrets reads secrets as receivers have them, "whsec_" and 24 to 64 bytes in
// base64, one a line. With two, everything is signed with both, so that a receiver
// can change from one to the other.
func ParseSecrets(text string) ([]Secret, error) {
	var all []Secret
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		secret, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(line, prefix))
		if err != nil || !strings.HasPrefix(line, prefix) || len(secret) < 24 || len(secret) > 64 {
			return nil, errors.New("a secret is whsec_ and 24 to 64 bytes in base64: make one with: echo whsec_$(openssl rand -base64 32)")
		}
		all = append(all, secret)
	}
	if len(all) == 0 {
		return nil, errors.New("no secret in it")
	}
	return all, nil
}

// Sign is the header webhook-signature of a message.
func Sign(secrets []Secret, id string, at time.Time, body []byte) string {
	var all []string
	for _, s := range secrets {
		mac := hmac.New(sha256.New, s)
		fmt.Fprintf(mac, "%s.%d.", id, at.Unix())
		mac.Write(body)
		all = append(all, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(all, " ")
}

// A Sender sends to one address.
type Sender struct {
	url     string
	secrets []Secret
	web     *http.Client
}

const timeout = 15 * time.Second

// New makes a sender. Roots and proxies are those of the transport; nil is the
// default one.
func New(address string, secrets []Secret, transport http.RoundTripper) (*Sender, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && !(u.Scheme == "http" && isLocal(u.Hostname())) {
		return nil, errors.New("want an address such as \"https://data.example.com/cardea\", without a user")
	}
	web := &http.Client{Transport: transport, Timeout: timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &Sender{url: address, secrets: secrets, web: web}, nil
}

func isLocal(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// ErrRefused: the receiver has answered, and not with a 2xx.
var ErrRefused = errors.New("the receiver has not taken it")

// Send sends one message.
func (s *Sender) Send(ctx context.Context, id string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	now := time.Now()
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Webhook-Id", id)
	req.Header.Set("Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10))
	req.Header.Set("Webhook-Signature", Sign(s.secrets, id, now, body))
	res, err := s.web.Do(req)
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	defer res.Body.Close()
	io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection can be used again
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return fmt.Errorf("webhook: %w: %d", ErrRefused, res.StatusCode)
	}
	return nil
}
