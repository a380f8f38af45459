package e2e_test

import (
	"bufio"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/owner"
	"github.com/cardea-id/cardea/internal/stage"
	"github.com/cardea-id/cardea/pairing/qr/qrtest"
)

// demo is the demonstration's command, to be run in the repository.
func demo(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	module, err := stage.Module()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "cardea"), append([]string{"demo"}, args...)...)
	cmd.Dir = module
	return cmd
}

var (
	lineOf    = regexp.MustCompile(`(?m)^  \d\d:\d\d:\d\d\.\d{3}  .{10}  (.+)$`)
	printedAt = regexp.MustCompile(`Scan it, or open +(\S+)`)
)

// timeline lists what a terminal was told, and decodes the code in it.
func timeline(t *testing.T, terminal string) []string {
	t.Helper()
	var told []string
	for _, m := range lineOf.FindAllStringSubmatch(terminal, -1) {
		what, _, _ := strings.Cut(m[1], "  ")
		told = append(told, what)
	}
	decodes(t, terminal)
	return told
}

// decodes checks that the code in a captured terminal is the printed link.
func decodes(t *testing.T, terminal string) string {
	t.Helper()
	printed := printedAt.FindStringSubmatch(terminal)
	if printed == nil {
		t.Fatalf("no link is printed:\n%s", terminal)
	}
	got, err := qrtest.DecodeTerminal(terminal)
	if err != nil || got != printed[1] {
		t.Errorf("the code says %q (%v), the line below %q", got, err, printed[1])
	}
	return printed[1]
}

// follows checks that the steps happened in this order, others between.
func follows(t *testing.T, told []string, steps ...string) {
	t.Helper()
	rest := told
	for _, step := range steps {
		i := slices.Index(rest, step)
		if i < 0 {
			t.Fatalf("%q is missing or out of order in %q", step, told)
		}
		rest = rest[i+1:]
	}
}

func TestDemoByScript(t *testing.T) {
	for scheme, args := range map[string][]string{"http": nil, "https": {"-tls"}} {
		out, err := demo(t, append(args, "-owner", "script")...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v:\n%s", err, out)
		}
		told := timeline(t, string(out))
		follows(t, told, "shown", "scanned", "approved", "tokens stored", "statement applied", "changed in the portal", "applied on the device", "in the ledger")
		follows(t, told, "statement applied", "withdrawn on the device", "in the ledger")
		if link := printedAt.FindStringSubmatch(string(out))[1]; !strings.HasPrefix(link, scheme+"://") {
			t.Errorf("the code says %s, want %s", link, scheme)
		}
	}
}

func TestDemoDeclined(t *testing.T) {
	out, err := demo(t, "-owner", "script", "-fault", "deny").CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	told := timeline(t, string(out))
	follows(t, told, "shown", "scanned", "declined", "access_denied")
	if slices.Contains(told, "tokens stored") {
		t.Errorf("the device has tokens after a refusal:\n%s", out)
	}
}

// A person plays: scans, allows, pulls the cable, stops on the device, plugs it
// in again.
func TestDemoByHand(t *testing.T) {
	cmd := demo(t)
	keys, err := cmd.StdinPipe()
	must(t, err)
	screen, err := cmd.StdoutPipe()
	must(t, err)
	cmd.Stderr = cmd.Stdout
	must(t, cmd.Start())
	s := &captured{lines: bufio.NewScanner(screen)}

	s.until(t, "shown")
	link := decodes(t, s.text.String())
	phone := owner.New(nil)
	must(t, phone.Open(t.Context(), link))
	must(t, phone.Follow(t.Context(), "Create an account"))
	phone.Fill("email", "hand@example.com")
	phone.Fill("password", "a sentence nobody guesses")
	must(t, phone.Press(t.Context(), "Create account", ""))
	must(t, phone.Press(t.Context(), "Approve", ""))
	s.until(t, "statement applied")
	must(t, phone.Follow(t.Context(), "Decide what it may do"))
	must(t, phone.Press(t.Context(), "Allow", questions[recommend]))
	s.until(t, "recommendations/use: allow")
	press(t, keys, "n")
	s.until(t, "network off")
	press(t, keys, "w")
	s.until(t, "withdrawn on the device")
	press(t, keys, "n")
	s.until(t, "said on the device")
	press(t, keys, "q")
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v:\n%s", err, &s.text)
	}
}

func press(t *testing.T, keys io.Writer, key string) {
	t.Helper()
	_, err := io.WriteString(keys, key)
	must(t, err)
}

// captured is a terminal's text so far.
type captured struct {
	lines *bufio.Scanner
	text  strings.Builder
}

func (c *captured) until(t *testing.T, words string) {
	t.Helper()
	for c.lines.Scan() {
		c.text.WriteString(c.lines.Text() + "\n")
		if strings.Contains(c.lines.Text(), words) {
			return
		}
	}
	t.Fatalf("the demonstration ended before %q:\n%s", words, &c.text)
}
