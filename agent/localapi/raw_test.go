package localapi_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// speak sends bytes and reads what comes until the agent has nothing more to say.
// With half the way out is closed first.
func (h *house) speak(t testing.TB, text string, half bool) []byte {
	t.Helper()
	conn, err := net.Dial("unix", h.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	go func() {
		io.WriteString(conn, text) // fails where the agent has heard enough
		if half {
			conn.(*net.UnixConn).CloseWrite()
		}
	}()
	answer, err := io.ReadAll(conn)
	if err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("%.60q: %v after %.60q", text, err, answer)
	}
	return answer
}

const (
	line   = "POST /v1/decide HTTP/1.1\r\nHost: cardea\r\n"
	ending = "Connection: close\r\n"
	asJSON = "Content-Type: application/json\r\n"
	asks   = `{"key":"voice/use"}`
)

// raw are requests as no library writes them, and how their answer begins; "" is
// a connection that is closed without a word. None of them decides anything.
var raw = []struct{ why, text, answer string }{
	{"whole", line + ending + asJSON + "Content-Length: 19\r\n\r\n" + asks, "200"},
	{"in pieces", line + ending + asJSON + "Transfer-Encoding: chunked\r\n\r\n5\r\n" + asks[:5] + "\r\ne\r\n" + asks[5:] + "\r\n0\r\n\r\n", "200"},
	{"of the version before", "GET /v1/status HTTP/1.0\r\nHost: cardea\r\n\r\n", "200"},
	{"two at once", "GET /v1/status HTTP/1.1\r\nHost: cardea\r\n\r\nGET /v1/status HTTP/1.1\r\nHost: cardea\r\n" + ending + "\r\n", "200"},
	{"of a proxy", "GET http://cardea/v1/status HTTP/1.1\r\nHost: cardea\r\n" + ending + "\r\n", "200"},
	{"more than was said", line + ending + asJSON + "Content-Length: 19\r\n\r\n" + asks + "GET /v1/none HTTP/1.1\r\n\r\n", "200"},

	{"nothing", "", ""},
	{"line ends", "\r\n\r\n\r\n", "400"},
	{"nonsense", "\x00\x01\x02\xff\xfe\r\n\r\n", "400"},
	{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "400"},
	{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400"},
	{"HTTP/9", "GET /v1/status HTTP/9.9\r\nHost: cardea\r\n\r\n", "505"},
	{"no version", "GET /v1/status\r\n\r\n", "400"},
	{"no host", "GET /v1/status HTTP/1.1\r\n\r\n", "400"},
	{"two hosts", "GET /v1/status HTTP/1.1\r\nHost: cardea\r\nHost: evil.example\r\n\r\n", "400"},
	{"another host in the line", "GET http://evil.example/v1/status HTTP/1.1\r\nHost: cardea\r\n" + ending + "\r\n", "421"},
	{"a tunnel", "CONNECT cardea:443 HTTP/1.1\r\nHost: cardea\r\n" + ending + "\r\n", "421"},
	{"all of it", "OPTIONS * HTTP/1.1\r\nHost: cardea\r\n" + ending + "\r\n", "400"},
	{"a way up", "GET /v1/../v1/status HTTP/1.1\r\nHost: cardea\r\n" + ending + "\r\n", "307"},
	{"a way in disguise", "GET /v1/%2e%2e/status HTTP/1.1\r\nHost: cardea\r\n" + ending + "\r\n", "404"},
	{"another protocol", "GET /v1/watch HTTP/1.1\r\nHost: cardea\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\nOrigin: null\r\n\r\n", "403"},
	{"a header without a name", "GET /v1/status HTTP/1.1\r\nHost: cardea\r\n: x\r\n\r\n", "400"},
	{"a header over two lines", "GET /v1/status HTTP/1.1\r\nHost: cardea\r\nX: a\r\n b\r\n" + ending + "\r\n", "200"},
	{"a header with a zero", "GET /v1/status HTTP/1.1\r\nHost: cardea\r\nX: a\x00b\r\n\r\n", "400"},
	{"a blank before the colon", line + asJSON + "Content-Length : 19\r\n\r\n" + asks, "400"},
	{"two lengths", line + asJSON + "Content-Length: 19\r\nContent-Length: 20\r\n\r\n" + asks, "400"},
	{"a length and pieces", line + ending + asJSON + "Content-Length: 19\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
	{"a length below nothing", line + asJSON + "Content-Length: -1\r\n\r\n", "400"},
	{"a length without end", line + asJSON + "Content-Length: 99999999999999999999\r\n\r\n", "400"},
	{"a huge length", line + asJSON + "Content-Length: 9223372036854775807\r\n\r\n" + asks + "\x00", "400"},
	{"pieces of another kind", line + asJSON + "Transfer-Encoding: gzip\r\n\r\n", "501"},
	{"a piece of no size", line + ending + asJSON + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", "400"},
	{"a piece without end", line + ending + asJSON + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n" + asks, "400"},
	{"wants to be asked first", line + ending + asJSON + "Expect: something\r\nContent-Length: 19\r\n\r\n", "417"},
	{"a long line", "GET /" + strings.Repeat("a", 1<<20) + " HTTP/1.1\r\nHost: cardea\r\n\r\n", "431"},
	{"a long header", "GET /v1/status HTTP/1.1\r\nHost: cardea\r\nX: " + strings.Repeat("a", 1<<20) + "\r\n\r\n", "431"},
	{"many headers", "GET /v1/status HTTP/1.1\r\nHost: cardea\r\n" + strings.Repeat("X: y\r\n", 1<<16) + "\r\n", "431"},
	{"a body without end", line + asJSON + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("8000\r\n"+strings.Repeat(" ", 0x8000)+"\r\n", 64), "413"},
	{"deep", line + ending + asJSON + "Content-Length: 60000\r\n\r\n" + strings.Repeat("[", 60000), "400"},
	{"no text", line + ending + asJSON + "Content-Length: 9\r\n\r\n{\"key\":\"\xff\"}", "400"},
}

// Requests that are none, that are huge or broken off: the answer is the one that
// stands here, at once, and whoever comes next is served.
func TestRawRequests(t *testing.T) {
	h := newHouse(struct{ testing.TB }{t})
	for _, r := range raw {
		for _, half := range []bool{true, false} {
			if !half && (r.answer == "" || strings.HasSuffix(r.why, "without end") || r.why == "a huge length") {
				continue // there is more to come, which the read timeout ends
			}
			answer := h.speak(t, r.text, half)
			want := "HTTP/1.1 " + r.answer
			if strings.Contains(r.text, "HTTP/1.0") {
				want = "HTTP/1.0 " + r.answer
			}
			if r.answer == "" && len(answer) > 0 || r.answer != "" && !bytes.HasPrefix(answer, []byte(want)) {
				t.Errorf("%s (half closed: %v): %.80q, want %s", r.why, half, answer, r.answer)
			}
		}
	}
	if acts := h.acts(); len(acts) != 0 {
		t.Errorf("done: %q", acts)
	}
	if status, answer := h.send(t, "POST", "/v1/decide", asks); status != http.StatusOK {
		t.Errorf("%d %s", status, answer)
	}
}

// A request is cut off after each of its bytes: closed, half closed, and left.
func TestCutOffRequests(t *testing.T) {
	h := newHouse(struct{ testing.TB }{t})
	whole := "POST /v1/consents/withdraw HTTP/1.1\r\nHost: cardea\r\n" + ending + asJSON + "Content-Length: 19\r\n\r\n" + asks
	for n := range len(whole) {
		if answer := h.speak(t, whole[:n], true); bytes.HasPrefix(answer, []byte("HTTP/1.1 2")) {
			t.Errorf("%q is taken for a request: %.60q", whole[:n], answer)
		}
		conn, err := net.Dial("unix", h.socket)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, whole[:n])
		conn.Close()
	}
	if acts := h.acts(); len(acts) != 0 {
		t.Errorf("done: %q", acts)
	}
	if answer := h.speak(t, whole, true); !bytes.HasPrefix(answer, []byte("HTTP/1.1 200")) || len(h.acts()) != 1 {
		t.Errorf("%.60q, %q", answer, h.acts())
	}
}

// FuzzRaw feeds the socket itself. Whatever comes is answered in HTTP or not at
// all, and the agent lives.
func FuzzRaw(f *testing.F) {
	for _, r := range raw {
		if len(r.text) < 4096 {
			f.Add([]byte(r.text))
		}
	}
	h := newHouse(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		if bytes.Contains(text, []byte("/v1/watch")) {
			return // which has no end
		}
		answer := h.speak(t, string(text), true)
		for in := bufio.NewReader(bytes.NewReader(answer)); ; {
			if _, err := in.Peek(1); err != nil {
				return
			}
			res, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatalf("%q: %v: %q", text, err, answer)
			}
			if _, err := io.Copy(io.Discard, res.Body); err != nil && !bytes.Contains(text, []byte("HEAD")) {
				t.Fatalf("%q: %v: %q", text, err, answer)
			}
		}
	})
}

// A reader that never reads, many at a time, holds up nobody.
func TestNobodyReads(t *testing.T) {
	h := newHouse(struct{ testing.TB }{t})
	for range 32 {
		conn, err := net.Dial("unix", h.socket)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		go func() {
			for range 1000 {
				if _, err := fmt.Fprintf(conn, "GET /v1/consents HTTP/1.1\r\nHost: cardea\r\n\r\n"); err != nil {
					return
				}
			}
		}()
	}
	for range 20 {
		if status, answer := h.send(t, "POST", "/v1/decide", asks); status != http.StatusOK {
			t.Errorf("%d %s", status, answer)
		}
	}
}
