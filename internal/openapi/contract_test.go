package openapi_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/openapi"
)

const shop = "testdata/shop.yaml"

func load(t *testing.T) *openapi.Contract {
	t.Helper()
	c, err := openapi.Load(shop)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// exchange is one call to a server that answers as told, watched.
func exchange(c *openapi.Contract, method, target, body string, status int, media, answer string) (broken string) {
	server := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", media)
		w.WriteHeader(status)
		io.WriteString(w, answer)
	})
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	c.Watch(server, func(err error) { broken = err.Error() }).ServeHTTP(w, r)
	if w.Code != status || w.Body.String() != answer {
		return fmt.Sprintf("passed on as %d %s", w.Code, w.Body)
	}
	return broken
}

func TestWatch(t *testing.T) {
	const media = "application/json"
	for name, test := range map[string]struct {
		method, target, body string
		status               int
		media, answer        string
		broken               string // empty: as the file says
	}{
		"good":                        {"GET", "/v1/orders/1", "", 200, media, `{"n":1}`, ""},
		"with a charset":              {"GET", "/v1/orders/1", "", 200, media + "; charset=utf-8", `{"n":1}`, ""},
		"a parameter":                 {"GET", "/v1/orders/1?long=true", "", 200, media, `{"n":1}`, ""},
		"an error":                    {"GET", "/v1/orders/1", "", 404, media, `{"error":"gone"}`, ""},
		"a body":                      {"PUT", "/v1/orders/x", `{"n":1,"note":"ok"}`, 200, media, `{"n":1}`, ""},
		"a stream":                    {"GET", "/v1/events", "", 200, openapi.MediaLines, "{\"n\":1}\n{\"n\":2}\n", ""},
		"nothing there":               {"GET", "/v1/none", "", 404, media, `{"error":"not_found"}`, ""},
		"an answer's field more":      {"GET", "/v1/orders/1", "", 200, media, `{"n":1,"m":2}`, "m"},
		"an answer's field less":      {"GET", "/v1/orders/1", "", 200, media, `{}`, "n"},
		"an answer of another type":   {"GET", "/v1/orders/1", "", 200, media, `{"n":"1"}`, "integer"},
		"a word of 3.1 alone":         {"GET", "/v1/orders/1", "", 200, media, `{"n":1,"note":"x"}`, "note"},
		"another content":             {"GET", "/v1/orders/1", "", 200, "text/plain", `{"n":1}`, "no content text/plain"},
		"no content type":             {"GET", "/v1/orders/1", "", 200, "", `{"n":1}`, "content type"},
		"another status":              {"GET", "/v1/orders/1", "", 409, media, `{"error":"gone"}`, "no such status"},
		"another word":                {"GET", "/v1/orders/1", "", 404, media, `{"error":"lost"}`, "error"},
		"another form of error":       {"GET", "/v1/orders/1", "", 404, media, `{"error":"gone","why":"x"}`, "why"},
		"a path accepted":             {"GET", "/v1/orders/x", "", 200, media, `{"n":1}`, "accepted"},
		"a parameter accepted":        {"GET", "/v1/orders/1?short=true", "", 200, media, `{"n":1}`, "accepted"},
		"a body accepted":             {"PUT", "/v1/orders/1", `{"n":1,"m":1}`, 200, media, `{"n":1}`, "accepted"},
		"a body where none is":        {"GET", "/v1/orders/1", `{}`, 200, media, `{"n":1}`, "accepted"},
		"a body refused":              {"PUT", "/v1/orders/1", `{"m":1}`, 404, media, `{"error":"gone"}`, "no such status"},
		"a line":                      {"GET", "/v1/events", "", 200, openapi.MediaLines, "{\"n\":1}\n{\"m\":2}\n", "m"},
		"a call that is not there":    {"POST", "/v1/orders/1", "", 200, media, `{"n":1}`, "not in the file"},
		"another error of nothing":    {"GET", "/v1/none", "", 404, "text/plain", `404 page not found`, "404 page"},
		"a foreign word about no one": {"GET", "/v1/none", "", 404, media, `{"error":"lost"}`, "error"},
	} {
		broken := exchange(load(t), test.method, test.target, test.body, test.status, test.media, test.answer)
		if (broken == "") != (test.broken == "") || !strings.Contains(broken, test.broken) {
			t.Errorf("%s: told %q, want %q", name, broken, test.broken)
		}
	}
}

func TestUnseen(t *testing.T) {
	c := load(t)
	want := []string{"GET /v1/events 200", "GET /v1/orders/{id} 200", "GET /v1/orders/{id} 404", "PUT /v1/orders/{id} 200"}
	if got := c.Unseen(); !slices.Equal(got, want) {
		t.Errorf("before any call: %q", got)
	}
	exchange(c, "GET", "/v1/orders/1", "", 200, "application/json", `{"n":1}`)
	exchange(c, "GET", "/v1/orders/2", "", 404, "application/json", `{"error":"lost"}`) // not as the file says: not seen
	if got := c.Unseen(); !slices.Equal(got, slices.Delete(slices.Clone(want), 1, 2)) {
		t.Errorf("after one: %q", got)
	}
	if got := c.Operations(); !slices.Equal(got, []string{"GET /v1/events", "GET /v1/orders/{id}", "PUT /v1/orders/{id}"}) {
		t.Errorf("operations: %q", got)
	}
	if got := c.ErrorCodes(); !slices.Equal(got, []string{"gone", "not_found"}) {
		t.Errorf("words: %q", got)
	}
}

// A server can still flush, and set its deadlines.
func TestWatchLeavesTheConnectionInReach(t *testing.T) {
	c := load(t)
	server := httptest.NewServer(c.Watch(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", openapi.MediaLines)
		io.WriteString(w, "{\"n\":1}\n")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-r.Context().Done()
	}), func(err error) { t.Error(err) }))
	defer server.Close()
	res, err := http.Get(server.URL + "/v1/events")
	if err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 8)
	if _, err := io.ReadFull(res.Body, first); err != nil || string(first) != "{\"n\":1}\n" {
		t.Errorf("%q, %v", first, err)
	}
	res.Body.Close()
}

// A file that lets something pass is not taken.
func TestLoadRefuses(t *testing.T) {
	good, err := os.ReadFile(shop)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ why, old, new, told string }{
		{"an open object", "      additionalProperties: false\n      required: [n]", "      required: [n]", "any field"},
		{"an open inner object", "note: {type: string, const: ok}", "note: {type: object}", "Order.note"},
		{"any status", `"404": {$ref`, `"default": {$ref`, "default"},
		{"no summary", "      summary: One order\n", "", "summary"},
		{"no content", "          content: {application/x-ndjson: {schema: {$ref: \"#/components/schemas/Order\"}}}\n", "", "no content"},
		{"no schema", "{application/x-ndjson: {schema: {$ref: \"#/components/schemas/Order\"}}}", "{application/x-ndjson: {}}", "no schema"},
		{"no such schema", "schemas/Order\"}}}", "schemas/Odour\"}}}", "Odour"},
		{"an unknown word", "      summary: One order\n", "      summary: One order\n      sumary: One\n", "sumary"},
		{"no YAML", "paths:", "paths: [", "load"},
	} {
		file := filepath.Join(t.TempDir(), "api.yaml")
		text := strings.Replace(string(good), test.old, test.new, 1)
		if text == string(good) {
			t.Fatalf("%s: %q is not there", test.why, test.old)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openapi.Load(file); err == nil || !strings.Contains(err.Error(), test.told) {
			t.Errorf("%s: %v", test.why, err)
		}
	}
	if _, err := openapi.Load("testdata/none.yaml"); err == nil {
		t.Error("a file that is not there was loaded")
	}
}
