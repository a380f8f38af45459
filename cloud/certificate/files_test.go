package certificate_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea/cloud/certificate"
	"github.com/cardea-id/cardea/internal/authority"
)

const (
	name = "id.example.com"
	day  = 24 * time.Hour
)

// A folder has the files of a server's certificate.
type folder struct {
	t         *testing.T
	authority *authority.Authority
	cert, key string
}

func newFolder(t *testing.T) folder {
	t.Helper()
	a, err := authority.New("test", time.Now(), name, "mqtt.example.com", "other.example.com")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	return folder{t, a, filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
}

// issue makes a certificate that counts for so long.
func (f folder) issue(life time.Duration, hosts ...string) (cert, key []byte) {
	f.t.Helper()
	cert, key, err := f.authority.Issue(time.Now().Add(-time.Hour), time.Now().Add(life), hosts...)
	if err != nil {
		f.t.Fatal(err)
	}
	return cert, key
}

func (f folder) write(path string, text []byte) {
	f.t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// put puts a new certificate in place and returns it.
func (f folder) put(life time.Duration, hosts ...string) []byte {
	f.t.Helper()
	cert, key := f.issue(life, hosts...)
	f.write(f.cert, cert)
	f.write(f.key, key)
	return cert
}

// shows reports whether the certificate is the one that is shown.
func shows(t *testing.T, f *certificate.Files, cert []byte) bool {
	t.Helper()
	got, err := f.Get(nil)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: got.Leaf.Raw}))
}

func TestOpenRefuses(t *testing.T) {
	f := newFolder(t)
	open := func(names ...string) error {
		_, err := certificate.Open(f.cert, f.key, names, slog.New(slog.DiscardHandler))
		return err
	}
	if err := open(name); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "readable") {
		t.Errorf("no files: %v", err)
	}
	f.put(day, name)
	if err := open(name); err != nil {
		t.Error(err)
	}
	if err := open(name, "mqtt.example.com"); !errors.Is(err, certificate.ErrName) {
		t.Errorf("not for the broker's name: %v", err)
	}
	_, key := f.issue(day, name)
	f.write(f.key, key)
	if err := open(name); !errors.Is(err, certificate.ErrPair) {
		t.Errorf("another key: %v", err)
	}
	f.write(f.cert, []byte("no PEM"))
	if err := open(name); !errors.Is(err, certificate.ErrPair) {
		t.Errorf("no certificate: %v", err)
	}
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

// running gives a test the files that are looked at, and the log.
func running(t *testing.T, f folder, play func(files *certificate.Files, log *buffer)) {
	t.Helper()
	log := new(buffer)
	files, err := certificate.Open(f.cert, f.key, []string{name}, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		files.Run(ctx)
	}()
	play(files, log)
	stop()
	<-done
}

// looked lets the files be looked at some times.
func looked(times int) {
	time.Sleep(time.Duration(times)*certificate.LookEvery + time.Millisecond)
	synctest.Wait()
}

func TestNewFilesAreShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFolder(t)
		first := f.put(30*day, name)
		running(t, f, func(files *certificate.Files, log *buffer) {
			looked(3)
			if !shows(t, files, first) || log.String() != "" {
				t.Errorf("nothing changed: %s", log)
			}
			// A link is moved to a new folder, as certbot and Kubernetes do.
			next := newFolder(t)
			next.authority = f.authority
			second := next.put(30*day, name)
			for from, to := range map[string]string{f.cert: next.cert, f.key: next.key} {
				if err := errors.Join(os.Remove(from), os.Symlink(to, from)); err != nil {
					t.Fatal(err)
				}
			}
			looked(1)
			if !shows(t, files, second) || !strings.Contains(log.String(), "new certificate") {
				t.Errorf("the new one is not shown: %s", log)
			}
		})
	})
}

// What can not be used is not, and is complained about once.
func TestWrongFilesKeepTheOld(t *testing.T) {
	for what, test := range map[string]struct {
		change func(folder)
		says   string
	}{
		"a key of another pair": {func(f folder) { _, key := f.issue(30*day, name); f.write(f.key, key) }, "does not belong"},
		"another name":          {func(f folder) { f.put(30*day, "other.example.com") }, "for each host in issuer"},
		"it has ended":          {func(f folder) { f.put(-time.Minute, name) }, "renew it"},
		"half of a file":        {func(f folder) { cert, _ := f.issue(30*day, name); f.write(f.cert, cert[:200]) }, "write both anew"},
		"a file is gone":        {func(f folder) { os.Remove(f.key) }, "readable"},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFolder(t)
				first := f.put(30*day, name)
				running(t, f, func(files *certificate.Files, log *buffer) {
					test.change(f)
					looked(1)
					if log.String() != "" {
						t.Errorf("complained while the files may be on their way: %s", log)
					}
					looked(5)
					if !shows(t, files, first) || strings.Count(log.String(), "is not used") != 1 || !strings.Contains(log.String(), test.says) {
						t.Errorf("want one word on %q, and the old one shown: %s", test.says, log)
					}
					last := f.put(30*day, name)
					looked(1)
					if !shows(t, files, last) {
						t.Errorf("a good pair is not shown after a wrong one: %s", log)
					}
				})
			})
		})
	}
}

// Between the two files of a renewal nothing is said.
func TestOneFileAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFolder(t)
		f.put(30*day, name)
		running(t, f, func(files *certificate.Files, log *buffer) {
			cert, key := f.issue(30*day, name)
			f.write(f.cert, cert)
			looked(1)
			f.write(f.key, key)
			looked(1)
			if !shows(t, files, cert) || strings.Contains(log.String(), "not used") {
				t.Error(log)
			}
		})
	})
}

func TestTheEndIsAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFolder(t)
		f.put(14*day+time.Minute, name)
		running(t, f, func(files *certificate.Files, log *buffer) {
			time.Sleep(30 * time.Second)
			if log.String() != "" {
				t.Errorf("too early: %s", log)
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			if n := strings.Count(log.String(), "ends soon"); n != 1 {
				t.Errorf("%d warnings in an hour: %s", n, log)
			}
		})
	})
}

func TestTheEndIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFolder(t)
		f.put(time.Hour, name)
		running(t, f, func(files *certificate.Files, log *buffer) {
			time.Sleep(2 * time.Hour)
			synctest.Wait()
			if strings.Count(log.String(), "ends soon") != 1 || strings.Count(log.String(), "nobody accepts") != 1 {
				t.Error(log)
			}
			// One that has ended is better replaced by another one that has than
			// not at all.
			last := f.put(-time.Second, name)
			looked(1)
			if !shows(t, files, last) {
				t.Error("it is kept although it does not count either")
			}
		})
	})
}

// What a browser says does not reach a server that speaks something else.
func TestProtocolsAreKeptApart(t *testing.T) {
	f := newFolder(t)
	f.put(day, name)
	files, err := certificate.Open(f.cert, f.key, []string{name}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", certificate.Config(files.Get, "mqtt"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(io.Discard, c); c.Close() }()
		}
	}()
	for what, test := range map[string]struct {
		config *tls.Config
		works  bool
	}{
		"an agent":   {&tls.Config{}, true},
		"MQTT":       {&tls.Config{NextProtos: []string{"mqtt"}}, true},
		"a browser":  {&tls.Config{NextProtos: []string{"h2", "http/1.1"}}, false},
		"an old one": {&tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}, false},
	} {
		test.config.RootCAs, test.config.ServerName = f.authority.Pool(), name
		c, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", l.Addr().String(), test.config)
		if err == nil {
			c.Close()
		}
		if (err == nil) != test.works {
			t.Errorf("%s: %v", what, err)
		}
	}
	if h := http.NotFoundHandler(); files.Challenges(h) == nil {
		t.Error("nobody answers")
	}
}
