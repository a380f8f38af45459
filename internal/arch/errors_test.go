package arch_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/openapi"
)

// A catalogue is words of errors and the statuses they come with.
type catalogue map[string]map[int]bool

func (c catalogue) add(word string, statuses ...int) {
	if c[word] == nil {
		c[word] = map[int]bool{}
	}
	for _, s := range statuses {
		c[word][s] = true
	}
}

func (c catalogue) words() []string { return slices.Sorted(maps.Keys(c)) }

// TestErrorCatalogue compares docs/errors.md with the words in the code and in
// the OpenAPI files: a word that is missing on any side fails, and so does a
// status that the code gives and the page does not.
func TestErrorCatalogue(t *testing.T) {
	page := sections(t)
	standard := standardWords(t)
	for _, api := range []struct {
		heading  string
		code     catalogue
		contract string // empty: these endpoints are the standards'
	}{
		{"The local API", localWords(t, standard), "agent/localapi/openapi.yaml"},
		{"The brand's API", brandWords(t), "cloud/admin/openapi.yaml"},
		{"The cloud, for devices and their clients", cloudWords(t, standard), ""},
	} {
		told := tableOf(t, page[api.heading])
		compare(t, "docs/errors.md, "+api.heading, told.words(), api.code.words())
		for _, word := range api.code.words() {
			for status := range api.code[word] {
				if len(told[word]) > 0 && !told[word][status] {
					t.Errorf("docs/errors.md, %s: %s comes with %d too", api.heading, word, status)
				}
			}
		}
		if api.contract != "" {
			contract, err := openapi.Load(filepath.Join("..", "..", api.contract))
			if err != nil {
				t.Fatal(err)
			}
			compare(t, api.contract, contract.ErrorCodes(), api.code.words())
		}
	}
}

func compare(t *testing.T, where string, told, code []string) {
	t.Helper()
	for _, word := range code {
		if !slices.Contains(told, word) {
			t.Errorf("%s lacks %q, which the code says", where, word)
		}
	}
	for _, word := range told {
		if !slices.Contains(code, word) {
			t.Errorf("%s has %q, which the code never says", where, word)
		}
	}
}

// localWords is what the agent says: its own words, and those of a server that
// its function word lets through.
func localWords(t *testing.T, standard map[string]string) catalogue {
	all := catalogue{}
	said(t, all, standard, "agent/localapi", "internal/web")
	for _, name := range through(t) {
		all.add(standard[name], http.StatusForbidden)
	}
	all.add("refused", http.StatusForbidden)
	return all
}

func brandWords(t *testing.T) catalogue {
	all := catalogue{}
	said(t, all, nil, "cloud/admin", "internal/web")
	all.add("temporarily_unavailable", http.StatusServiceUnavailable) // by the cloud, in front of it
	return all
}

func cloudWords(t *testing.T, standard map[string]string) catalogue {
	all := catalogue{}
	said(t, all, standard, "cloud", "cloud/hub", "cloud/ingest", "cloud/token", "pairing/issuer", "internal/web")
	for _, word := range standard {
		all.add(word)
	}
	return all
}

// said collects the words of web.Errorf, token's refused and issuer's refusing in
// the files of a folder. Others must be constants of package pairing.
func said(t *testing.T, all catalogue, standard map[string]string, folders ...string) {
	t.Helper()
	for _, folder := range folders {
		for _, file := range parse(t, folder) {
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				status, word, ok := errorOf(call)
				if !ok {
					return true
				}
				switch w := word.(type) {
				case *ast.BasicLit:
					text, err := strconv.Unquote(w.Value)
					if err != nil {
						t.Fatal(err)
					}
					all.add(text, status)
				case *ast.SelectorExpr:
					if standard[w.Sel.Name] == "" {
						t.Errorf("%s: %s is no word of pairing's", folder, w.Sel.Name)
					}
					all.add(standard[w.Sel.Name], status)
				case *ast.Ident, *ast.CallExpr: // passed on: by refused, and by word
				default:
					t.Errorf("%s: an error's word of a kind that is not read here: %T", folder, w)
				}
				return true
			})
		}
	}
}

// errorOf finds the status and the word of a call that makes an error.
func errorOf(call *ast.CallExpr) (status int, word ast.Expr, ok bool) {
	name := ""
	switch f := call.Fun.(type) {
	case *ast.Ident:
		name = f.Name
	case *ast.SelectorExpr:
		name = f.Sel.Name
		if pkg, ok := f.X.(*ast.Ident); !ok || pkg.Name != "web" {
			return 0, nil, false
		}
	}
	switch {
	case name == "refused" && len(call.Args) == 2:
		return http.StatusUnauthorized, call.Args[0], true
	case name == "refusing" && len(call.Args) == 3, name == "Errorf" && len(call.Args) >= 3:
		s, ok := call.Args[0].(*ast.SelectorExpr)
		return statuses[s.Sel.Name], call.Args[1], ok
	}
	return 0, nil, false
}

// statuses are net/http's, by the names the code uses.
var statuses = map[string]int{}

func init() {
	for n := 100; n < 600; n++ {
		if text := http.StatusText(n); text != "" {
			statuses["Status"+strings.NewReplacer(" ", "", "-", "", "'", "").Replace(text)] = n
		}
	}
	statuses["StatusRequestEntityTooLarge"] = http.StatusRequestEntityTooLarge
}

func parse(t *testing.T, folder string) (files []*ast.File) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("..", "..", folder, "*.go"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %v", folder, err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

// standardWords are the constants of pairing/errors.go, by name.
func standardWords(t *testing.T) map[string]string {
	t.Helper()
	path := filepath.Join("..", "..", "pairing", "errors.go")
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]string{}
	constants(file, func(name, value string) {
		if text, err := strconv.Unquote(value); err == nil {
			words[name] = text
		}
	})
	if len(words) < 15 {
		t.Fatalf("only %d words in %s", len(words), path)
	}
	return words
}

func constants(file *ast.File, f func(name, value string)) {
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, spec := range g.Specs {
			v := spec.(*ast.ValueSpec)
			for i, name := range v.Names {
				if i < len(v.Values) {
					if lit, ok := v.Values[i].(*ast.BasicLit); ok {
						f(name.Name, lit.Value)
					}
				}
			}
		}
	}
}

// through lists what the agent's function word lets through of a server's words.
func through(t *testing.T) (names []string) {
	t.Helper()
	for _, file := range parse(t, "agent/localapi") {
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Name.Name != "word" {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok {
					names = append(names, s.Sel.Name)
				}
				return true
			})
		}
	}
	if len(names) == 0 {
		t.Fatal("agent/localapi has no function word any more: say here what passes")
	}
	return names
}

// sections are the texts under the headings of docs/errors.md.
func sections(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "errors.md"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for part := range strings.SplitSeq(string(text), "\n## ") {
		heading, rest, _ := strings.Cut(part, "\n")
		all[heading] = rest
	}
	return all
}

var errorRow = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([0-9, ]+) \\| ([^|]+) \\| ([^|]+) \\|$")

func tableOf(t *testing.T, text string) catalogue {
	t.Helper()
	all := catalogue{}
	for _, row := range errorRow.FindAllStringSubmatch(text, -1) {
		if all[row[1]] != nil {
			t.Errorf("docs/errors.md has %s twice", row[1])
		}
		for number := range strings.SplitSeq(row[2], ",") {
			status, err := strconv.Atoi(strings.TrimSpace(number))
			if err != nil {
				t.Fatal(err)
			}
			all.add(row[1], status)
		}
	}
	if rows := strings.Count(text, "\n| `"); rows != len(all) {
		t.Errorf("docs/errors.md: %d rows and %d that can be read", rows, len(all))
	}
	return all
}

// What the programs say stands on the page, word by word, and nothing else.
func TestWhatProgramsSay(t *testing.T) {
	page := sections(t)["The programs"]
	exits := map[string]string{}
	for _, file := range parse(t, "internal/tool") {
		constants(file, func(name, value string) {
			if _, err := strconv.Atoi(value); err == nil && ast.IsExported(name) {
				exits[name] = value
			}
		})
	}
	for name, value := range exits {
		if !strings.Contains(page, fmt.Sprintf("| %s | `%s` |", value, name)) {
			t.Errorf("exit code %s, %s, is not on the page", value, name)
		}
	}
	_, page, _ = strings.Cut(page, "| it says | do |\n|---|---|\n")
	told := map[string]bool{}
	for row := range strings.Lines(page) {
		says, _, _ := strings.Cut(strings.TrimPrefix(row, "| "), " | ")
		told[says] = true
	}
	for name, text := range sentinels(t) {
		if !told[text] {
			t.Errorf("%s is not on the page: %s", name, text)
		}
		delete(told, text)
	}
	for text := range told {
		t.Errorf("the page has what no program says: %s", text)
	}
}

// speaking are the packages whose errors a person reads when a program does not
// start; among them, what they only tell their callers.
var speaking = map[string][]string{
	"agent": nil, "agent/keys": nil, "agent/localapi": {"ErrGuest"}, "agent/programs": {"ErrNotUnix"}, "store/devicedb": {"ErrNotFound"},
	"store/slots": {"ErrDamaged", "ErrTooBig"}, "store/stopjournal": nil,
	"store/accountdb": {"ErrNotFound", "ErrErased", "ErrTaken", "ErrForeign", "ErrClaimed", "ErrTooMany", "ErrWrongCode"},
	"cloud/admin":     nil, "cloud/certificate": nil, "cloud/clock": nil, "internal/config": nil,
}

// sentinels are the texts of errors.New of exported variables, by their names.
func sentinels(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for folder, inner := range speaking {
		for _, file := range parse(t, folder) {
			ast.Inspect(file, func(n ast.Node) bool {
				v, ok := n.(*ast.ValueSpec)
				if !ok || len(v.Values) != 1 || !ast.IsExported(v.Names[0].Name) || slices.Contains(inner, v.Names[0].Name) {
					return true
				}
				call, ok := v.Values[0].(*ast.CallExpr)
				if !ok || len(call.Args) != 1 {
					return true
				}
				made, ok := call.Fun.(*ast.SelectorExpr)
				lit, isText := call.Args[0].(*ast.BasicLit)
				if ok && isText && made.Sel.Name == "New" {
					text, err := strconv.Unquote(lit.Value)
					if err != nil {
						t.Fatal(err)
					}
					all[folder+"."+v.Names[0].Name] = text
				}
				return true
			})
		}
	}
	return all
}
