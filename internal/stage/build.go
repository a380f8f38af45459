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

// Build has make build the programs into the folder bin, which must be absolute.
func Build(bin string) error {
	module, err := Module()
	if err != nil {
		return err
	}
	build := exec.Command("make", "-s", "--no-print-directory", "build", "BIN="+bin)
	build.Dir = module
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the programs: %w: %s", err, out)
	}
	return nil
}
