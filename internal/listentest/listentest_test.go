package listentest_test

import (
	"io"
	"net"
	"testing"

	"github.com/cardea-id/cardea/internal/listentest"
)

func TestServe(t *testing.T) {
	l := listentest.Serve(t, func(c net.Conn) { io.WriteString(c, "hello") })
	for range 2 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if said, err := io.ReadAll(c); err != nil || string(said) != "hello" {
			t.Errorf("%q, %v", said, err)
		}
		c.Close()
	}
	l.Close()
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("somebody listens after the end")
	}
}
