package cloud_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/cardea-id/cardea/cloud"
	"github.com/cardea-id/cardea/internal/authority"
	"github.com/cardea-id/cardea/internal/listentest"
)

// pebble builds the ACME server of Let's Encrypt that is made for tests. Its
// version stands in tools.mod, apart from what we link.
func pebble(t *testing.T) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "pebble")
	build := exec.Command("go", "build", "-modfile=tools.mod", "-o", program, "github.com/letsencrypt/pebble/v2/cmd/pebble")
	build.Dir, build.Env = "..", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build pebble: %v: %s", err, out)
	}
	return program
}

// everywhere is a name server, over TCP, by which every name leads to this machine.
func everywhere(t *testing.T) (address string) {
	t.Helper()
	return listentest.Serve(t, func(c net.Conn) {
		for answerName(c) == nil {
		}
	}).Addr().String()
}

// answerName answers one question: RFC 1035, Section 4.2.2.
func answerName(c net.Conn) error {
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return err
	}
	b := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c, b); err != nil {
		return err
	}
	var m dnsmessage.Message
	if err := m.Unpack(b); err != nil {
		return err
	}
	answer := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true}, Questions: m.Questions}
	for _, q := range m.Questions {
		if q.Type == dnsmessage.TypeA {
			header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
			answer.Answers = append(answer.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}})
		}
	}
	packed, err := answer.Pack()
	if err != nil {
		return err
	}
	_, err = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...))
	return err
}

// An acme is an authority that runs, and looks for challenges at these addresses.
type acme struct {
	directory, caFile string
	roots             *x509.CertPool
	stop              func()
}

// life is how long its certificates count: they are renewed when a third is left.
const life = 15 * time.Second

func startACME(t *testing.T, program, overHTTP, overTLS string) acme {
	t.Helper()
	dir, listen, manage := t.TempDir(), free(t), free(t)
	ca, err := authority.New("of the directory", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := ca.Issue(time.Now().Add(-time.Minute), time.Now().Add(time.Hour), "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	port := func(address string) int {
		a, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		return a.Port
	}
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": listen, "managementListenAddress": manage,
		"certificate": filepath.Join(dir, "cert.pem"), "privateKey": filepath.Join(dir, "key.pem"),
		"httpPort": port(overHTTP), "tlsPort": port(overTLS), "keyAlgorithm": "ecdsa",
		"retryAfter": map[string]int{"authz": 1, "order": 1},
		"profiles":   map[string]any{"default": map[string]any{"description": "short", "validityPeriod": int(life.Seconds())}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"cert.pem": cert, "key.pem": key, "config.json": config, "ca.pem": ca.PEM()} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	run := exec.CommandContext(ctx, program, "-strict", "-dnsserver", everywhere(t), "-config", filepath.Join(dir, "config.json"))
	run.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1")
	var log bytes.Buffer
	run.Stdout, run.Stderr = &log, &log
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	a := acme{directory: "https://" + listen + "/dir", caFile: filepath.Join(dir, "ca.pem")}
	a.stop = sync.OnceFunc(func() { stop(); run.Wait() })
	t.Cleanup(func() {
		a.stop()
		if t.Failed() {
			t.Logf("pebble:\n%s", log.String())
		}
	})
	a.roots = rootsOf(t, ca, manage)
	return a
}

// rootsOf waits for the authority and asks whom to trust.
func rootsOf(t *testing.T, ca *authority.Authority, manage string) *x509.CertPool {
	t.Helper()
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}}}
	defer web.CloseIdleConnections()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		answer, err := web.Get("https://" + manage + "/roots/0")
		if err != nil {
			continue
		}
		text, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if pool := x509.NewCertPool(); err == nil && pool.AppendCertsFromPEM(text) {
			return pool
		}
	}
	t.Fatal("pebble does not answer")
	return nil
}

// serial waits until a server shows a certificate by the authority, another one
// than before, and returns its number.
func (a acme) serial(t *testing.T, address, before string) string {
	t.Helper()
	var err error
	for end := time.Now().Add(40 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var c *tls.Conn
		if c, err = tls.Dial("tcp", address, &tls.Config{RootCAs: a.roots, ServerName: "id.example.com"}); err != nil {
			continue
		}
		serial := c.ConnectionState().PeerCertificates[0].SerialNumber.String()
		c.Close()
		if serial != before {
			return serial
		}
	}
	t.Fatalf("%s shows no new certificate: %v", address, err)
	return ""
}

// TestACME: the certificate comes from an ACME authority, by a challenge over TLS
// or over plain HTTP, is shown by HTTP and MQTT, kept over a restart, and renewed.
func TestACME(t *testing.T) {
	program := pebble(t)
	for what, alpn := range map[string]bool{"tls-alpn-01": true, "http-01": false} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			p := newProtected(t)
			p.MQTTListen, p.RedirectListen = free(t), free(t)
			// The authority finds the cloud at one of its two ports.
			overHTTP, overTLS := p.RedirectListen, free(t)
			if alpn {
				overHTTP, overTLS = free(t), p.Listen
			}
			a := startACME(t, program, overHTTP, overTLS)
			p.TLSCert, p.TLSKey = "", ""
			p.ACME = &cloud.ACME{AcceptTerms: true, Email: "operator@example.com", Directory: a.directory, CAFile: a.caFile}
			stop, _ := launch(t, p.Config)
			first := a.serial(t, p.Listen, "")
			if mqtt := a.serial(t, p.MQTTListen, ""); mqtt != first {
				t.Errorf("the broker shows %s, the pages %s", mqtt, first)
			}
			stop()
			p.web.CloseIdleConnections()
			launch(t, p.Config)
			if again := a.serial(t, p.Listen, ""); again != first {
				t.Errorf("after a restart another one is ordered: %s, then %s", first, again)
			}
			second := a.serial(t, p.Listen, first)
			if mqtt := a.serial(t, p.MQTTListen, first); mqtt != second {
				t.Errorf("renewed, the broker shows %s, the pages %s", mqtt, second)
			}
			private(t, filepath.Join(p.DataDir, "acme"))
		})
	}
}

// private checks that nobody else can read what is in a folder.
func private(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Errorf("%d files: %v", len(files), err)
	}
	for _, path := range append(files, dir) {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s can be read by others: %v", path, err)
		}
	}
}
