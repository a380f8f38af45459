package e2e_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/internal/stage"
)

// stranger is the uid and gid of the program that asks: nobody.
const stranger = 65534

const strangerEnv = "CARDEA_TEST_STRANGER_SOCKET"

// asStranger is the other program: it asks one question and prints the answer.
func asStranger() bool {
	socket := os.Getenv(strangerEnv)
	if socket == "" {
		return false
	}
	a, err := client.New(socket).Decide(context.Background(), cardea.Key(os.Args[1]), cardea.UseCollect)
	fmt.Println(a.Verdict, a.Reason, os.Getuid(), err)
	return true
}

// askAsStranger asks the agent from another process under another uid.
func askAsStranger(t testing.TB, a *stage.Agent, key cardea.Key) string {
	t.Helper()
	ask := exec.Command(strangersCopy(t), string(key))
	ask.Env = []string{strangerEnv + "=" + a.Socket}
	ask.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stranger, Gid: stranger}}
	out, err := ask.CombinedOutput()
	if err != nil {
		t.Fatalf("ask as another user: %v: %s (these tests run as root, because only root can act as another user)", err, out)
	}
	return strings.TrimSpace(string(out))
}

// strangersCopy is this test's program where everybody can run it.
func strangersCopy(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "cardea-stranger-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	from, err := os.Open("/proc/self/exe")
	must(t, err)
	defer from.Close()
	path := filepath.Join(dir, "ask")
	to, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o755)
	must(t, err)
	_, err = io.Copy(to, from)
	must(t, err)
	must(t, to.Close())
	return path
}

// The network is cut. On the device the owner says stop; at the same time, on
// the phone, they say yes. When the network is back, no has won on both sides.
func TestStoppedHereWhileAllowedThere(t *testing.T) {
	s := newStage(t)
	a, err := s.StartAgent(t.Context(), "speaker", "speaker", stage.Program{Name: "stranger", UID: stranger, Entitlements: []string{"decide"}})
	must(t, err)
	phone := newPhone(t, s, "cut@example.com")
	pair(t, a, phone)
	choose(t, s, phone, "Allow", recommend)
	answers(t, a, recommend, cardea.Allow)
	if got := askAsStranger(t, a, recommend); got != fmt.Sprintf("allow granted %d <nil>", stranger) {
		t.Fatalf("another user is answered %q", got)
	}

	a.Network(false)
	if _, err := a.Withdraw(t.Context(), client.Withdrawal{Key: recommend}); err != nil {
		t.Fatal(err)
	}
	if got := askAsStranger(t, a, recommend); got != fmt.Sprintf("deny withdrawn %d <nil>", stranger) {
		t.Errorf("offline, after the stop: %q", got)
	}
	choose(t, s, phone, "Allow", recommend)
	a.Network(true)

	until(t, "the cloud has heard the stop", func() error {
		if !says(t, s, phone, "stopped there") {
			return fmt.Errorf("the page says: %s", phone.Text())
		}
		return nil
	})
	nothingPending(t, a)
	if got := askAsStranger(t, a, recommend); got != fmt.Sprintf("deny conflict %d <nil>", stranger) {
		t.Errorf("after both have met: %q, want a denial for conflict", got)
	}
}
