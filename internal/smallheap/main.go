// Command smallheap writes an overlay for go build (-overlay) with which a program
// keeps a small heap in little memory:
//
//	go build -overlay $(smallheap bin/smallheap) ./cmd/cardea-agent
//
// Go's runtime lists the spans of each kind of object in four sets, and a set takes
// 6.5 KB however few spans it has: enough for a heap of a gigabyte. An agent has a
// hundred kinds of objects in one megabyte, and 1.3 MB of such lists. The overlay
// changes three of the runtime's constants, so that sets start small and grow, and
// no line that does anything.
//
// It promises that the program is built whatever the toolchain: one that does not
// have these constants, as they are known here, is left as it is, and that is said.
// A program built so takes more memory and is right otherwise.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/cardea-id/cardea/internal/command"
)

func main() { command.Main("smallheap", run) }

// A change is one constant of a file of the runtime.
type change struct{ file, was, is string }

var changes = []change{
	{"mspanset.go", "spanSetBlockEntries = 512 ", "spanSetBlockEntries = 32 "},
	{"mspanset.go", "spanSetInitSpineCap = 256 ", "spanSetInitSpineCap = 16 "},
	{"mheap.go", "gcBitsChunkBytes = uintptr(64 << 10)", "gcBitsChunkBytes = uintptr(8 << 10)"},
}

// errOther: the toolchain is not one of those that are known.
var errOther = errors.New("this Go has another runtime than is known here: the agent takes 1.3 MB more")

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) != 1 {
		return errors.New("usage: smallheap folder")
	}
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("where is Go: %w", err)
	}
	path, err := write(filepath.Join(strings.TrimSpace(string(root)), "src/runtime"), args[0])
	if errors.Is(err, errOther) {
		fmt.Fprintln(stderr, "smallheap:", err)
	} else if err != nil {
		return err
	}
	fmt.Fprintln(stdout, path)
	return nil
}

// write puts the overlay and the files it shows in place of the runtime's into a
// folder. With errOther it is one that shows none.
func write(runtime, dir string) (path string, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	texts, other := changed(runtime)
	if other != nil && !errors.Is(other, errOther) {
		return "", other
	}
	replace := map[string]string{}
	for name, text := range texts {
		replace[filepath.Join(runtime, name)] = filepath.Join(dir, name)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return "", err
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "overlay.json")
	return path, errors.Join(os.WriteFile(path, overlay, 0o644), other)
}

// changed is the text of each file with its constants changed, or none.
func changed(runtime string) (texts map[string]string, err error) {
	texts = map[string]string{}
	for _, c := range changes {
		if texts[c.file] == "" {
			text, err := os.ReadFile(filepath.Join(runtime, c.file))
			if err != nil {
				return nil, err
			}
			texts[c.file] = string(text)
		}
		if strings.Count(texts[c.file], c.was) != 1 {
			return nil, errOther
		}
		texts[c.file] = strings.Replace(texts[c.file], c.was, c.is, 1)
	}
	return texts, nil
}
