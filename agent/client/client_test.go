package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
)

// agent answers a socket by a script, as an agent would or as none should.
func agent(t *testing.T, answer http.HandlerFunc) *client.Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: answer}
	go s.Serve(l)
	c := client.New(path)
	t.Cleanup(func() { c.Close(); s.Close() })
	return c
}

// No answer is "no", whatever kind of no answer it is.
func TestNoAgentIsADenial(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale")
	l, err := net.Listen("unix", stale)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	clients := map[string]*client.Client{
		"no socket":            client.New(filepath.Join(dir, "none")),
		"a dead agent":         client.New(stale),
		"no socket but a file": client.New(filepath.Join(dir, "file")),
		"nonsense":             agent(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") }),
		"an answer cut off": agent(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, `{"verdict":"allow"`)
		}),
		"another server": agent(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }),
		"an answer too long": agent(t, func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, `{"verdict":"allow","reason":"`+strings.Repeat("x", 2<<20)+`"}`)
		}),
	}
	for why, c := range clients {
		a, err := c.Decide(t.Context(), "voice/use", cardea.UseEgress)
		want := client.Answer{Key: "voice/use", Use: cardea.UseEgress, Verdict: cardea.Deny, Reason: cardea.ReasonNoAgent}
		if a != want || !errors.Is(err, client.ErrNoAgent) || a.Allowed() {
			t.Errorf("%s: %+v, %v", why, a, err)
		}
		all, err := c.DecideAll(t.Context(), cardea.Query{Key: "voice/use", Use: cardea.UseEgress}, cardea.Query{Key: "presence/use"})
		if len(all.Answers) != 2 || all.Answers[0] != want || all.Answers[1].Reason != cardea.ReasonNoAgent || !errors.Is(err, client.ErrNoAgent) {
			t.Errorf("%s: %+v, %v", why, all, err)
		}
		for _, err := range c.Watch(t.Context(), 0) {
			if !errors.Is(err, client.ErrNoAgent) {
				t.Errorf("%s: watch: %v", why, err)
			}
		}
	}
}

// An agent that hangs is not waited for longer than a program may stand still.
func TestDecideDoesNotHang(t *testing.T) {
	c := agent(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if a, err := c.Decide(ctx, "voice/use", ""); a.Reason != cardea.ReasonNoAgent || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%+v, %v", a, err)
	}
	began := time.Now()
	if a, err := c.Decide(t.Context(), "voice/use", ""); a.Reason != cardea.ReasonNoAgent || err == nil || time.Since(began) > 2*client.DecideTimeout {
		t.Errorf("%+v, %v after %v", a, err, time.Since(began))
	}
}

func TestFewerAnswersThanQueriesAreNone(t *testing.T) {
	c := agent(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"answers":[{"verdict":"allow"}],"generation":1}`)
	})
	all, err := c.DecideAll(t.Context(), cardea.Query{Key: "a/use"}, cardea.Query{Key: "b/use"})
	if err == nil || len(all.Answers) != 2 || all.Answers[0].Allowed() {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestARefusalIsToldWithItsRemedy(t *testing.T) {
	c := agent(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, `{"error":"not_entitled","error_description":"add it"}`)
	})
	check := func(call string, err error) {
		refusal, ok := errors.AsType[*client.Error](err)
		if !ok || refusal.Code != "not_entitled" || refusal.Status != 403 || err.Error() != "not_entitled: add it" || errors.Is(err, client.ErrNoAgent) {
			t.Errorf("%s: %v", call, err)
		}
	}
	_, err := c.Status(t.Context())
	check("status", err)
	_, err = c.QRImage(t.Context(), 0)
	check("picture", err)
	a, err := c.Decide(t.Context(), "voice/use", "")
	check("decide", err)
	if a.Verdict != cardea.Deny {
		t.Errorf("%+v", a)
	}
	for _, err := range c.Watch(t.Context(), 0) {
		check("watch", err)
	}
}

// What each method sends is what the API takes.
func TestRequests(t *testing.T) {
	var got string
	c := agent(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = fmt.Sprintf("%s %s %s %s %s", r.Method, r.Host, r.URL, r.Header.Get("Content-Type"), body)
		io.WriteString(w, "{}")
	})
	ctx, head := t.Context(), &cardea.Position{Era: 1, Seq: 2}
	for want, call := range map[string]func(){
		"GET cardea /v1/status  ":                                            func() { c.Status(ctx) },
		"POST cardea /v1/pair application/json {}":                           func() { c.Pair(ctx) },
		"GET cardea /v1/pair  ":                                              func() { c.Pairing(ctx) },
		"DELETE cardea /v1/pair  ":                                           func() { c.CancelPairing(ctx) },
		"GET cardea /v1/pair/qr.png  ":                                       func() { c.QRImage(ctx, 0) },
		"GET cardea /v1/pair/qr.png?px=99  ":                                 func() { c.QRImage(ctx, 99) },
		"GET cardea /v1/pair/qr.txt?dark=false  ":                            func() { c.QRText(ctx, false) },
		"GET cardea /v1/identity  ":                                          func() { c.Identity(ctx) },
		`POST cardea /v1/token application/json {"audience":"a"}`:            func() { c.Token(ctx, client.TokenRequest{Audience: "a"}) },
		`POST cardea /v1/decide application/json {"key":"a/use"}`:            func() { c.Decide(ctx, "a/use", "") },
		"GET cardea /v1/consents  ":                                          func() { c.Consents(ctx) },
		`POST cardea /v1/consents/withdraw application/json {"key":"a/use"}`: func() { c.Withdraw(ctx, client.Withdrawal{Key: "a/use"}) },
		`POST cardea /v1/consents/allow application/json {"key":"a/use","version":1,"notice":"","head":{"era":1,"seq":2,"hash":""}}`: func() {
			c.Allow(ctx, client.Grant{Key: "a/use", Version: 1, Head: head})
		},
		"GET cardea /v1/preferences  ": func() { c.Preferences(ctx) },
		`PUT cardea /v1/preferences application/json {"key":"a","value":1}`: func() {
			c.SetPreference(ctx, client.PreferenceChange{Key: "a", Value: json.RawMessage("1")})
		},
		"DELETE cardea /v1/links/AQAAAAAAAAAAAAAAAAAAAA  ": func() { c.Unlink(ctx, cardea.LinkID{1}) },
		"GET cardea /v1/watch?since=5  ": func() {
			for range c.Watch(ctx, 5) {
				break
			}
		},
	} {
		if call(); got != want {
			t.Errorf("sent %q, want %q", got, want)
		}
	}
}

// A watch that is told to resync starts anew, with the whole state.
func TestWatchResyncs(t *testing.T) {
	var streams atomic.Int32
	c := agent(t, func(w http.ResponseWriter, r *http.Request) {
		switch n := streams.Add(1); {
		case n == 1 && r.URL.RawQuery == "since=3":
			io.WriteString(w, `{"generation":4}`+"\n"+`{"resync":true}`+"\n")
		case n == 2 && r.URL.RawQuery == "since=0":
			io.WriteString(w, `{"generation":9}`+"\n"+`{"generation":`)
		default:
			t.Errorf("stream %d asks %s", n, r.URL.RawQuery)
		}
	})
	var generations []uint64
	var ended error
	for e, err := range c.Watch(t.Context(), 3) {
		if err != nil {
			ended = err
			continue
		}
		generations = append(generations, e.Generation)
	}
	if fmt.Sprint(generations) != "[4 9]" || !errors.Is(ended, client.ErrNoAgent) {
		t.Errorf("%v, %v", generations, ended)
	}
}

func TestWatchEndsWithItsContextAndItsReader(t *testing.T) {
	c := agent(t, func(w http.ResponseWriter, r *http.Request) {
		for n := 1; r.Context().Err() == nil; n++ {
			fmt.Fprintf(w, `{"generation":%d}`+"\n", n)
			w.(http.Flusher).Flush()
		}
	})
	for e, err := range c.Watch(t.Context(), 0) {
		if err != nil || e.Generation == 3 {
			break
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for e, err := range c.Watch(ctx, 0) {
		if err != nil {
			t.Errorf("cancelled: %v", err)
		}
		if e.Generation == 3 {
			cancel()
		}
	}
}

func TestATokenNeverPrints(t *testing.T) {
	c := agent(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"access_token":"hush","token_type":"DPoP","expires_in":60}`)
	})
	token, err := c.Token(t.Context(), client.TokenRequest{Audience: "a"})
	if err != nil || token.AccessToken.Reveal() != "hush" {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, token); strings.Contains(text, "hush") {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}

// An agent that ends without a word, at a reset or an update, has another behind
// it: a question is asked again, once. What would change something is not.
func TestOnlyQuestionsAreAskedAgain(t *testing.T) {
	var calls atomic.Int32
	ends := func(after int32, answer http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if calls.Add(1) > after {
				answer(w, r)
				return
			}
			panic(http.ErrAbortHandler)
		}
	}
	yes := func(w http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err != nil || !strings.Contains(string(body), "voice/use") {
			t.Errorf("asked %q, %v", body, err)
		}
		io.WriteString(w, `{"verdict":"allow","reason":"granted"}`)
	}
	if a, err := agent(t, ends(1, yes)).Decide(t.Context(), "voice/use", cardea.UseCollect); err != nil || a.Verdict != cardea.Allow {
		t.Errorf("%+v, %v", a, err)
	}
	calls.Store(0)
	if a, err := agent(t, ends(2, yes)).Decide(t.Context(), "voice/use", cardea.UseCollect); err == nil || a.Verdict != cardea.Deny || calls.Load() != 2 {
		t.Errorf("%+v, %v after %d calls", a, err, calls.Load())
	}
	calls.Store(0)
	if _, err := agent(t, ends(1, yes)).Withdraw(t.Context(), client.Withdrawal{Key: "voice/use"}); err == nil || calls.Load() != 1 {
		t.Errorf("a withdrawal: %v after %d calls", err, calls.Load())
	}
}
