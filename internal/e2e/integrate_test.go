package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/stage"
)

// curlEnv makes this binary the curl of the examples, for machines without.
const curlEnv = "CARDEA_TEST_AS_CURL"

// Before everything else, so that a shell can start this binary as curl.
func init() {
	if os.Getenv(curlEnv) != "" {
		os.Exit(asCurl(os.Args[1:]))
	}
}

// asCurl knows the few options the examples use, and ends as curl does with
// --fail-with-body.
func asCurl(args []string) int {
	method, body, out, limit := "GET", "", "", time.Minute
	var socket, url string
	for ; len(args) > 0; args = args[1:] {
		value := func() string { args = args[1:]; return args[0] }
		switch args[0] {
		case "-sS", "-N":
		case "--unix-socket":
			socket = value()
		case "-X":
			method = value()
		case "-o":
			out = value()
		case "--max-time":
			limit = time.Second
			value()
		case "--json":
			if body = value(); method == "GET" {
				method = "POST"
			}
		default:
			url = args[0]
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return fetch(ctx, socket, method, url, body, out)
}

func fetch(ctx context.Context, socket, method, url, body, out string) int {
	c := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 3
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := c.Do(r)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 7
	}
	defer res.Body.Close()
	to := os.Stdout
	if out != "" {
		if to, err = os.Create(out); err != nil {
			return 23
		}
		defer to.Close()
	}
	if _, err := io.Copy(to, res.Body); err != nil {
		return 28
	}
	if res.StatusCode >= 400 {
		return 22
	}
	return 0
}

// A sample is one example of the document and the answer it shows, if any.
type sample struct{ script, answer string }

var fence = regexp.MustCompile("(?s)```(sh|json)\n(.*?)```")

// samples takes the examples out of a document.
func samples(t *testing.T, path string) []sample {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	var all []sample
	for _, block := range fence.FindAllStringSubmatch(string(text), -1) {
		switch {
		case block[1] == "sh":
			all = append(all, sample{script: block[2]})
		case len(all) > 0 && all[len(all)-1].answer == "":
			all[len(all)-1].answer = block[2]
		default:
			t.Fatalf("an answer without a question: %s", block[2])
		}
	}
	return all
}

const mark = "--- next example ---"

// TestIntegrateExamples runs the examples of docs/integrate.md as they stand
// there, in one shell, against a device that is linked.
func TestIntegrateExamples(t *testing.T) {
	module, err := stage.Module()
	must(t, err)
	all := samples(t, filepath.Join(module, "docs/integrate.md"))
	if len(all) < 14 {
		t.Fatalf("only %d examples were found", len(all))
	}
	s := newStage(t)
	phone := newPhone(t, s, "ada@example.com")
	for name, path := range curls(t) {
		t.Run(name, func(t *testing.T) {
			a, err := s.StartAgent(t.Context(), name, "speaker")
			must(t, err)
			pair(t, a, phone)
			choose(t, s, phone, "Allow", recommend)
			answers(t, a, recommend, cardea.Allow)
			outputs := runSamples(t, all, path, "S="+a.Socket, "ISSUER="+s.URL)
			for i, sample := range all {
				sample.check(t, outputs[i])
			}
		})
	}
}

// curls are folders with a program curl: this one, and the real one if there is
// one.
func curls(t *testing.T) map[string]string {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	dir := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\n%s=1 exec '%s' \"$@\"\n", curlEnv, exe)
	must(t, os.WriteFile(filepath.Join(dir, "curl"), []byte(script), 0o755))
	found := map[string]string{"stand-in": dir}
	if path, err := exec.LookPath("curl"); err == nil {
		found["curl"] = filepath.Dir(path)
	}
	return found
}

// runSamples runs the examples one after the other and returns what each
// printed.
func runSamples(t *testing.T, all []sample, path string, env ...string) []string {
	t.Helper()
	var script strings.Builder
	for _, s := range all {
		fmt.Fprintf(&script, "%s\necho; echo '%s'\n", s.script, mark)
	}
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, ".curlrc"), []byte("fail-with-body\n"), 0o600))
	sh := exec.CommandContext(t.Context(), "sh", "-eu", "-c", script.String())
	sh.Dir = dir
	sh.Env = append(env, "PATH="+path+":"+os.Getenv("PATH"), "CURL_HOME="+dir)
	var stderr bytes.Buffer
	sh.Stderr = &stderr
	out, err := sh.Output()
	outputs := strings.Split(string(out), mark+"\n")
	if err != nil {
		t.Fatalf("after %d examples: %v: %s\n%s", len(outputs)-1, err, stderr.String(), outputs[len(outputs)-1])
	}
	return outputs
}

// check compares the fields of the answer with those of the document.
func (s sample) check(t *testing.T, output string) {
	t.Helper()
	if s.answer == "" {
		return
	}
	lines := strings.Split(strings.TrimSpace(output), "\n")
	var want, got any
	must(t, json.Unmarshal([]byte(s.answer), &want))
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &got); err != nil {
		t.Errorf("%s answers %q: %v", s.script, output, err)
		return
	}
	if missing := lacks(want, got); missing != "" {
		t.Errorf("%s answers %s, in which %s of the document is missing", s.script, lines[len(lines)-1], missing)
	}
}

// lacks names the first field of want that got does not have.
func lacks(want, got any) string {
	switch want := want.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		for name, value := range want {
			field, there := object[name]
			if !ok || !there {
				return name
			}
			if missing := lacks(value, field); missing != "" {
				return name + "." + missing
			}
		}
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) == 0 {
			return "[]"
		}
		missing := ""
		for _, item := range list { // one of them is enough: not all fields are always there
			if missing = lacks(want[0], item); missing == "" {
				return ""
			}
		}
		return missing
	}
	return ""
}
