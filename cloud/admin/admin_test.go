package admin_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/admin"
	"github.com/cardea-id/cardea/cloud/archive"
	"github.com/cardea-id/cardea/cloud/catalogue"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/cloud/receipt"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/openapi"
	"github.com/cardea-id/cardea/store/accountdb"
)

const brandKey = "a key of 32 random bytes, in earnest"

// A pipe to devices that are never there.
type nowhere struct{}

func (nowhere) Publish(cardea.DeviceID, []byte) error { return nil }
func (nowhere) Connected(cardea.DeviceID) bool        { return false }
func (nowhere) Kick(cardea.DeviceID)                  {}

// A world is a cloud with one account that has one speaker.
type world struct {
	*testing.T
	db      *accountdb.DB
	ledger  *ledger.Ledger
	account accountdb.Account
	device  cardea.DeviceID
	url     string
	woken   atomic.Int32

	contract *openapi.Contract // that every exchange is compared with
	late     []hub.Overdue     // devices that are overdue beside those of the hub
}

// An eraser is the hub, and devices that are late by the word of the test.
type eraser struct {
	*hub.Hub
	w *world
}

func (e eraser) Overdue(ctx context.Context, above cardea.LinkID, most int) ([]hub.Overdue, cardea.LinkID, error) {
	late, next, err := e.Hub.Overdue(ctx, above, most)
	return append(late, e.w.late...), next, err
}

func newWorld(t *testing.T) *world {
	t.Helper()
	contract, err := openapi.Load("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return newWorldUnder(t, contract)
}

// newWorldUnder counts what was seen in the contract it is given.
func newWorldUnder(t *testing.T, contract *openapi.Contract) *world {
	t.Helper()
	db, err := accountdb.Open(t.Context(), filepath.Join(t.TempDir(), "cloud.db"), accountdb.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	cat, err := catalogue.Open(t.Context(), db, shipped(t))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, contract: contract, db: db, ledger: &ledger.Ledger{DB: db, Catalogue: cat}}
	signer := jose.GenerateKey()
	h := hub.New(hub.Config{
		DB: db, Ledger: w.ledger, Pipe: nowhere{}, Signer: signer.Signer, KeyList: func() []byte { return nil }, Root: signer.Public(), Log: slog.New(slog.DiscardHandler),
	})
	w.ledger.Wake = func(cardea.AccountID) { w.woken.Add(1) }
	w.account = w.newAccount()
	w.device = w.join(h)
	srv := httptest.NewServer(w.contract.Watch(admin.Handler(admin.Config{
		Receipts: &receipt.Maker{Ledger: w.ledger, Issuer: "https://id.example.com", Signer: signer.Signer},
		Eraser:   eraser{h, w}, Archive: &archive.Writer{DB: db, Ledger: w.ledger, Brand: "Hearth"}, Issuer: "https://id.example.com",
		Ledger: w.ledger, Devices: h, Log: slog.New(slog.DiscardHandler),
		Keys: []admin.Key{{Name: "other", SHA256: sha256.Sum256([]byte("other"))}, {Name: "shop", SHA256: sha256.Sum256([]byte(brandKey))}},
	}), func(err error) { t.Errorf("against openapi.yaml: %v", err) }))
	t.Cleanup(srv.Close)
	w.url = srv.URL
	return w
}

func shipped(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("../../testdata/catalogue.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (w *world) update(f func(tx *accountdb.Tx) error) {
	w.Helper()
	if err := w.db.Update(w.Context(), f); err != nil {
		w.Fatal(err)
	}
}

func (w *world) newAccount() (a accountdb.Account) {
	w.Helper()
	w.update(func(tx *accountdb.Tx) (err error) {
		a, err = tx.CreateAccount()
		return err
	})
	return a
}

func (w *world) join(h *hub.Hub) cardea.DeviceID {
	w.Helper()
	pub := jose.GenerateKey().Public()
	_, err := h.Join(w.Context(), hub.Joining{
		Account: w.account.ID, Grant: "grant", Thumbprint: jose.Thumbprint(pub), PublicKey: jose.JWK(pub),
		Name: "Kitchen of Ada", Kind: "speaker", Model: "NX-1",
	})
	if err != nil {
		w.Fatal(err)
	}
	return cardea.DeviceID(jose.Thumbprint(pub))
}

// grant is the owner saying yes in the portal.
func (w *world) grant(key cardea.Key) {
	w.Helper()
	cat, _ := w.ledger.Catalogue.Current()
	p, _ := cat.Purpose(key.Purpose())
	page, err := w.ledger.Page(w.Context(), w.account.ID, "en")
	if err != nil {
		w.Fatal(err)
	}
	_, err = w.ledger.Decide(w.Context(), w.account.ID, cardea.ChannelPortal, cardea.Scope{}, cardea.Decision{
		Event: cardea.NewID[cardea.EventID](), Act: cardea.ActGrant, Key: key, Version: p.Version, Notice: p.Notice("en"), Base: page.Head,
	})
	if err != nil {
		w.Fatal(err)
	}
}

// call sends a request with the brand's key and decodes the answer.
func (w *world) call(method, path, body string) (int, map[string]any) {
	w.Helper()
	return w.do(method, path, body, "application/json", "Bearer "+brandKey)
}

func (w *world) do(method, path, body, media, authorization string) (int, map[string]any) {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	r.Header.Set("Content-Type", media)
	r.Header.Set("Authorization", authorization)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		w.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		w.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		w.Fatalf("%s %s: %d %q", method, path, res.StatusCode, text)
	}
	return res.StatusCode, out
}

func (w *world) path(rest string) string { return "/admin/v1/accounts/" + w.account.Subject + rest }

// refused demands an error with this status and code.
func (w *world) refused(why string, status int, code, method, path, body string) {
	w.Helper()
	got, out := w.call(method, path, body)
	if got != status || out["error"] != code || out["error_description"] == "" {
		w.Errorf("%s: %d %v, want %d %s", why, got, out, status, code)
	}
}

func (w *world) verdict(key string) string {
	w.Helper()
	status, out := w.call("POST", w.path("/decide"), fmt.Sprintf(`{"key":%q}`, key))
	if status != 200 {
		w.Fatalf("decide: %d %v", status, out)
	}
	return fmt.Sprint(out["verdict"], " ", out["reason"])
}

func (w *world) want(key, verdict string) {
	w.Helper()
	if got := w.verdict(key); got != verdict {
		w.Errorf("%s: %s, want %s", key, got, verdict)
	}
}

func TestKeyIsNeeded(t *testing.T) {
	w := newWorld(t)
	before := w.entries()
	for _, authorization := range []string{
		"", "Bearer", "Bearer ", "Bearer wrong", "Basic " + brandKey, brandKey,
		"Bearer " + fmt.Sprintf("%x", sha256.Sum256([]byte(brandKey))),
	} {
		for _, c := range [][2]string{
			{"GET", "/admin/v1/catalogue"}, {"PUT", "/admin/v1/catalogue"}, {"GET", "/admin/v1/changes"},
			{"POST", w.path("/denials")}, {"POST", w.path("/preferences")}, {"POST", w.path("/decide")},
			{"GET", w.path("/propagation")}, {"GET", "/admin/v1/anything"},
		} {
			status, out := w.do(c[0], c[1], `{"key":"presence/use","everywhere":true}`, "application/json", authorization)
			if status != http.StatusUnauthorized || out["error"] != "invalid_token" {
				t.Errorf("%q %s %s: %d %v, want 401", authorization, c[0], c[1], status, out)
			}
		}
	}
	if w.entries() != before {
		t.Error("something was recorded without a key")
	}
	if status, _ := w.do("GET", w.path("/propagation"), "", "", "bearer other"); status != 200 {
		t.Error("the scheme's case matters, or the first key does not count")
	}
}

func (w *world) entries() (n int) {
	w.update(func(tx *accountdb.Tx) error {
		all, err := tx.Entries(w.account.ID, 0)
		n = len(all)
		return err
	})
	return n
}

func TestNoKeysNoAccess(t *testing.T) {
	h := admin.Handler(admin.Config{Log: slog.New(slog.DiscardHandler)})
	for _, authorization := range []string{"", "Bearer ", "Bearer x"} {
		r := httptest.NewRequest("GET", "/admin/v1/changes", nil)
		r.Header.Set("Authorization", authorization)
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if rec.Code != http.StatusUnauthorized || rec.Header().Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%q: %d, want 401", authorization, rec.Code)
		}
	}
}

func TestParseKey(t *testing.T) {
	hash := fmt.Sprintf("%x", sha256.Sum256([]byte("x")))
	if k, err := admin.ParseKey("shop-1", hash); err != nil || k.Name != "shop-1" || k.SHA256 != sha256.Sum256([]byte("x")) {
		t.Errorf("%v %v", k, err)
	}
	for _, c := range [][2]string{{"", hash}, {"Shop", hash}, {"shop 1", hash}, {"shop", ""}, {"shop", "x"}, {"shop", hash[2:]}} {
		if _, err := admin.ParseKey(c[0], c[1]); err == nil {
			t.Errorf("%q accepted", c)
		}
	}
}

func TestDenyEverywhere(t *testing.T) {
	w := newWorld(t)
	w.want("recommendations/use", "deny not_asked")
	w.grant("recommendations/use")
	w.want("recommendations/use", "allow granted")
	woken := w.woken.Load()
	status, out := w.call("POST", w.path("/denials"), `{"key":"recommendations/use","everywhere":true}`)
	if status != 200 || out["asked"] != true || out["event"] == "" || out["recorded"] == 0.0 {
		t.Fatalf("%d %v", status, out)
	}
	w.want("recommendations/use", "deny withdrawn")
	if w.woken.Load() == woken {
		t.Error("the devices are not told")
	}
}

func TestDenyOnOneDevice(t *testing.T) {
	w := newWorld(t)
	w.grant("recommendations/use")
	body := fmt.Sprintf(`{"key":"recommendations/use","device":%q}`, w.device)
	if status, out := w.call("POST", w.path("/denials"), body); status != 200 {
		t.Fatalf("%d %v", status, out)
	}
	w.want("recommendations/use", "allow granted")
	w.update(func(tx *accountdb.Tx) error {
		all, err := tx.Entries(w.account.ID, 0)
		last := all[len(all)-1]
		if last.Act != cardea.ActDeny || last.Scope.Device != w.device || last.Channel != cardea.ChannelBrand || last.By != cardea.Owner {
			t.Errorf("recorded as %+v", last)
		}
		return err
	})
}

func TestDenyTwice(t *testing.T) {
	w := newWorld(t)
	event := cardea.NewID[cardea.EventID]()
	body := fmt.Sprintf(`{"key":"presence/use","everywhere":true,"event":%q}`, event)
	_, first := w.call("POST", w.path("/denials"), body)
	n := w.entries()
	_, again := w.call("POST", w.path("/denials"), body)
	if first["event"] != event.String() || fmt.Sprint(first) != fmt.Sprint(again) || w.entries() != n {
		t.Errorf("a repeated request counts twice: %v %v", first, again)
	}
	w.refused("the event for something else", 409, "event_reused", "POST", w.path("/denials"),
		fmt.Sprintf(`{"key":"offers/use","everywhere":true,"event":%q}`, event))
	if w.entries() != n {
		t.Error("what was refused is recorded")
	}
}

func TestDenyRefuses(t *testing.T) {
	w := newWorld(t)
	deny := func(why string, status int, code, body string) {
		t.Helper()
		w.refused(why, status, code, "POST", w.path("/denials"), body)
	}
	n := w.entries()
	deny("no place", 400, "invalid_request", `{"key":"presence/use"}`)
	deny("two places", 400, "invalid_request", fmt.Sprintf(`{"key":"presence/use","everywhere":true,"device":%q}`, w.device))
	deny("a foreign device", 404, "unknown_device", `{"key":"presence/use","device":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`)
	deny("no key", 400, "invalid_key", `{"everywhere":true}`)
	deny("no facet", 400, "invalid_key", `{"key":"presence","everywhere":true}`)
	deny("an unknown field", 400, "invalid_request", `{"key":"presence/use","everywhere":true,"act":"grant"}`)
	deny("two values", 400, "invalid_request", `{"key":"presence/use","everywhere":true} {}`)
	deny("a bad event", 400, "invalid_request", `{"key":"presence/use","everywhere":true,"event":"x"}`)
	deny("too much", 413, "too_big", `{"key":"`+strings.Repeat("x", 70000)+`"}`)
	if status, _ := w.do("POST", w.path("/denials"), `{}`, "text/plain", "Bearer "+brandKey); status != 415 {
		t.Errorf("text/plain: %d, want 415", status)
	}
	w.refused("a stranger", 404, "unknown_account", "POST", "/admin/v1/accounts/nobody/denials", `{"key":"presence/use","everywhere":true}`)
	w.refused("no such call", 404, "not_found", "POST", w.path("/grants"), `{}`)
	w.refused("another method", 404, "not_found", "DELETE", w.path("/denials"), ``)
	if w.entries() != n {
		t.Error("what was refused is recorded")
	}
	// A denial of what the catalogue does not ask is kept all the same.
	status, out := w.call("POST", w.path("/denials"), `{"key":"formerly/use","everywhere":true}`)
	if status != 200 || out["asked"] != false {
		t.Errorf("%d %v", status, out)
	}
}

func TestPrefer(t *testing.T) {
	w := newWorld(t)
	prefer := func(body string) (int, map[string]any) { return w.call("POST", w.path("/preferences"), body) }
	status, first := prefer(`{"key":"voice_speed","value":120}`)
	if status != 200 {
		t.Fatalf("%d %v", status, first)
	}
	if status, out := prefer(fmt.Sprintf(`{"key":"language","value":"de","device":%q}`, w.device)); status != 200 {
		t.Fatalf("%d %v", status, out)
	}
	w.update(func(tx *accountdb.Tx) error {
		everywhere, err := tx.Setting(w.account.ID, "voice_speed", cardea.Scope{})
		if err != nil || everywhere == nil || everywhere.Value != "120" || everywhere.Entry.Channel != cardea.ChannelBrand {
			t.Errorf("voice_speed: %+v %v", everywhere, err)
		}
		here, err := tx.Setting(w.account.ID, "language", cardea.Scope{Device: w.device})
		if err != nil || here == nil || here.Value != `"de"` {
			t.Errorf("language: %+v %v", here, err)
		}
		return nil
	})

	// Whoever had not seen the last change does not undo it.
	if status, out := prefer(`{"key":"voice_speed","value":80,"base":{"era":0,"seq":0,"hash":""}}`); status != 409 || out["error"] != "conflict" {
		t.Errorf("%d %v, want a conflict", status, out)
	}
	base, _ := json.Marshal(first["position"])
	if status, out := prefer(fmt.Sprintf(`{"key":"voice_speed","value":80,"base":%s}`, base)); status != 200 {
		t.Errorf("%d %v, want it set", status, out)
	}
	w.refused("a base to come", 409, "base", "POST", w.path("/preferences"), `{"key":"voice_speed","value":80,"base":{"era":1,"seq":999,"hash":""}}`)
	w.refused("out of range", 400, "invalid_value", "POST", w.path("/preferences"), `{"key":"voice_speed","value":1000}`)
	w.refused("another type", 400, "invalid_value", "POST", w.path("/preferences"), `{"key":"voice_speed","value":{}}`)
	w.refused("no value", 400, "invalid_value", "POST", w.path("/preferences"), `{"key":"voice_speed"}`)
	w.refused("an unknown one", 400, "unknown_preference", "POST", w.path("/preferences"), `{"key":"volume","value":1}`)
}

// TestNothingGrants: the brand can not say yes, nor take back protection.
func TestNothingGrants(t *testing.T) {
	w := newWorld(t)
	prefer := func(body string) int {
		status, _ := w.call("POST", w.path("/preferences"), body)
		return status
	}
	if status := prefer(`{"key":"microphone_off","value":true}`); status != 200 {
		t.Errorf("%d, want the microphone switched off", status)
	}
	for _, body := range []string{`{"key":"microphone_off","value":false}`, `{"key":"ads_personalised","value":true}`} {
		w.refused(body, 403, "owner_only", "POST", w.path("/preferences"), body)
	}
	cat, _ := w.ledger.Catalogue.Current()
	for _, p := range cat.Purposes {
		for _, key := range p.Keys() {
			if got := w.verdict(string(key)); p.Class != cardea.ClassN && !strings.HasPrefix(got, "deny") {
				t.Errorf("%s: %s", key, got)
			}
		}
	}
}

func TestDecide(t *testing.T) {
	w := newWorld(t)
	w.want("device_security/use", "allow granted")
	w.want("nothing/use", "deny unknown")
	w.grant("on_device_personalisation/use")
	w.want("on_device_personalisation/use", "deny not_asked") // it stays on the device
	w.grant("presence/use")
	_, out := w.call("POST", w.path("/decide"), `{"key":"presence/use"}`)
	if out["verdict"] != "allow" || out["left_ms"] != 30000.0 {
		t.Errorf("%v, want allow for 30 s", out)
	}
	w.refused("no key", 400, "invalid_key", "POST", w.path("/decide"), `{}`)
	w.refused("a stranger", 404, "unknown_account", "POST", "/admin/v1/accounts/nobody/decide", `{"key":"presence/use"}`)
}

func TestPropagation(t *testing.T) {
	w := newWorld(t)
	w.grant("recommendations/use")
	propagation := func() map[string]any {
		status, out := w.call("GET", w.path("/propagation"), "")
		devices, _ := out["devices"].([]any)
		if status != 200 || len(devices) != 1 {
			t.Fatalf("%d %v", status, out)
		}
		return devices[0].(map[string]any)
	}
	d := propagation()
	if d["device"] != string(w.device) || d["kind"] != "speaker" || d["waiting"] != true || d["online"] != false || d["state"] != "waiting" {
		t.Errorf("%v", d)
	}
	w.call("POST", w.path("/denials"), `{"key":"recommendations/use","everywhere":true}`)
	d = propagation()
	stops, _ := d["stops_by"].(float64)
	if until := time.Until(cardea.Millis(stops).Time()); d["state"] != "stops" || until < 72*time.Hour || until > 73*time.Hour {
		t.Errorf("%v: stops in %s, want a little over 72 h", d, until)
	}
	if d["stops"].(map[string]any)["recommendations/use"] != stops {
		t.Errorf("%v", d["stops"])
	}
	if strings.Contains(fmt.Sprint(d), "Ada") {
		t.Errorf("%v tells what the owner called the device", d)
	}
	w.refused("a stranger", 404, "unknown_account", "GET", "/admin/v1/accounts/nobody/propagation", "")
	other := w.newAccount()
	if _, out := w.call("GET", "/admin/v1/accounts/"+other.Subject+"/propagation", ""); fmt.Sprint(out["devices"]) != "[]" {
		t.Errorf("%v, want an empty list", out)
	}
}

func TestChanges(t *testing.T) {
	w := newWorld(t)
	other := w.newAccount()
	w.call("POST", w.path("/preferences"), `{"key":"voice_speed","value":137}`)
	w.call("POST", "/admin/v1/accounts/"+other.Subject+"/denials", `{"key":"presence/use","everywhere":true}`)
	w.grant("offers/use")

	var acts []string
	var last map[string]any
	for after := 0.0; ; {
		status, out := w.call("GET", fmt.Sprintf("/admin/v1/changes?limit=1&after=%.0f", after), "")
		if status != 200 {
			t.Fatalf("%d %v", status, out)
		}
		changes := out["changes"].([]any)
		if len(changes) == 0 {
			if out["next"] != after {
				t.Errorf("next is %v, want %v", out["next"], after)
			}
			break
		}
		last = changes[0].(map[string]any)
		acts = append(acts, fmt.Sprint(last["act"], " by ", last["channel"]))
		after = out["next"].(float64)
		if _, told := last["value"]; told {
			t.Errorf("%v tells a value", last)
		}
	}
	if got := strings.Join(acts, ", "); got != "link by portal, prefer by brand, deny by brand, grant by portal" {
		t.Errorf("changes: %s", got)
	}
	if last["subject"] != w.account.Subject || last["key"] != "offers/use" || last["version"] != 1.0 || last["notice"] == nil {
		t.Errorf("%v", last)
	}
	for _, query := range []string{"after=x", "after=-1", "limit=1001", "wait=21"} {
		w.refused(query, 400, "invalid_request", "GET", "/admin/v1/changes?"+query, "")
	}
}

func TestChangesAreHeld(t *testing.T) {
	w := newWorld(t)
	_, out := w.call("GET", "/admin/v1/changes", "")
	path := fmt.Sprintf("/admin/v1/changes?wait=20&after=%.0f", out["next"])
	answer := make(chan map[string]any)
	go func() {
		_, out := w.call("GET", path, "")
		answer <- out
	}()
	select {
	case out := <-answer:
		t.Fatalf("%v, want it held", out)
	case <-time.After(300 * time.Millisecond):
	}
	w.call("POST", w.path("/denials"), `{"key":"presence/use","everywhere":true}`)
	select {
	case out := <-answer:
		if len(out["changes"].([]any)) != 1 {
			t.Errorf("%v", out)
		}
	case <-time.After(10 * time.Second):
		t.Error("the change did not come")
	}
	if _, out := w.call("GET", "/admin/v1/changes?wait=1&after=1000000", ""); len(out["changes"].([]any)) != 0 {
		t.Errorf("%v, want nothing after a second", out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	r, _ := http.NewRequestWithContext(ctx, "GET", w.url+"/admin/v1/changes?wait=20&after=1000000", nil)
	r.Header.Set("Authorization", "Bearer "+brandKey)
	if res, err := http.DefaultClient.Do(r); err == nil {
		res.Body.Close()
		t.Error("answered a caller that is gone")
	}
}

func TestCatalogue(t *testing.T) {
	w := newWorld(t)
	put := func(text []byte) (int, map[string]any) {
		return w.do("PUT", "/admin/v1/catalogue", string(text), "application/yaml", "Bearer "+brandKey)
	}
	text := shipped(t)
	_, before := w.ledger.Catalogue.Current()
	if status, out := put(text); status != 200 || out["hash"] != before.String() {
		t.Errorf("the same again: %d %v", status, out)
	}
	changed := bytes.Replace(text, []byte("12 months"), []byte("24 months"), 1)
	status, out := put(changed)
	if status != 400 || out["error"] != "invalid_catalogue" || !strings.Contains(fmt.Sprint(out["error_description"]), "raise the version") {
		t.Errorf("changed under its version: %d %v", status, out)
	}
	w.grant("recommendations/use")
	next := bytes.Replace(changed, []byte("id: recommendations\n    version: 1"), []byte("id: recommendations\n    version: 2"), 1)
	if status, out := put(next); status != 200 || out["hash"] == before.String() {
		t.Errorf("a new version: %d %v", status, out)
	}
	w.want("recommendations/use", "deny notice")
	for why, text := range map[string][]byte{"no YAML": []byte("{"), "nothing": nil, "an unknown field": append([]byte("x: 1\n"), text...)} {
		if status, out := put(text); status != 400 || out["error"] != "invalid_catalogue" {
			t.Errorf("%s: %d %v", why, status, out)
		}
	}
	if status, _ := put(bytes.Repeat([]byte("#"), catalogue.MaxBytes+1)); status != 413 {
		t.Errorf("too big: %d", status)
	}
	r, _ := http.NewRequestWithContext(t.Context(), "GET", w.url+"/admin/v1/catalogue", nil)
	r.Header.Set("Authorization", "Bearer "+brandKey)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got, _ := io.ReadAll(res.Body); !bytes.Equal(got, next) || res.Header.Get("Content-Type") != "application/yaml" {
		t.Errorf("GET: %s, %d bytes", res.Header.Get("Content-Type"), len(got))
	}
}
