package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/agent"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/internal/config"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agent.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRefuses(t *testing.T) {
	good := write(t, `issuer = "https://id.example.com"`)
	for why, bad := range map[string]struct {
		args []string
		is   error
	}{
		"an unknown key":       {[]string{"-config", write(t, "isuer = \"x\"")}, config.ErrUnknownKey},
		"a file that is not":   {[]string{"-config", good + "x"}, os.ErrNotExist},
		"no issuer":            {[]string{"-config", write(t, "")}, agent.ErrConfig},
		"no issuer to check":   {[]string{"-check", "-config", write(t, "")}, agent.ErrConfig},
		"an unknown flag":      {[]string{"-verbose"}, nil},
		"a word":               {[]string{"-config", good, "start"}, nil},
		"help":                 {[]string{"-help"}, flag.ErrHelp},
		"a CA that is not":     {[]string{"-config", good, "-state", t.TempDir(), "-run", t.TempDir(), "-ca", good + "x"}, os.ErrNotExist},
		"a CA that is none":    {[]string{"-config", good, "-state", t.TempDir(), "-run", t.TempDir(), "-ca", good}, agent.ErrConfig},
		"a flag for an issuer": {[]string{"-config", good, "-issuer", "x"}, agent.ErrConfig},
	} {
		err := run(t.Context(), bad.args, io.Discard, io.Discard)
		if err == nil || bad.is != nil && !errors.Is(err, bad.is) {
			t.Errorf("%s: %v", why, err)
		}
	}
}

func TestCheck(t *testing.T) {
	var out bytes.Buffer
	err := run(t.Context(), []string{"-check", "-config", write(t, `issuer = "https://id.example.com"`)}, &out, io.Discard)
	if err != nil || !strings.Contains(out.String(), "can be used") {
		t.Errorf("%q, %v", out.String(), err)
	}
}

// Flags go before the file, and the agent ends when it is told to.
func TestRuns(t *testing.T) {
	dir, err := os.MkdirTemp("", "cardea")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := write(t, fmt.Sprintf("issuer = \"http://127.0.0.1:1\"\nstate_dir = \"/nonexistent/state\"\nrun_dir = %q\n", dir))
	socket := filepath.Join(dir, "s")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var log bytes.Buffer
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"-config", path, "-state", dir + "/state", "-socket", socket, "-apps", dir, "-debug"}, io.Discard, &log)
	}()
	c := client.New(socket)
	for {
		_, err := c.Status(ctx)
		if refusal, ok := errors.AsType[*client.Error](err); ok && refusal.Code == "not_registered" {
			break
		}
		select {
		case err := <-ended:
			t.Fatal(err)
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "ready") {
		t.Errorf("logged:\n%s", log.String())
	}
}
