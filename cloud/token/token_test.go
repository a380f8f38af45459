package token_test

import (
	"context"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/token"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

const base = "https://id.example.com"

func open(t testing.TB, db *accountdb.DB) *token.Keys {
	t.Helper()
	k, err := token.Open(t.Context(), base, db.Secrets())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func mint(t testing.TB, k *token.Keys, a issuer.Access, now time.Time) string {
	t.Helper()
	text, life, err := k.Mint(a, now)
	if err != nil || life != 10*time.Minute {
		t.Fatal(life, err)
	}
	return text.Reveal()
}

var someone = issuer.Access{Subject: "pseudonym", Client: "agent", Scope: "profile", Grant: "g", Set: 3}

func TestKeysAreMadeOnceAndKept(t *testing.T) {
	path, master := filepath.Join(t.TempDir(), "cloud.db"), accountdb.NewKey()
	accountdbtest.Keep(t, path)
	var first *token.Keys
	var text string
	t.Run("first start", func(t *testing.T) {
		first = open(t, accountdbtest.OpenAt(t, path, master))
		text = mint(t, first, someone, time.Now())
	})
	db := accountdbtest.OpenAt(t, path, master)
	second := open(t, db)
	if !first.RootPublic().Equal(second.RootPublic()) || !first.Statement().Public().(*ecdsa.PublicKey).Equal(second.Statement().Public()) ||
		string(first.JWKS()) != string(second.JWKS()) || string(first.Derive("x")) != string(second.Derive("x")) {
		t.Error("other keys after a restart")
	}
	if _, err := access(second, text, nil); err != nil {
		t.Error(err)
	}
	if string(first.Derive("x")) == string(first.Derive("y")) || len(first.Derive("x")) != 32 {
		t.Error("derived secrets are not apart")
	}
	if second.RootPublic().Equal(second.Statement().Public()) {
		t.Error("one key for two uses")
	}
}

func TestAnotherMasterKeyOpensNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cloud.db")
	accountdbtest.Keep(t, path)
	t.Run("first start", func(t *testing.T) { open(t, accountdbtest.OpenAt(t, path, accountdb.NewKey())) })
	db, err := accountdbtest.Connect(t, path, accountdb.NewKey())
	if err == nil {
		defer db.Close()
		_, err = token.Open(t.Context(), base, db.Secrets())
	}
	if err == nil {
		t.Error("opened with a foreign master key")
	}
}

func TestKeysPrintNothing(t *testing.T) {
	k := open(t, accountdbtest.Open(t))
	secret := fmt.Sprintf("%x", k.Derive("x"))
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("opened", "keys", k)
	for _, text := range []string{log.String(), fmt.Sprint(k), fmt.Sprintf("%+v", k), fmt.Sprintf("%#v", k)} {
		if len(text) > 100 || strings.Contains(text, secret) {
			t.Errorf("printed %.200q", text)
		}
	}
}

// broken fails from its nth call on.
type broken struct {
	token.Storage
	left int
}

var errDisk = errors.New("disk")

func (b *broken) Secret(ctx context.Context, name string, fresh func() []byte) ([]byte, error) {
	if b.left--; b.left < 0 {
		return nil, errDisk
	}
	return b.Storage.Secret(ctx, name, fresh)
}

type garbage struct{ token.Storage }

func (garbage) Secret(context.Context, string, func() []byte) ([]byte, error) {
	return []byte("garbage"), nil
}

func TestOpenReportsFaults(t *testing.T) {
	db := accountdbtest.Open(t)
	for n := range 5 {
		if _, err := token.Open(t.Context(), base, &broken{db.Secrets(), n}); !errors.Is(err, errDisk) {
			t.Errorf("call %d failed: %v", n, err)
		}
	}
	open(t, db) // and what was begun is finished
	if _, err := token.Open(t.Context(), base, garbage{}); !errors.Is(err, jose.ErrKey) {
		t.Error(err)
	}
}

// The claims of RFC 9068, Section 2.2 and RFC 9449, Section 6.1.
func TestAccessToken(t *testing.T) {
	k := open(t, accountdbtest.Open(t))
	now := time.Now()
	bound := someone
	bound.JKT = "thumb"
	var got map[string]any
	header := claims(t, k, mint(t, k, bound, now), &got)
	if header["typ"] != "at+jwt" || header["alg"] != "ES256" || header["kid"] != kids(t, k)[0] {
		t.Errorf("header %v", header)
	}
	jti, _ := got["jti"].(string)
	delete(got, "jti")
	text, _ := json.Marshal(got)
	want := fmt.Sprintf(`{"aud":%q,"client_id":"agent","cnf":{"jkt":"thumb"},"exp":%d,"grant":"g","iat":%d,"iss":%q,"scope":"profile","set":3,"sub":"pseudonym"}`,
		base, now.Unix()+600, now.Unix(), base)
	if string(text) != want || jti == "" {
		t.Errorf("claims %s, want %s", text, want)
	}
}

func claims(t *testing.T, k *token.Keys, text string, into any) map[string]any {
	t.Helper()
	var header map[string]any
	raw, _, _ := strings.Cut(text, ".")
	decode(t, raw, &header)
	err := jose.Verify(text, "at+jwt", func(kid string) (*ecdsa.PublicKey, error) { return published(t, k, kid) }, into)
	if err != nil {
		t.Fatal(err)
	}
	return header
}

func jwks(t *testing.T, k *token.Keys) []map[string]string {
	t.Helper()
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(k.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	return set.Keys
}

func kids(t *testing.T, k *token.Keys) (ids []string) {
	for _, key := range jwks(t, k) {
		ids = append(ids, key["kid"])
	}
	return ids
}

// published finds a key as a foreign verifier would: in the JWKS.
func published(t *testing.T, k *token.Keys, kid string) (*ecdsa.PublicKey, error) {
	t.Helper()
	for _, key := range jwks(t, k) {
		if key["kid"] != kid {
			continue
		}
		if key["use"] != "sig" || key["alg"] != "ES256" {
			t.Errorf("published as %v", key)
		}
		bare := maps.Clone(key)
		text, _ := json.Marshal(bare)
		pub, err := jose.ParseJWK(text)
		if err == nil && jose.Thumbprint(pub) != kid {
			t.Error("the kid is no thumbprint")
		}
		return pub, err
	}
	return nil, errors.New("not published")
}

func TestRotation(t *testing.T) {
	db := accountdbtest.Open(t)
	k := open(t, db)
	first := mint(t, k, someone, time.Now())
	if n := len(kids(t, k)); n != 1 {
		t.Fatalf("%d keys at the start", n)
	}
	rotate := func() {
		t.Helper()
		if err := k.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	rotate()
	second := mint(t, k, someone, time.Now())
	for _, text := range []string{first, second} {
		if _, err := access(k, text, nil); err != nil {
			t.Error(err)
		}
		claims(t, k, text, new(map[string]any)) // both are published
	}
	after := open(t, db) // as after a restart
	if _, err := access(after, first, nil); err != nil {
		t.Error(err)
	}
	rotate()
	if _, err := access(k, first, nil); err == nil {
		t.Error("a token of a forgotten key passed")
	}
	if _, err := access(k, second, nil); err != nil {
		t.Error(err)
	}
}

func TestDeviceToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := open(t, accountdbtest.Open(t))
		key := jose.GenerateKey()
		device := cardea.DeviceID(jose.Thumbprint(key.Public()))
		lives := map[time.Duration]bool{}
		for range 20 {
			_, life, err := k.MintDevice(device, time.Now())
			if err != nil || life < 12*time.Hour || life > 24*time.Hour {
				t.Fatal(life, err)
			}
			lives[life] = true
		}
		if len(lives) < 10 {
			t.Error("a fleet would come back together")
		}
		text, life, _ := k.MintDevice(device, time.Now())
		got, until, err := k.VerifyDevice(text.Reveal())
		if err != nil || got != device || !until.Equal(time.Now().Add(life)) {
			t.Fatal(got, until, err)
		}
		if _, err := access(k, text.Reveal(), nil); err == nil {
			t.Error("a broker's token opened a resource")
		}
		if _, _, err := k.VerifyDevice(mint(t, k, someone, time.Now())); !errors.Is(err, token.ErrInvalid) {
			t.Error("an access token opened the broker")
		}
		time.Sleep(life)
		if _, _, err := k.VerifyDevice(text.Reveal()); !errors.Is(err, token.ErrInvalid) {
			t.Error("it opens for ever")
		}
	})
}

// access presents a token, with a proof made by proof.
func access(k *token.Keys, text string, adjust func(*http.Request)) (token.Access, error) {
	r := httptest.NewRequest(http.MethodPost, "http://behind.a.proxy/v1/links?x=y", nil)
	r.Header.Set("Authorization", "Bearer "+text)
	if adjust != nil {
		adjust(r)
	}
	w := httptest.NewRecorder()
	a, err := k.VerifyAccess(w, r)
	if w.Header().Get("DPoP-Nonce") == "" {
		return a, errors.New("no nonce")
	}
	if shown, ok := errors.AsType[*web.Error](err); ok && shown.Status == http.StatusUnauthorized {
		if challenge := w.Header().Get("WWW-Authenticate"); !strings.HasPrefix(challenge, "DPoP ") || shown.Code != "unauthorized" && !strings.Contains(challenge, shown.Code) {
			return a, fmt.Errorf("challenge %q", challenge)
		}
	}
	return a, err
}

func TestVerifyAccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, foreign := open(t, accountdbtest.Open(t)), open(t, accountdbtest.Open(t))
		key, other := jose.GenerateKey(), jose.GenerateKey()
		now := time.Now()
		bound := someone
		bound.JKT = jose.Thumbprint(key.Public())
		text := mint(t, k, bound, now)
		prove := func(key jose.PrivateKey, nonce, url, of string) string {
			proof, err := jose.NewProof(key.Signer(), http.MethodPost, url, nonce, of, time.Unix(0, 0))
			if err != nil {
				t.Fatal(err)
			}
			return proof
		}
		const at = base + "/v1/links"
		send := func(token string, proofs ...string) func(*http.Request) {
			return func(r *http.Request) {
				r.Header.Set("Authorization", "DPoP "+token)
				r.Header["Dpop"] = proofs
			}
		}
		proof := prove(key, k.Nonce(now), at, text)
		got, err := access(k, text, send(text, proof))
		if err != nil || got.Access != bound || !got.Expires.Equal(now.Add(10*time.Minute).Truncate(time.Second)) {
			t.Fatalf("%+v, %v", got, err)
		}
		bad := func(why, code string, adjust func(*http.Request)) {
			t.Helper()
			_, err := access(k, text, adjust)
			if shown, ok := errors.AsType[*web.Error](err); !ok || shown.Code != code || shown.Status != http.StatusUnauthorized {
				t.Errorf("%s: %v, want %s", why, err, code)
			}
		}
		fresh := func() string { return prove(key, k.Nonce(time.Now()), at, text) }
		bad("the proof again", pairing.InvalidDPoPProof, send(text, proof))
		bad("as a bearer's", "invalid_token", nil)
		bad("no proof", pairing.InvalidDPoPProof, send(text))
		bad("two proofs", pairing.InvalidDPoPProof, send(text, fresh(), fresh()))
		bad("no nonce", pairing.UseDPoPNonce, send(text, prove(key, "", at, text)))
		bad("another key", pairing.InvalidDPoPProof, send(text, prove(other, k.Nonce(now), at, text)))
		bad("another address", pairing.InvalidDPoPProof, send(text, prove(key, k.Nonce(now), base+"/v1/up", text)))
		bad("another token's proof", pairing.InvalidDPoPProof, send(text, prove(key, k.Nonce(now), at, "x")))
		bad("no token", "unauthorized", func(r *http.Request) { r.Header.Del("Authorization") })
		bad("two tokens", "unauthorized", func(r *http.Request) { r.Header.Add("Authorization", "DPoP "+text) })
		bad("no scheme", "unauthorized", func(r *http.Request) { r.Header.Set("Authorization", text) })
		bad("garbage", "invalid_token", send("a.b.c", fresh()))
		stranger := mint(t, foreign, bound, now)
		bad("another cloud's token", "invalid_token", send(stranger, prove(key, k.Nonce(now), at, stranger)))
		time.Sleep(10 * time.Minute)
		bad("an expired token", "invalid_token", send(text, fresh()))

		plain := mint(t, k, someone, time.Now())
		bad("a bearer's token with a proof", "invalid_token", send(plain, prove(key, k.Nonce(time.Now()), at, plain)))
		if got, err := access(k, plain, nil); err != nil || got.Access != someone {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestNonces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, other := open(t, accountdbtest.Open(t)), open(t, accountdbtest.Open(t))
		begun := time.Now()
		nonce := k.Nonce(begun)
		last := begun
		for ; ; last = last.Add(time.Second) {
			until, ok := k.CheckNonce(nonce, last)
			if !ok {
				break
			}
			if _, later := k.CheckNonce(nonce, until); later {
				t.Fatal("good for longer than said")
			}
		}
		if life := last.Sub(begun); life < 5*time.Minute || life > 10*time.Minute {
			t.Errorf("good for %v", life)
		}
		if _, ok := k.CheckNonce(nonce, begun.Add(-6*time.Minute)); ok {
			t.Error("a nonce of the future")
		}
		for _, bad := range []string{"", "x", nonce + "x", other.Nonce(begun)} {
			if _, ok := k.CheckNonce(bad, begun); ok {
				t.Errorf("%q passed", bad)
			}
		}
	})
}

// Proofs are forgotten when their nonce is refused anyway.
func TestReplayMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := open(t, accountdbtest.Open(t))
		key := jose.GenerateKey()
		for range 50 {
			bound := someone
			bound.JKT = jose.Thumbprint(key.Public())
			text := mint(t, k, bound, time.Now())
			proof, _ := jose.NewProof(key.Signer(), http.MethodPost, base+"/v1/links", k.Nonce(time.Now()), text, time.Now())
			use := func(r *http.Request) {
				r.Header.Set("Authorization", "DPoP "+text)
				r.Header.Set("DPoP", proof)
			}
			if _, err := access(k, text, use); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if _, err := access(k, text, use); err == nil {
				t.Fatal("replayed")
			}
		}
	})
}

func decode(t *testing.T, part string, into any) {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(part)
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The claim is an array, as RFC 9068, Section 2.2.3.1 says, and not there at all for
// who has no role.
func TestRolesClaim(t *testing.T) {
	k := open(t, accountdbtest.Open(t))
	for roles, want := range map[cardea.Roles]string{"driver service": `,"roles":["driver","service"]`, "driver": `,"roles":["driver"]`, "": ""} {
		text := mint(t, k, issuer.Access{Subject: "s", Roles: roles}, time.Now())
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(text, ".")[1])
		if err != nil {
			t.Fatal(err)
		}
		if got := string(payload); !strings.Contains(got, want) || want == "" && strings.Contains(got, "roles") {
			t.Errorf("%q: %s", roles, got)
		}
		if c, ok := k.Read(pairing.Secret(text), time.Now()); !ok || c.Roles != roles {
			t.Errorf("%q is read as %q", roles, c.Roles)
		}
	}
}
