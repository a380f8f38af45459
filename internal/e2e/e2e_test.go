// Package e2e has the tests and benchmarks that play on the real programs: cloud
// and agents in processes of their own, a real broker, a real disk. Tests that
// mostly wait run beside each other, after those that measure times.
package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/internal/owner"
	"github.com/cardea-id/cardea/internal/stage"
)

const recommend = cardea.Key("recommendations/use")

// The words on the page beside the buttons of a key.
var questions = map[cardea.Key]string{
	recommend:      "May we use what you play",
	"presence/use": "know when you are near",
}

// bin is where the programs are.
var bin string

func TestMain(m *testing.M) {
	if asStranger() {
		return
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "cardea-e2e-")
	if err == nil {
		defer os.RemoveAll(dir)
		bin = filepath.Join(dir, "bin")
		err = stage.Build(bin)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// shipped is the path of the catalogue that comes with the programs.
func shipped(t testing.TB) string {
	t.Helper()
	module, err := stage.Module()
	must(t, err)
	return filepath.Join(module, "testdata/catalogue.yaml")
}

// newStage starts a cloud for the test.
func newStage(t testing.TB) *stage.Stage {
	t.Helper()
	return newStageWith(t, shipped(t))
}

// newStageWith starts a cloud with a catalogue of the test's own.
func newStageWith(t testing.TB, catalogue string, more ...func(*stage.Config)) *stage.Stage {
	t.Helper()
	// A short path, because a socket's has at most 108 bytes, that others may enter.
	dir, err := os.MkdirTemp("", "cardea-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	c := stage.Config{
		Bin: bin, Dir: dir, Catalogue: catalogue,
		Clients: "[[clients]]\nid = \"tv-app\"\nbearer = true\n",
	}
	for _, set := range more {
		set(&c)
	}
	s, err := stage.Start(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(s.Logs())
		}
	})
	return s
}

// newPhone is an owner's phone, with an account of its own, signed in.
func newPhone(t testing.TB, s *stage.Stage, email string) *owner.Owner {
	t.Helper()
	return openPhone(t, s, email, "/register", "Create account")
}

// signIn is another phone of an owner who has an account.
func signIn(t testing.TB, s *stage.Stage, email string) *owner.Owner {
	t.Helper()
	return openPhone(t, s, email, "/signin", "Sign in")
}

func openPhone(t testing.TB, s *stage.Stage, email, page, button string) *owner.Owner {
	t.Helper()
	phone := owner.New(s.Transport())
	must(t, phone.Open(context.Background(), s.URL+page))
	phone.Fill("email", email)
	phone.Fill("password", "a sentence nobody guesses")
	must(t, phone.Press(context.Background(), button, ""))
	return phone
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pair links the agent to the phone's account.
func pair(t testing.TB, a *stage.Agent, phone *owner.Owner) {
	t.Helper()
	shown, err := a.Pair(context.Background())
	must(t, err)
	must(t, phone.Open(context.Background(), shown.VerificationURIComplete))
	must(t, phone.Press(context.Background(), "Approve", ""))
	linked(t, a)
}

// linked waits until the pairing is done.
func linked(t testing.TB, a *stage.Agent) {
	t.Helper()
	until(t, "the device is linked", func() error {
		p, err := a.Pairing(context.Background())
		if err == nil && p.State != client.PairLinked {
			err = fmt.Errorf("pairing is %s: %s", p.State, p.Problem)
		}
		return err
	})
}

// nothingPending waits until the cloud has acknowledged what was said here.
func nothingPending(t testing.TB, a *stage.Agent) {
	t.Helper()
	until(t, "the device has nothing left to say", func() error {
		status, err := a.Status(context.Background())
		if err == nil && status.Pending != 0 {
			err = fmt.Errorf("%d decisions are pending", status.Pending)
		}
		return err
	})
}

// choose presses a button of a key in the portal, as it stands there now.
func choose(t testing.TB, s *stage.Stage, phone *owner.Owner, words string, key cardea.Key) {
	t.Helper()
	must(t, phone.Open(context.Background(), s.URL+"/consents"))
	must(t, phone.Press(context.Background(), words, questions[key]))
}

// answers waits until the device answers a key so.
func answers(t testing.TB, a *stage.Agent, key cardea.Key, verdict cardea.Verdict) {
	t.Helper()
	until(t, fmt.Sprintf("%s is answered %s", key, verdict), func() error {
		got, err := a.Decide(context.Background(), key, cardea.UseCollect)
		if got.Verdict != verdict {
			return fmt.Errorf("it is %s (%s): %v", got.Verdict, got.Reason, err)
		}
		return nil
	})
}

// until waits for what comes by itself.
func until(t testing.TB, what string, try func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	t.Fatalf("waited in vain until %s: %v", what, err)
}

// says reports whether the portal's page says so beside a question.
func says(t testing.TB, s *stage.Stage, phone *owner.Owner, words string) bool {
	t.Helper()
	must(t, phone.Open(context.Background(), s.URL+"/consents"))
	return strings.Contains(phone.Text(), words)
}
