package issuer_test

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
	"github.com/cardea-id/cardea/store/accountdb"
)

const apiKey = "32 random bytes, in earnest: %/+"

// withAPIs lets two APIs ask: music about the scope profile, shop about consent.
func withAPIs(c *issuer.Config) {
	c.ResourceServers = []issuer.ResourceServer{
		{Name: "shop", SHA256: sha256.Sum256([]byte("the shop's")), Scopes: []string{"consent"}},
		{Name: "music", SHA256: sha256.Sum256([]byte(apiKey)), Scopes: []string{"profile", "playlists"}},
	}
}

// ask is one request of an API.
func (w *world) ask(authorization string, form url.Values) answer {
	w.t.Helper()
	r := httptest.NewRequest(http.MethodPost, w.base+issuer.PathIntrospection, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	return answer{rec.Code, rec.Header(), rec.Body.Bytes()}
}

func (w *world) introspect(key string, token pairing.Secret) map[string]any {
	w.t.Helper()
	a := w.ask("Bearer "+key, url.Values{"token": {token.Reveal()}, "token_type_hint": {"refresh_token"}})
	want(w.t, a, "")
	var out map[string]any
	if err := json.Unmarshal(a.body, &out); err != nil {
		w.t.Fatal(err)
	}
	return out
}

// inactive demands that nothing but that is told.
func inactive(t *testing.T, why string, out map[string]any) {
	t.Helper()
	if len(out) != 1 || out["active"] != false {
		t.Errorf("%s: %v", why, out)
	}
}

func TestIntrospection(t *testing.T) {
	w := newWorld(t, withAPIs)
	d := w.keyed()
	tokens, id := d.pair()
	got := w.introspect(apiKey, tokens.AccessToken)
	names := slices.Sorted(maps.Keys(got))
	if fmt.Sprint(names) != "[active aud client_id cnf exp iat iss jti scope sub token_type]" {
		t.Errorf("told: %v", names)
	}
	if got["active"] != true || got["scope"] != "profile" || got["client_id"] != agent || got["sub"] != w.owner.Subject ||
		got["iss"] != base || got["aud"] != base || got["token_type"] != "DPoP" || got["exp"].(float64)-got["iat"].(float64) != 600 {
		t.Errorf("%v", got)
	}
	if cnf := got["cnf"].(map[string]any); cnf["jkt"] != jose.Thumbprint(d.key.Public()) {
		t.Errorf("cnf %v", cnf)
	}
	if got := w.introspect("the shop's", tokens.AccessToken); got["scope"] != "consent" {
		t.Errorf("the shop is told %v", got)
	}
	plain, _ := w.bearer().pair()
	if got := w.introspect(apiKey, plain.AccessToken); got["token_type"] != "Bearer" || got["cnf"] != nil {
		t.Errorf("%v", got)
	}
	inactive(t, "a token without a word for the shop", w.introspect("the shop's", plain.AccessToken))
	inactive(t, "a refresh token", w.introspect(apiKey, tokens.RefreshToken))
	inactive(t, "a made-up token", w.introspect(apiKey, "made up"))
	inactive(t, "a token with another signature", w.introspect(apiKey, tokens.AccessToken[:len(tokens.AccessToken)-4]+"AAAA"))
	link(t, w.db, w.owner, jose.Thumbprint(d.key.Public()))
	device, _, err := w.keys.MintDevice("device", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	inactive(t, "a device's own token", w.introspect(apiKey, device))
	if err := w.Revoke(t.Context(), w.owner.ID, id); err != nil {
		t.Fatal(err)
	}
	inactive(t, "a grant that was revoked", w.introspect(apiKey, tokens.AccessToken))
	disable(t, w)
	inactive(t, "a disabled account", w.introspect(apiKey, plain.AccessToken))
}

func disable(t *testing.T, w *world) {
	t.Helper()
	err := w.db.Update(t.Context(), func(tx *accountdb.Tx) error { return tx.Disable(w.owner.ID, true) })
	if err != nil {
		t.Fatal(err)
	}
}

func TestIntrospectionOfWhatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, withAPIs)
		tokens, _ := w.bearer().pair()
		time.Sleep(10*time.Minute - 2*time.Second)
		if got := w.introspect(apiKey, tokens.AccessToken); got["active"] != true {
			t.Errorf("%v", got)
		}
		time.Sleep(2 * time.Second)
		inactive(t, "a token that is over", w.introspect(apiKey, tokens.AccessToken))
	})
}

// Who may not ask learns nothing, whatever the token.
func TestIntrospectionIsForAPIs(t *testing.T) {
	w := newWorld(t, withAPIs)
	tokens, _ := w.bearer().pair()
	form := url.Values{"token": {tokens.AccessToken.Reveal()}}
	basic := func(name, key string) string {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.SetBasicAuth(url.QueryEscape(name), url.QueryEscape(key)) // RFC 6749, Section 2.3.1
		return r.Header.Get("Authorization")
	}
	for authorization, code := range map[string]string{
		"Bearer " + apiKey:                        "",
		"bearer " + apiKey:                        "",
		basic("music", apiKey):                    "",
		"":                                        pairing.InvalidToken,
		"Bearer ":                                 pairing.InvalidToken,
		"Bearer guessed":                          pairing.InvalidToken,
		"Bearer " + tokens.AccessToken.Reveal():   pairing.InvalidToken,
		basic("shop", apiKey):                     pairing.InvalidClient,
		basic("music", "the shop's"):              pairing.InvalidClient,
		basic("music", ""):                        pairing.InvalidClient,
		basic(plain, ""):                          pairing.InvalidClient,
		"Basic " + apiKey:                         pairing.InvalidClient,
		"DPoP " + tokens.AccessToken.Reveal():     pairing.InvalidClient,
		"Digest username=music, response=" + base: pairing.InvalidClient,
	} {
		a := w.ask(authorization, form)
		want(t, a, code)
		if code != "" && (a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") == "" || strings.Contains(string(a.body), "sub")) {
			t.Errorf("%q: %d %s, challenge %q", authorization, a.status, a.body, a.header.Get("WWW-Authenticate"))
		}
	}
	want(t, w.ask("Bearer "+apiKey, url.Values{}), pairing.InvalidRequest)
	if status, _ := w.get(issuer.PathIntrospection); status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", status)
	}
	none := newWorld(t)
	want(t, none.ask("Bearer ", form), pairing.InvalidToken)
	if m := none.Metadata(); m.IntrospectionEndpoint != "" || m.RevocationEndpoint != base+issuer.PathRevocation {
		t.Errorf("%+v", m)
	}
	m := w.Metadata()
	if m.IntrospectionEndpoint != base+issuer.PathIntrospection || fmt.Sprint(m.IntrospectionAuthMethods) != "[client_secret_basic Bearer]" ||
		fmt.Sprint(m.RevocationAuthMethods) != "[none client_secret_basic]" {
		t.Errorf("%+v", m)
	}
}

// A fault is no answer: an API must not take it for a no, nor for a yes.
func TestFaultsOfIntrospection(t *testing.T) {
	w := newWorld(t, withAPIs)
	tokens, _ := w.bearer().pair()
	form := url.Values{"token": {tokens.AccessToken.Reveal()}}
	w.storage.standing = errors.New("disk full")
	if a := w.ask("Bearer "+apiKey, form); a.status != http.StatusInternalServerError || a.code() != pairing.ServerError {
		t.Errorf("%d %s", a.status, a.body)
	}
	w.storage.standing = pairing.ErrNoGrant
	inactive(t, "a grant that was forgotten", w.introspect(apiKey, tokens.AccessToken))
}

// A token has the roles of when it was made; who asks hears those of now.
func TestRolesOfTokens(t *testing.T) {
	w := newWorld(t, withAPIs)
	d := w.keyed()
	tokens, _ := d.pair()
	put := func(roles cardea.Roles) {
		t.Helper()
		err := w.db.Update(t.Context(), func(tx *accountdb.Tx) error {
			_, err := tx.SetRoles(w.owner.ID, roles)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	put("driver service")
	if got := fmt.Sprint(w.introspect(apiKey, tokens.AccessToken)["roles"]); got != "[driver service]" {
		t.Errorf("told %s", got)
	}
	read := func(token pairing.Secret) cardea.Roles {
		t.Helper()
		c, ok := w.keys.Read(token, time.Now())
		if !ok {
			t.Fatal("no token of ours")
		}
		return c.Roles
	}
	tokens = d.refresh(tokens.RefreshToken).tokens(t)
	if old := read(tokens.AccessToken); old != "driver service" {
		t.Errorf("the next token has %q", old)
	}
	put("")
	if got := w.introspect(apiKey, tokens.AccessToken); got["active"] != true || got["roles"] != nil {
		t.Errorf("after the removal: %v", got)
	}
	if old := read(d.refresh(tokens.RefreshToken).tokens(t).AccessToken); old != "" {
		t.Errorf("a token after the removal has %q", old)
	}
}
