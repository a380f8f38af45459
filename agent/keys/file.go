package keys

import (
	"bytes"
	"crypto/subtle"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cardea-id/cardea/internal/disk"
	"github.com/cardea-id/cardea/internal/jose"
)

const (
	pemType   = "PRIVATE KEY" // PKCS#8, RFC 7468, Section 10
	nameLine  = "machine: "
	maxFile   = 16 << 10
	fileMode  = 0o600
	groupMode = 0o077
)

// Open reads the key file at path, or makes it, on the machine that
// [Machine] names.
func Open(path string) (*Key, error) { return OpenOn(path, Machine()) }

// OpenOn is Open for firmware that knows a better name of its machine, such as
// a serial number. It is hashed before it is written. Empty means that there is
// none: a key made so is taken on every machine.
func OpenOn(path, machine string) (*Key, error) {
	k, err := open(path, hashName(machine))
	if err != nil {
		return nil, fmt.Errorf("open device key %s: %w", path, err)
	}
	return k, nil
}

func open(path, machine string) (*Key, error) {
	k, name, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return create(path, machine)
	}
	if err != nil {
		return nil, err
	}
	switch {
	case name == "" || subtle.ConstantTimeCompare([]byte(name), []byte(machine)) == 1:
		return k, nil
	case machine == "":
		return nil, ErrNoMachine
	}
	// A file of the same key set aside before is the same file.
	aside := path + ".other-machine-" + string(k.id[:8])
	if err := os.Rename(path, aside); err != nil {
		return nil, fmt.Errorf("set the key of another machine aside: %w", err)
	}
	k, err = create(path, machine)
	if err != nil {
		return nil, err
	}
	k.moved = aside
	return k, nil
}

// read returns the key and the machine the file names.
func read(path string) (k *Key, machine string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, "", err
	}
	if !info.Mode().IsRegular() {
		return nil, "", fmt.Errorf("%w: it is no file", ErrDamaged)
	}
	if info.Mode().Perm()&groupMode != 0 {
		return nil, "", fmt.Errorf("%w: run chmod 600 %s; if somebody may have read it, move it away and pair again", ErrExposed, path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, "", err
	}
	return parse(text)
}

// parse reads the machine's line and the PKCS#8 block under it.
func parse(text []byte) (k *Key, machine string, err error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != pemType {
		return nil, "", ErrDamaged
	}
	private, err := jose.ParsePrivateKey(block.Bytes)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if rest, ok := bytes.CutPrefix(text, []byte(nameLine)); ok {
		name, _, _ := bytes.Cut(rest, []byte("\n"))
		machine = string(name)
	}
	k, err = newKey(private)
	return k, machine, err
}

func format(k jose.PrivateKey, machine string) []byte {
	var b bytes.Buffer
	if machine != "" {
		b.WriteString(nameLine + machine + "\n")
	}
	pem.Encode(&b, &pem.Block{Type: pemType, Bytes: k.DER()}) // a buffer takes everything
	return b.Bytes()
}

// create makes a key. The file appears whole or not at all; if another process
// was faster, its key is the one.
func create(path, machine string) (*Key, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	temp, err := writeTemp(dir, format(jose.GenerateKey(), machine))
	if err != nil {
		return nil, fmt.Errorf("write the key: %w", err)
	}
	defer os.Remove(temp)
	err = os.Link(temp, path)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		err = os.Rename(temp, path) // a file system without hard links
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("put the key in place: %w", err)
	}
	// The name must be on the disk too, before anything is bound to the key.
	if err := disk.SyncDir(dir); err != nil {
		return nil, fmt.Errorf("flush the key's folder: %w", err)
	}
	k, name, err := read(path)
	if err == nil && name != machine {
		return nil, fmt.Errorf("%w: another machine is using the same folder", ErrDamaged)
	}
	return k, err
}

func writeTemp(dir string, text []byte) (name string, err error) {
	f, err := os.CreateTemp(dir, ".device-key-*") // 0600
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(text); err != nil {
		f.Close()
		return "", err
	}
	if err := f.Chmod(fileMode); err != nil {
		f.Close()
		return "", err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return "", err
	}
	return f.Name(), f.Close()
}
