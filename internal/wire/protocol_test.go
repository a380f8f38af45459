package wire_test

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
)

var (
	rule  = regexp.MustCompile(`(?ms)^([a-z-]+) = \{\n(.*?)^\}`)
	pair  = regexp.MustCompile(`(?m)^  (\? )?(-?\d+) => [^;]*; ([a-z_]+)`)
	words = regexp.MustCompile(`([a-z])([A-Z])`)
)

// The grammar that people read has the labels, names and options of the structs
// that are sent.
func TestProtocolDocument(t *testing.T) {
	b, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	grammar := map[string][]string{}
	for _, m := range rule.FindAllStringSubmatch(string(b), -1) {
		for _, p := range pair.FindAllStringSubmatch(m[2], -1) {
			grammar[m[1]] = append(grammar[m[1]], fmt.Sprintf("%s%s %s", p[1], p[2], p[3]))
		}
	}
	for name, v := range map[string]any{
		"down": cardea.Down{}, "body": cardea.Body{}, "identity": cardea.Identity{}, "consent": cardea.Consent{},
		"preference": cardea.Preference{}, "order": cardea.Order{}, "up": cardea.Up{}, "log-entry": cardea.LogEntry{},
		"collection": cardea.Collection{}, "purged": cardea.Purged{}, "batch": cardea.Batch{}, "item": cardea.Item{},
		"keys": wire.KeysOnWire, "cose-key": wire.CoseKeyOnWire, "unknown": wire.UnknownOnWire,
	} {
		if want := labels(v); !slices.Equal(grammar[name], want) {
			t.Errorf("%s is documented as\n%q\nand sent as\n%q", name, grammar[name], want)
		}
		delete(grammar, name)
	}
	for name := range maps.Keys(grammar) {
		t.Errorf("%s is documented and nowhere sent", name)
	}
	for _, number := range []int{wire.MaxBodyBytes, wire.MaxEntries, wire.MaxLinks, wire.MaxItems, cardea.MaxValueBytes, cardea.MaxItemBytes} {
		if !strings.Contains(string(b), fmt.Sprint(number)) {
			t.Errorf("the limit %d is not documented", number)
		}
	}
}

func labels(v any) (all []string) {
	for f := range reflect.TypeOf(v).Fields() {
		tag := strings.Split(f.Tag.Get("cbor"), ",")
		option := ""
		if slices.ContainsFunc(tag, func(s string) bool { return s == "omitempty" || s == "omitzero" }) {
			option = "? "
		}
		name := strings.ToLower(words.ReplaceAllString(f.Name, "${1}_$2"))
		all = append(all, fmt.Sprintf("%s%s %s", option, tag[0], name))
	}
	return all
}
