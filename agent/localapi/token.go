package localapi

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/agent/notices"
	"github.com/cardea-id/cardea/agent/session"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/pairing"
)

// maxMinValid bounds min_valid: no access token lives longer, so a longer wish
// would fetch a new one at every call and never be met.
const maxMinValid = 300

// serverTimeout bounds the wait for the cloud, within writeTimeout.
const serverTimeout = 20 * time.Second

func (s *Server) token(c *call) error {
	var req client.TokenRequest
	if err := c.read(&req); err != nil {
		return err
	}
	if req.Audience == "" || req.MinValid < 0 || req.MinValid > maxMinValid {
		return invalid("audience must be set, and min_valid be 0 to %d seconds", maxMinValid)
	}
	if err := provable(req.Request); err != nil {
		return err
	}
	if err := c.permit(audience(req.Audience)); err != nil {
		return err
	}
	// The token belongs to whoever is active now, and the answer says to whom.
	link, generation, ok := s.Gate.Active()
	if !ok {
		return ErrGuest
	}
	done, err := c.remote()
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithTimeout(c.r.Context(), serverTimeout)
	defer cancel()
	t, err := s.Pairer.Token(ctx, link, req.Audience, req.Scope, time.Duration(req.MinValid)*time.Second)
	if err != nil {
		return unreachable(err)
	}
	var proof pairing.Secret
	if req.Request != nil {
		if proof, err = s.Pairer.Prove(ctx, t, req.Audience, *req.Request); err != nil {
			return unreachable(err)
		}
	}
	if now, _, _ := s.Gate.Active(); now != link {
		return web.Errorf(http.StatusConflict, "switched", "somebody else uses the device by now: ask again for their token")
	}
	return c.answer(client.Token{
		AccessToken: t.AccessToken, TokenType: t.TokenType, ExpiresIn: int64(t.ExpiresIn), DPoP: proof, Link: link, Generation: generation,
	})
}

// Bounds of a request to be proved, in bytes.
const (
	maxURL   = 2 << 10
	maxNonce = 512
)

// isMethod reports whether a request can have such a method.
func isMethod(text string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return text != "" && len(text) <= 20 && text[0] != '-' && strings.Trim(text, letters+"-") == ""
}

// provable checks what a proof is wanted for, if one is.
func provable(r *client.Request) error {
	if r == nil {
		return nil
	}
	bad := func(c rune) bool { return c < ' ' || c > '~' }
	if !isMethod(r.Method) || len(r.URL) > maxURL || len(r.Nonce) > maxNonce || strings.ContainsFunc(r.Nonce, bad) {
		return invalid("request: the method in capitals, the url and the nonce of the API's last answer, if any")
	}
	return nil
}

// unreachable says what a server's refusal or silence means for a program.
func unreachable(err error) error {
	refusal, refused := errors.AsType[*pairing.Error](err)
	untrusted, foreign := errors.AsType[*tls.CertificateVerificationError](err)
	switch {
	case foreign:
		return web.Errorf(http.StatusServiceUnavailable, "offline", "the server is not trusted: %v", untrusted.Err)
	case refused && !refusal.Transient():
		return web.Errorf(http.StatusForbidden, word(refusal.Code), "the server refused: %s", refusal.Error())
	case refused, errors.Is(err, session.ErrOffline), errors.Is(err, session.ErrClosed), errors.Is(err, context.DeadlineExceeded):
		return web.Errorf(http.StatusServiceUnavailable, "offline", "the server can not be reached now: try again later")
	case errors.Is(err, notices.ErrOffline):
		return web.Errorf(http.StatusServiceUnavailable, "offline", "%v: show the owner the prompt's uri, or try again later", notices.ErrOffline)
	case errors.Is(err, notices.ErrNone):
		return web.Errorf(http.StatusNotFound, "not_found", "%v: show the owner the prompt's uri", notices.ErrNone)
	case errors.Is(err, session.ErrAudience):
		return web.Errorf(http.StatusForbidden, "invalid_target", "%v: ask who runs it to allow it", session.ErrAudience)
	case errors.Is(err, session.ErrRequest):
		return web.Errorf(http.StatusForbidden, "invalid_target", "%v", session.ErrRequest)
	case errors.Is(err, session.ErrIssuer):
		return web.Errorf(http.StatusConflict, "issuer", "%v", session.ErrIssuer)
	}
	return err
}

// word is what a program is told of a server's word. It may be any server, and
// the words of this API are a closed list.
func word(code string) string {
	switch code {
	case pairing.AccessDenied, pairing.ExpiredToken, pairing.InvalidRequest, pairing.InvalidClient, pairing.InvalidGrant,
		pairing.UnauthorizedClient, pairing.UnsupportedGrantType, pairing.InvalidScope, pairing.UseDPoPNonce,
		pairing.InvalidDPoPProof, pairing.UnknownLink:
		return code
	}
	return "refused"
}
