package localapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/agent/localapi"
)

// TestMain lets a test start this binary as another program of the device.
func TestMain(m *testing.M) {
	switch os.Getenv("CARDEA_TEST_CHILD") {
	case "decide":
		childDecides()
	case "floods":
		childFloods()
	case "asks":
		childAsks()
	case "activated":
		childActivated()
	default:
		os.Exit(m.Run())
	}
}

// childDecides asks the questions in its arguments and prints what it heard.
func childDecides() {
	c := client.New(os.Args[1])
	for _, key := range os.Args[2:] {
		a, err := c.Decide(context.Background(), cardea.Key(key), cardea.UseCollect)
		refusal, _ := errors.AsType[*client.Error](err)
		json.NewEncoder(os.Stdout).Encode(heard{a, refusal})
	}
}

type heard struct {
	Answer  client.Answer
	Refusal *client.Error
}

// childActivated takes the socket it was handed and answers once.
func childActivated() {
	l, err := localapi.Listen("/nowhere", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	conn, err := l.Accept()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Fprintf(conn, "activated %q", os.Getenv("LISTEN_FDS"))
	conn.Close()
}

// asOther runs this binary under another user, if this one may, and returns
// that user's id. The path reaches the binary where its folder is closed.
func asOther(t *testing.T, args ...string) (uint32, []heard) {
	t.Helper()
	uid := otherUser()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", args...)
	cmd.Env = []string{"CARDEA_TEST_CHILD=decide"}
	cmd.Stderr = t.Output()
	if int(uid) != os.Getuid() {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []heard
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var h heard
		if err := d.Decode(&h); err != nil {
			t.Fatalf("%q: %v", out, err)
		}
		all = append(all, h)
	}
	return uid, all
}

// otherUser is nobody's id. Only root can become somebody else; for all others
// the child is at least another process.
func otherUser() uint32 {
	if os.Getuid() == 0 {
		return 65534
	}
	return uint32(os.Getuid())
}

// The kernel says who calls: another process under another user is another
// program, and sees what that program may.
func TestAnotherUser(t *testing.T) {
	h := newHouse(t, fmt.Sprintf("name = \"recommender\"\nuser = \"%d\"\nentitlements = [\"decide\"]\npurposes = [\"recommendations\"]", otherUser()))
	uid, all := asOther(t, h.socket, "recommendations/use", "voice/use")
	if len(all) != 2 {
		t.Fatalf("%+v", all)
	}
	if a := all[0].Answer; a.Verdict != cardea.Allow || a.Reason != cardea.ReasonGranted || a.LeftMS <= 0 {
		t.Errorf("its own purpose: %+v", all[0])
	}
	if r := all[1].Refusal; r == nil || r.Code != "not_entitled" || all[1].Answer.Reason != cardea.ReasonNoAgent {
		t.Errorf("a purpose that is not its own: %+v", all[1])
	}
	if log := h.logged(); !strings.Contains(log, fmt.Sprintf("program=recommender uid=%d", uid)) {
		t.Errorf("the call is not in the audit:\n%s", log)
	}
}

// Nobody is a program by being root or the agent's own user.
func TestStrangers(t *testing.T) {
	h := newHouse(t,
		"name = \"other\"\nuser = \"54321\"\nentitlements = [\"decide\"]\npurposes = [\"*\"]",
		"name = \"unit\"\nunit = \"no-such-unit-here.service\"\nentitlements = [\"decide\"]\npurposes = [\"*\"]")
	uid, all := asOther(t, h.socket, "recommendations/use")
	check := func(uid uint32, r *client.Error) {
		if r == nil || r.Code != "not_registered" ||
			!strings.Contains(r.Description, fmt.Sprintf("user %d", uid)) || !strings.Contains(r.Description, "apps.d") {
			t.Errorf("user %d: %+v", uid, r)
		}
	}
	check(uid, all[0].Refusal)
	c := h.client(t)
	_, err := c.Status(t.Context())
	refusal, _ := errors.AsType[*client.Error](err)
	check(uint32(os.Getuid()), refusal)
	for _, path := range []string{"/", "/v1/none", "/v1/decide"} {
		if status, answer := h.send(t, "TRACE", path, ""); status != 403 || !strings.Contains(answer, "not_registered") {
			t.Errorf("%s tells a stranger %d %s", path, status, answer)
		}
	}
}
