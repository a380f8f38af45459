package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/internal/authority"
	"github.com/cardea-id/cardea/internal/stage"
)

// newTLSStage starts a cloud that speaks nothing but TLS.
func newTLSStage(t testing.TB) *stage.Stage {
	t.Helper()
	return newStageWith(t, shipped(t), func(c *stage.Config) { c.TLS = true })
}

// heard waits until the device answers so, and for the reason.
func heard(t *testing.T, a *stage.Agent, reason cardea.Reason) {
	t.Helper()
	until(t, "the device has heard of it", func() error {
		got, err := a.Decide(context.Background(), recommend, cardea.UseCollect)
		if err == nil && got.Reason != reason {
			err = fmt.Errorf("it answers %s (%s)", got.Verdict, got.Reason)
		}
		return err
	})
}

// connected waits until the device has its broker.
func connected(t *testing.T, a *stage.Agent) {
	t.Helper()
	until(t, "the device is connected", func() error {
		status, err := a.Status(context.Background())
		if err == nil && !status.Connected {
			err = errors.New("it is not")
		}
		return err
	})
}

// roundTrip has the owner allow something, and the device stop it.
func roundTrip(t *testing.T, s *stage.Stage, a *stage.Agent, email string) {
	t.Helper()
	phone := newPhone(t, s, email)
	pair(t, a, phone)
	connected(t, a)
	choose(t, s, phone, "Allow", recommend)
	answers(t, a, recommend, cardea.Allow)
	_, err := a.Withdraw(context.Background(), client.Withdrawal{Key: recommend})
	must(t, err)
	nothingPending(t, a)
}

// Everything works over TLS, and nothing without.
func TestOverTLS(t *testing.T) {
	s := newTLSStage(t)
	a, err := s.StartAgent(context.Background(), "kitchen", "speaker")
	must(t, err)
	roundTrip(t, s, a, "ada@example.com")
	answer, err := http.Get("http://" + s.Listen + "/signin")
	must(t, err)
	answer.Body.Close()
	if answer.StatusCode != http.StatusBadRequest {
		t.Errorf("without TLS a page is answered: %s", answer.Status)
	}
	plain, err := net.Dial("tcp", s.Broker())
	must(t, err)
	defer plain.Close()
	connect := "\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04test" // MQTT 3.1.1, Section 3.1
	_, err = plain.Write([]byte(connect))
	must(t, err)
	var b [1]byte
	if n, _ := plain.Read(b[:]); n > 0 && b[0]>>4 == 2 { // CONNACK
		t.Error("the broker answers without TLS")
	}
}

// at1970 builds an agent whose wall clock stands at 1970, as it does on a device
// with no clock of its own: the standard library's function is changed, all else
// is as it is shipped.
func at1970(t *testing.T) (bin string) {
	t.Helper()
	dir := t.TempDir()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	must(t, err)
	file := filepath.Join(strings.TrimSpace(string(root)), "src/time/time.go")
	text, err := os.ReadFile(file)
	must(t, err)
	const reads = "\tsec, nsec, mono := runtimeNow()\n"
	changed := strings.Replace(string(text), reads, reads+"\tsec %= 86400\n", 1)
	if changed == string(text) {
		t.Fatal("time.Now does not read the clock as it did: mend this test")
	}
	must(t, os.WriteFile(filepath.Join(dir, "time.go"), []byte(changed), 0o600))
	overlay := fmt.Sprintf(`{"Replace":{%q:%q}}`, file, filepath.Join(dir, "time.go"))
	must(t, os.WriteFile(filepath.Join(dir, "overlay.json"), []byte(overlay), 0o600))
	module, err := stage.Module()
	must(t, err)
	build := exec.Command("go", "build", "-trimpath", "-overlay", filepath.Join(dir, "overlay.json"), "-tags", "nethttpomithttp2", "-o", dir+"/", "./cmd/cardea-agent")
	build.Dir, build.Env = module, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build an agent in 1970: %v: %s", err, out)
	}
	return dir
}

// A device that believes it is 1970 pairs with a cloud whose certificate begins
// 56 years later, connects, and goes on after a restart, when it knows no time
// again.
func TestClockAt1970OverTLS(t *testing.T) {
	t.Parallel()
	s := newTLSStage(t)
	s.Bin = at1970(t)
	a, err := s.StartAgent(context.Background(), "old", "speaker")
	must(t, err)
	roundTrip(t, s, a, "ada@example.com")
	must(t, a.Process.Stop())
	must(t, a.Start(context.Background()))
	connected(t, a)
	log, err := os.ReadFile(filepath.Join(a.Dir, "agent.log"))
	must(t, err)
	if !strings.Contains(string(log), "time=1970-01-01") {
		t.Errorf("it knew the year:\n%s", log)
	}
	until(t, "the device knows the time", func() error {
		status, err := a.Status(context.Background())
		if err == nil && status.Clock != cardea.ClockSynced {
			err = fmt.Errorf("its clock is %s", status.Clock)
		}
		return err
	})
}

// file writes an authority's certificate to the stage's folder.
func file(t *testing.T, s *stage.Stage, name string, a *authority.Authority) string {
	t.Helper()
	path := filepath.Join(s.Dir, name)
	must(t, os.WriteFile(path, a.PEM(), 0o644))
	return path
}

// A cloud moves to another authority, which its key list announces. Devices that
// were pinned to the first one follow: one that is connected, and one that was off
// all the time and meets a server that nobody it knows vouches for.
func TestAuthorityChanges(t *testing.T) {
	t.Parallel()
	s := newTLSStage(t)
	there, err := s.StartAgent(context.Background(), "there", "speaker")
	must(t, err)
	away, err := s.StartAgent(context.Background(), "away", "car")
	must(t, err)
	phone := newPhone(t, s, "ada@example.com")
	for _, a := range []*stage.Agent{there, away} {
		pair(t, a, phone)
	}
	choose(t, s, phone, "Allow", recommend)
	for _, a := range []*stage.Agent{there, away} {
		answers(t, a, recommend, cardea.Allow)
	}
	must(t, away.Process.Stop())

	// The cloud announces the authority, and then has it make the certificate.
	next, err := s.NewAuthority()
	must(t, err)
	s.Anchors = []string{file(t, s, "now.pem", s.Authority), file(t, s, "next.pem", next)}
	must(t, s.Cloud.Stop())
	must(t, s.StartCloud(context.Background()))
	must(t, s.Certify(next))
	until(t, "the cloud shows the new certificate", func() error {
		answer, err := (&http.Client{Transport: s.Transport()}).Get(s.URL + "/signin")
		if err != nil {
			return nil // the old authority does not vouch for it
		}
		answer.Body.Close()
		return errors.New("it shows the old one")
	})
	s.Authority = next
	there.Network(false)
	there.Network(true)

	phone = signIn(t, s, "ada@example.com")
	choose(t, s, phone, "Don’t allow", recommend)
	heard(t, there, cardea.ReasonWithdrawn)
	must(t, away.Start(context.Background()))
	heard(t, away, cardea.ReasonWithdrawn)
	for _, a := range []*stage.Agent{there, away} {
		connected(t, a)
	}
}

// A device that is given an authority trusts no other, not even those of its
// system, and says what to do.
func TestWrongAuthority(t *testing.T) {
	s := newTLSStage(t)
	t.Setenv("SSL_CERT_FILE", s.CAFile) // the system's bundle, for agents started from now on
	t.Setenv("SSL_CERT_DIR", t.TempDir())
	other, err := s.NewAuthority()
	must(t, err)
	right := s.CAFile
	s.CAFile = file(t, s, "other.pem", other)
	a, err := s.StartAgent(context.Background(), "pinned", "speaker")
	must(t, err)
	_, err = a.Pair(context.Background())
	refusal, ok := errors.AsType[*client.Error](err)
	if !ok || refusal.Code != "offline" || !strings.Contains(refusal.Error(), "add the one that signed the server's certificate to ca_file") {
		t.Errorf("pairing with a server of another authority: %v", err)
	}
	for name, ca := range map[string]string{"system": "", "given": right} {
		s.CAFile = ca
		b, err := s.StartAgent(context.Background(), name, "speaker")
		must(t, err)
		if _, err := b.Pair(context.Background()); err != nil {
			t.Errorf("with the authority of the %s: %v", name, err)
		}
	}
}
