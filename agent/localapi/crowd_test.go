package localapi_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/agent/client"
)

// answered sends a request over a connection of its own and reads the status.
func (h *house) answered(t testing.TB, request string) (conn net.Conn, in *bufio.Reader, status int) {
	t.Helper()
	conn, err := net.Dial("unix", h.socket)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: cardea\r\n\r\n", request)
	in = bufio.NewReader(conn)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		conn.Close()
		return nil, nil, 0
	}
	return conn, bufio.NewReader(res.Body), res.StatusCode
}

// Watches are asked for by the thousand: a user has their share, hears what
// happens by it, and the rest is told why not. Whoever ends one has one more.
func TestThousandsOfWatches(t *testing.T) {
	h := newHouse(struct{ testing.TB }{t})
	var kept []net.Conn
	var lines []*bufio.Reader
	for range 2000 {
		conn, in, status := h.answered(t, "GET /v1/watch")
		switch status {
		case http.StatusOK:
			kept, lines = append(kept, conn), append(lines, in)
			defer conn.Close()
		case http.StatusTooManyRequests:
			text, _ := io.ReadAll(in)
			if !strings.Contains(string(text), "too_many") || !strings.Contains(string(text), fmt.Sprintf("user %d has 16 watches", os.Getuid())) {
				t.Fatalf("%s", text)
			}
			conn.Close()
		case 0: // connected too often
		default:
			t.Fatalf("status %d", status)
		}
	}
	if len(kept) != 16 {
		t.Fatalf("%d watches", len(kept))
	}
	h.change(func() {})
	for _, in := range lines {
		for _, generation := range []string{`"generation":7`, `"generation":8`} {
			if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, generation) {
				t.Errorf("%q, %v", line, err)
			}
		}
	}
	kept[0].Close()
	ended := time.Now().Add(10 * time.Second)
	for status := 0; status != http.StatusOK; {
		if time.Now().After(ended) {
			t.Fatal("a watch that has ended still counts")
		}
		var conn net.Conn
		if conn, _, status = h.answered(t, "GET /v1/watch"); conn != nil {
			conn.Close()
		}
	}
}

// A server that does not answer is waited for by so many calls of a user, and the
// others are told at once. What needs no server is answered meanwhile.
func TestCallsThatWait(t *testing.T) {
	h := newHouse(t)
	release, waiting := make(chan struct{}), make(chan struct{}, 32)
	h.fetching = func() { waiting <- struct{}{}; <-release }
	c := h.client(t)
	token := func() error {
		_, err := c.Token(context.Background(), client.TokenRequest{Audience: "https://api.example"})
		return err
	}
	got := make(chan error, 32)
	for range 32 {
		go func() { got <- token() }()
	}
	for range 32 {
		<-waiting
	}
	if refusal, ok := errors.AsType[*client.Error](token()); !ok || refusal.Code != "too_many" || refusal.Status != http.StatusTooManyRequests {
		t.Errorf("one more: %v", refusal)
	}
	if a, err := c.Decide(t.Context(), "voice/use", "collect"); err != nil || a.Reason == "" {
		t.Errorf("%+v, %v", a, err)
	}
	close(release)
	for range 32 {
		if err := <-got; err != nil {
			t.Error(err)
		}
	}
	h.fetching = nil
	if err := token(); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// Whom no file is for has fewer connections than a program, and both have an end.
func TestConnectionsOfAUser(t *testing.T) {
	for want, file := range map[int]string{
		64: fmt.Sprintf("name = \"p\"\nuser = \"%d\"", os.Getuid()),
		8:  "name = \"p\"\nuser = \"54321\"",
	} {
		h := newHouse(struct{ testing.TB }{t}, file)
		open := 0
		for range 100 {
			conn, in, status := h.answered(t, "GET /v1/whoami")
			if status != http.StatusOK {
				continue
			}
			io.Copy(io.Discard, in)
			defer conn.Close()
			open++
		}
		if open != want {
			t.Errorf("%d connections, want %d", open, want)
		}
		if log := h.logged(); strings.Count(log, "connection refused") != min(20, 100-want) {
			t.Errorf("%s", log)
		}
	}
}
