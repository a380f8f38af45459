package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/cardea-id/cardea/internal/web"
)

// A Key lets a caller in. Name stands in the audit, SHA256 is the digest of the
// key. Keys must be random (32 bytes, say), because a fast hash protects
// nothing that can be guessed.
type Key struct {
	Name   string
	SHA256 [sha256.Size]byte
}

// ErrInvalidKey is returned for a key that can not be configured.
var ErrInvalidKey = errors.New("invalid key of the brand's API")

var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// ParseKey checks a key as it is configured: a name of lower-case letters,
// digits and '-', and 64 hexadecimal digits.
func ParseKey(name, sha256Hex string) (Key, error) {
	if !namePattern.MatchString(name) {
		return Key{}, fmt.Errorf("%w: name %.40q: lower-case letters, digits and '-', at most 32", ErrInvalidKey, name)
	}
	sum, err := hex.DecodeString(sha256Hex)
	if err != nil || len(sum) != sha256.Size {
		return Key{}, fmt.Errorf("%w: %s: sha256 must be the 64 hexadecimal digits that sha256sum prints", ErrInvalidKey, name)
	}
	return Key{Name: name, SHA256: [sha256.Size]byte(sum)}, nil
}

// authenticated lets a request through whose bearer token is a key.
func (a *api) authenticated(f handler) web.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		by, ok := a.caller(strings.TrimSpace(token))
		if !strings.EqualFold(scheme, "Bearer") || !ok {
			w.Header().Set("WWW-Authenticate", "Bearer")
			return web.Errorf(http.StatusUnauthorized, "invalid_token", "send a key of this API as \"Authorization: Bearer\"")
		}
		return f(w, r, by)
	}
}

// caller compares with every key, so that the time it takes says nothing.
func (a *api) caller(token string) (by caller, ok bool) {
	hash := sha256.Sum256([]byte(token))
	for _, k := range a.Keys {
		if subtle.ConstantTimeCompare(hash[:], k.SHA256[:]) == 1 {
			by, ok = caller(k.Name), true
		}
	}
	return by, ok
}
