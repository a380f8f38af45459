package issuer

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/pairing"
)

// A form is the parameters of a request. A parameter without a value is as good
// as none (RFC 6749, Section 3.1).
type form struct{ values url.Values }

func (f form) get(name string) string { return f.values.Get(name) }

// readForm reads the parameters from the body only: in a URL they would end in
// logs (RFC 6749, Section 3.2).
func readForm(w http.ResponseWriter, r *http.Request) (form, error) {
	body, err := web.ReadBody(w, r, "application/x-www-form-urlencoded", web.MaxBody)
	if err != nil {
		return form{}, failure(pairing.InvalidRequest, "send a form of at most 64 KB as application/x-www-form-urlencoded")
	}
	return parseForm(string(body))
}

func parseForm(body string) (form, error) {
	values, err := url.ParseQuery(body)
	if err != nil {
		return form{}, failure(pairing.InvalidRequest, "the form can not be read")
	}
	for name, v := range values {
		// RFC 6749, Section 3.1: a parameter must not be there twice, because
		// two readers could each take another one.
		if len(v) > 1 {
			return form{}, failure(pairing.InvalidRequest, "a parameter is there more than once")
		}
		if v[0] == "" {
			delete(values, name)
		}
	}
	return form{values}, nil
}

// client identifies the public client of a request: by client_id in the form,
// or by Basic with an empty secret, as several libraries send it (RFC 6749,
// Sections 2.3.1 and 3.2.1).
func (i *Issuer) client(r request) (Client, error) {
	id := r.form.get("client_id")
	if header := r.Header.Get("Authorization"); header != "" {
		basic, err := basicID(r.Request)
		if err != nil {
			return Client{}, err
		}
		if id != "" && id != basic {
			return Client{}, failure(pairing.InvalidRequest, "the client_id differs from the one in the header")
		}
		id = basic
	}
	if r.form.get("client_secret") != "" {
		return Client{}, noClient("the client has no secret")
	}
	if id == "" {
		return Client{}, failure(pairing.InvalidRequest, "client_id is missing")
	}
	client, ok := i.clients[id]
	if !ok {
		return Client{}, noClient("the client_id is not registered here")
	}
	return client, nil
}

func basicID(r *http.Request) (string, error) {
	user, secret, ok := r.BasicAuth()
	id, err := url.QueryUnescape(user) // RFC 6749, Section 2.3.1
	if !ok || err != nil || len(r.Header.Values("Authorization")) != 1 {
		return "", noClient("use Basic with the client_id and an empty secret, or none")
	}
	if secret != "" {
		return "", noClient("the client has no secret")
	}
	return id, nil
}

func noClient(why string) *pairing.Error {
	return &pairing.Error{Code: pairing.InvalidClient, Description: why, Status: http.StatusBadRequest}
}

// foreignScopes are words of OpenID Connect that its clients send to every
// server. There are no ID tokens here to be had, and no grant is without a refresh
// token; so they are ignored where they are not allowed, and what is given
// instead the answer says (RFC 6749, Section 3.3; OpenID Connect Core, Section
// 3.1.2.1).
var foreignScopes = []string{"openid", "offline_access"}

// narrow returns the scope to give: what was asked for if all of it is allowed,
// or all that is allowed if nothing was asked for (RFC 6749, Section 3.3).
func narrow(asked string, allowed []string) (string, error) {
	if strings.TrimSpace(asked) == "" {
		return strings.Join(allowed, " "), nil
	}
	words := slices.DeleteFunc(strings.Fields(asked), func(word string) bool {
		return slices.Contains(foreignScopes, word) && !slices.Contains(allowed, word)
	})
	if len(words) == 0 || slices.ContainsFunc(words, func(word string) bool { return !slices.Contains(allowed, word) }) {
		return "", failure(pairing.InvalidScope, "ask for nothing else than: "+strings.Join(allowed, " "))
	}
	slices.Sort(words)
	return strings.Join(slices.Compact(words), " "), nil
}

// scopeToken checks RFC 6749, Appendix A.4.
func scopeToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == '"' || r == '\\' || r > '~' })
}
