package pairing

import (
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// maxLifetime bounds what a server can say of a lifetime or an interval.
const maxLifetime = 366 * 24 * 3600

// A seconds reads a lifetime. RFC 6749 wants a number; servers that send it as
// a string are common enough to be understood.
type seconds int

func (s *seconds) UnmarshalJSON(b []byte) error {
	n, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	if err != nil || math.IsNaN(n) || n < 0 {
		return fmt.Errorf("%.20q is no number of seconds", b)
	}
	*s = seconds(min(n, maxLifetime))
	return nil
}

// ParseAuthorization reads the answer of RFC 8628, Section 3.2, with the
// default interval filled in.
func ParseAuthorization(body []byte) (Authorization, error) {
	var a struct {
		Authorization
		Expires  *seconds `json:"expires_in"`
		Interval *seconds `json:"interval"`
		URL      string   `json:"verification_url"` // servers older than the RFC
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return Authorization{}, fmt.Errorf("%w: device authorization: %w", ErrMalformed, err)
	}
	out := a.Authorization
	if out.VerificationURI == "" {
		out.VerificationURI = a.URL
	}
	switch {
	case out.DeviceCode == "" || out.UserCode == "" || out.VerificationURI == "":
		return Authorization{}, fmt.Errorf("%w: device_code, user_code or verification_uri is missing", ErrMalformed)
	case a.Expires == nil || *a.Expires == 0:
		return Authorization{}, fmt.Errorf("%w: expires_in is missing", ErrMalformed)
	case !shows(out.UserCode) || !links(out.VerificationURI):
		return Authorization{}, fmt.Errorf("%w: the code or its address can not be shown", ErrMalformed)
	}
	if !links(out.VerificationURIComplete) {
		out.VerificationURIComplete = "" // optional, and not worth failing for
	}
	if !links(out.VerificationURIShort) {
		out.VerificationURIShort = ""
	}
	out.ExpiresIn, out.Interval = int(*a.Expires), int(DefaultInterval.Seconds())
	if a.Interval != nil {
		out.Interval = int(*a.Interval)
	}
	return out, nil
}

// shows reports whether a code can stand on a screen.
func shows(code string) bool {
	return len(code) <= 64 && clean(code, 64) == code
}

// links reports whether uri may be shown as a link or a QR code.
func links(uri string) bool {
	u, err := url.Parse(uri)
	return err == nil && len(uri) <= 512 && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil
}

// ParseTokens reads the answer of RFC 6749, Section 5.1.
func ParseTokens(body []byte) (Tokens, error) {
	var t struct {
		Tokens
		Expires *seconds `json:"expires_in"`
	}
	if err := json.Unmarshal(body, &t); err != nil {
		return Tokens{}, fmt.Errorf("%w: tokens: %w", ErrMalformed, err)
	}
	out := t.Tokens
	switch {
	case strings.EqualFold(out.TokenType, TypeBearer):
		out.TokenType = TypeBearer
	case strings.EqualFold(out.TokenType, TypeDPoP):
		out.TokenType = TypeDPoP
	default:
		// RFC 6749, Section 7.1: a type that is not understood must not be used.
		return Tokens{}, fmt.Errorf("%w: token type %.20q is not known", ErrMalformed, out.TokenType)
	}
	if !sendable(out.AccessToken) || out.RefreshToken != "" && !sendable(out.RefreshToken) {
		return Tokens{}, fmt.Errorf("%w: a token is missing or can not be sent", ErrMalformed)
	}
	if t.Expires != nil {
		out.ExpiresIn = int(*t.Expires)
	}
	return out, nil
}

// sendable reports whether a token is printable ASCII (RFC 6749, Appendix
// A.12), so that it can not break a header.
func sendable(s Secret) bool {
	return s != "" && !strings.ContainsFunc(string(s), func(r rune) bool { return r < ' ' || r > '~' })
}

// ParseError reads the answer of RFC 6749, Section 5.2. What is none becomes a
// server_error, so that a failing proxy is told from an owner's no.
func ParseError(status int, body []byte) *Error {
	e := &Error{Status: status}
	err := json.Unmarshal(body, e)
	e.Code, e.Description = clean(e.Code, 64), clean(e.Description, 200)
	if err != nil || e.Code == "" {
		return &Error{Status: status, Code: ServerError, Description: "the server answered " + strconv.Itoa(status) + " without a reason"}
	}
	return e
}

// ParseMetadata reads RFC 8414 metadata and checks that it is the issuer's own
// (Section 3.3: identical, or an attacker's document would be believed).
func ParseMetadata(body []byte, issuer string) (Metadata, error) {
	var m Metadata
	if err := json.Unmarshal(body, &m); err != nil {
		return Metadata{}, fmt.Errorf("%w: metadata: %w", ErrMalformed, err)
	}
	if m.Issuer != issuer {
		return Metadata{}, fmt.Errorf("%w: it says %.100q, not %.100q", ErrIssuer, m.Issuer, issuer)
	}
	if m.DeviceAuthorizationEndpoint == "" {
		return Metadata{}, ErrUnsupported
	}
	if !links(m.DeviceAuthorizationEndpoint) || !links(m.TokenEndpoint) {
		return Metadata{}, fmt.Errorf("%w: an endpoint is no address", ErrMalformed)
	}
	return m, nil
}

// clean keeps the printable part of s, at most limit bytes of whole characters.
func clean(s string, limit int) string {
	var b strings.Builder
	for _, r := range s {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			continue
		}
		if b.Len()+len(string(r)) > limit {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

// DPoP reports whether the server takes ES256 proofs (RFC 9449, Section 5.1).
func (m Metadata) DPoP() bool { return slices.Contains(m.DPoPAlgs, "ES256") }
