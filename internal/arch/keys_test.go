package arch_test

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/agent"
	"github.com/cardea-id/cardea/cloud"
)

// TestEveryKeyIsDocumented: the files that the packages install, and that documents
// send their readers to, have every key of the configuration and no other, set or
// as a comment.
func TestEveryKeyIsDocumented(t *testing.T) {
	for file, config := range map[string]any{"../../deploy/cloud.toml": cloud.Config{}, "../../deploy/agent.toml": agent.Config{}} {
		said, known := keysOf(t, file), map[string]bool{}
		fields("", reflect.TypeOf(config), known)
		if len(known) < 10 {
			t.Fatalf("%T has %d keys", config, len(known))
		}
		for key := range known {
			if !said[key] {
				t.Errorf("%s does not tell of %s", file, key)
			}
		}
		for key := range said {
			if !known[key] {
				t.Errorf("%s tells of %s, which is no key", file, key)
			}
		}
	}
}

var (
	table = regexp.MustCompile(`^(?:# )?\[+(\w+)\]+$`)
	key   = regexp.MustCompile(`^(?:# )?(\w+) = `)
)

// keysOf are those of a file, "mail.url" of a table, whether set or commented out.
func keysOf(t *testing.T, file string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	keys, within := map[string]bool{}, ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if m := table.FindStringSubmatch(line); m != nil {
			within = m[1] + "."
		} else if m := key.FindStringSubmatch(line); m != nil {
			keys[within+m[1]] = true
		}
	}
	return keys
}

// fields adds the keys of a configuration, those of tables with the table's name.
func fields(within string, in reflect.Type, keys map[string]bool) {
	for f := range in.Fields() {
		name, of := f.Tag.Get("toml"), f.Type
		if name == "" || name == "-" {
			continue
		}
		for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
			of = of.Elem()
		}
		if of.Kind() == reflect.Struct && of != reflect.TypeFor[time.Time]() {
			fields(within+name+".", of, keys)
			continue
		}
		keys[within+name] = true
	}
}
