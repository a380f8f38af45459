package localapi_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cardea-id/cardea"
)

// Page hands out a file with the name of the program and what it may see.
func (h *house) Page(program string, mine func(cardea.PurposeID) bool) (*os.File, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.broken != nil {
		return nil, h.broken
	}
	fd, err := unix.MemfdCreate("page", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "page")
	var text strings.Builder
	text.WriteString(program)
	for _, id := range []cardea.PurposeID{"recommendations", "voice"} {
		if mine(id) {
			text.WriteString(" " + string(id))
		}
	}
	_, err = file.WriteAt([]byte(text.String()), 0)
	return file, err
}

// handed asks for the page on a raw connection and reads the file that comes
// with the answer.
func handed(t *testing.T, h *house) (answer, file string) {
	t.Helper()
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: h.socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET /v1/page HTTP/1.1\r\nHost: cardea\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	text, rights := make([]byte, 4096), make([]byte, unix.CmsgSpace(4*4))
	n, m, _, _, err := c.ReadMsgUnix(text, rights)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := unix.ParseSocketControlMessage(rights[:m])
	if err != nil {
		t.Fatal(err)
	}
	for _, message := range messages {
		fds, err := unix.ParseUnixRights(&message)
		if err != nil || len(fds) != 1 {
			t.Fatalf("files %v, %v", fds, err)
		}
		f := os.NewFile(uintptr(fds[0]), "page")
		defer f.Close()
		b := make([]byte, 256)
		k, _ := f.ReadAt(b, 0)
		file = string(b[:k])
	}
	return string(text[:n]), file
}

func TestThePageComesWithTheAnswer(t *testing.T) {
	h := newHouse(t, "name = \"speaker\"\nuser = \""+fmt.Sprint(os.Getuid())+"\"\nentitlements = [\"decide\"]\npurposes = [\"voice\"]")
	answer, file := handed(t, h)
	if !strings.HasPrefix(answer, "HTTP/1.1 200 OK") || file != "speaker voice" {
		t.Errorf("%s\nwith %q", answer, file)
	}
	// A client that takes no file is answered as well, and again on the same
	// connection.
	for range 2 {
		if status, text := h.send(t, "GET", "/v1/page", ""); status != 200 || text != "{\"bytes\":4096}\n" {
			t.Errorf("%d %s", status, text)
		}
	}
}

// A page of nobody's: who may not ask "may I?" gets no answers in memory either.
func TestNoPageWithoutTheEntitlement(t *testing.T) {
	h := newHouse(t, "name = \"speaker\"\nuser = \""+fmt.Sprint(os.Getuid())+"\"\nentitlements = [\"pair\"]\npurposes = [\"voice\"]")
	if answer, file := handed(t, h); !strings.HasPrefix(answer, "HTTP/1.1 403") || file != "" {
		t.Errorf("%s\nwith %q", answer, file)
	}
}
