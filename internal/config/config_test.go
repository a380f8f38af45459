package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/config"
)

type settings struct {
	Name string `toml:"name"`
	Size int    `toml:"size"`
	Part struct {
		On bool `toml:"on"`
	} `toml:"part"`
}

func TestParseKeepsWhatIsNotSet(t *testing.T) {
	s := settings{Name: "before", Size: 7}
	if err := config.Parse("name = \"after\"\n[part]\non = true", &s); err != nil {
		t.Fatal(err)
	}
	if s.Name != "after" || s.Size != 7 || !s.Part.On {
		t.Errorf("settings = %+v", s)
	}
}

func TestUnknownKeys(t *testing.T) {
	for _, text := range []string{"nmae = \"x\"", "[part]\nonn = true", "[other]\nx = 1"} {
		err := config.Parse(text, new(settings))
		if !errors.Is(err, config.ErrUnknownKey) || !strings.Contains(err.Error(), "spelling") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestWrongText(t *testing.T) {
	for _, text := range []string{"name = ", "size = \"big\"", "name = 1", "= 3", "name = \"a\"\nname = \"b\""} {
		if err := config.Parse(text, new(settings)); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}

type later struct {
	Wait time.Duration `toml:"wait"`
}

// Errors of the library say what is wrong and not what is right.
func TestHints(t *testing.T) {
	for text, want := range map[string]string{
		"name = 1":               "quotes",
		"wait = \"3 days\"":      "72h",
		"wait = 72":              "72h",
		"[late]\nWait = 72":      "72h",
		"[[all]]\nwait = 72":     "72h",
		"size = \"big\"":         "parse configuration",
		"name = \"a\"\nname = 1": "parse configuration",
	} {
		var c struct {
			settings
			Wait time.Duration `toml:"wait"`
			Late *later        `toml:"late"`
			All  []later       `toml:"all"`
		}
		if err := config.Parse(text, &c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want a word on %q", text, err, want)
		}
	}
}

func TestLoadNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.toml")
	if err := config.Load(path, new(settings)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := os.WriteFile(path, []byte("nmae = 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := config.Load(path, new(settings)); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a misspelt file: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("name = \"x\"\nsize = 3\n[part]\non = true")
	f.Add("a = [[")
	f.Fuzz(func(t *testing.T, text string) {
		config.Parse(text, new(settings)) // must not panic
	})
}

func TestTree(t *testing.T) {
	tree, err := config.Tree("title = \"a\"\n[late]\none = \"b\"")
	if err != nil {
		t.Fatal(err)
	}
	late, _ := tree["late"].(map[string]any)
	if tree["title"] != "a" || late["one"] != "b" {
		t.Errorf("tree = %v", tree)
	}
	if _, err := config.Tree("title = 1\ntitle = 2"); err == nil {
		t.Error("a key that stands twice was read")
	}
}
