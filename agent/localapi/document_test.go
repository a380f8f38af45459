package localapi_test

import (
	"os"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/agent/programs"
)

// What the document says of files and calls is so.
func TestIntegrateDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/integrate.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, found := strings.Cut(string(text), "```toml\n")
	example, _, _ = strings.Cut(example, "```")
	if _, err := programs.ParseProgram(example); err != nil || !found {
		t.Errorf("the example is refused: %v", err)
	}
	for _, c := range calls(newHouse(t)) {
		path, _, _ := strings.Cut(c.path[1:], "/links/")
		path, _, _ = strings.Cut(path, "?")
		if !strings.Contains(string(text), path[strings.LastIndex(path, "/")+1:]) {
			t.Errorf("%s is not in the document", c.path)
		}
	}
	for _, e := range programs.Entitlements {
		if !strings.Contains(string(text), "| `"+string(e)+"` |") {
			t.Errorf("what %q opens is not in the document", e)
		}
	}
}
