package main

import (
	"bufio"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// What the peers print is read right, and what they may print some day is
// refused and not taken for a success.

func TestReadAnswer(t *testing.T) {
	var got shown
	if err := readAnswer([]byte(`{"user_code":"WDJB-MJHT","uri":"http://x/pair"}`), &got); err != nil || got.UserCode != "WDJB-MJHT" {
		t.Error(got, err)
	}
	err := readAnswer([]byte(`{"problem":{"name":"ResponseBodyError","message":"m","error":"access_denied","description":"the owner declined","status":400}}`), &got)
	if p, ok := errors.AsType[*problem](err); !ok || p.Err != "access_denied" || p.Error() != "access_denied: the owner declined" {
		t.Error(err)
	}
	d := scripted{}
	if !d.told(err, "access_denied") || d.told(err, "expired_token") || d.told(errors.New("access_denied"), "access_denied") {
		t.Error("what a client was told is read wrong")
	}
	if err := readAnswer([]byte(`{"problem":{"name":"TypeError","message":"fetch failed","cause":"refused"}}`), nil); err.Error() != "TypeError: fetch failed refused" {
		t.Error(err)
	}
	if err := readAnswer([]byte("Warning: old"), nil); err == nil {
		t.Error("a line that is no answer was taken for one")
	}
}

func TestExpect(t *testing.T) {
	denied := &problem{Err: "access_denied", Description: "no"}
	for name, test := range map[string]struct {
		err error
		ok  bool
	}{
		"told":         {denied, true},
		"not refused":  {nil, false},
		"another code": {&problem{Err: "server_error", Description: "x"}, false},
		"no words":     {&problem{Err: "access_denied"}, false},
	} {
		if err := expect(test.err, "access_denied", scripted{}); (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadCode(t *testing.T) {
	const said = "\nUsing a browser on any device, visit:\nhttps://id.example.com/pair\n\nAnd enter the code: KRDH-FMCX\nAlternatively\n"
	got, _, err := readCode(bufio.NewReader(strings.NewReader(said)))
	if err != nil || got.UserCode != "KRDH-FMCX" || got.URI != "https://id.example.com/pair?code=KRDH-FMCX" {
		t.Errorf("%+v %v", got, err)
	}
	if _, words, err := readCode(bufio.NewReader(strings.NewReader("Error: invalid_scope\n"))); err == nil || !strings.Contains(words, "invalid_scope") {
		t.Error(words, err)
	}
}

func TestReadToken(t *testing.T) {
	token := "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"scope":"profile","iat":100,"exp":700}`)) + ".x"
	if got, err := readToken(token); err != nil || got.Scope != "profile" || got.ExpiresIn != 600 || got.AccessToken != token {
		t.Errorf("%+v %v", got, err)
	}
	for _, bad := range []string{"", "opaque", "a.!.c", "a.e.c"} {
		if _, err := readToken(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
	if got := lastLine("a\n  b  \n\n"); got != "b" {
		t.Errorf("%q", got)
	}
}

func TestReadMessage(t *testing.T) {
	if m, ok := readMessage("message 1 a/b 0aff"); !ok || !m.retained || m.topic != "a/b" || string(m.payload) != "\x0a\xff" {
		t.Errorf("%+v %v", m, ok)
	}
	if m, ok := readMessage("message 0 a/b "); !ok || m.retained || len(m.payload) != 0 {
		t.Errorf("%+v %v", m, ok)
	}
	for _, bad := range []string{"", "Subscribed (mid: 1): 0", "message 0 a zz", "message"} {
		if m, ok := readMessage(bad); ok {
			t.Errorf("%q was read as %+v", bad, m)
		}
	}
}

// An attempt parts messages from talk, and ends with its time.
func TestAttempt(t *testing.T) {
	const script = `cat; echo "Client x sending CONNECT"; echo "message 0 t 41"; echo "Subscribed (mid: 1): 128" >&2`
	o := attempt(t.Context(), time.Minute, "sh", []byte("hello\n"), "-c", script)
	if o.text != "hello; Subscribed (mid: 1): 128" || len(o.messages) != 1 || string(o.messages[0].payload) != "A" {
		t.Errorf("%+v", o)
	}
	if o := attempt(t.Context(), time.Millisecond, "sleep", nil, "60"); o.text != "the broker says nothing" {
		t.Errorf("%+v", o)
	}
}

func TestVisitor(t *testing.T) {
	v := visitor{broker: "127.0.0.1:1883", user: "u", password: "p", id: "i"}
	if got := strings.Join(v.args("-t", "x"), " "); got != "-d -h 127.0.0.1 -p 1883 -u u -P p -i i -t x" {
		t.Error(got)
	}
	v.ca = "ca.pem"
	if got := strings.Join(v.args(), " "); got != "-d -h 127.0.0.1 -p 1883 -u u -P p --cafile ca.pem -i i" {
		t.Error(got)
	}
	if v.id = ""; slices.Contains(v.args(), "-i") {
		t.Error("a client id nobody chose")
	}
}

func TestRefusal(t *testing.T) {
	const log = "time=x level=INFO msg=other\ntime=x level=INFO msg=\"connection refused\" device=d reason=\"the token is not this device's\" err=\"invalid token: expired\"\n"
	if got := refusal(log); got != `; the log: "the token is not this device's" err="invalid token: expired"` {
		t.Error(got)
	}
	if got := refusal("nothing\n"); got != "" {
		t.Error(got)
	}
}

func TestProviderCounts(t *testing.T) {
	p := &provider{}
	for _, r := range []request{{"POST /token", 400, "use_dpop_nonce"}, {"POST /token", 200, ""}, {"POST " + introspection, 200, ""}, {"GET /jwks", 200, ""}} {
		p.note(r)
	}
	if p.count("", "") != 3 || p.count("POST /token", "") != 2 || p.count("", "use_dpop_nonce") != 1 {
		t.Errorf("%+v", p.seen)
	}
	if got := p.since(1); got != "1× GET /jwks 200, 1× POST /token 200" {
		t.Error(got)
	}
}
