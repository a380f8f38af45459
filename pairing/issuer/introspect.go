package issuer

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/cardea-id/cardea/pairing"
)

// A ResourceServer is an API that may ask what an access token says (RFC 7662).
// It is told of tokens that have a word of its Scopes, and of those words alone.
type ResourceServer struct {
	// Name is its client_id.
	Name string
	// SHA256 is the digest of its key, 32 random bytes or more: a fast hash
	// protects nothing that can be guessed.
	SHA256 [sha256.Size]byte
	Scopes []string
}

// An Introspection is the answer of RFC 7662, Section 2.2. Of a token that is
// not active, or not for whoever asks, nothing else is told.
type Introspection struct {
	Active   bool          `json:"active"`
	Scope    string        `json:"scope,omitempty"`
	ClientID string        `json:"client_id,omitempty"`
	Type     string        `json:"token_type,omitempty"`
	Expires  int64         `json:"exp,omitempty"`
	Issued   int64         `json:"iat,omitempty"`
	Subject  string        `json:"sub,omitempty"` // the account's pseudonym
	Audience string        `json:"aud,omitempty"`
	Issuer   string        `json:"iss,omitempty"`
	ID       string        `json:"jti,omitempty"`
	Confirm  *Confirmation `json:"cnf,omitempty"` // RFC 9449, Section 6.2
	Roles    []string      `json:"roles,omitempty"`
}

// A Confirmation names the key a token is bound to.
type Confirmation struct {
	JKT string `json:"jkt"`
}

// introspect answers an API about an access token: as it stands now, which the
// token itself can not tell. A refresh token is no API's business, and as
// inactive as one that was made up.
func (i *Issuer) introspect(r request) (any, error) {
	server, err := i.resourceServer(r)
	if err != nil {
		return nil, err
	}
	token := pairing.Secret(r.form.get("token"))
	if token == "" {
		return nil, failure(pairing.InvalidRequest, "token is missing")
	}
	c, ok := i.config.Tokens.Read(token, r.at)
	if !ok {
		return Introspection{}, nil
	}
	scope := common(c.Scope, server.Scopes)
	g, owner, err := i.config.Storage.Standing(r.Context(), c.Grant)
	switch {
	case errors.Is(err, pairing.ErrNoGrant):
		return Introspection{}, nil
	case err != nil:
		return nil, fmt.Errorf("introspect: %w", err)
	case g.State != pairing.GrantActive || !owner.Active || owner.Missed || scope == "":
		return Introspection{}, nil
	}
	out := i.standing(c, scope)
	out.Roles = owner.Roles.Names() // as they are by now
	return out, nil
}

func (i *Issuer) standing(c Claims, scope string) Introspection {
	out := Introspection{
		Active: true, Scope: scope, ClientID: c.Client, Type: pairing.TypeBearer, Expires: c.Expires.Unix(), Issued: c.Issued.Unix(),
		Subject: c.Subject, Audience: c.Audience, Issuer: i.config.Issuer, ID: c.ID,
	}
	if c.JKT != "" {
		out.Type, out.Confirm = pairing.TypeDPoP, &Confirmation{c.JKT}
	}
	return out
}

// common is the words of a scope that are in a list.
func common(scope string, list []string) string {
	words := strings.Fields(scope)
	return strings.Join(slices.DeleteFunc(words, func(word string) bool { return !slices.Contains(list, word) }), " ")
}

// resourceServer authenticates who asks: by its name and key as Basic (RFC 6749,
// Section 2.3.1), or by the key as a bearer token (RFC 6750, Section 2.1). The
// key is compared with every one there is, so that the time it takes says
// nothing.
func (i *Issuer) resourceServer(r request) (found ResourceServer, err error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	bearer := scheme == "" || strings.EqualFold(scheme, pairing.TypeBearer)
	name, key := "", strings.TrimSpace(token)
	if !bearer {
		if name, key, err = basicKey(r.Request); err != nil {
			return found, err
		}
	}
	hash := sha256.Sum256([]byte(key))
	ok := false
	for _, s := range i.config.ResourceServers {
		if subtle.ConstantTimeCompare(hash[:], s.SHA256[:]) == 1 && (bearer || name == s.Name) {
			found, ok = s, true
		}
	}
	switch {
	case !ok && bearer:
		return found, &pairing.Error{Code: pairing.InvalidToken, Description: "send the key of a resource server, as Bearer or with its name as Basic", Status: http.StatusUnauthorized}
	case !ok:
		return found, noClient("the name and key are not those of a resource server")
	}
	return found, nil
}

func basicKey(r *http.Request) (name, key string, err error) {
	user, password, ok := r.BasicAuth()
	name, badName := url.QueryUnescape(user)
	key, badKey := url.QueryUnescape(password)
	if !ok || badName != nil || badKey != nil || len(r.Header.Values("Authorization")) != 1 {
		return "", "", noClient("send the name and key of a resource server as Basic, or the key as Bearer")
	}
	return name, key, nil
}
