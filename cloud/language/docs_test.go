package language

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const guide = "../../docs/languages.md"

// The guide for translators names files that are there.
func TestGuideNamesFiles(t *testing.T) {
	text := read1(t, guide)
	named := regexp.MustCompile("`((?:cloud|internal|testdata|docs)/[^`]*|Makefile)`|\\]\\(\\.\\./([^)#]+)").FindAllStringSubmatch(text, -1)
	if len(named) < 8 {
		t.Fatalf("%d files are named: %q", len(named), named)
	}
	for _, m := range named {
		if _, err := os.Stat(filepath.Join("../..", m[1]+m[2])); err != nil {
			t.Error(err)
		}
	}
	for file, name := range map[string]string{
		"language.go": "offered", "words.go": "habits", "messages_test.go": "oneVoice", "../../internal/looks/shots.go": "tongues", "../../Makefile": "BROWSER",
	} {
		if !strings.Contains(read1(t, file), name) || !strings.Contains(text, "`"+name+"`") {
			t.Errorf("%s has no %s, or the guide does not name it", file, name)
		}
	}
}

// The guide's table has a column for each language, and every word in it is said
// in that language.
func TestGuideHasTheWordsThatAreSaid(t *testing.T) {
	_, table, _ := strings.Cut(read1(t, guide), "| thing |")
	table, _, _ = strings.Cut(table, "\n\n")
	rows := strings.Split(table, "\n")
	tags := cells(rows[0])
	said := map[string]string{}
	for tag, messages := range written(t) {
		for _, m := range messages {
			said[tag] += strings.ToLower(m["other"]) + "\n"
		}
	}
	if len(tags) != len(offered) || len(rows) < 20 {
		t.Fatalf("%d languages in %d rows", len(tags), len(rows))
	}
	for _, row := range rows[2:] {
		words := cells(row)[1:]
		for i, tag := range tags {
			for word := range strings.SplitSeq(words[i], ", ") {
				if !strings.Contains(said[tag], strings.ToLower(word)) {
					t.Errorf("%s says %q nowhere", tag, word)
				}
			}
		}
	}
}

// cells are those of a row of a table, trimmed.
func cells(row string) []string {
	all := strings.Split(strings.Trim(strings.TrimSpace(row), "|"), "|")
	for i := range all {
		all[i] = strings.TrimSpace(all[i])
	}
	return all
}

func read1(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
