package cloud_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/cloud"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/owner"
	"github.com/cardea-id/cardea/pairing"
)

// answered sends a request with a key and decodes the answer.
func answered(t *testing.T, method, address, key string, form url.Values) (out map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v %v", address, res.StatusCode, out, err)
	}
	return out
}

// pairDevice pairs a device with a new account, and links it.
func pairDevice(t *testing.T, c cloud.Config) (*pairing.Client, pairing.Tokens) {
	t.Helper()
	key := jose.GenerateKey()
	device := &pairing.Client{Issuer: c.Issuer, ClientID: "cardea-agent", Signer: key.Signer()}
	tokens := pairWith(t, c, device)
	body := fmt.Sprintf(`{"public_key":%s}`, jose.JWK(key.Public()))
	status, answer, err := device.Call(t.Context(), tokens, http.MethodPost, c.Issuer+"/v1/links", "application/json", []byte(body))
	if err != nil || status != http.StatusOK {
		t.Fatalf("join: %d %s %v", status, answer, err)
	}
	return device, tokens
}

// pairWith pairs a device with a new account.
func pairWith(t *testing.T, c cloud.Config, device *pairing.Client) pairing.Tokens {
	t.Helper()
	a, err := device.Start(t.Context(), pairing.Device{Kind: "speaker", Model: "NX-1"})
	if err != nil {
		t.Fatal(err)
	}
	phone := owner.New(nil)
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(phone.Open(t.Context(), c.Issuer+"/register"))
	phone.Fill("email", "ada@example.com")
	phone.Fill("password", "a sentence nobody guesses")
	do(phone.Press(t.Context(), "Create account", ""))
	do(phone.Open(t.Context(), a.VerificationURIComplete))
	do(phone.Press(t.Context(), "Approve", ""))
	tokens, err := device.Wait(t.Context(), a)
	do(err)
	return tokens
}

// A client that proves no key has tokens, and no link.
func TestABearerCanNotJoin(t *testing.T) {
	c := config(t)
	c.Clients = []cloud.Client{{ID: "tv-app", Bearer: true}}
	start(t, c)
	device := &pairing.Client{Issuer: c.Issuer, ClientID: "tv-app"}
	tokens := pairWith(t, c, device)
	if tokens.TokenType != pairing.TypeBearer {
		t.Fatalf("token type %q", tokens.TokenType)
	}
	body := fmt.Sprintf(`{"public_key":%s}`, jose.JWK(jose.GenerateKey().Public()))
	status, answer, err := device.Call(t.Context(), tokens, http.MethodPost, c.Issuer+"/v1/links", "application/json", []byte(body))
	if err != nil || status != http.StatusForbidden || !strings.Contains(string(answer), "use DPoP") {
		t.Errorf("%d %s %v", status, answer, err)
	}
}

// A device that revokes its refresh token is paired no more: its link is leaving,
// its tokens are refreshed no more and no API takes them, from that moment on.
func TestRevocationClosesTheLink(t *testing.T) {
	digest := func(key string) string { h := sha256.Sum256([]byte(key)); return hex.EncodeToString(h[:]) }
	c := config(t)
	c.AdminKeys = []cloud.AdminKey{{Name: "support", SHA256: digest("the brand's")}}
	c.ResourceServers = []cloud.ResourceServer{{Name: "music", SHA256: digest("the API's")}}
	start(t, c)
	device, tokens := pairDevice(t, c)
	introspect := func() map[string]any {
		return answered(t, http.MethodPost, c.Issuer+"/oauth/introspect", "the API's", url.Values{"token": {tokens.AccessToken.Reveal()}})
	}
	before := introspect()
	subject, _ := before["sub"].(string)
	if before["active"] != true || subject == "" {
		t.Fatalf("%v", before)
	}
	state := func() string {
		out := answered(t, http.MethodGet, c.Issuer+"/admin/v1/accounts/"+subject+"/propagation", "the brand's", nil)
		devices := out["devices"].([]any)
		return fmt.Sprint(len(devices), " ", devices[0].(map[string]any)["state"])
	}
	if got := state(); got != "1 waiting" {
		t.Errorf("paired: %s", got)
	}
	stranger := &pairing.Client{Issuer: c.Issuer, ClientID: "cardea-agent", Signer: jose.GenerateKey().Signer()}
	if err := stranger.Revoke(t.Context(), tokens.RefreshToken); !pairing.HasCode(err, pairing.InvalidGrant) {
		t.Errorf("another key: %v", err)
	}
	if introspect()["active"] != true || state() != "1 waiting" {
		t.Error("another key ended it")
	}
	for range 2 {
		if err := device.Revoke(t.Context(), tokens.RefreshToken); err != nil {
			t.Fatal(err)
		}
	}
	if got := introspect(); len(got) != 1 || got["active"] != false {
		t.Errorf("its token after that: %v", got)
	}
	if got := state(); got != "1 leaving" {
		t.Errorf("its link after that: %s", got)
	}
	if _, err := device.Refresh(context.Background(), tokens.RefreshToken); !pairing.HasCode(err, pairing.InvalidGrant) {
		t.Errorf("refreshed all the same: %v", err)
	}
	out := answered(t, http.MethodGet, c.Issuer+"/admin/v1/changes", "the brand's", nil)
	changes := out["changes"].([]any)
	if last := changes[len(changes)-1].(map[string]any); last["act"] != "unlink" || last["channel"] != "device" {
		t.Errorf("the ledger says %v", last)
	}
}

// The key of an API opens nothing else.
func TestResourceServersAreChecked(t *testing.T) {
	key := strings.Repeat("ab", 32)
	for want, change := range map[string]func(*cloud.Config){
		"resource_servers": func(c *cloud.Config) { c.ResourceServers = []cloud.ResourceServer{{Name: "x", SHA256: "12"}} },
		"one of its own": func(c *cloud.Config) {
			c.AdminKeys = []cloud.AdminKey{{Name: "x", SHA256: key}}
			c.ResourceServers = []cloud.ResourceServer{{Name: "x", SHA256: strings.ToUpper(key)}}
		},
	} {
		c := config(t)
		change(&c)
		if err := cloud.Run(t.Context(), c, quiet()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q in it", err, want)
		}
	}
}

// What is used of curl there.
var (
	shBlock  = regexp.MustCompile("(?s)```sh\n(curl [^`]*/oauth/[^`]*)```")
	shHeader = regexp.MustCompile(`-H "Authorization: Bearer ([^"]+)"`)
	shField  = regexp.MustCompile(`-d (\w+)="?([^"\s]+)"?`)
)

// The examples of docs/brand-api.md, as curl would send them.
func TestTokenExamples(t *testing.T) {
	text, err := os.ReadFile("../docs/brand-api.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := shBlock.FindAllStringSubmatch(string(text), -1)
	if len(examples) != 2 {
		t.Fatalf("%d examples, want one that asks and one that revokes", len(examples))
	}
	sum := sha256.Sum256([]byte("the API's"))
	c := config(t)
	c.Clients = []cloud.Client{{ID: "tv-app", Bearer: true}}
	c.ResourceServers = []cloud.ResourceServer{{Name: "music", SHA256: hex.EncodeToString(sum[:])}}
	start(t, c)
	tokens := pairWith(t, c, &pairing.Client{Issuer: c.Issuer, ClientID: "tv-app"})
	run := func(line string) (out map[string]any) {
		t.Helper()
		fill := strings.NewReplacer("$CARDEA", c.Issuer, "$API_KEY", "the API's",
			"$TOKEN", tokens.AccessToken.Reveal(), "$REFRESH_TOKEN", tokens.RefreshToken.Reveal())
		key, form := "", url.Values{}
		for _, m := range shHeader.FindAllStringSubmatch(line, -1) {
			key = fill.Replace(m[1])
		}
		for _, m := range shField.FindAllStringSubmatch(line, -1) {
			form.Set(m[1], fill.Replace(m[2]))
		}
		address, _, _ := strings.Cut(strings.TrimPrefix(line, `curl -sS "`), `"`)
		return answered(t, http.MethodPost, fill.Replace(address), key, form)
	}
	_, shown, _ := strings.Cut(string(text), examples[0][0])
	_, shown, _ = strings.Cut(shown, "```json\n")
	shown, _, _ = strings.Cut(shown, "```")
	var want map[string]any
	if err := json.Unmarshal([]byte(shown), &want); err != nil {
		t.Fatal(err)
	}
	got := run(examples[0][1])
	if !slices.Equal(slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want))) || got["active"] != true || got["client_id"] != "tv-app" {
		t.Errorf("answered %v, shown %v", got, want)
	}
	if got := run(examples[1][1]); len(got) != 0 {
		t.Errorf("revoked: %v", got)
	}
	if got := run(examples[0][1]); len(got) != 1 || got["active"] != false {
		t.Errorf("after that: %v", got)
	}
}
