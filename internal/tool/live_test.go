package tool_test

import (
	"bytes"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cardea-id/cardea/internal/tool"
	"github.com/cardea-id/cardea/pairing/qr/qrtest"
)

// inTerminal uses the program at a terminal and returns all that was sent to it.
func inTerminal(t *testing.T, socket string, args ...string) (code int, sent string) {
	t.Helper()
	near, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	n, err := unix.IoctlGetInt(int(near.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(near.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	far, err := os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	read := make(chan struct{})
	go func() {
		defer close(read)
		io.Copy(&out, near) // it ends with an error when the other end is closed
	}()
	code = tool.Run(t.Context(), args, tool.IO{In: far, Out: far, Err: far, Env: func(name string) string {
		return map[string]string{"CARDEA_SOCKET": socket, "TERM": "xterm"}[name]
	}})
	far.Close()
	<-read
	return code, strings.ReplaceAll(out.String(), "\r", "")
}

var upAndClear = regexp.MustCompile(`\x1b\[(\d+)A\x1b\[J`)

// seen is what stands on the terminal in the end: lines that were gone back over
// are gone.
func seen(t *testing.T, sent string) string {
	t.Helper()
	screen := ""
	for sent != "" {
		at := upAndClear.FindStringSubmatchIndex(sent)
		if at == nil {
			return screen + sent
		}
		up, _ := strconv.Atoi(sent[at[2]:at[3]])
		lines := strings.Split(screen+sent[:at[0]], "\n")
		if up >= len(lines) {
			t.Fatalf("%d lines up from %d", up, len(lines))
		}
		screen, sent = strings.Join(lines[:len(lines)-1-up], "\n"), sent[at[1]:]
		if screen != "" {
			screen += "\n"
		}
	}
	return screen
}

// A new code takes the place of the old one, and what counts down stays one
// line.
func TestPairAtATerminal(t *testing.T) {
	renewed := strings.NewReplacer("WDJB-MJHT", "BCDF-GHJK", "WDJBMJHT", "BCDFGHJK").Replace(pending)
	a := newAgent(t, map[string]string{
		"POST /v1/pair": strings.Replace(pending, "600", "61", 1), "GET /v1/pair": `{"state":"linked","link":"` + link + `"}`,
		"GET /v1/links": `{"links":[]}`, "GET /v1/identity": `{"link":"` + link + `","subject":"s","name":"Mara"}`,
	})
	a.next = map[string][]string{"GET /v1/pair": {renewed, strings.Replace(renewed, "600", "599", 1), `{"state":"confirm"}`, `{"state":"approved"}`}}
	code, sent := inTerminal(t, a.socket, "pair")
	screen := seen(t, sent)
	if code != tool.Done || !strings.Contains(screen, "Mara is linked") {
		t.Errorf("%d %s", code, screen)
	}
	for _, text := range []string{"counts 1:01 more", "counts 10:00 more", "counts 9:59 more", "press the device's button", "linking"} {
		if !strings.Contains(sent, text) {
			t.Errorf("%q was never there", text)
		}
	}
	if strings.Contains(screen, "WDJB") || strings.Count(screen, "BCDF-GHJK") != 1 || strings.Count(screen, "counts") > 1 {
		t.Errorf("left on the screen:\n%s", screen)
	}
	if got, err := qrtest.DecodeTerminal(screen); got != "HTTPS://ID.EXAMPLE.COM/P/BCDFGHJK" {
		t.Errorf("scanned %q, %v", got, err)
	}
	if n := strings.Count(strings.Split(screen, "Mara")[0], "\n"); n > 23 {
		t.Errorf("%d lines do not fit a terminal of 24", n)
	}
}

// Colours are for terminals, and for those who want them.
func TestColors(t *testing.T) {
	a := newAgent(t, held)
	_, sent := inTerminal(t, a.socket, "status")
	if !strings.Contains(sent, "\x1b[32m") {
		t.Errorf("no colours at a terminal: %q", sent)
	}
}
