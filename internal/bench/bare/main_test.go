package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{path}, nil, nil) }()
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		for {
			if c, err := new(net.Dialer).DialContext(ctx, "unix", path); err == nil || ctx.Err() != nil {
				return c, err
			}
		}
	}}}
	r, err := web.Post("http://x/v1/decide", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if said, err := io.ReadAll(r.Body); err != nil || string(said) != answer {
		t.Errorf("%q, %v", said, err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := run(t.Context(), nil, nil, nil); err == nil {
		t.Error("listens nowhere")
	}
}
