package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/agent/keys"
	"github.com/cardea-id/cardea/internal/owner"
	"github.com/cardea-id/cardea/internal/stage"
	"github.com/cardea-id/cardea/pairing"
)

// newAgent starts a device.
func newAgent(t testing.TB, s *stage.Stage, name, kind string) *stage.Agent {
	t.Helper()
	a, err := s.StartAgent(context.Background(), name, kind)
	must(t, err)
	return a
}

func status(t testing.TB, a *stage.Agent) client.Status {
	t.Helper()
	st, err := a.Status(context.Background())
	must(t, err)
	return st
}

// people are the links of a device, its owner's first.
func people(t testing.TB, a *stage.Agent) []client.Person {
	t.Helper()
	links, err := a.Links(context.Background())
	must(t, err)
	return links.Links
}

// family pairs one device with two phones, the first its owner's, both of which
// allow what is recommended. The first is active.
func family(t testing.TB, s *stage.Stage, a *stage.Agent, phones ...*owner.Owner) []cardea.LinkID {
	t.Helper()
	var links []cardea.LinkID
	for i, phone := range phones {
		pair(t, a, phone)
		all := people(t, a)
		if len(all) != i+1 {
			t.Fatalf("%d links after %d pairings", len(all), i+1)
		}
		links = append(links, all[i].Link)
		choose(t, s, phone, "Allow", recommend)
	}
	for _, link := range links {
		must2(a.Activate(t.Context(), link))(t)
		answers(t, a, recommend, cardea.Allow)
	}
	must2(a.Activate(t.Context(), links[0]))(t)
	return links
}

// must2 is must for calls that also return something.
func must2[T any](_ T, err error) func(testing.TB) {
	return func(t testing.TB) { t.Helper(); must(t, err) }
}

// verdict is the device's answer for whoever uses it now.
func verdict(t testing.TB, a *stage.Agent, want cardea.Verdict, reason cardea.Reason) {
	t.Helper()
	got, err := a.Decide(context.Background(), recommend, cardea.UseCollect)
	if err != nil || got.Verdict != want || got.Reason != reason {
		t.Errorf("%s, %s, %v; want %s, %s", got.Verdict, got.Reason, err, want, reason)
	}
}

// page is what an owner's page says.
func page(t testing.TB, s *stage.Stage, phone *owner.Owner, path string) string {
	t.Helper()
	must(t, phone.Open(context.Background(), s.URL+path))
	return phone.Text()
}

// noDevices waits until an owner's page lists none.
func noDevices(t testing.TB, s *stage.Stage, phone *owner.Owner) {
	t.Helper()
	until(t, "the page lists no device", func() error {
		if text := page(t, s, phone, "/devices"); !strings.Contains(text, "None yet") {
			return errors.New(text)
		}
		return nil
	})
}

// Two accounts on one device: everything is the active one's; the owner's stop
// for everyone holds for both; nobody's page tells what the other does.
func TestTwoAccountsOnOneDevice(t *testing.T) {
	s := newStage(t)
	ada, bob := newPhone(t, s, "ada@example.com"), newPhone(t, s, "bob@example.com")
	a := newAgent(t, s, "a", "speaker")
	links := family(t, s, a, ada, bob)
	first, err := a.Token(t.Context(), client.TokenRequest{Audience: s.URL})
	must(t, err)
	who, err := a.Identity(t.Context())
	must(t, err)
	if first.Link != links[0] || who.Link != links[0] {
		t.Errorf("token of %s, identity of %s, want %s", first.Link, who.Link, links[0])
	}

	choose(t, s, bob, "Don’t allow", recommend)
	must2(a.Activate(t.Context(), links[1]))(t)
	answers(t, a, recommend, cardea.Deny)
	second, err := a.Token(t.Context(), client.TokenRequest{Audience: s.URL})
	must(t, err)
	other, err := a.Identity(t.Context())
	must(t, err)
	if second.Link != links[1] || second.AccessToken == first.AccessToken || second.Generation == first.Generation || other.Subject == who.Subject {
		t.Error("the second one gets what is the first one's")
	}
	until(t, "the first one's page tells no more than the day", func() error {
		if text := page(t, s, ada, "/devices"); !strings.Contains(text, "Last seen today") || strings.Contains(text, "Connected now") {
			return errors.New(text)
		}
		return nil
	})
	until(t, "the second one's page shows the device", func() error {
		if text := page(t, s, bob, "/devices"); !strings.Contains(text, "Connected now") {
			return errors.New(text)
		}
		return nil
	})
	choose(t, s, bob, "Allow", recommend)
	answers(t, a, recommend, cardea.Allow)
	_, err = a.Withdraw(t.Context(), client.Withdrawal{Key: recommend, Reach: cardea.ReachEveryone})
	if refusal, ok := errors.AsType[*client.Error](err); !ok || refusal.Code != "not_owner" {
		t.Errorf("who is not the owner stops it for everyone: %v", err)
	}

	must2(a.Activate(t.Context(), links[0]))(t)
	a.Network(false)
	must2(a.Withdraw(t.Context(), client.Withdrawal{Key: recommend, Reach: cardea.ReachEveryone}))(t)
	a.Process.Kill()
	must(t, a.Start(t.Context()))
	must2(a.Activate(t.Context(), links[1]))(t)
	verdict(t, a, cardea.Deny, cardea.ReasonRefused)
	consents, err := a.Consents(t.Context())
	must(t, err)
	for _, c := range consents.Consents {
		if c.Everyone != (c.Key == recommend) {
			t.Errorf("before the cloud has heard of it: %+v", c)
		}
	}
	a.Network(true)
	until(t, "the other one's page says that it is stopped there, and not by whom", func() error {
		text := page(t, s, bob, "/consents")
		if !strings.Contains(text, "its owner has stopped this for everyone who uses it") || strings.Contains(text, "In force on 1 of 1") || strings.Contains(text, "ada@") {
			return errors.New(text)
		}
		return nil
	})
	must2(a.Activate(t.Context(), links[0]))(t)
	nothingPending(t, a)
	must2(a.Allow(t.Context(), client.Grant{Key: recommend, Reach: cardea.ReachEveryone}))(t)
	must2(a.Activate(t.Context(), links[1]))(t)
	answers(t, a, recommend, cardea.Allow)
	must2(a.Guest(t.Context()))(t)
	verdict(t, a, cardea.Deny, cardea.ReasonGuest)
}

// Two devices of one account: a stop on one is that one's, a stop everywhere is
// both's, and the end of one is not the other's.
func TestTwoDevicesOfOneAccount(t *testing.T) {
	s := newStage(t)
	ada := newPhone(t, s, "ada@example.com")
	kitchen, car := newAgent(t, s, "kitchen", "speaker"), newAgent(t, s, "car", "speaker")
	for _, a := range []*stage.Agent{kitchen, car} {
		pair(t, a, ada)
	}
	choose(t, s, ada, "Allow", recommend)
	answers(t, kitchen, recommend, cardea.Allow)
	answers(t, car, recommend, cardea.Allow)
	if who, there := must1(kitchen.Identity(t.Context()))(t), must1(car.Identity(t.Context()))(t); who.Subject != there.Subject || who.Link == there.Link {
		t.Errorf("one account, %+v and %+v", who, there)
	}
	must2(kitchen.Withdraw(t.Context(), client.Withdrawal{Key: recommend}))(t)
	nothingPending(t, kitchen)
	verdict(t, car, cardea.Allow, cardea.ReasonGranted)
	must2(kitchen.Unlink(t.Context(), status(t, kitchen).Link))(t)
	until(t, "one device is left", func() error {
		if text := page(t, s, ada, "/devices"); strings.Count(text, "Unlink") != 1 {
			return errors.New(text)
		}
		return nil
	})
	verdict(t, car, cardea.Allow, cardea.ReasonGranted)
	must2(car.Withdraw(t.Context(), client.Withdrawal{Key: recommend, Reach: cardea.ReachEverywhere}))(t)
	pair(t, kitchen, ada)
	answers(t, kitchen, recommend, cardea.Deny)
}

func must1[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T { t.Helper(); must(t, err); return v }
}

// Who leaves a shared device takes nothing of the others' along, and both clouds'
// pages say how it is.
func TestUnlinkOneOfTwo(t *testing.T) {
	s := newStage(t)
	ada, bob := newPhone(t, s, "ada@example.com"), newPhone(t, s, "bob@example.com")
	a := newAgent(t, s, "a", "speaker")
	links := family(t, s, a, ada, bob)
	a.Network(false)
	must2(a.Unlink(t.Context(), links[1]))(t)
	verdict(t, a, cardea.Allow, cardea.ReasonGranted)
	a.Process.Kill()
	must(t, a.Start(t.Context()))
	verdict(t, a, cardea.Allow, cardea.ReasonGranted)
	if all := people(t, a); len(all) != 1 || all[0].Link != links[0] || !all[0].Active || !all[0].Owner {
		t.Errorf("left: %+v", all)
	}
	a.Network(true)
	noDevices(t, s, bob)
	until(t, "the other link goes on", func() error {
		if text := page(t, s, ada, "/devices"); !strings.Contains(text, "Connected now") {
			return errors.New(text)
		}
		return nil
	})
	if token, err := a.Token(t.Context(), client.TokenRequest{Audience: s.URL}); err != nil || token.Link != links[0] {
		t.Errorf("%+v, %v", token, err)
	}
	choose(t, s, ada, "Don’t allow", recommend)
	answers(t, a, recommend, cardea.Deny)
	// The other way round: ended on the page, one link goes and the other stays.
	pair(t, a, bob)
	must(t, bob.Open(t.Context(), s.URL+"/devices"))
	must(t, bob.Follow(t.Context(), "Unlink"))
	must(t, bob.Press(t.Context(), "Unlink", ""))
	until(t, "the device has left", func() error {
		if n := len(people(t, a)); n != 1 {
			return fmt.Errorf("%d links", n)
		}
		return nil
	})
	if st := status(t, a); st.Link != links[0] {
		t.Errorf("the one who stays is not active: %+v", st)
	}
}

// Every link is ended while nothing can be reached: what was said before, and the
// end itself, arrive through a power cut, although the device has no link by
// which it could ask for a token.
func TestUnlinkEverythingOffline(t *testing.T) {
	s := newStage(t)
	ada, bob := newPhone(t, s, "ada@example.com"), newPhone(t, s, "bob@example.com")
	a, elsewhere := newAgent(t, s, "a", "speaker"), newAgent(t, s, "b", "speaker")
	links := family(t, s, a, ada, bob)
	pair(t, elsewhere, bob)
	answers(t, elsewhere, recommend, cardea.Allow)
	a.Network(false)
	must2(a.Activate(t.Context(), links[1]))(t)
	must2(a.Withdraw(t.Context(), client.Withdrawal{Key: recommend, Reach: cardea.ReachEverywhere}))(t)
	for _, link := range links {
		must2(a.Unlink(t.Context(), link))(t)
	}
	verdict(t, a, cardea.Deny, cardea.ReasonGuest)
	a.Process.Kill()
	must(t, a.Start(t.Context()))
	if st := status(t, a); len(st.Links) != 0 {
		t.Errorf("%+v", st)
	}
	a.Network(true)
	noDevices(t, s, ada)
	answers(t, elsewhere, recommend, cardea.Deny)
	pair(t, a, ada)
	answers(t, a, recommend, cardea.Allow)
}

// A device that was sold: its old owner's page, key, tokens and links do nothing
// on it any more, and the page says that it has left.
func TestResaleOldOwnerOut(t *testing.T) {
	s := newStage(t)
	ada, bob := newPhone(t, s, "ada@example.com"), newPhone(t, s, "bob@example.com")
	a := newAgent(t, s, "a", "speaker")
	link := family(t, s, a, ada)[0]
	before := status(t, a)
	text, err := os.ReadFile(filepath.Join(a.Dir, "state", "device.key"))
	must(t, err)
	copied := filepath.Join(t.TempDir(), "device.key")
	must(t, os.WriteFile(copied, text, 0o600))
	old, err := keys.Open(copied)
	must(t, err)
	if _, err := deviceToken(s, old); err != nil {
		t.Fatalf("the old key is good for nothing already: %v", err)
	}

	shown, err := a.PairNewOwner(t.Context())
	must(t, err)
	must(t, bob.Open(t.Context(), shown.VerificationURIComplete))
	must(t, bob.Press(t.Context(), "Approve", ""))
	linked(t, a)
	choose(t, s, bob, "Allow", recommend)
	answers(t, a, recommend, cardea.Allow)
	after := status(t, a)
	if after.Device == before.Device || len(after.Links) != 1 || after.Link == link {
		t.Errorf("%+v after %+v", after, before)
	}
	noDevices(t, s, ada)
	if _, err := deviceToken(s, old); err == nil {
		t.Error("the old key still opens the broker")
	}
	for _, call := range []func() error{
		func() error { _, err := a.Activate(t.Context(), link); return err },
		func() error { _, err := a.Unlink(t.Context(), link); return err },
	} {
		if refusal, ok := errors.AsType[*client.Error](call()); !ok || refusal.Code != "unknown_link" {
			t.Errorf("the old link: %v", refusal)
		}
	}
	choose(t, s, ada, "Don’t allow", recommend)
	nothingPending(t, a)
	verdict(t, a, cardea.Allow, cardea.ReasonGranted)
	gone(t, a, link)
}

// deviceToken asks for a token of the broker in the name of a key.
func deviceToken(s *stage.Stage, key *keys.Key) (pairing.Tokens, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c := pairing.Client{Issuer: s.URL, ClientID: "cardea-agent", HTTP: http.DefaultClient, Signer: key}
	return c.DeviceToken(ctx)
}

// gone checks that nothing in a device's folder names a link or a former key.
func gone(t testing.TB, a *stage.Agent, link cardea.LinkID) {
	t.Helper()
	must(t, filepath.WalkDir(filepath.Join(a.Dir, "state"), func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.Contains(string(text), string(link[:])) {
			t.Errorf("%s still has the link", path)
		}
		return err
	}))
}

// A reset without a network: the device is another one at once, and what was said
// on the old one still arrives, signed by a key that is no more.
func TestFactoryResetOffline(t *testing.T) {
	s := newStage(t)
	ada, bob := newPhone(t, s, "ada@example.com"), newPhone(t, s, "bob@example.com")
	a, elsewhere := newAgent(t, s, "a", "speaker"), newAgent(t, s, "b", "speaker")
	links := family(t, s, a, ada, bob)
	pair(t, elsewhere, ada)
	answers(t, elsewhere, recommend, cardea.Allow)
	before := status(t, a).Device
	a.Network(false)
	must2(a.Withdraw(t.Context(), client.Withdrawal{Key: recommend, Reach: cardea.ReachEverywhere}))(t)
	reset, err := a.Reset(t.Context())
	must(t, err)
	a.Process.Kill() // whatever it had to do after the answer
	for range 2 {
		must(t, a.Start(t.Context()))
		if st := status(t, a); st.Device != reset.Device || st.Device == before || len(st.Links) != 0 {
			t.Errorf("%+v after %+v", st, reset)
		}
		verdict(t, a, cardea.Deny, cardea.ReasonGuest)
		must(t, a.Process.Stop())
	}
	must(t, a.Start(t.Context()))
	a.Network(true)
	noDevices(t, s, bob)
	answers(t, elsewhere, recommend, cardea.Deny)
	pair(t, a, bob)
	answers(t, a, recommend, cardea.Allow)
	until(t, "the last words are answered", func() error {
		must(t, a.Process.Stop())
		defer func() { must(t, a.Start(t.Context())) }()
		text, err := os.ReadFile(filepath.Join(a.Dir, "agent.log"))
		if n := strings.Count(string(text), "the cloud has closed an ended link"); n != len(links) {
			return fmt.Errorf("%d of %d: %v", n, len(links), err)
		}
		return nil
	})
}

var machineLine = regexp.MustCompile(`(?m)^machine: .*$`)

// An image of a device that is written to another machine is another device there,
// and takes nothing from the first. Where machines have no name of their own, two
// that speak with one key are noticed, and denied. Two agents never run on one
// database.
func TestClonedImage(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	ada, bob := newPhone(t, s, "ada@example.com"), newPhone(t, s, "bob@example.com")
	a := newAgent(t, s, "a", "speaker")
	link := family(t, s, a, ada)[0]

	second := exec.CommandContext(t.Context(), filepath.Join(bin, "cardea-agent"), "-config", filepath.Join(a.Dir, "agent.toml"))
	if out, err := second.CombinedOutput(); err == nil || !strings.Contains(string(out), "in use") {
		t.Errorf("a second agent on the same database: %v, %s", err, out)
	}

	must(t, a.Process.Stop())
	image := filepath.Join(a.Dir, "state")
	must(t, os.CopyFS(filepath.Join(s.Dir, "other", "state"), os.DirFS(image)))
	must(t, os.CopyFS(filepath.Join(s.Dir, "twin", "state"), os.DirFS(image)))
	private(t, filepath.Join(s.Dir, "other", "state"), filepath.Join(s.Dir, "twin", "state"))
	path := filepath.Join(s.Dir, "other", "state", "device.key")
	text, err := os.ReadFile(path)
	must(t, err)
	if !machineLine.Match(text) {
		t.Log("this machine has no name: its image is taken for the same machine everywhere")
	}
	named := machineLine.ReplaceAll(text, nil)
	must(t, os.WriteFile(path, append([]byte("machine: of-another-factory-floor\n"), named...), 0o600))

	must(t, a.Start(t.Context()))
	other := newAgent(t, s, "other", "speaker")
	if st := status(t, other); len(st.Links) != 0 || st.Device == status(t, a).Device {
		t.Errorf("on another machine: %+v", st)
	}
	pair(t, other, bob)
	choose(t, s, bob, "Allow", recommend)
	answers(t, other, recommend, cardea.Allow)
	answers(t, a, recommend, cardea.Allow)
	if st := status(t, a); st.Link != link {
		t.Errorf("the first device: %+v", st)
	}

	twin := newAgent(t, s, "twin", "speaker")
	if st := status(t, twin); st.Device != status(t, a).Device {
		t.Fatalf("on a machine of the same name: %+v", st)
	}
	for _, one := range []*stage.Agent{a, twin} { // the same number of one log, with other content
		must2(one.SetPreference(t.Context(), client.PreferenceChange{Key: "voice_speed", Value: []byte("120")}))(t)
	}
	for _, one := range []*stage.Agent{a, twin} {
		answers(t, one, recommend, cardea.Deny)
	}
	if text := page(t, s, ada, "/devices"); !strings.Contains(text, "Two devices speak with this one’s key") {
		t.Errorf("the page says: %s", text)
	}
	answers(t, other, recommend, cardea.Allow)
}

// private gives copied files the modes the agent asks for.
func private(t testing.TB, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		must(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			mode := os.FileMode(0o600)
			if e.IsDir() {
				mode = 0o700
			}
			return os.Chmod(path, mode)
		}))
	}
}
