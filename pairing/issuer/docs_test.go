package issuer_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The tables in docs/rfc8628.md and docs/security.md name functions and tests.
// They must exist.
func TestTheTableOfTheStandards(t *testing.T) {
	root := filepath.Join("..", "..")
	var table []byte
	for _, name := range []string{"rfc8628.md", "security.md"} {
		text, err := os.ReadFile(filepath.Join(root, "docs", name))
		if err != nil {
			t.Fatal(err)
		}
		table = append(table, text...)
	}
	folders := map[string]string{"issuer": "pairing/issuer", "pairing": "pairing", "token": "cloud/token", "db": "store/accountdb",
		"portal": "cloud/portal", "jose": "internal/jose", "web": "internal/web", "broker": "cloud/broker", "hub": "cloud/hub"}
	declared := map[string]map[string]bool{}
	tests := map[string]bool{}
	for name, folder := range folders {
		declared[name] = functions(t, filepath.Join(root, folder))
		for f := range declared[name] {
			if strings.HasPrefix(f, "Test") || strings.HasPrefix(f, "Fuzz") {
				tests[f] = true
			}
		}
	}
	rows := 0
	for line := range strings.Lines(string(table)) {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		for _, word := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(line, -1) {
			name, function, qualified := strings.Cut(word[1], ".")
			switch {
			case qualified && declared[name] != nil && !declared[name][function]:
				t.Errorf("%s is not in %s", word[1], folders[name])
			case !qualified && regexp.MustCompile("^(Test|Fuzz)[A-Z]").MatchString(name) && !tests[name]:
				t.Errorf("there is no test %s", name)
			}
			rows++
		}
	}
	if rows < 100 {
		t.Errorf("only %d names found: is this the table?", rows)
	}
}

func functions(t *testing.T, folder string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatal(folder, err)
	}
	found := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(`(?m)^func (?:\([^)]*\) )?(\w+)`).FindAllStringSubmatch(string(text), -1) {
			found[match[1]] = true
		}
	}
	return found
}
