package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// ErrMissing is returned for what must be installed.
var ErrMissing = errors.New("missing")

// A kernel is an installed one, and the modules a small machine needs of it in
// the order they are loaded.
type kernel struct {
	version string
	image   string
	modules []string
}

// drivers are what stands in the machine beside what every kernel has.
var drivers = []string{"virtio_pci", "virtio_blk", "virtio_net"}

// findKernel takes the newest cloud kernel under root, "/" but in tests.
func findKernel(root string) (kernel, error) {
	images, _ := filepath.Glob(filepath.Join(root, "boot/vmlinuz-*-cloud-amd64")) // the pattern is well formed
	if len(images) == 0 {
		return kernel{}, fmt.Errorf("%w: no kernel in /boot: apt-get install linux-image-cloud-amd64", ErrMissing)
	}
	k := kernel{image: slices.Max(images)}
	k.version = strings.TrimPrefix(filepath.Base(k.image), "vmlinuz-")
	dir := filepath.Join(root, "lib/modules", k.version)
	deps, err := os.ReadFile(filepath.Join(dir, "modules.dep"))
	if err != nil {
		return kernel{}, fmt.Errorf("%w: the kernel's modules: %w", ErrMissing, err)
	}
	for _, driver := range drivers {
		for _, m := range needs(string(deps), driver) {
			if path := filepath.Join(dir, m); !slices.Contains(k.modules, path) {
				k.modules = append(k.modules, path)
			}
		}
	}
	return k, nil
}

// needs lists a module and what it depends on, as modules.dep says, so that each
// stands behind what it needs. A driver that is built in has no line and needs
// nothing.
func needs(deps, driver string) []string {
	for line := range strings.Lines(deps) {
		path, others, _ := strings.Cut(strings.TrimSpace(line), ":")
		name, _, _ := strings.Cut(filepath.Base(path), ".ko")
		if strings.ReplaceAll(name, "-", "_") != driver {
			continue
		}
		list := append([]string{path}, strings.Fields(others)...)
		slices.Reverse(list)
		return list
	}
	return nil
}

// initramfs packs the kernel's modules and the machine's files, in the order
// the guest loads them.
func initramfs(k kernel, files map[string]file) ([]byte, error) {
	for i, path := range k.modules {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read module: %w", err)
		}
		files[fmt.Sprintf("modules/%02d-%s", i, filepath.Base(path))] = file{mode: 0o644, text: text}
	}
	return archive(files), nil
}

// diskBytes is the size of the machine's disk.
const diskBytes = 32 << 20

// makeDisk makes an empty disk with a file system on it.
func makeDisk(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("make disk: %w", err)
	}
	if err := errors.Join(f.Truncate(diskBytes), f.Close()); err != nil {
		return fmt.Errorf("make disk: %w", err)
	}
	out, err := exec.Command("mkfs.ext4", "-q", "-F", path).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: mkfs.ext4 (apt-get install e2fsprogs): %w: %s", ErrMissing, err, out)
	}
	return nil
}
