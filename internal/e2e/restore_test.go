package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/internal/stage"
)

// cloudTask has the cloud's program do one thing with its database.
func cloudTask(t *testing.T, s *stage.Stage, args ...string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, "cardea-cloud"), append([]string{"-config", filepath.Join(s.Dir, "cloud.toml")}, args...)...)
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, said)
	}
}

// fetchToken has the agent start anew, so that it must ask for a token, which
// rotates the refresh token.
func fetchToken(t *testing.T, s *stage.Stage, a *stage.Agent) {
	t.Helper()
	must(t, a.Process.Stop())
	must(t, a.Start(context.Background()))
	_, err := a.Token(context.Background(), client.TokenRequest{Audience: s.URL})
	must(t, err)
}

// A backup from before a withdrawal is put back: what was withdrawn stays so, the
// device is still paired although its refresh token is newer than the backup, and
// what the owner decides then is in force.
func TestRestoreOldBackup(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	a, err := s.StartAgent(context.Background(), "kitchen", "speaker")
	must(t, err)
	phone := newPhone(t, s, "anna@example.com")
	pair(t, a, phone)
	choose(t, s, phone, "Allow", recommend)
	answers(t, a, recommend, cardea.Allow)
	backup := filepath.Join(s.Dir, "monday.db")
	cloudTask(t, s, "backup", backup)

	for range 2 {
		fetchToken(t, s, a)
	}
	choose(t, s, phone, "Don’t allow", recommend)
	choose(t, s, phone, "Allow", presence)
	answers(t, a, recommend, cardea.Deny)
	answers(t, a, presence, cardea.Allow)
	must(t, s.Cloud.Stop())
	cloudTask(t, s, "restore", backup)
	must(t, s.StartCloud(context.Background()))

	never := func(when string) {
		t.Helper()
		got, err := a.Decide(context.Background(), recommend, cardea.UseCollect)
		if err != nil || got.Verdict != cardea.Deny {
			t.Errorf("%s: %s is answered %s, %v", when, recommend, got.Verdict, err)
		}
	}
	never("the cloud is back")
	answers(t, a, presence, cardea.Deny) // it was allowed after the backup
	never("the device has heard of it")
	choose(t, s, phone, "Allow", presence)
	answers(t, a, presence, cardea.Allow)
	never("something else was allowed")
	for range 2 {
		fetchToken(t, s, a)
	}
}

// The keys were rotated since the backup, so that the device has forgotten the
// one that is in it. With the stop journal and without: the cloud is believed all
// the same, and what was allowed before the backup still is if the journal is
// there.
func TestRestoreAfterRotations(t *testing.T) {
	t.Parallel()
	for name, journal := range map[string]bool{"with the journal": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			a, err := s.StartAgent(context.Background(), "kitchen", "speaker")
			must(t, err)
			phone := newPhone(t, s, "anna@example.com")
			pair(t, a, phone)
			choose(t, s, phone, "Allow", presence)
			answers(t, a, presence, cardea.Allow)
			backup := filepath.Join(s.Dir, "monday.db")
			cloudTask(t, s, "backup", backup)
			for _, key := range []string{"statement", "statement", "token"} {
				rotate(t, s, key)
			}
			choose(t, s, phone, "Allow", recommend)
			answers(t, a, recommend, cardea.Allow)

			must(t, s.Cloud.Stop())
			if !journal {
				must(t, os.Remove(filepath.Join(s.Dir, "cloud", "cloud.db.stops")))
			}
			cloudTask(t, s, "restore", backup)
			must(t, s.StartCloud(context.Background()))
			answers(t, a, recommend, cardea.Deny) // it was allowed after the backup
			if journal {
				answers(t, a, presence, cardea.Allow)
			}
			choose(t, s, phone, "Allow", recommend)
			answers(t, a, recommend, cardea.Allow)
			fetchToken(t, s, a)
			choose(t, s, phone, "Don’t allow", recommend)
			answers(t, a, recommend, cardea.Deny)
			nothingPending(t, a)
		})
	}
}

// The cloud dies without a word right after it has said that something is
// stopped: it is stopped when it comes back.
func TestCloudKilledAfterItsWord(t *testing.T) {
	s := newStage(t)
	a, err := s.StartAgent(context.Background(), "kitchen", "speaker")
	must(t, err)
	phone := newPhone(t, s, "anna@example.com")
	pair(t, a, phone)
	for range 3 {
		choose(t, s, phone, "Allow", recommend)
		answers(t, a, recommend, cardea.Allow)
		choose(t, s, phone, "Don’t allow", recommend)
		s.Cloud.Kill()
		must(t, s.StartCloud(context.Background()))
		answers(t, a, recommend, cardea.Deny)
	}
}

// cloudFlushes: between the owner's no and the page that says so stand a flush of
// the stop journal and then one of the database's log, both of which the disk has
// taken.
func cloudFlushes(t *testing.T) {
	s, _ := given(t)
	phone := newPhone(t, s, "berta@example.com")
	must(t, phone.Open(context.Background(), s.URL+"/consents"))
	stop := trace(t, s.Cloud.Pid(), "-e", "trace=read,write,fdatasync,fsync")
	must(t, phone.Press(context.Background(), "Don’t allow", questions[recommend]))
	seen := calls(stop())
	var asked, noted, kept, replied string
	for _, c := range seen {
		switch {
		case asked == "" && has(c, "read(", "POST /consents"):
			asked = c.ended
		case asked != "" && noted == "" && has(c, "sync(", "cloud.db.stops>", "= 0"):
			noted = c.ended
		case noted != "" && kept == "" && has(c, "sync(", "cloud.db-wal>", "= 0"):
			kept = c.ended
		case asked != "" && replied == "" && has(c, "write(", "HTTP/1.1 303"):
			replied = c.began
		}
	}
	if asked == "" || noted == "" || kept == "" || replied == "" || !(asked <= noted && noted <= kept && kept <= replied) {
		t.Errorf("asked at %q, in the journal at %q, in the database at %q, replied at %q, in %d calls", asked, noted, kept, replied, len(seen))
	}
}
