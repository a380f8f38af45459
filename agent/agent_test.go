package agent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/agent/keys"
	"github.com/cardea-id/cardea/store/devicedb"
)

// A device is one agent's folders.
type device struct {
	agent.Config
	log buffer
}

// A buffer is a log that can be read while it is written.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// newDevice is a device whose cloud is down, and on which this user's programs
// may do everything.
func newDevice(t *testing.T) *device {
	t.Helper()
	dir, err := os.MkdirTemp("", "cardea") // short: a socket's path has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	apps := filepath.Join(dir, "apps.d")
	if err := os.Mkdir(apps, 0o755); err != nil {
		t.Fatal(err)
	}
	program := fmt.Sprintf("name = \"test\"\nuser = \"%d\"\nentitlements = [\"pair\", \"decide\", \"token\", \"events\", \"admin\"]\npurposes = [\"*\"]\naudiences = [\"*\"]\n", os.Getuid())
	if err := os.WriteFile(filepath.Join(apps, "test.toml"), []byte(program), 0o644); err != nil {
		t.Fatal(err)
	}
	return &device{Config: agent.Config{
		Issuer: "http://127.0.0.1:1", StateDir: filepath.Join(dir, "state"), RunDir: filepath.Join(dir, "run"), AppsDir: apps,
	}}
}

func (d *device) run(ctx context.Context) error {
	return agent.Run(ctx, d.Config, slog.New(slog.NewTextHandler(&d.log, nil)))
}

// start runs the agent until the returned function is called.
func (d *device) start(t *testing.T) (*client.Client, func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.run(ctx) }()
	c := client.New(filepath.Join(d.RunDir, "agent.sock"))
	for {
		if _, err := c.Status(t.Context()); err == nil {
			break
		}
		select {
		case err := <-ended:
			t.Fatalf("the agent ended: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			c.Close()
			if err := <-ended; err != nil {
				t.Errorf("the agent ended with %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return c, stop
}

// Everything but the cloud's word is there although the cloud is not.
func TestStartsWhileTheCloudIsDown(t *testing.T) {
	d := newDevice(t)
	c, stop := d.start(t)
	st, err := c.Status(t.Context())
	if err != nil || st.Bar != cardea.ReasonGuest || st.Connected || st.Clock != cardea.ClockUntrusted || len(st.Links) != 0 {
		t.Errorf("%+v, %v", st, err)
	}
	if a, err := c.Decide(t.Context(), "voice/use", ""); err != nil || a.Reason != cardea.ReasonGuest {
		t.Errorf("%+v, %v", a, err)
	}
	_, err = c.Pair(t.Context())
	if refusal, ok := errors.AsType[*client.Error](err); !ok || refusal.Code != "offline" {
		t.Errorf("pairing: %v", err)
	}
	first := st.Device
	stop()
	if _, err := os.Stat(filepath.Join(d.RunDir, "agent.sock")); err == nil {
		t.Error("the socket was left behind")
	}
	c, _ = d.start(t)
	if st, err := c.Status(t.Context()); err != nil || st.Device != first {
		t.Errorf("after a restart: %+v, %v", st, err)
	}
}

// What keeps an agent from running is one line that says what to do.
func TestFaultsAtStart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for why, fault := range map[string]struct {
		prepare func(*testing.T, *device)
		is      error
		says    string
	}{
		"another agent runs": {func(t *testing.T, d *device) { d.start(t) }, devicedb.ErrLocked, "stop the other agent"},
		"a newer database": {func(t *testing.T, d *device) {
			_, stop := d.start(t)
			stop()
			newer(t, filepath.Join(d.StateDir, "device.db"))
		}, devicedb.ErrNewer, "install that version"},
		"a key others can read": {func(t *testing.T, d *device) {
			_, stop := d.start(t)
			stop()
			os.Chmod(filepath.Join(d.StateDir, "device.key"), 0o644)
		}, keys.ErrExposed, "chmod 600"},
		"another key's database": {func(t *testing.T, d *device) {
			_, stop := d.start(t)
			stop()
			os.Remove(filepath.Join(d.StateDir, "device.key"))
		}, devicedb.ErrSeal, "put the key file back"},
		"a state folder that can not be":   {func(_ *testing.T, d *device) { d.StateDir = filepath.Join(file, "x") }, nil, "state_dir"},
		"a state folder in a system":       {func(_ *testing.T, d *device) { d.StateDir = "/proc/self" }, nil, "must be able to write"},
		"a run folder that can not be":     {func(_ *testing.T, d *device) { d.RunDir = filepath.Join(file, "x") }, nil, "run_dir"},
		"a socket path that is taken":      {func(_ *testing.T, d *device) { d.Socket = file }, nil, "no socket"},
		"a socket group that is not":       {func(_ *testing.T, d *device) { d.SocketGroup = "no-such-group-here" }, nil, "group"},
		"authorities that are none":        {func(_ *testing.T, d *device) { d.CAFile = file }, agent.ErrConfig, "ca_file"},
		"authorities that are not there":   {func(_ *testing.T, d *device) { d.CAFile = file + "x" }, os.ErrNotExist, "ca_file"},
		"no issuer":                        {func(_ *testing.T, d *device) { d.Issuer = "" }, agent.ErrConfig, "issuer"},
		"an issuer that is no web address": {func(_ *testing.T, d *device) { d.Issuer = "ftp://x" }, agent.ErrConfig, "issuer"},
		"a way that is no address":         {func(_ *testing.T, d *device) { d.ConnectTo = "localhost" }, agent.ErrConfig, "connect_to"},
		"a time that runs backwards":       {func(_ *testing.T, d *device) { d.PostAfter = -1 }, agent.ErrConfig, "post_after"},
	} {
		t.Run(why, func(t *testing.T) {
			d := newDevice(t)
			fault.prepare(t, d)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			err := d.run(ctx)
			if err == nil || fault.is != nil && !errors.Is(err, fault.is) || !strings.Contains(err.Error(), fault.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("ended with: %v", err)
			}
		})
	}
}

// A database of nonsense is set aside, said in one line, and the agent runs.
func TestDamagedDatabaseIsSetAside(t *testing.T) {
	for name, hurt := range map[string]func(path string){
		"nonsense": func(path string) { os.WriteFile(path, bytes.Repeat([]byte("x"), 1<<16), 0o600) },
		"cut off":  func(path string) { os.Truncate(path, 9000) },
	} {
		t.Run(name, func(t *testing.T) {
			d := newDevice(t)
			_, stop := d.start(t)
			stop()
			hurt(filepath.Join(d.StateDir, "device.db"))
			c, stop := d.start(t)
			if st, err := c.Status(t.Context()); err != nil || st.Bar != cardea.ReasonGuest {
				t.Errorf("%+v, %v", st, err)
			}
			stop()
			aside, _ := filepath.Glob(filepath.Join(d.StateDir, "device.db.damaged-*"))
			if n := strings.Count(d.log.String(), "damaged and set aside"); len(aside) != 1 || n != 1 {
				t.Errorf("%v, said %d times", aside, n)
			}
		})
	}
}

// newer marks a database as written by an agent of the future.
func newer(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	next := bytes.ReplaceAll(text, []byte("schema\x00\x00\x00\x01"), []byte("schema\x00\x00\x01\x00"))
	if bytes.Equal(text, next) {
		t.Fatal("the schema's version is not where it was")
	}
	if err := os.WriteFile(path, next, 0o600); err != nil {
		t.Fatal(err)
	}
}

// One program's mistake is told and does not stop the agent.
func TestABadProgramFileIsToldAndLeftOut(t *testing.T) {
	d := newDevice(t)
	if err := os.WriteFile(filepath.Join(d.AppsDir, "typo.toml"), []byte("nam = \"x\""), 0o644); err != nil {
		t.Fatal(err)
	}
	d.start(t)
	if log := d.log.String(); !strings.Contains(log, "typo.toml") || !strings.Contains(log, "level=ERROR") {
		t.Errorf("the log says nothing of it:\n%s", log)
	}
}

// An image that was taken of one device and runs on another is another device,
// also when the first start was cut off half way.
func TestAnImageOnAnotherMachineStartsAnew(t *testing.T) {
	for _, halfway := range []bool{false, true} {
		d := newDevice(t)
		path := filepath.Join(d.StateDir, "device.key")
		original, err := keys.OpenOn(path, "another machine")
		if err != nil {
			t.Fatal(err)
		}
		db, err := devicedb.Open(filepath.Join(d.StateDir, "device.db"), original.SealKey())
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.Put(devicedb.Link{ID: cardea.LinkID{1}}), db.SetActive(cardea.LinkID{1}), db.Close()); err != nil {
			t.Fatal(err)
		}
		if halfway {
			if _, err := keys.Open(path); err != nil {
				t.Fatal(err)
			}
		}
		c, _ := d.start(t)
		if st, err := c.Status(t.Context()); err != nil || st.Device == original.ID() || len(st.Links) != 0 || st.Bar != cardea.ReasonGuest {
			t.Errorf("%+v, %v", st, err)
		}
		if kept, _ := filepath.Glob(filepath.Join(d.StateDir, "device.db.other-machine-*")); len(kept) != 1 {
			t.Errorf("the other machine's state was not kept: %v", kept)
		}
	}
}

// plainServer is an authorization server that knows RFC 8628 and nothing of
// Cardea. Its owner approves at once.
func plainServer(t *testing.T, issuer string) *httptest.Server {
	answer := func(v map[string]any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			json.NewEncoder(w).Encode(v)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/oauth-authorization-server", answer(map[string]any{
		"issuer": issuer, "token_endpoint": issuer + "/token", "device_authorization_endpoint": issuer + "/device",
		"response_types_supported": []string{},
	}))
	mux.HandleFunc("/device", answer(map[string]any{
		"device_code": "d", "user_code": "WDJB-MJHT", "verification_uri": issuer + "/pair", "expires_in": 600, "interval": 1,
	}))
	mux.HandleFunc("/token", answer(map[string]any{
		"access_token": "hush", "token_type": "Bearer", "expires_in": 600, "refresh_token": "hushhush",
	}))
	s := httptest.NewTLSServer(mux)
	t.Cleanup(s.Close)
	return s
}

// linked waits until the device tells that it is.
func (d *device) linked(t *testing.T, c *client.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for e, err := range c.Watch(ctx, 0) {
		if err != nil {
			t.Fatalf("%v\n%s", err, d.log.String())
		}
		if e.Pairing == client.PairLinked {
			return
		}
	}
}

// Through a tunnel, with an authority of its own, to a foreign server: the link
// exists, tokens work, and every purpose is denied as unknown.
func TestPairsWithAPlainServer(t *testing.T) {
	d := newDevice(t)
	d.Issuer = "https://example.com" // what the test server's certificate names
	server := plainServer(t, d.Issuer)
	d.ConnectTo = server.Listener.Addr().String()
	d.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(d.CAFile, authority, 0o600); err != nil {
		t.Fatal(err)
	}
	c, stop := d.start(t)
	if _, err := c.Pair(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.linked(t, c)
	if a, err := c.Decide(t.Context(), "voice/use", ""); err != nil || a.Verdict != cardea.Deny || a.Reason != cardea.ReasonUnknown {
		t.Errorf("%+v, %v", a, err)
	}
	if token, err := c.Token(t.Context(), client.TokenRequest{Audience: d.Issuer}); err != nil || token.AccessToken.Reveal() != "hush" {
		t.Errorf("%+v, %v", token, err)
	}
	stop()
	if log := d.log.String(); strings.Contains(log, "hush") || strings.Contains(log, "WDJB") {
		t.Errorf("the log tells secrets:\n%s", log)
	}
	// The link is there again, and can be ended without the server.
	server.Close()
	c, _ = d.start(t)
	st, err := c.Status(t.Context())
	if err != nil || st.Link.IsZero() || st.Issuer != d.Issuer {
		t.Fatalf("%+v, %v", st, err)
	}
	if _, err := c.Unlink(t.Context(), st.Link); err != nil {
		t.Fatal(err)
	}
	if p, err := c.Pairing(t.Context()); err != nil || p.State != client.PairNone {
		t.Errorf("%+v, %v", p, err)
	}
}
