package pairingtest

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"
)

// A Fault is what becomes of a request.
type Fault int

// The faults.
const (
	None        Fault = iota
	Unreachable       // the request is lost, which is seen at once
	Silent            // the request is lost, and nothing is seen
	AnswerLost        // the server acts, and its answer is lost
	Broken            // the server's front answers 503 with a page
	Portal            // somebody else answers 200 with a page
)

// ErrNetwork is what a client sees of a lost request or answer.
var ErrNetwork = errors.New("connection reset")

// HTTP is a client whose requests go to this server, whatever their host.
func (s *Server) HTTP() *http.Client { return &http.Client{Transport: transport{s}} }

type transport struct{ s *Server }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	fault := t.s.note(r)
	switch fault {
	case Unreachable:
		return nil, ErrNetwork
	case Silent:
		<-r.Context().Done()
		return nil, r.Context().Err()
	case Broken:
		return page(http.StatusServiceUnavailable), nil
	case Portal:
		return page(http.StatusOK), nil
	}
	w := httptest.NewRecorder()
	done := make(chan struct{})
	go func() {
		defer close(done)
		t.s.serve(w, r)
	}()
	select {
	case <-done:
	case <-r.Context().Done():
		<-done
		return nil, r.Context().Err()
	}
	if fault == AnswerLost {
		return nil, ErrNetwork
	}
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// note writes the request down and asks what becomes of it.
func (s *Server) note(r *http.Request) Fault {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	form, _ := url.ParseQuery(string(body))
	s.mu.Lock()
	s.log = append(s.log, Request{time.Now(), r.URL.Path, form, r.Header.Clone()})
	fault := s.fault
	s.mu.Unlock()
	if fault == nil {
		return None
	}
	return fault(r)
}

func page(status int) *http.Response {
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(status)
	w.WriteString("<html>please sign in to the network</html>")
	return w.Result()
}
