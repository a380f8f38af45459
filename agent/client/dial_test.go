package client_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/cardea-id/cardea/agent/client"
)

// fullQueue is a socket whose queue has room for nobody.
func fullQueue(t *testing.T) (path string, l net.Listener) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}), syscall.Listen(fd, 1)); err != nil {
		t.Fatal(err)
	}
	if l, err = net.FileListener(f); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	for range 100 {
		conn, err := net.Dial("unix", path)
		if errors.Is(err, syscall.EAGAIN) {
			return path, l
		}
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	t.Fatal("the queue is never full")
	return "", nil
}

// Where the queue of the socket is full, a client waits for its turn as long as
// its context allows.
func TestWaitsForAPlaceInTheQueue(t *testing.T) {
	path, l := fullQueue(t)
	c := client.New(path)
	defer c.Close()
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.Status(soon); !errors.Is(err, client.ErrNoAgent) {
		t.Errorf("there is no place: %v", err)
	}
	answer := make(chan error, 1)
	go func() { _, err := c.Status(context.Background()); answer <- err }()
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"program":"p"}`)) })}
	go s.Serve(l)
	defer s.Close()
	if err := <-answer; err != nil {
		t.Error(err)
	}
}
