package tool_test

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/tool"
	"github.com/cardea-id/cardea/pairing/qr/qrtest"
)

const pending = `{"state":"pending","user_code":"WDJB-MJHT","verification_uri":"https://id.example.com/pair",
	"verification_uri_complete":"https://id.example.com/pair?code=WDJB-MJHT","verification_uri_short":"HTTPS://ID.EXAMPLE.COM/P/WDJBMJHT","expires_in":600}`

// The code is scanned from what is printed, and the name of who came is told.
func TestPair(t *testing.T) {
	for _, test := range []struct {
		end  string
		code int
		says string
	}{
		{`{"state":"linked","link":"` + link + `"}`, tool.Done, "Mara is linked"},
		{`{"state":"denied"}`, tool.No, "They declined"},
		{`{"state":"expired"}`, tool.No, "Nobody answered in time"},
		{`{"state":"none","problem":"the server answers with an error: invalid_client"}`, tool.No, "invalid_client"},
	} {
		a := newAgent(t, map[string]string{
			"POST /v1/pair": pending, "GET /v1/pair": test.end,
			"GET /v1/links":    `{"generation":7,"links":[]}`,
			"GET /v1/identity": `{"link":"` + link + `","subject":"s","name":"Mara"}`,
		})
		code, out, errs := a.run(t, "pair")
		if code != test.code || !strings.Contains(out, test.says) {
			t.Errorf("%s: %d %s%s", test.end, code, out, errs)
		}
		if got, err := qrtest.DecodeTerminal(out); got != "HTTPS://ID.EXAMPLE.COM/P/WDJBMJHT" {
			t.Errorf("scanned %q, %v", got, err)
		}
		if !strings.Contains(out, "WDJB-MJHT") || !strings.Contains(out, "https://id.example.com/pair\n") {
			t.Errorf("nobody can type it:\n%s", out)
		}
		if code, out, _ := a.run(t, "pair --json"); code != test.code || strings.Count(out, "\n") != 2 {
			t.Errorf("--json: %d %s", code, out)
		}
	}
}

func TestPairWritesPictures(t *testing.T) {
	a := newAgent(t, map[string]string{
		"POST /v1/pair": pending, "GET /v1/pair": `{"state":"linked"}`, "GET /v1/links": `{"links":[]}`,
		"GET /v1/pair/qr.svg": "<svg/>", "GET /v1/pair/qr.png": "png",
	})
	dir := t.TempDir()
	svg, png := filepath.Join(dir, "c.svg"), filepath.Join(dir, "c.png")
	if code, out, errs := a.run(t, "pair --svg "+svg+" --png "+png); code != tool.Done {
		t.Fatalf("%d %s%s", code, out, errs)
	}
	for path, want := range map[string]string{svg: "<svg/>", png: "png"} {
		if text, err := os.ReadFile(path); string(text) != want {
			t.Errorf("%s: %q, %v", path, text, err)
		}
	}
}

// Ctrl-C takes the code back, so that nobody answers it behind one's back.
func TestPairIsCancelled(t *testing.T) {
	a := newAgent(t, map[string]string{"GET /v1/links": `{"links":[]}`, "GET /v1/pair": pending, "DELETE /v1/pair": `{"state":"none"}`})
	ctx, stop := context.WithCancel(t.Context())
	a.says["POST /v1/pair"] = pending
	var out, errs bytes.Buffer
	code := tool.Run(ctx, []string{"pair", "--socket", a.socket}, tool.IO{
		In: os.Stdin, Out: pressing{&out, stop}, Err: &errs, Env: func(string) string { return "" },
	})
	if code != tool.Interrupted || !strings.Contains(errs.String(), "counts no more") {
		t.Errorf("%d %s", code, errs.String())
	}
	if last := a.last(); last != http.MethodDelete+" /v1/pair" {
		t.Errorf("the agent heard %q last", last)
	}
}

// pressing presses Ctrl-C once the code is there.
type pressing struct {
	*bytes.Buffer
	stop func()
}

func (p pressing) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("WDJB-MJHT")) {
		p.stop()
	}
	return p.Buffer.Write(b)
}
