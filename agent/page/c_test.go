package page_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/gate"
	"github.com/cardea-id/cardea/agent/page"
)

const client = "../client/c"

// A program is the C client, which reads the page it was handed.
type program struct {
	t   testing.TB
	in  io.Writer
	out *bufio.Scanner
}

// buildC builds a program of testdata with the C client.
func buildC(t testing.TB, name string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	build := exec.Command("gcc", "-std=c99", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror", "-I"+client,
		"-o", path, "testdata/"+name+".c", client+"/cardea.c")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the C client (it needs gcc): %v\n%s", err, out)
	}
	return path
}

func startProgram(t testing.TB, w *world) *program {
	t.Helper()
	cmd := exec.Command(buildC(t, "ask"))
	cmd.ExtraFiles = []*os.File{w.file()}
	return start(t, cmd)
}

// start runs a program that is asked line by line, until the test ends.
func start(t testing.TB, cmd *exec.Cmd) *program {
	t.Helper()
	cmd.Stderr = t.Output()
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
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the program ended: %v", err)
		}
	})
	return &program{t, in, bufio.NewScanner(out)}
}

var uses = []cardea.Use{cardea.UseCollect, cardea.UseLocal, cardea.UseEgress, "none"}

func (p *program) ask(key cardea.Key, use int, boot time.Duration) string {
	p.t.Helper()
	fmt.Fprintf(p.in, "%s %d %d\n", key, use, boot/time.Second)
	if !p.out.Scan() {
		p.t.Fatal("the program ended", p.out.Err())
	}
	return p.out.Text()
}

// The C client says what the Go reader says, word for word.
func TestTheCClient(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 2))
	w := newWorld(t)
	p := startProgram(t, w)
	memory := w.reader()
	classes := []cardea.Class{cardea.ClassA, cardea.ClassB, cardea.ClassC, cardea.ClassL, cardea.ClassN}
	for range 300 {
		switch r.IntN(4) {
		case 0:
			var consents []cardea.Consent
			for i := range r.IntN(page.Capacity + 20) {
				reason := cardea.ReasonGranted
				if r.IntN(3) == 0 {
					reason = cardea.Reasons[r.IntN(len(cardea.Reasons))]
				}
				consents = append(consents, consent(cardea.Key(fmt.Sprintf("p%d/use", i)), reason, classes[r.IntN(len(classes))], uint32(r.IntN(40))))
			}
			w.state(consents...)
		case 1:
			w.pass(time.Duration(r.Int64N(int64(2 * time.Second))))
		case 2:
			w.Set(w.link, gate.State{Bar: cardea.Reasons[r.IntN(len(cardea.Reasons))]})
		case 3:
			w.Activate([]cardea.LinkID{{}, w.link}[r.IntN(2)])
		}
		key, use := cardea.Key(fmt.Sprintf("p%d/use", r.IntN(page.Capacity+20))), r.IntN(len(uses))
		said := page.Read(memory, cardea.Query{Key: key, Use: uses[use]}, w.read())
		asked := 0
		if said.Ask {
			asked = 1
		}
		want := fmt.Sprintf("%s %s %d", said.Verdict, said.Reason, asked)
		if got := p.ask(key, use, w.read()); got != want {
			t.Fatalf("%s for use %d: C says %q, Go says %q", key, use, got, want)
		}
	}
}

// What the client is sold as: small, and of C and libc alone.
func TestTheCClientIsSmall(t *testing.T) {
	files, err := filepath.Glob(client + "/*.[ch]")
	if err != nil || len(files) != 2 {
		t.Fatalf("one header and one source: %v, %v", files, err)
	}
	lines := 0
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines += strings.Count(string(text), "\n")
		for _, word := range []string{"malloc", "pthread", "#include \"json"} {
			if strings.Contains(string(text), word) {
				t.Errorf("%s has %s", name, word)
			}
		}
	}
	if lines >= 400 {
		t.Errorf("%d lines", lines)
	}
}

// The reasons stand in the C client in the order of cardea.Reasons.
func TestTheCClientKnowsAllReasons(t *testing.T) {
	w := newWorld(t)
	p := startProgram(t, w)
	for _, reason := range cardea.Reasons {
		w.Set(w.link, gate.State{Bar: reason})
		w.Activate(w.link)
		if got, want := p.ask("voice/use", 0, w.read()), fmt.Sprintf("deny %s 0", reason); got != want {
			t.Errorf("C says %q, want %q", got, want)
		}
	}
}
