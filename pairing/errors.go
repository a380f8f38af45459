package pairing

import (
	"errors"
	"net/http"
	"time"
)

// Error codes of RFC 6749, Section 5.2, RFC 8628, Section 3.5, RFC 9449,
// Sections 5 and 8, RFC 7009, Section 2.2.1 and RFC 6750, Section 3.1.
const (
	AuthorizationPending = "authorization_pending"
	SlowDown             = "slow_down"
	AccessDenied         = "access_denied"
	ExpiredToken         = "expired_token"

	InvalidRequest       = "invalid_request"
	InvalidClient        = "invalid_client"
	InvalidGrant         = "invalid_grant"
	UnauthorizedClient   = "unauthorized_client"
	UnsupportedGrantType = "unsupported_grant_type"
	InvalidScope         = "invalid_scope"
	ServerError          = "server_error"
	TemporarilyBusy      = "temporarily_unavailable"

	// UnknownLink is a word of our own: the server does not know the link that a
	// refresh names, because its database was put back to an earlier state. It
	// ends nothing: pair again, or wait for the server to remember.
	UnknownLink = "unknown_link"

	// PressRequired is a word of our own: the owner of a device with a label has
	// said yes, and its button must be pressed before that counts. Poll on.
	PressRequired = "press_required"

	UseDPoPNonce     = "use_dpop_nonce"
	InvalidDPoPProof = "invalid_dpop_proof"

	UnsupportedTokenType = "unsupported_token_type"
	InvalidToken         = "invalid_token"
)

var (
	// ErrExpired is returned when a code's life ended before the owner decided.
	ErrExpired = errors.New("the code has expired: start the pairing again")
	// ErrIssuer is returned for metadata that names another issuer than the
	// one asked (RFC 8414, Section 3.3).
	ErrIssuer = errors.New("the metadata belongs to another issuer")
	// ErrMalformed is returned for an answer that is not what the standard
	// says, or too big.
	ErrMalformed = errors.New("malformed answer")
	// ErrRedirect is returned when a server sends a request with a secret in
	// it elsewhere.
	ErrRedirect = errors.New("the server redirects to another place, which is refused")
	// ErrUnsupported is returned when the metadata names no device
	// authorization endpoint.
	ErrUnsupported = errors.New("the server does not offer device authorization (RFC 8628)")
)

// An Error is what a server answers when it gives no tokens, in the form of
// RFC 6749, Section 5.2. Code is one of the constants, or a word the standards
// do not know. Status is the HTTP status; RetryAfter is how long the server
// asked to wait, 0 if it did not.
type Error struct {
	Code        string        `json:"error"`
	Description string        `json:"error_description,omitempty"`
	Status      int           `json:"-"`
	RetryAfter  time.Duration `json:"-"`
}

func (e *Error) Error() string {
	if e.Description == "" {
		return e.Code
	}
	return e.Code + ": " + e.Description
}

// Is makes two errors of the same code equal to errors.Is.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Transient reports whether the same request may succeed later: the server
// failed, was busy, or limited the rate.
func (e *Error) Transient() bool {
	return e.Status >= http.StatusInternalServerError || e.Status == http.StatusTooManyRequests ||
		e.Code == ServerError || e.Code == TemporarilyBusy
}

// HasCode reports whether err is an Error of the code.
func HasCode(err error, code string) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Code == code
}
