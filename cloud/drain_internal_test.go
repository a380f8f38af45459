package cloud

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Whoever has a connection has an answer, also if it was made at the last
// moment; whoever comes later is refused or waits. Nobody is reset.
func TestFinishResetsNobody(t *testing.T) {
	for range 6 {
		l, err := listen(t.Context(), "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close")
			io.WriteString(w, "hello")
		})}
		var answered atomic.Int64
		var all sync.WaitGroup
		stop := make(chan struct{})
		for range 8 {
			all.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if err := request(l.Addr().String()); errors.Is(err, errNoConnection) {
						return
					} else if err != nil {
						t.Error(err)
						return
					}
					answered.Add(1)
				}
			})
		}
		served := make(chan error, 1)
		go func() { served <- s.Serve(l) }()
		for answered.Load() < 50 {
			time.Sleep(time.Millisecond)
		}
		if err := l.Finish(); err != nil {
			t.Fatal(err)
		}
		if err := <-served; !errors.Is(err, net.ErrClosed) {
			t.Errorf("serving ended with %v", err)
		}
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		l.Close()
		close(stop)
		all.Wait()
	}
}

var errNoConnection = errors.New("not connected")

// request makes a connection of its own; only that may fail. Nobody waits for a
// connection for longer than it takes when somebody listens.
func request(address string) error {
	c, err := net.DialTimeout("tcp", address, 300*time.Millisecond)
	if errors.Is(err, syscall.ECONNRESET) {
		return err
	}
	if err != nil {
		return errNoConnection
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return err
	}
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	_, err = io.ReadAll(r.Body)
	return err
}
