package localapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
)

// floods are the ways in which one program can ask too much. Each is run many
// times over until its process ends, and reports when it has begun.
var floods = map[string]func(socket string){
	"many at once, without end": func(socket string) {
		c := client.New(socket)
		defer c.Close()
		queries := slices.Repeat([]cardea.Query{{Key: "recommendations/use"}}, client.MaxQueries)
		for {
			c.DecideAll(context.Background(), queries...)
		}
	},
	"connections that are closed at once": func(socket string) {
		for {
			if conn, err := net.Dial("unix", socket); err == nil {
				conn.Close()
			}
		}
	},
	"connections that stay": func(socket string) {
		for {
			net.Dial("unix", socket)
			time.Sleep(time.Millisecond)
		}
	},
	"watches": func(socket string) {
		for {
			conn, err := net.Dial("unix", socket)
			if err != nil {
				continue
			}
			fmt.Fprintf(conn, "GET /v1/watch HTTP/1.1\r\nHost: cardea\r\n\r\n")
			io.ReadFull(conn, make([]byte, 12))
		}
	},
	"what is refused": func(socket string) {
		for {
			conn, err := net.Dial("unix", socket)
			if err != nil {
				continue
			}
			fmt.Fprintf(conn, "POST /v1/reset HTTP/1.1\r\nHost: cardea\r\nContent-Length: 0\r\n\r\n")
			io.ReadAll(conn)
			conn.Close()
		}
	},
}

// childFloods asks too much in one of those ways until its input ends.
func childFloods() {
	for range 8 {
		go floods[os.Args[2]](os.Args[1])
	}
	fmt.Println("begun")
	io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// questions is how often the other one asks.
const questions = 25

// childAsks asks as a program does that was started just now, and prints how
// long each answer took.
func childAsks() {
	for range questions {
		began := time.Now()
		c := client.New(os.Args[1])
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		a, err := c.Decide(ctx, "voice/use", cardea.UseCollect)
		for errors.Is(err, client.ErrNoAgent) && ctx.Err() == nil { // as a program does that has no answer
			a, err = c.Decide(ctx, "voice/use", cardea.UseCollect)
		}
		cancel()
		c.Close()
		json.NewEncoder(os.Stdout).Encode(asked{time.Since(began), a.Reason, fmt.Sprint(err)})
	}
}

type asked struct {
	Took   time.Duration
	Reason cardea.Reason
	Err    string
}

// as starts this binary as another user and another program.
func as(t *testing.T, uid int, child string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", args...)
	cmd.Env = []string{"CARDEA_TEST_CHILD=" + child}
	cmd.Stderr = t.Output()
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	return cmd
}

// One user asks for as much as they can, and another is served: by real
// processes of two users, in each of the ways there are. How long the other
// waits is printed.
func TestAFloodOfOneUser(t *testing.T) {
	const one, other = 64001, 64002
	// Without the contract, which takes longer to compare than a call takes.
	h := newHouse(struct{ testing.TB }{t},
		fmt.Sprintf("name = \"one\"\nuser = \"%d\"\nentitlements = [\"decide\", \"events\"]\npurposes = [\"*\"]", one),
		fmt.Sprintf("name = \"other\"\nuser = \"%d\"\nentitlements = [\"decide\"]\npurposes = [\"*\"]", other))
	for name := range floods {
		t.Run(name, func(t *testing.T) {
			flood(t, as(t, one, "floods", h.socket, name))
			out, err := as(t, other, "asks", h.socket).Output()
			if err != nil {
				t.Fatal(err)
			}
			var took []time.Duration
			for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
				var a asked
				if err := d.Decode(&a); err != nil {
					t.Fatal(err)
				}
				if a.Reason != cardea.ReasonNotAsked {
					t.Errorf("not served: %+v", a)
				}
				took = append(took, a.Took)
			}
			if len(took) != questions {
				t.Fatalf("%d answers", len(took))
			}
			slices.Sort(took)
			t.Attr("waits", fmt.Sprintf("half of the answers %v, all %v", took[questions/2], took[questions-1]))
		})
	}
	// And nobody's disk is filled with what was refused.
	if log := h.logged(); strings.Count(log, "allowed=false")+strings.Count(log, "connection refused") > 100 {
		t.Errorf("%d bytes of log", len(log))
	}
}

// flood starts a process that asks too much until the test ends.
func flood(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	if _, err := io.ReadFull(out, make([]byte, len("begun"))); err != nil {
		t.Fatal(err)
	}
}
