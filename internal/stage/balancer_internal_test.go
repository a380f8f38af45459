package stage

import (
	"io"
	"net"
	"testing"
)

// named is a server that says its name to whoever connects.
func named(t *testing.T, name string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, name)
			c.Close()
		}
	}()
	return l
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
