package admin_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	example  = regexp.MustCompile("(?s)```console\n\\$ (curl .*?[^\\\\])\n(.*?)```")
	argument = regexp.MustCompile(`"([^"]*)"|'([^']*)'|([^\s"'\\]+)`)
)

// TestDocumentation runs every curl line of docs/brand-api.md and compares the
// shape of the answer with the one shown.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/brand-api.md")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.grant("recommendations/use")
	w.call("GET", w.path("/propagation"), "") // the device is told of the yes
	names := strings.NewReplacer("$CARDEA", w.url, "$KEY", brandKey, "$SUBJECT", w.account.Subject, "$DEVICE", string(w.device))
	examples := example.FindAllStringSubmatch(string(text), -1)
	if len(examples) != 11 {
		t.Errorf("%d examples, want 11", len(examples))
	}
	for _, e := range examples {
		r := w.curl(names.Replace(e[1]))
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s", e[1], res.StatusCode, got)
			continue
		}
		if a, b := shape(t, got), shape(t, []byte(e[2])); a != b {
			t.Errorf("%s\nanswers %s\nshown   %s", e[1], a, b)
		}
	}
}

// curl makes the request a curl command line makes, of the options used here.
func (w *world) curl(line string) *http.Request {
	w.Helper()
	var args []string
	for _, m := range argument.FindAllStringSubmatch(line, -1) {
		args = append(args, m[1]+m[2]+m[3])
	}
	method, url, body, header := "", "", "", http.Header{}
	for i := 1; i < len(args); i++ {
		switch args[i] {
		case "-sS":
		case "-X":
			i++
			method = args[i]
		case "-H":
			i++
			name, value, _ := strings.Cut(args[i], ": ")
			header.Set(name, value)
		case "-d", "--data-binary":
			i++
			body = args[i]
			if method == "" {
				method = http.MethodPost
			}
		default:
			url = args[i]
		}
	}
	if path, ok := strings.CutPrefix(body, "@"); ok {
		text, err := os.ReadFile("../../" + path)
		if err != nil {
			w.Fatal(err)
		}
		body = string(text)
	}
	r, err := http.NewRequestWithContext(w.Context(), method, url, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	r.Header = header
	return r
}

// shape is a JSON value with its leaves replaced by their types; strings that
// are one of a few words stay.
func shape(t *testing.T, text []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return shapeOf(v)
}

func shapeOf(v any) string {
	switch x := v.(type) {
	case map[string]any:
		var fields []string
		for _, k := range slices.Sorted(maps.Keys(x)) {
			fields = append(fields, k+": "+shapeOf(x[k]))
		}
		return "{" + strings.Join(fields, ", ") + "}"
	case []any:
		var items []string
		for _, item := range x {
			items = append(items, shapeOf(item))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case string:
		if len(x) < 12 && !strings.HasSuffix(x, "…") {
			return x
		}
		return "text"
	}
	return fmt.Sprintf("%T", v)
}
