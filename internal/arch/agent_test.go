package arch_test

import (
	"fmt"
	"os"
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

// The size is a figure to be seen, not a bound: the budgets of the
// architectures are checked where they are built.
func TestAgentSize(t *testing.T) {
	out := filepath.Join(t.TempDir(), "cardea-agent")
	cmd := exec.Command("go", "build", "-trimpath", "-tags", "nethttpomithttp2", "-ldflags", "-s -w", "-o", out, "./cmd/cardea-agent")
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, text)
	}
	info, err := os.Stat(out)
	if err != nil {
		t.Fatal(err)
	}
	t.Attr("stripped", fmt.Sprintf("%.2f MB", float64(info.Size())/1e6))
}
