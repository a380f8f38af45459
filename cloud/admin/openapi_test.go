package admin_test

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/cloud/admin"
	"github.com/cardea-id/cardea/cloud/catalogue"
	"github.com/cardea-id/cardea/internal/openapi"
)

// TestOpenAPIBothWays compares openapi.yaml with the server from both sides: a
// call that is served and not in the file fails, and so does an answer in the
// file that the server was not seen to give here. Only the answers of status 503
// are given by the cloud in front of this package, and seen in its tests.
func TestOpenAPIBothWays(t *testing.T) {
	contract, err := openapi.Load("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if file, served := contract.Operations(), admin.Calls(); !slices.Equal(file, slices.Sorted(slices.Values(served))) {
		t.Errorf("in the file: %q\nserved:      %q", file, served)
	}
	t.Run("answers", func(t *testing.T) { everyAnswer(t, contract) })
	for _, call := range contract.Unseen() {
		if !strings.HasSuffix(call, " 503") {
			t.Errorf("%s is in the file and nothing called it so", call)
		}
	}
}

// An exchange is one call and the status it must have. The account's path and
// device are filled in.
type exchange struct {
	status            int
	call, media, body string
	anotherKey        bool // without a known key
}

const (
	inJSON = "application/json"
	inYAML = "application/yaml"
)

func everyAnswer(t *testing.T, contract *openapi.Contract) {
	text := string(shipped(t))
	w := newWorldUnder(t, contract)
	for _, c := range []exchange{
		{call: "PUT /admin/v1/catalogue", media: inYAML, body: text},
		{call: "GET /admin/v1/catalogue"},
		{call: "GET /admin/v1/changes?after=0&limit=10&wait=0"},
		{call: "POST /admin/v1/accounts/{subject}/denials", media: inJSON, body: `{"key":"recommendations/use","everywhere":true}`},
		{call: "POST /admin/v1/accounts/{subject}/denials", media: inJSON, body: `{"key":"offers/use","device":"{device}"}`},
		{call: "POST /admin/v1/accounts/{subject}/preferences", media: inJSON, body: `{"key":"voice_speed","value":120}`},
		{call: "POST /admin/v1/accounts/{subject}/preferences", media: inJSON, body: `{"key":"news_topics","value":["sport","local"]}`},
		{call: "POST /admin/v1/accounts/{subject}/preferences", media: inJSON, body: `{"key":"news_topics","value":null}`},
		{call: "GET /admin/v1/accounts/{subject}/preferences?purpose=offers"},
		{call: "GET /admin/v1/accounts/{subject}/preferences"},
		{call: "POST /admin/v1/accounts/{subject}/communication/check", media: inJSON, body: `{"channel":"email","topic":"offers","last":1700000000000}`},
		{call: "POST /admin/v1/accounts/{subject}/decide", media: inJSON, body: `{"key":"recommendations/use"}`},
		{call: "GET /admin/v1/accounts/{subject}/propagation"},
		{call: "PUT /admin/v1/accounts/{subject}/roles", media: inJSON, body: `{"roles":["service","driver"]}`},
		{call: "GET /admin/v1/accounts/{subject}/roles"},
		{call: "GET /admin/v1/accounts/{subject}/consents"},
		{call: "GET /admin/v1/accounts/{subject}/receipts/{denial}"},
		{call: "GET /admin/v1/accounts/{subject}/archive?language=de"},
		{call: "GET /admin/v1/erasures?after=0"},
		{call: "GET /admin/v1/overdue"},
		{call: "GET /admin/v1/overdue?after=3q2-7wAAAAAAAAAAAAAAAA"},
	} {
		c.status = http.StatusOK
		w.expect(c)
		w.refuses(c)
	}
	w.expect(exchange{status: 400, call: "GET /admin/v1/changes?wait=21"})
	w.expect(exchange{status: 400, call: "GET /admin/v1/erasures?after=yesterday"})
	w.expect(exchange{status: 400, call: "GET /admin/v1/overdue?after=yesterday"})
	w.expect(exchange{status: 400, call: "GET /admin/v1/accounts/{subject}/consents?at=yesterday"})
	w.expect(exchange{status: 404, call: "GET /admin/v1/accounts/{subject}/receipts/99"})
	w.expect(exchange{status: 403, call: "POST /admin/v1/accounts/{subject}/preferences", media: inJSON, body: `{"key":"ads_personalised","value":true}`})
	w.expect(exchange{status: 409, call: "POST /admin/v1/accounts/{subject}/preferences", media: inJSON,
		body: `{"key":"voice_speed","value":99,"base":{"era":1,"seq":999,"hash":""}}`})
	for _, key := range []string{"offers/use", "presence/use"} {
		w.expect(exchange{status: map[string]int{"offers/use": 200, "presence/use": 409}[key], call: "POST /admin/v1/accounts/{subject}/denials",
			media: inJSON, body: `{"key":"` + key + `","everywhere":true,"event":"3q2-7wAAAAAAAAAAAAAAAA"}`})
	}
	for range 2 {
		erase := exchange{status: 200, call: "POST /admin/v1/accounts/{subject}/erasure"}
		w.expect(erase)
		w.refuses(erase)
	}
	w.expect(exchange{status: 200, call: "GET /admin/v1/erasures"})
	w.expect(exchange{status: 410, call: "PUT /admin/v1/accounts/{subject}/roles", media: inJSON, body: `{"roles":[]}`})
	w.expect(exchange{status: 410, call: "GET /admin/v1/accounts/{subject}/archive"})
}

// refuses is what a call does when something about it is wrong: the key, the
// account, the body, its type, its size; or when the database is gone.
func (w *world) refuses(good exchange) {
	w.Helper()
	stranger := good
	stranger.anotherKey, stranger.status = true, 401
	w.expect(stranger)
	if strings.Contains(good.call, "{subject}") {
		nobody := good
		nobody.call, nobody.status = strings.Replace(good.call, "{subject}", "nobody", 1), 404
		w.expect(nobody)
	}
	if good.body != "" {
		for status, change := range map[int]func(*exchange){
			400: func(c *exchange) { c.body = `{"no_such_field":1}` },
			413: func(c *exchange) { c.body = `"` + strings.Repeat("x", catalogue.MaxBytes) + `"` },
			415: func(c *exchange) { c.media = "text/plain" },
		} {
			bad := good
			bad.status = status
			change(&bad)
			w.expect(bad)
		}
	}
	broken := newWorldUnder(w.T, w.contract)
	broken.db.Close()
	good.status = 500
	broken.expect(good)
}

func (w *world) expect(c exchange) {
	w.Helper()
	method, path, _ := strings.Cut(c.call, " ")
	fill := strings.NewReplacer("{subject}", w.account.Subject, "{device}", string(w.device), "{denial}", "2")
	r, err := http.NewRequestWithContext(w.Context(), method, w.url+fill.Replace(path), bytes.NewReader([]byte(fill.Replace(c.body))))
	if err != nil {
		w.Fatal(err)
	}
	if c.media != "" {
		r.Header.Set("Content-Type", c.media)
	}
	key := brandKey
	if c.anotherKey {
		key = "guessed"
	}
	r.Header.Set("Authorization", "Bearer "+key)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		w.Fatal(err)
	}
	defer res.Body.Close()
	if text, _ := io.ReadAll(res.Body); res.StatusCode != c.status {
		w.Errorf("%s: %d %s, want %d", c.call, res.StatusCode, text, c.status)
	}
}
