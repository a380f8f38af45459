package localapi_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/agent/programs"
)

// send makes one request of JSON as no client would and reads the answer.
func (h *house) send(t testing.TB, method, path, body string, headers ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
			continue
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	c := h.raw()
	defer c.CloseIdleConnections()
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if csp := res.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") {
		t.Errorf("%s %s: policy %q", method, path, csp)
	}
	if path == "/v1/watch" && res.StatusCode == http.StatusOK {
		return res.StatusCode, ""
	}
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

const head = `{"era":1,"seq":9,"hash":"0900000000000000000000000000000000000000000000000000000000000000"}`

// calls are all calls there are, each with a request that does something, the
// entitlement it needs and the list of the program's file it looks at.
func calls(h *house) []struct{ method, path, body, need, list string } {
	notice := strings.Repeat("ab", 32)
	for _, program := range []string{"p", "everything"} {
		h.server.Use(program, h.link, "voice/use")
	}
	return []struct{ method, path, body, need, list string }{
		{"GET", "/v1/whoami", "", "", ""},
		{"GET", "/v1/status", "", "", ""},
		{"GET", "/v1/check", "", "", ""},
		{"POST", "/v1/pair", "{}", "pair", ""},
		{"GET", "/v1/pair", "", "pair", ""},
		{"GET", "/v1/pair/qr.png", "", "pair", ""},
		{"GET", "/v1/pair/qr.svg", "", "pair", ""},
		{"GET", "/v1/pair/qr.txt", "", "pair", ""},
		{"GET", "/v1/pair/spoken", "", "pair", ""},
		{"POST", "/v1/pair/confirm", `{"presses":3}`, "pair", ""},
		{"POST", "/v1/pair", "{}", "pair", ""},
		{"DELETE", "/v1/pair", "", "pair", ""},
		{"GET", "/v1/identity", "", "prefs", ""},
		{"POST", "/v1/token", `{"audience":"https://api.example"}`, "token", "audiences"},
		{"POST", "/v1/decide", `{"key":"recommendations/use"}`, "decide", "purposes"},
		{"POST", "/v1/decide", `{"queries":[{"key":"recommendations/use"},{"key":"voice/use"}]}`, "decide", "purposes"},
		{"GET", "/v1/page", "", "decide", ""},
		{"GET", "/v1/consents", "", "consent.read", ""},
		{"POST", "/v1/prompt", `{"key":"voice/use"}`, "consent.write", "purposes"},
		{"GET", "/v1/prompt/qr.png?key=voice/use&px=200", "", "consent.write", "purposes"},
		{"GET", "/v1/notice?key=voice/use&lang=de", "", "consent.read", "purposes"},
		{"POST", "/v1/consents/withdraw", `{"key":"voice/use"}`, "consent.write", "purposes"},
		{"POST", "/v1/consents/allow", `{"key":"voice/use","version":1,"notice":"` + notice + `","head":` + head + `}`, "consent.write", "purposes"},
		{"GET", "/v1/preferences", "", "prefs", ""},
		{"PUT", "/v1/preferences", `{"key":"voice_speed","value":22}`, "prefs", "preferences"},
		{"POST", "/v1/events", `{"events":[{"id":"1","purpose":"voice","method":"told","data":{"words":"yes"}}]}`, "events", "purposes"},
		{"GET", "/v1/watch", "", "events", ""},
		{"GET", "/v1/links", "", "", ""},
		{"POST", "/v1/guest", "{}", "people", ""},
		{"POST", "/v1/links/" + h.link.String() + "/activate", "{}", "people", ""},
		{"POST", "/v1/reset", "{}", "admin", ""},
		{"DELETE", "/v1/links/" + h.link.String(), "", "admin", ""},
	}
}

// Every call with every single entitlement: only its own opens it.
func TestEveryCallNeedsItsEntitlement(t *testing.T) {
	for _, have := range append([]programs.Entitlement{""}, programs.Entitlements...) {
		entitlements := "[]"
		if have != "" {
			entitlements = fmt.Sprintf("[%q]", have)
		}
		h := newHouse(t, fmt.Sprintf("name = \"p\"\nuser = \"%d\"\nentitlements = %s\npurposes = [\"*\"]\naudiences = [\"*\"]\npreferences = [\"*\"]",
			os.Getuid(), entitlements))
		for _, c := range calls(h) {
			status, answer := h.send(t, c.method, c.path, c.body)
			if may := c.need == "" || c.need == string(have); may && status != http.StatusOK {
				t.Errorf("with %q: %s %s is refused: %d %s", have, c.method, c.path, status, answer)
			} else if !may && (status != http.StatusForbidden || !strings.Contains(answer, "not_entitled") || !strings.Contains(answer, c.need)) {
				t.Errorf("with %q: %s %s answers %d %s", have, c.method, c.path, status, answer)
			}
		}
	}
}

// Every call with every entitlement and empty lists: what names something of a
// list is refused and nothing is done.
func TestEveryCallKeepsToItsLists(t *testing.T) {
	var all []string
	for _, e := range programs.Entitlements {
		all = append(all, fmt.Sprintf("%q", e))
	}
	h := newHouse(t, fmt.Sprintf("name = \"p\"\nuser = \"%d\"\nentitlements = [%s]\npurposes = [\"recommendations\"]",
		os.Getuid(), strings.Join(all, ", ")))
	for _, c := range calls(h) {
		status, answer := h.send(t, c.method, c.path, c.body)
		listed := c.list == "" || c.body == `{"key":"recommendations/use"}`
		switch {
		case listed && status != http.StatusOK:
			t.Errorf("%s %s: %d %s", c.method, c.path, status, answer)
		case !listed && (status != http.StatusForbidden || !strings.Contains(answer, c.list)):
			t.Errorf("%s %s %s: %d %s", c.method, c.path, c.body, status, answer)
		case status == http.StatusOK && (strings.Contains(answer, "voice/use") || strings.Contains(answer, "voice_speed")):
			t.Errorf("%s %s tells what is not the program's: %s", c.method, c.path, answer)
		}
	}
	if acts := h.acts(); len(acts) != 0 {
		t.Errorf("done all the same: %q", acts)
	}
	if log := h.logged(); strings.Count(log, "allowed=false") != 9 {
		t.Errorf("the refusals are not in the audit:\n%s", log)
	}
}

func TestBrowsersAreRefused(t *testing.T) {
	h := newHouse(t)
	for _, header := range [][]string{
		{"Origin", "http://localhost"}, {"Origin", "null"}, {"Origin", ""}, {"Referer", "http://localhost/"},
		{"Host", "evil.example"}, {"Host", "127.0.0.1"}, {"Host", "localhost:80"}, {"Host", "localhost.evil.example"},
	} {
		for _, method := range []string{"GET", "POST"} {
			if status, answer := h.send(t, method, "/v1/status", "", header...); status != 403 && status != 421 || strings.Contains(answer, "program") {
				t.Errorf("%s with %q: %d %s", method, header, status, answer)
			}
		}
	}
	for _, host := range []string{"localhost", "cardea"} {
		if status, answer := h.send(t, "GET", "/v1/status", "", "Host", host); status != 200 {
			t.Errorf("host %q: %d %s", host, status, answer)
		}
	}
}

func TestBadRequests(t *testing.T) {
	h := newHouse(t)
	many := strings.Repeat(`{"key":"voice/use"},`, 64) + `{"key":"voice/use"}`
	good := strings.Repeat("ab", 32)
	for _, bad := range []struct {
		why, method, path, body string
		status                  int
		code                    string
	}{
		{"no such call", "GET", "/v1/none", "", 404, "not_found"},
		{"no such version", "GET", "/v2/status", "", 404, "not_found"},
		{"wrong method", "PUT", "/v1/status", "", 405, "method_not_allowed"},
		{"head", "OPTIONS", "/v1/decide", "", 405, "method_not_allowed"},
		{"a body where none belongs", "GET", "/v1/status", "{}", 400, "invalid_request"},
		{"a body with a delete", "DELETE", "/v1/pair", "{}", 400, "invalid_request"},
		{"no body", "POST", "/v1/decide", "", 415, "unsupported_media_type"},
		{"no JSON", "POST", "/v1/decide", "key=voice", 400, "invalid_request"},
		{"an unknown field", "POST", "/v1/decide", `{"key":"voice/use","usage":"x"}`, 400, "invalid_request"},
		{"two values", "POST", "/v1/decide", `{"key":"voice/use"}{}`, 400, "invalid_request"},
		{"an array", "POST", "/v1/decide", `[]`, 400, "invalid_request"},
		{"no key", "POST", "/v1/decide", `{}`, 400, "invalid_request"},
		{"a key that is none", "POST", "/v1/decide", `{"key":"voice"}`, 400, "invalid_request"},
		{"a use that is none", "POST", "/v1/decide", `{"key":"voice/use","use":"sell"}`, 400, "invalid_request"},
		{"both forms", "POST", "/v1/decide", `{"key":"voice/use","queries":[]}`, 400, "invalid_request"},
		{"no queries", "POST", "/v1/decide", `{"queries":[]}`, 400, "invalid_request"},
		{"too many queries", "POST", "/v1/decide", `{"queries":[` + many + `]}`, 400, "invalid_request"},
		{"over 64 KB", "POST", "/v1/decide", `{"key":"` + strings.Repeat("a", 64<<10) + `"}`, 413, "too_big"},
		{"a field for pairing", "POST", "/v1/pair", `{"issuer":"https://evil.example"}`, 400, "invalid_request"},
		{"a size that is none", "GET", "/v1/pair/qr.png?px=big", "", 400, "invalid_request"},
		{"a size out of bounds", "GET", "/v1/pair/qr.png?px=100000", "", 400, "invalid_request"},
		{"an unknown parameter", "GET", "/v1/pair/qr.png?size=1", "", 400, "invalid_request"},
		{"a parameter twice", "GET", "/v1/pair/qr.txt?dark=true&dark=false", "", 400, "invalid_request"},
		{"dark that is none", "GET", "/v1/pair/qr.txt?dark=maybe", "", 400, "invalid_request"},
		{"no code waits", "GET", "/v1/pair/qr.png", "", 409, "no_pairing"},
		{"nobody said yes", "POST", "/v1/pair/confirm", `{"presses":2}`, 409, "no_pairing"},
		{"no press", "POST", "/v1/pair/confirm", `{}`, 400, "invalid_request"},
		{"too many presses", "POST", "/v1/pair/confirm", `{"presses":100}`, 400, "invalid_request"},
		{"no code waits", "GET", "/v1/pair/qr.txt", "", 409, "no_pairing"},
		{"no code waits", "GET", "/v1/pair/qr.svg", "", 409, "no_pairing"},
		{"no code waits", "GET", "/v1/pair/spoken", "", 409, "no_pairing"},
		{"a prompt for no key", "POST", "/v1/prompt", `{}`, 400, "invalid_request"},
		{"a prompt for what is not asked", "POST", "/v1/prompt", `{"key":"none/use"}`, 404, "unknown_key"},
		{"a prompt that nobody used", "POST", "/v1/prompt", `{"key":"voice/use"}`, 409, "not_used"},
		{"a prompt for what is given", "POST", "/v1/prompt", `{"key":"recommendations/use"}`, 409, "no_question"},
		{"a prompt by one who has left", "POST", "/v1/prompt", `{"key":"voice/use","link":"AAAAAAAAAAAAAAAAAAAAAQ"}`, 409, "switched"},
		{"a code of no key", "GET", "/v1/prompt/qr.png", "", 400, "invalid_request"},
		{"a code that is too small", "GET", "/v1/prompt/qr.png?key=voice/use&px=1", "", 400, "invalid_request"},
		{"a notice of no key", "GET", "/v1/notice?lang=de", "", 400, "invalid_request"},
		{"a notice of what is not asked", "GET", "/v1/notice?key=none/use", "", 404, "unknown_key"},
		{"a notice with more", "GET", "/v1/notice?key=voice/use&version=1", "", 400, "invalid_request"},
		{"a size out of bounds", "GET", "/v1/pair/qr.svg?px=1", "", 400, "invalid_request"},
		{"no audience", "POST", "/v1/token", `{}`, 400, "invalid_request"},
		{"a wait that can not be met", "POST", "/v1/token", `{"audience":"a","min_valid":3600}`, 400, "invalid_request"},
		{"a reach that is none", "POST", "/v1/consents/withdraw", `{"key":"voice/use","reach":"street"}`, 400, "invalid_request"},
		{"a yes to no notice", "POST", "/v1/consents/allow", `{"key":"voice/use","version":1,"head":` + head + `}`, 400, "invalid_request"},
		{"a yes to no version", "POST", "/v1/consents/allow", `{"key":"voice/use","notice":"` + good + `","head":` + head + `}`, 400, "invalid_request"},
		{"a yes to no screen", "POST", "/v1/consents/allow", `{"key":"voice/use","version":1,"notice":"` + good + `"}`, 400, "invalid_request"},
		{"a notice that is none", "POST", "/v1/consents/allow", `{"key":"voice/use","version":1,"notice":"xy"}`, 400, "invalid_request"},
		{"an unknown preference", "PUT", "/v1/preferences", `{"key":"color","value":1}`, 404, "unknown_preference"},
		{"a preference key that is none", "PUT", "/v1/preferences", `{"key":"A","value":1}`, 400, "invalid_request"},
		{"an object for a value", "PUT", "/v1/preferences", `{"key":"voice_speed","value":{}}`, 400, "invalid_request"},
		{"no value", "PUT", "/v1/preferences", `{"key":"voice_speed"}`, 400, "invalid_request"},
		{"null for a value", "PUT", "/v1/preferences", `{"key":"voice_speed","value":null}`, 400, "invalid_request"},
		{"a value over 1 KB", "PUT", "/v1/preferences", `{"key":"voice_speed","value":"` + strings.Repeat("a", 1025) + `"}`, 400, "invalid_request"},
		{"a link that is none", "DELETE", "/v1/links/x", "", 404, "unknown_link"},
		{"a link that is not held", "DELETE", "/v1/links/AAAAAAAAAAAAAAAAAAAAAQ", "", 404, "unknown_link"},
		{"since that is none", "GET", "/v1/watch?since=-1", "", 400, "invalid_request"},
	} {
		status, answer := h.send(t, bad.method, bad.path, bad.body)
		var said struct {
			Code   string `json:"error"`
			Remedy string `json:"error_description"`
		}
		if err := json.Unmarshal([]byte(answer), &said); err != nil {
			t.Errorf("%s: %s is no error: %v", bad.why, answer, err)
		}
		if status != bad.status || said.Code != bad.code || said.Remedy == "" {
			t.Errorf("%s: %d %s, want %d %s", bad.why, status, answer, bad.status, bad.code)
		}
	}
	if status, _ := h.send(t, "POST", "/v1/decide", `{"key":"voice/use"}`, "Content-Type", "text/plain"); status != 415 {
		t.Errorf("text/plain: %d", status)
	}
	if acts := h.acts(); len(acts) != 0 {
		t.Errorf("done all the same: %q", acts)
	}
}

func FuzzDecide(f *testing.F) {
	for _, body := range []string{
		`{"key":"recommendations/use"}`, `{"key":"recommendations/use","use":"egress"}`, `{"queries":[{"key":"voice/use","use":"local"}]}`,
		`{"queries":[]}`, `{"queries":null,"key":"none/sale"}`, `{`, `[]`, `null`, `{"KEY":"voice/use"}`, `{"key":"voice/use","use":"\u0000"}`,
	} {
		f.Add(body)
	}
	h := newHouse(f)
	f.Fuzz(func(t *testing.T, body string) {
		status, answer := h.send(t, "POST", "/v1/decide", body+" ")
		if !slices.Contains([]int{200, 400, 413}, status) {
			t.Fatalf("%q: %d %s", body, status, answer)
		}
		var a struct {
			Verdict, Error string
			Answers        []struct{ Verdict string }
		}
		if err := json.Unmarshal([]byte(answer), &a); err != nil {
			t.Fatalf("%q: %s: %v", body, answer, err)
		}
		if status == 200 && a.Verdict == "" && len(a.Answers) == 0 || status != 200 && a.Error == "" {
			t.Fatalf("%q: %d %s", body, status, answer)
		}
	})
}

// FuzzRequests feeds the other calls that read a body.
func FuzzRequests(f *testing.F) {
	h := newHouse(f)
	var with []struct{ method, path, body, need, list string }
	for _, c := range calls(h) {
		if c.body != "" {
			f.Add(uint8(len(with)), c.body)
			with = append(with, c)
		}
	}
	f.Fuzz(func(t *testing.T, n uint8, body string) {
		c := with[int(n)%len(with)]
		status, answer := h.send(t, c.method, c.path, body+" ")
		if !slices.Contains([]int{200, 400, 404, 409, 413}, status) {
			t.Fatalf("%s %q: %d %s", c.path, body, status, answer)
		}
		if !json.Valid([]byte(answer)) {
			t.Fatalf("%s %q: %s", c.path, body, answer)
		}
	})
}
