package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea/cloud"
	"github.com/cardea-id/cardea/internal/config"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cloud.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRunRefuses(t *testing.T) {
	dir := t.TempDir()
	bad := func(why, want string, args ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		err := run(ctx, args, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want a word on %q", why, err, want)
		}
	}
	bad("a flag nobody knows", "-port", "-port", "80")
	bad("an argument", "unexpected argument", "start")
	bad("a backup to nowhere", "name one FILE", "backup")
	bad("two files to restore", "name one FILE", "restore", "a", "b")
	bad("no file", "no such file", "-config", filepath.Join(dir, "none"))
	bad("a misspelt field", "isuer", "-config", write(t, `isuer = "https://id.example.com"`))
	bad("a check of what can not be used", "data_dir", "-check", "-config", write(t, `issuer = "http://127.0.0.1:0"`))
	bad("no TOML", "parse configuration", "-config", write(t, `issuer: x`))
	bad("no issuer", "issuer", "-config", write(t, ""))
	bad("no data folder", "data_dir", "-config", write(t, `issuer = "http://127.0.0.1:0"`))
	bad("a number for a time", "72h", "-config", write(t, `code_life = 10`))
	bad("no key", "admin_keys", "-check", "-config", write(t, fmt.Sprintf("issuer = \"http://127.0.0.1:0\"\ndata_dir = %q\n[[admin_keys]]\nname = \"x\"", dir)))
	bad("a client without a name", "clients", "-check", "-config", write(t, fmt.Sprintf("issuer = \"http://127.0.0.1:0\"\ndata_dir = %q\n[[clients]]\nbearer = true", dir)))
	bad("a day that is none", "2026-11-21", "-config", write(t, fmt.Sprintf("issuer = \"http://127.0.0.1:0\"\ndata_dir = %q", dir)), "clock", "today")
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("what could not run has made %v: %v", left, err)
	}
	bad("no catalogue", "catalogue: name the YAML file", "-config", write(t, fmt.Sprintf("issuer = \"http://127.0.0.1:0\"\ndata_dir = %q", dir)))
}

func TestHelp(t *testing.T) {
	var said bytes.Buffer
	if err := run(t.Context(), []string{"-help"}, io.Discard, &said); !errors.Is(err, flag.ErrHelp) {
		t.Error(err)
	}
	for _, want := range []string{"-config", "backup FILE", "rotate statement|token", "clock show|DAY"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("%q does not tell of %s", said.String(), want)
		}
	}
}

func TestExampleConfiguration(t *testing.T) {
	const path = "../../deploy/cloud.toml"
	var said bytes.Buffer
	if err := run(t.Context(), []string{"-check", "-config", path}, &said, io.Discard); err != nil || said.Len() == 0 {
		t.Errorf("%v %q", err, said.String())
	}
	var c cloud.Config
	if err := config.Load(path, &c); err != nil {
		t.Fatal(err)
	}
	if c.Issuer == "" || c.DataDir == "" || c.Catalogue == "" || len(c.Clients) != 2 {
		t.Errorf("%+v", c)
	}
}

// A lines is a writer that can be waited on.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

var listening = regexp.MustCompile(`listen=(127\.0\.0\.1:\d+)`)

// A running cloud is what a test does things beside.
type running struct {
	addr string
	said *lines
	stop func()
}

func launch(t *testing.T, path string) running {
	t.Helper()
	r := running{said: new(lines)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{"-config", path}, io.Discard, r.said) }()
	r.stop = func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("%v\n%s", err, r.said.String())
		}
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if addr := listening.FindStringSubmatch(r.said.String()); addr != nil {
			r.addr = addr[1]
			return r
		}
		if time.Now().After(end) {
			t.Fatalf("never ready:\n%s", r.said.String())
		}
	}
}

func example(t *testing.T) string {
	t.Helper()
	return write(t, fmt.Sprintf(`
issuer = "http://127.0.0.1:8080"
listen = "127.0.0.1:0"
mqtt_listen = "127.0.0.1:0"
data_dir = %q
catalogue = "../../testdata/catalogue.yaml"
`, filepath.Join(t.TempDir(), "data")))
}

// TestRunAndStop starts the cloud twice over one folder.
func TestRunAndStop(t *testing.T) {
	path := example(t)
	for range 2 {
		r := launch(t, path)
		res, err := http.Get("http://" + r.addr + "/admin/v1/changes")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusUnauthorized {
			t.Errorf("the brand's API without a key: %d", res.StatusCode)
		}
		r.stop()
	}
}

// A backup is made beside the running cloud, and put back only without it.
func TestBackupAndRestore(t *testing.T) {
	path := example(t)
	file := filepath.Join(t.TempDir(), "copy.db")
	r := launch(t, path)
	task := func(name string) (string, error) {
		var said lines
		err := run(t.Context(), []string{"-config", path, name, file}, io.Discard, &said)
		return said.String(), err
	}
	if said, err := task("backup"); err != nil || !strings.Contains(said, file) {
		t.Fatalf("%v: %s", err, said)
	}
	if _, err := task("backup"); err == nil {
		t.Error("a backup was written over another")
	}
	if _, err := task("restore"); err == nil || !strings.Contains(err.Error(), "stop the other process") {
		t.Errorf("restored under a running cloud: %v", err)
	}
	r.stop()
	missing := filepath.Join(t.TempDir(), "none.db")
	if err := run(t.Context(), []string{"-config", path, "restore", missing}, io.Discard, io.Discard); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("restored what is not there: %v", err)
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("looking for a backup made a file")
	}
	for _, era := range []string{"era=2", "era=3"} {
		if said, err := task("restore"); err != nil || !strings.Contains(said, era) {
			t.Errorf("%v, want %s: %s", err, era, said)
		}
	}
	launch(t, path).stop()

	var c cloud.Config
	if err := config.Load(path, &c); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(c.DataDir, "master.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := task("restore"); err == nil || !strings.Contains(err.Error(), "put") {
		t.Errorf("restored without a key: %v", err)
	}
}
