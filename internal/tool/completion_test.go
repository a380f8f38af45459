package tool_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/tool"
)

func completion(t *testing.T, shell string) string {
	t.Helper()
	code, out, errs := runAt(t, "", "completion "+shell)
	if code != tool.Done {
		t.Fatalf("%d %s", code, errs)
	}
	return out
}

// bash itself completes what is asked.
func TestBashCompletes(t *testing.T) {
	script := completion(t, "bash")
	for line, want := range map[string]string{
		"cardea wi":                       "withdraw",
		"cardea pa":                       "pair",
		"cardea help who":                 "whoami",
		"cardea withdraw x --reach every": "everywhere everyone",
		"cardea prefs a 1 --reach every":  "everywhere",
		"cardea pair --new":               "--new-owner",
		"cardea completion z":             "zsh",
		"cardea demo --kind c":            "car",
	} {
		words := strings.Fields(line)
		ask := script + "\nCOMP_WORDS=(" + line + ")\nCOMP_CWORD=" + string('0'+rune(len(words)-1)) + "\n_cardea\necho \"${COMPREPLY[*]}\"\n"
		out, err := exec.CommandContext(t.Context(), "bash", "-c", ask).CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", line, got, err, want)
		}
	}
}

// All shells know every command and every flag there is.
func TestCompletionsAreWhole(t *testing.T) {
	_, help, _ := runAt(t, "", "help")
	var names []string
	for line := range strings.Lines(help) {
		if fields := strings.Fields(line); strings.HasPrefix(line, "    ") && len(fields) > 3 && fields[0] != "cardea" && fields[0] != "source" {
			names = append(names, fields[0])
		}
	}
	if len(names) != 15 {
		t.Fatalf("help lists %q", names)
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		script := completion(t, shell)
		for _, name := range names {
			_, about, _ := runAt(t, "", "help "+name)
			for _, word := range append(strings.Fields(about), name) {
				flag, isFlag := strings.CutPrefix(word, "--")
				if shell == "fish" && isFlag {
					word = "-l " + flag
				}
				if (isFlag || word == name) && !strings.Contains(script, word) {
					t.Errorf("%s does not know %s of %s", shell, word, name)
				}
			}
		}
	}
}

// Help is a screen: neither wider nor longer.
func TestHelpFitsAScreen(t *testing.T) {
	for _, line := range []string{"help", "help pair", "help allow", "help demo", "help check", "help completion"} {
		_, out, _ := runAt(t, "", line)
		if n := strings.Count(out, "\n"); n > 32 {
			t.Errorf("%s has %d lines", line, n)
		}
		for l := range strings.Lines(out) {
			if len([]rune(l)) > 101 {
				t.Errorf("%s: %d characters: %s", line, len([]rune(l)), l)
			}
		}
	}
}
