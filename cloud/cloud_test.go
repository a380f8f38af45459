package cloud_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/cloud"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// config is a configuration that works, in a folder of the test.
func config(t *testing.T) cloud.Config {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return cloud.Config{
		Issuer: "http://" + l.Addr().String(), MQTTListen: "127.0.0.1:0",
		DataDir: filepath.Join(t.TempDir(), "data"), Catalogue: "../testdata/catalogue.yaml",
	}
}

// launch runs a cloud until the test ends or stop is called. Why it ended before
// can be had from done, once.
func launch(t *testing.T, c cloud.Config) (stop func(), done chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done = make(chan error, 1)
	go func() {
		done <- cloud.Run(ctx, c, quiet())
		close(done) // whoever else waits does not wait for ever
	}()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}
	t.Cleanup(stop)
	return stop, done
}

// start runs a cloud as launch does, and waits until it answers.
func start(t *testing.T, c cloud.Config) (stop func()) {
	t.Helper()
	stop, done := launch(t, c)
	anyone := &http.Client{Transport: dialing(c, &tls.Config{InsecureSkipVerify: true})} // whether it answers, not who
	address := c.Issuer
	if c.TLSCert == "" {
		address = strings.Replace(address, "https:", "http:", 1)
	}
	for range 500 {
		r, err := anyone.Get(address + "/.well-known/oauth-authorization-server")
		if err == nil {
			r.Body.Close()
			return stop
		}
		select {
		case err := <-done:
			t.Fatalf("run: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Fatal("the cloud does not answer")
	return nil
}

func TestRunsAgainOnWhatIsThere(t *testing.T) {
	c := config(t)
	jwks := func() string {
		r, err := http.Get(c.Issuer + "/oauth/jwks")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		b, _ := io.ReadAll(r.Body)
		return string(b)
	}
	stop := start(t, c)
	before := jwks()
	stop()
	start(t, c)
	if after := jwks(); after != before || !strings.Contains(before, `"ES256"`) {
		t.Errorf("keys changed over a restart: %s, then %s", before, after)
	}
}

func TestRefusesWhatCannotWork(t *testing.T) {
	good := config(t)
	start(t, good)
	for name, test := range map[string]struct {
		change func(*cloud.Config)
		want   string
	}{
		"no issuer":        {func(c *cloud.Config) { c.Issuer = "" }, "issuer"},
		"issuer with path": {func(c *cloud.Config) { c.Issuer += "/x" }, "without a path"},
		"issuer as ftp":    {func(c *cloud.Config) { c.Issuer = "ftp://a" }, "issuer"},
		"no folder":        {func(c *cloud.Config) { c.DataDir = "" }, "data_dir"},
		"no catalogue":     {func(c *cloud.Config) { c.Catalogue = "nowhere.yaml" }, "nowhere.yaml"},
		"admin key":        {func(c *cloud.Config) { c.AdminKeys = []cloud.AdminKey{{Name: "x", SHA256: "12"}} }, "admin_keys"},
		"port taken":       {func(c *cloud.Config) { c.Listen = strings.TrimPrefix(good.Issuer, "http://") }, "another listen address"},
		"mqtt port taken":  {func(c *cloud.Config) { c.MQTTListen = strings.TrimPrefix(good.Issuer, "http://") }, "mqtt_listen"},
		"provider": {func(c *cloud.Config) {
			c.Providers = []cloud.Provider{{ID: "x", Name: "X", Issuer: "http://login.example.com"}}
		}, "https only"},
		"provider twice": {func(c *cloud.Config) {
			p := cloud.Provider{ID: "x", Name: "X", Issuer: "https://login.example.com", ClientID: "cardea"}
			c.Providers = []cloud.Provider{p, p}
		}, "id of its own"},
		"provider's secret": {func(c *cloud.Config) {
			c.Providers = []cloud.Provider{{ID: "x", Name: "X", Issuer: "https://login.example.com", ClientID: "cardea", ClientSecretFile: "nowhere"}}
		}, "nowhere"},
		"controller":      {func(c *cloud.Config) { c.Controller.Country = "Sweden" }, "two letters"},
		"proxy by name":   {func(c *cloud.Config) { c.TrustedProxies = []string{"proxy.example"} }, "trusted_proxies"},
		"database in use": {func(c *cloud.Config) { c.DataDir = good.DataDir }, "stop the other process"},
	} {
		c := config(t)
		test.change(&c)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		err := cloud.Run(ctx, c, quiet())
		cancel()
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q in it", name, err, test.want)
		}
	}
}

// The folder may be that of a first start that was cut short.
func TestMasterKeyAfterACrash(t *testing.T) {
	c := config(t)
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.DataDir, "master.key.1"), []byte("ha"), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, c)()
	start(t, c)()
	keys, err := filepath.Glob(filepath.Join(c.DataDir, "master.key*"))
	if err != nil || len(keys) != 2 {
		t.Errorf("files %v, want the key and what was left: %v", keys, err)
	}
}

func TestMasterKeyIsMissed(t *testing.T) {
	c := config(t)
	start(t, c)()
	key := filepath.Join(c.DataDir, "master.key")
	info, err := os.Stat(key)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("master key: %v, %v", info, err)
	}
	for _, change := range []func() error{
		func() error { return os.WriteFile(key, []byte("nonsense"), 0o600) },
		func() error { return os.Remove(key) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if err := cloud.Run(t.Context(), c, quiet()); err == nil || !strings.Contains(err.Error(), "backup") {
			t.Errorf("run without its key: %v", err)
		}
	}
}

// A cloud whose database is lost does not begin with an empty one: its devices
// would hear that nobody knows them.
func TestALostDatabaseIsNotBegunAnew(t *testing.T) {
	c := config(t)
	start(t, c)()
	db := filepath.Join(c.DataDir, "cloud.db")
	refused := func(why string, change func() error) {
		t.Helper()
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if err := cloud.Run(t.Context(), c, quiet()); err == nil || !strings.Contains(err.Error(), "cardea-cloud restore") {
			t.Errorf("%s: %v", why, err)
		}
	}
	refused("no database", func() error { return os.WriteFile(db, []byte(strings.Repeat("no database ", 1000)), 0o600) })
	refused("emptied", func() error { return os.Truncate(db, 0) })
	refused("gone", func() error { return os.Remove(db) })
	if err := os.Remove(db + ".stops"); err != nil {
		t.Fatal(err)
	}
	start(t, c)()
}

func TestWhatDevicesReach(t *testing.T) {
	c := config(t)
	start(t, c)
	for _, test := range []struct {
		method, path, media, body string
		status                    int
	}{
		{"GET", "/.well-known/openid-configuration", "", "", 200},
		{"GET", "/oauth/jwks", "", "", 200},
		{"POST", "/v1/up", "application/cose", "x", 400},
		{"GET", "/v1/up", "", "", 404},
		{"GET", "/v1/other", "", "", 404},
		{"GET", "/oauth/token", "", "", 405},
		{"GET", "/oauth/other", "", "", 404},
		{"GET", "/admin/v1/other", "", "", 401},
		{"POST", "/v1/links", "application/json", "{}", 401},
		{"GET", "/admin/v1/changes", "", "", 401},
		{"POST", "/oauth/device_authorization", "application/x-www-form-urlencoded", "client_id=nobody", 400},
		{"GET", "/pair", "", "", 200},
	} {
		r, err := http.NewRequest(test.method, c.Issuer+test.path, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", test.media)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if answer.StatusCode >= 400 && !strings.HasPrefix(string(body), `{"error":"`) {
			t.Errorf("%s %s: no error in JSON: %.60s", test.method, test.path, body)
		}
		if answer.StatusCode != test.status {
			t.Errorf("%s %s: %d, want %d", test.method, test.path, answer.StatusCode, test.status)
		}
	}
}

// Slow and endless requests are cut off and do not keep others waiting.
func TestHugeHeaderIsRefused(t *testing.T) {
	c := config(t)
	start(t, c)
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.Issuer, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", strings.Repeat("y", 64<<10))
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	answer, _ := io.ReadAll(conn)
	if !strings.Contains(string(answer), " 431 ") {
		t.Errorf("answered %.60q", answer)
	}
}
