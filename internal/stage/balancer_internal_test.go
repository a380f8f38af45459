package stage

import (
	"io"
	"net"
	"testing"

	"github.com/cardea-id/cardea/internal/listentest"
)

// named is a server that says its name to whoever connects.
func named(t *testing.T, name string) net.Listener {
	t.Helper()
	return listentest.Serve(t, func(c net.Conn) { io.WriteString(c, name) })
}

func TestBalancer(t *testing.T) {
	one, two := named(t, "one"), named(t, "two")
	b, err := newBalancer("127.0.0.1:0", one.Addr().String(), two.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	meet := func() map[string]int {
		met := map[string]int{}
		for range 10 {
			c, err := net.Dial("tcp", b.listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			said, err := io.ReadAll(c)
			if err != nil {
				t.Error(err)
			}
			met[string(said)]++
			c.Close()
		}
		return met
	}
	if met := meet(); met["one"] != 5 || met["two"] != 5 {
		t.Errorf("met %v, want each in turn", met)
	}
	one.Close()
	if met := meet(); met["two"] != 10 {
		t.Errorf("met %v, want the one that is left", met)
	}
}
