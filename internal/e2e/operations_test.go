package e2e_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/stage"
)

// operations is the part of docs/operate.md that make deb does not run, and its
// commands.
func operations(t *testing.T) (text string, commands []string) {
	t.Helper()
	module, err := stage.Module()
	must(t, err)
	whole, err := os.ReadFile(filepath.Join(module, "docs/operate.md"))
	must(t, err)
	_, text, found := strings.Cut(string(whole), "\n## Is it well?")
	if !found {
		t.Fatal("the document has no such part any more")
	}
	for _, block := range fence.FindAllStringSubmatch(text, -1) {
		commands = append(commands, block[2])
	}
	return text, commands
}

// TestOperateExamples runs the commands of docs/operate.md beside a cloud.
func TestOperateExamples(t *testing.T) {
	_, commands := operations(t)
	s, operate := newOperated(t, "")
	backup := t.TempDir()
	for _, command := range commands {
		run := exec.CommandContext(t.Context(), "sh", "-euc", command)
		run.Env = append(os.Environ(), "OPERATE="+operate, "CONFIG="+s.Dir+"/cloud.toml", "BACKUP="+backup, "PATH="+bin+":"+os.Getenv("PATH"))
		said, err := run.CombinedOutput()
		if err != nil || len(said) == 0 && strings.Contains(command, "curl") || strings.Contains(string(said), "failing") {
			t.Errorf("%s\nsays %v: %s", command, err, said)
		}
	}
	if made, err := filepath.Glob(backup + "/*.db"); err != nil || len(made) != 1 {
		t.Errorf("backups: %v, %v", made, err)
	}
	if len(commands) < 4 {
		t.Errorf("only %d commands", len(commands))
	}
}

var series = regexp.MustCompile(`cardea_[a-z_]+`)

// TestOperateNamesMetrics: every metric the document or the dashboard names
// exists, and the document names every one.
func TestOperateNamesMetrics(t *testing.T) {
	_, operate := newOperated(t, "")
	_, scraped, err := load(http.DefaultClient, get(operate+"/metrics"))
	must(t, err)
	exists := map[string]bool{}
	for line := range strings.SplitSeq(scraped, "\n") {
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
			exists[strings.Fields(name)[0]] = true
		}
	}
	module, err := stage.Module()
	must(t, err)
	dashboard, err := os.ReadFile(filepath.Join(module, "deploy/grafana.json"))
	must(t, err)
	text, _ := operations(t)
	named := map[string]bool{}
	for _, name := range series.FindAllString(text+string(dashboard), -1) {
		name = strings.TrimSuffix(name, "_bucket")
		if named[name] = true; !exists[name] && name != "cardea_" {
			t.Errorf("there is no %s", name)
		}
	}
	for name := range exists {
		if strings.HasPrefix(name, "cardea_") && !named[name] && name != "cardea_http_requests_in_flight" {
			t.Errorf("nobody is told of %s", name)
		}
	}
}
