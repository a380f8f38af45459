package stage

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Module is the folder of go.mod, above the one a test runs in.
func Module() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.mod above the working folder")
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}

// Build builds the programs, as make build does, into the folder bin.
func Build(bin string) error {
	module, err := Module()
	if err != nil {
		return err
	}
	for _, args := range [][]string{{"./cmd/cardea", "./cmd/cardea-cloud"}, {"-tags", "nethttpomithttp2", "./cmd/cardea-agent"}} {
		build := exec.Command("go", append([]string{"build", "-trimpath", "-o", bin + "/"}, args...)...)
		build.Dir = module
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build the programs: %w: %s", err, out)
		}
	}
	return nil
}
