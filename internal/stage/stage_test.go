package stage_test

import (
	"io"
	"net"
	"testing"

	"github.com/cardea-id/cardea/internal/listentest"
	"github.com/cardea-id/cardea/internal/stage"
)

// echo is a server that says back what it hears.
func echo(t *testing.T) string {
	t.Helper()
	return listentest.Serve(t, func(c net.Conn) { io.Copy(c, c) }).Addr().String()
}

func works(c net.Conn) bool {
	if _, err := c.Write([]byte("x")); err != nil {
		return false
	}
	var b [1]byte
	_, err := c.Read(b[:])
	return err == nil && b[0] == 'x'
}

func TestCable(t *testing.T) {
	p, err := stage.NewProxy("127.0.0.1:0", echo(t))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", p.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	before := dial()
	if !works(before) {
		t.Fatal("nothing passes")
	}
	p.Cut(true)
	if works(before) || works(dial()) {
		t.Error("something passes through a cable that is pulled")
	}
	p.Cut(false)
	if works(before) || !works(dial()) {
		t.Error("plugged in again: the old connection must stay broken, a new one work")
	}
}

func TestWhatIsNotBuiltIsSaid(t *testing.T) {
	_, err := stage.Start(t.Context(), stage.Config{Bin: t.TempDir(), Dir: t.TempDir(), Catalogue: "x"})
	if err == nil {
		t.Fatal("started without programs")
	}
}
