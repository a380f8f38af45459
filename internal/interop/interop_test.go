package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/stage"
)

func TestReport(t *testing.T) {
	var out bytes.Buffer
	r := &report{out: &out}
	if err := r.sum(); err == nil {
		t.Error("a run that checked nothing is a success")
	}
	r.peer("tea", "1.0")
	r.check("is hot", "90\n  °C", nil)
	if err := r.sum(); err != nil {
		t.Error(err)
	}
	r.check("is sweet", "tasted", errors.New("it is not"))
	if err := r.sum(); err == nil || err.Error() != "1 of 2 checks failed" {
		t.Error(err)
	}
	for _, want := range []string{"\ntea 1.0\n", "  ok    is hot", " 90 °C\n", "  FAIL  is sweet", " tasted it is not\n", "interop: 1 peers, 2 checks, 1 failed\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, out.String())
		}
	}
	if long := oneLine(strings.Repeat("é", 400)); len(long) > 310 || !strings.HasSuffix(long, "…") {
		t.Error(long)
	}
}

func TestChoose(t *testing.T) {
	if all, err := choose(nil); err != nil || len(all) != len(peers) {
		t.Error(all, err)
	}
	if two, err := choose([]string{"mosquitto", "oauth2"}); err != nil || len(two) != 2 || two[0].name != "mosquitto" {
		t.Error(two, err)
	}
	if _, err := choose([]string{"nobody"}); err == nil {
		t.Error("chose a peer that is not there")
	}
}

// What was not installed is said with the command that installs it.
func TestWhatIsMissingIsSaid(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-bin", t.TempDir()}, &out, &out); err == nil || !strings.Contains(err.Error(), "make build") {
		t.Error(err)
	}
	h := &house{report: &report{out: &out}, npm: t.TempDir()}
	if _, err := h.npmVersions(t.Context(), "tea"); err == nil || !strings.Contains(err.Error(), "make interop") {
		t.Error(err)
	}
}

// The product obeys standards. What one peer needs is nobody's special case.
func TestNoProductCodeNamesAPeer(t *testing.T) {
	module, err := stage.Module()
	if err != nil {
		t.Fatal(err)
	}
	looked := 0
	for _, dir := range []string{"agent", "cloud", "pairing", "store", "cmd", "internal", "deploy"} {
		err := filepath.WalkDir(filepath.Join(module, dir), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Name() == "interop" {
				return fs.SkipDir
			}
			if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			looked++
			for _, name := range []string{"openid-client", "oauth4webapi", "oidc-agent", "oidc-gen", "oidc-provider", "mosquitto_"} {
				if bytes.Contains(bytes.ToLower(text), []byte(name)) {
					t.Errorf("%s names %s", path, name)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if looked < 100 {
		t.Errorf("looked at %d files only", looked)
	}
}

// A clean clone installs what was tried, from wherever its npm is told to.
func TestLockFile(t *testing.T) {
	text, err := os.ReadFile("npm/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	var lock struct {
		Packages map[string]struct{ Version, Resolved, Integrity string }
	}
	if err := json.Unmarshal(text, &lock); err != nil {
		t.Fatal(err)
	}
	for name, p := range lock.Packages {
		if name != "" && (p.Version == "" || !strings.HasPrefix(p.Integrity, "sha512-")) {
			t.Errorf("%s is not pinned", name)
		}
		if p.Resolved != "" && !strings.HasPrefix(p.Resolved, "https://registry.npmjs.org/") {
			t.Errorf("%s comes from %s", name, p.Resolved)
		}
	}
	for _, name := range []string{"openid-client", "oidc-provider", "jose"} {
		if lock.Packages["node_modules/"+name].Version == "" {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestClaimsMatch(t *testing.T) {
	c := claims{Subject: "s", ClientID: "tv", Scope: "profile"}
	bound := c
	bound.Confirm.JKT = "key"
	for name, test := range map[string]struct {
		claims claims
		tokens tokens
		ok     bool
	}{
		"a bearer's":          {c, tokens{Type: "bearer", Scope: "profile"}, true},
		"a key's":             {bound, tokens{Type: "dpop", Scope: "profile"}, true},
		"bound, and not told": {bound, tokens{Type: "bearer", Scope: "profile"}, false},
		"told, and not bound": {c, tokens{Type: "dpop", Scope: "profile"}, false},
		"another scope":       {c, tokens{Type: "bearer", Scope: "profile admin"}, false},
		"of nobody":           {claims{ClientID: "tv", Scope: "profile"}, tokens{Type: "bearer", Scope: "profile"}, false},
	} {
		if err := test.claims.match(test.tokens); (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestForgeries(t *testing.T) {
	key := jose.GenerateKey()
	token, err := jose.Sign(key.Signer(), map[string]any{"typ": "at+jwt", "kid": "k"}, map[string]any{"sub": "eve", "exp": time.Now().Add(time.Hour).Unix()})
	if err != nil {
		t.Fatal(err)
	}
	forgery, err := forged(token)
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{altered(token), unsigned(token), forgery} {
		if other == token || strings.Count(other, ".") != 2 {
			t.Errorf("%s", other)
		}
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(other, ".")[1])
		if err != nil || !bytes.Contains(payload, []byte(`"sub":"eve"`)) {
			t.Errorf("it says something else: %s, %v", payload, err)
		}
	}
}
