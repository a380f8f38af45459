package issuer

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/pairing"
)

func (i *Issuer) routes() {
	i.mux = http.NewServeMux()
	for path, answer := range map[string]func(request) (any, error){
		PathDeviceAuthorization: i.authorizeDevice, PathToken: i.token, PathRevocation: i.revoke, PathIntrospection: i.introspect,
	} {
		i.mux.Handle("POST "+path, i.endpoint(answer))
		i.mux.Handle(path, refusing(http.StatusMethodNotAllowed, "method_not_allowed", "send a form with POST"))
	}
	i.mux.HandleFunc("GET "+PathJWKS, func(w http.ResponseWriter, r *http.Request) {
		web.JSON(w, http.StatusOK, i.config.Tokens.JWKS())
	})
	i.mux.HandleFunc("GET "+pairing.WellKnownOAuth, i.metadata)
	i.mux.HandleFunc("GET "+pairing.WellKnownOIDC, i.metadata)
	i.mux.Handle("/", refusing(http.StatusNotFound, "not_found", "there is nothing here, see "+pairing.WellKnownOAuth))
}

// refusing answers what is no endpoint in the form of every other error.
func refusing(status int, code, description string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", http.MethodPost) // RFC 9110, Section 15.5.6
		}
		web.JSON(w, status, failure(code, description))
	})
}

// ServeHTTP answers the paths of this package and 404 for all others.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) { i.mux.ServeHTTP(w, r) }

// A request is one form sent to an endpoint, with what was checked about it.
type request struct {
	*http.Request
	form    form
	at      time.Time // when it came
	address netip.Addr
}

func (i *Issuer) endpoint(answer func(request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := time.Now()
		w.Header().Set("Pragma", "no-cache") // RFC 6749, Section 5.1
		w.Header().Set("DPoP-Nonce", i.config.Tokens.Nonce(now))
		form, err := readForm(w, r)
		if err != nil {
			i.fail(w, r, err)
			return
		}
		allowHold(w, r, now)
		v, err := answer(request{r, form, now, i.config.Address(r)})
		if err != nil {
			i.fail(w, r, err)
			return
		}
		web.JSON(w, http.StatusOK, v)
	})
}

// allowHold moves the server's deadlines, if it has any, behind the longest hold.
// A read deadline too: when it passes, net/http takes the client for gone.
func allowHold(w http.ResponseWriter, r *http.Request, now time.Time) {
	server, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	if !ok {
		return
	}
	c := http.NewResponseController(w) // what it can not set is not set
	if server.ReadTimeout > 0 {
		c.SetReadDeadline(now.Add(maxHold + server.ReadTimeout))
	}
	if server.WriteTimeout > 0 {
		c.SetWriteDeadline(now.Add(maxHold + server.WriteTimeout))
	}
}

// fail is the one place where an error becomes an answer of RFC 6749, Section
// 5.2. What is not meant for clients is logged and answered as our fault.
func (i *Issuer) fail(w http.ResponseWriter, r *http.Request, err error) {
	shown, ok := errors.AsType[*pairing.Error](err)
	switch {
	case ok:
	case errors.Is(err, pairing.ErrReplayed):
		shown = failure(pairing.InvalidDPoPProof, "the proof was used before")
	case r.Context().Err() != nil:
		// The client is gone. Nothing was given, and whoever still reads this
		// may try again.
		shown = &pairing.Error{Code: pairing.TemporarilyBusy, Status: http.StatusServiceUnavailable}
	default:
		i.log.ErrorContext(r.Context(), "request failed", "method", r.Method, "path", r.URL.Path, "err", err)
		shown = &pairing.Error{Code: pairing.ServerError, Description: "something failed here, try again", Status: http.StatusInternalServerError}
	}
	status := shown.Status
	if shown.Code == pairing.InvalidClient && r.Header.Get("Authorization") != "" {
		// RFC 6749, Section 5.2. Whoever sent no such header is not asked for one:
		// a client that reads a challenge may not read the reason in the body.
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", `Basic realm="token"`)
	}
	if shown.Code == pairing.InvalidToken {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`) // RFC 6750, Section 3
	}
	if shown.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(shown.RetryAfter.Seconds())))
	}
	web.JSON(w, status, shown)
}

func failure(code, description string) *pairing.Error {
	return &pairing.Error{Code: code, Description: description, Status: http.StatusBadRequest}
}

// keyed hashes what is too easy to guess for a plain hash.
func (i *Issuer) keyed(what, value string) cardea.Hash {
	mac := hmac.New(sha256.New, i.config.Secret)
	mac.Write([]byte(what + " " + value))
	return cardea.Hash(mac.Sum(nil))
}

// network is the block an address stands for: itself, or the /64 that one
// household or phone has of IPv6.
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap()
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.WithZone("").Prefix(bits) // invalid for an unknown address
	return p
}
