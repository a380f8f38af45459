package web_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/web"
)

type message struct {
	Text string `json:"text"`
}

// read sends a body to a handler that reads JSON and says it back.
func read(body, media string, log io.Writer) *httptest.ResponseRecorder {
	h := web.Handle(slog.New(slog.NewTextHandler(log, nil)), func(w http.ResponseWriter, r *http.Request) error {
		var m message
		if err := web.ReadJSON(w, r, &m); err != nil {
			return err
		}
		if m.Text == "break" {
			return errors.New("the disk has a secret fault")
		}
		web.JSON(w, http.StatusOK, m)
		return nil
	})
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Content-Type", media)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestReadJSON(t *testing.T) {
	const media = "application/json; charset=utf-8"
	for name, test := range map[string]struct {
		body, media string
		status      int
		want        string
	}{
		"good":          {`{"text":"hello"}`, media, 200, `{"text":"hello"}`},
		"other type":    {`{"text":"hello"}`, "text/plain", 415, "send application/json"},
		"no type":       {`{"text":"hello"}`, "", 415, "send application/json"},
		"unknown field": {`{"text":"hello","x":1}`, media, 400, "x"},
		"two values":    {`{"text":"a"}{"text":"b"}`, media, 400, "one JSON value"},
		"a stray brace": {`{"text":"a"}}`, media, 400, "one JSON value"},
		"a stray end":   {`{"text":"a"} ]`, media, 400, "one JSON value"},
		"space after":   {`{"text":"a"} ` + "\n", media, 200, `{"text":"a"}`},
		"cut":           {`{"text":"he`, media, 400, "can not be read: it ends too early"},
		"empty":         {``, media, 400, "can not be read: it is empty"},
		"wrong type":    {`{"text":3}`, media, 400, "can not be read: text is of the wrong type (number)"},
		"a list":        {`[]`, media, 400, "can not be read: it is of the wrong type (array)"},
		"over 64 KB":    {`{"text":"` + strings.Repeat("x", web.MaxBody) + `"}`, media, 413, "65536 bytes"},
	} {
		w := read(test.body, test.media, io.Discard)
		if w.Code != test.status || !strings.Contains(w.Body.String(), test.want) {
			t.Errorf("%s: %d %s, want %d with %q", name, w.Code, w.Body, test.status, test.want)
		}
		if w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: the answer may be cached", name)
		}
	}
}

func TestInternalTextStaysInside(t *testing.T) {
	var log bytes.Buffer
	w := read(`{"text":"break"}`, "application/json", &log)
	if w.Code != 500 || strings.Contains(w.Body.String(), "secret") || !strings.Contains(log.String(), "secret fault") {
		t.Errorf("answered %d %s, logged %s", w.Code, w.Body, &log)
	}
}

// Somebody who leaves in the middle is no fault of ours.
func TestWhoLeavesIsNoError(t *testing.T) {
	for _, left := range []bool{false, true} {
		ctx, leave := context.WithCancel(t.Context())
		if left {
			leave()
		}
		var log bytes.Buffer
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
		web.Fail(httptest.NewRecorder(), r, slog.New(slog.NewTextHandler(&log, nil)), errors.New("begin: context canceled"))
		if (log.Len() == 0) != left {
			t.Errorf("left: %v, logged %q", left, log.String())
		}
		leave()
	}
}

func TestReadBody(t *testing.T) {
	for _, test := range []struct {
		size  int
		media string
		ok    bool
	}{{10, "application/cose", true}, {11, "application/cose", false}, {3, "application/json", false}} {
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(make([]byte, test.size)))
		r.Header.Set("Content-Type", test.media)
		b, err := web.ReadBody(httptest.NewRecorder(), r, "application/cose", 10)
		if (err == nil) != test.ok || test.ok && len(b) != test.size {
			t.Errorf("%d bytes of %s: %d, %v", test.size, test.media, len(b), err)
		}
	}
}

func TestSecure(t *testing.T) {
	w := httptest.NewRecorder()
	web.Secure(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	policy := w.Header().Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("policy lacks %s: %s", want, policy)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Errorf("policy allows something unsafe: %s", policy)
	}
}
