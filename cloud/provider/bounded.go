package provider

import (
	"fmt"
	"io"
	"net/http"
)

// bounded reads no more of an answer than an honest one has, follows no redirect
// away from https, and takes a server's failure for one.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := secureURL(r.URL.String()); err != nil {
		return nil, err
	}
	answer, err := b.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode >= http.StatusInternalServerError {
		answer.Body.Close()
		return nil, fmt.Errorf("%s answered %s", r.URL.Path, answer.Status)
	}
	answer.Body = &limited{answer.Body, maxAnswer}
	return answer, nil
}

// limited fails where a body goes on for too long, rather than cut it short.
type limited struct {
	io.ReadCloser
	left int
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, fmt.Errorf("an answer of over %d bytes", maxAnswer)
	}
	n, err := l.ReadCloser.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}
