package arch_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/html"

	"github.com/cardea-id/cardea/internal/config"
)

// messages are the keys of what owners are told: cloud/language/messages.
func messages(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("../../cloud/language/messages/*/en.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no messages: %v", err)
	}
	keys := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tree, err := config.Tree(string(text))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		flatten(keys, filepath.Base(filepath.Dir(file)), tree)
	}
	return keys
}

// flatten names the leaves of a tree; one with plurals is a leaf.
func flatten(keys map[string]bool, at string, tree map[string]any) {
	for name, v := range tree {
		below, ok := v.(map[string]any)
		if _, plural := below["other"].(string); ok && !plural {
			flatten(keys, at+"."+name, below)
			continue
		}
		keys[at+"."+name] = true
	}
}

// cloudFiles are the files of the cloud with an ending, tests apart.
func cloudFiles(t *testing.T, ending string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir("../../cloud", func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ending) && !strings.HasSuffix(path, "_test.go") && !strings.Contains(path, "portaltest") {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

var (
	action = regexp.MustCompile(`(?s)\{\{.*?\}\}`)
	said1  = regexp.MustCompile(`\bt "([^"]*)"`)
	picked = regexp.MustCompile(`\bpick "([^"]*)"`)
)

// TestTemplatesHaveNoWords: whatever a page says comes from the messages, in its
// reader's language. What stands in a template is markup.
func TestTemplatesHaveNoWords(t *testing.T) {
	for _, path := range cloudFiles(t, ".html") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		page := html.NewTokenizer(strings.NewReader(action.ReplaceAllString(string(text), "")))
		within := ""
		for kind := page.Next(); kind != html.ErrorToken; kind = page.Next() {
			at := page.Token()
			if kind == html.StartTagToken || kind == html.EndTagToken {
				within = at.Data
			}
			if kind == html.TextToken && within != "style" && strings.ContainsFunc(at.Data, unicode.IsLetter) {
				t.Errorf("%s says %q itself: make it a message, {{t %q}}", path, strings.TrimSpace(at.Data), "room.key")
			}
			for _, a := range at.Attr {
				if slices.Contains([]string{"aria-label", "title", "alt", "placeholder"}, a.Key) && strings.ContainsFunc(a.Val, unicode.IsLetter) && a.Val != "WDJB-MJHT" {
					t.Errorf("%s says %s=%q itself: make it a message", path, a.Key, a.Val)
				}
			}
		}
	}
}

// TestMessages: every message that a page or the code speaks of is there, and
// each that is there is spoken of.
func TestMessages(t *testing.T) {
	keys := messages(t)
	used := map[string]bool{}
	family := func(where, prefix string) {
		found := false
		for key := range keys {
			if strings.HasPrefix(key, prefix) {
				used[key], found = true, true
			}
		}
		if !found {
			t.Errorf("%s picks from %q, and there is no such message", where, prefix)
		}
	}
	for _, path := range cloudFiles(t, ".html") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, code := range action.FindAllString(string(text), -1) {
			for _, m := range said1.FindAllStringSubmatch(code, -1) {
				if used[m[1]] = true; !keys[m[1]] {
					t.Errorf("%s says %q, and there is no such message", path, m[1])
				}
			}
			for _, m := range picked.FindAllStringSubmatch(code, -1) {
				family(path, m[1]+".")
			}
		}
	}
	rooms := map[string]bool{}
	for key := range keys {
		room, _, _ := strings.Cut(key, ".")
		rooms[room] = true
	}
	for _, path := range cloudFiles(t, ".go") {
		for _, text := range spoken(t, path, rooms) {
			switch {
			case keys[text], keys[text+".title"] && keys[text+".text"]:
				used[text], used[text+".title"], used[text+".text"] = true, true, true
			case strings.HasSuffix(text, "."):
				family(path, text)
			default:
				t.Errorf("%s speaks of %q, and there is no such message", path, text)
			}
		}
	}
	for key := range keys {
		if !used[key] {
			t.Errorf("nothing says %q: take it out of cloud/language/messages", key)
		}
	}
}

// spoken are the texts of a file that are keys by their looks, or the start of a
// family's: a room and more, where the file has to do with languages.
func spoken(t *testing.T, path string, rooms map[string]bool) (texts []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	speaks := strings.Contains(path, "cloud/language/")
	for _, i := range file.Imports {
		speaks = speaks || strings.HasSuffix(i.Path.Value, `cloud/language"`) || strings.HasSuffix(i.Path.Value, `cloud/portal/desk"`)
	}
	if !speaks && !strings.Contains(path, "cloud/portal/desk/") {
		return nil
	}
	looks := regexp.MustCompile(`^([a-z]+)\.[a-z0-9_.A-Z]*$`)
	ast.Inspect(file, func(n ast.Node) bool {
		lit, ok := n.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return true
		}
		text, err := strconv.Unquote(lit.Value)
		if err != nil {
			t.Fatal(err)
		}
		if m := looks.FindStringSubmatch(text); m != nil && rooms[m[1]] && !slices.Contains([]string{".html", ".json"}, filepath.Ext(text)) {
			texts = append(texts, text)
		}
		return true
	})
	return texts
}
