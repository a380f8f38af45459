package arch_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestAgentLinksNothingBig(t *testing.T) {
	for _, p := range list(t, "-deps", "./cmd/cardea-agent") {
		for _, heavy := range notInAgent {
			if p.ImportPath == strings.TrimSuffix(heavy, "/") || strings.HasPrefix(p.ImportPath, heavy) {
				t.Errorf("cardea-agent links %s", p.ImportPath)
			}
		}
	}
}

// What plays the owner and the house knows the cloud only from outside: that the
// demonstration works proves something about the cloud's pages.
func TestDemoKnowsNothingOfTheCloud(t *testing.T) {
	for _, p := range list(t, "-deps", "./cmd/cardea", "./internal/owner") {
		if to := name(p.ImportPath); strings.HasPrefix(p.ImportPath, module+"/cloud") || to == "store/accountdb" || to == "pairing/issuer" {
			t.Errorf("the demonstration links %s", to)
		}
	}
}

// One architecture stands for the five of make size, which take their time.
func TestAgentSize(t *testing.T) {
	cmd := exec.Command("make", "-s", "--no-print-directory", "size-amd64", "BIN="+t.TempDir())
	cmd.Dir = filepath.Join("..", "..")
	text, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	t.Attr("stripped", strings.TrimSpace(string(text)))
}
