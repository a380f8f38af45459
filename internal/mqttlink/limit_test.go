package mqttlink

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
)

func TestFramer(t *testing.T) {
	good := func(name string, stream ...byte) {
		t.Helper()
		for size := 1; size <= len(stream); size++ {
			f := framer{max: 300}
			for chunk := range chunks(stream, size) {
				if err := f.scan(chunk); err != nil {
					t.Errorf("%s, in pieces of %d: %v", name, size, err)
				}
			}
		}
	}
	bad := func(name string, stream ...byte) {
		t.Helper()
		f := framer{max: 300}
		if err := f.scan(stream); !errors.Is(err, ErrTooBig) {
			t.Errorf("%s: %v", name, err)
		}
	}
	good("no body", 0xd0, 0)
	good("two packets", 0x30, 2, 'a', 'b', 0xd0, 0)
	good("a body that looks like a header", 0x30, 4, 0x30, 0xff, 0xff, 0xff, 0xd0, 0)
	good("two length bytes", append([]byte{0x30, 0xac, 2}, make([]byte, 300)...)...)
	bad("one over", 0x30, 0xad, 2)
	bad("256 MB", 0x30, 0xff, 0xff, 0xff, 0x7f)
	bad("a length without end", 0x30, 0x80, 0x80, 0x80, 0x80)
	bad("after a good packet", 0xd0, 0, 0x30, 0xff, 0xff, 0xff, 0x7f)
}

func chunks(b []byte, size int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			n := min(size, len(b))
			if !yield(b[:n]) {
				return
			}
			b = b[n:]
		}
	}
}

func TestLimitedConn(t *testing.T) {
	near, far := net.Pipe()
	go far.Write([]byte{0x30, 1, 'x', 0x30, 0xff, 0xff, 0xff, 0x7f})
	conn := limit(near, 100)
	if _, err := io.ReadAll(conn); !errors.Is(err, ErrTooBig) {
		t.Errorf("reading 256 MB: %v", err)
	}
	if _, err := far.Write([]byte{0}); err == nil {
		t.Error("the connection stays open")
	}
}

func FuzzFramer(f *testing.F) {
	f.Add([]byte{0xd0, 0, 0x30, 2, 'a', 'b'}, 1)
	f.Add([]byte{0x30, 0xff, 0xff, 0xff, 0x7f}, 2)
	f.Fuzz(func(t *testing.T, stream []byte, size int) {
		if size < 1 || size > 1<<16 {
			return
		}
		whole := framer{max: 300}
		want := whole.scan(stream)
		pieces := framer{max: 300}
		for chunk := range chunks(bytes.Clone(stream), size) {
			if err := pieces.scan(chunk); err != nil {
				if want == nil {
					t.Fatal("a fault only in pieces")
				}
				return
			}
			if pieces.body > 300 {
				t.Fatalf("a body of %d passed", pieces.body)
			}
		}
		if want != nil {
			t.Fatal("a fault only in one piece")
		}
	})
}
