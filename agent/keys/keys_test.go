package keys_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/keys"
)

func open(t *testing.T, path, machine string) *keys.Key {
	t.Helper()
	k, err := keys.OpenOn(path, machine)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestTheKeyStaysTheSame(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "device.key")
	first := open(t, path, "one")
	again := open(t, path, "one")
	if first.ID() != again.ID() || first.SealKey() != again.SealKey() {
		t.Error("a second opening gives another key")
	}
	if first.SetAside() != "" || again.SetAside() != "" {
		t.Error("nothing was to be set aside")
	}
	if _, err := cardea.ParseDeviceID(string(first.ID())); err != nil {
		t.Error(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v", info.Mode())
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("the folder holds %v, %v", left, err)
	}
}

func TestTheKeySigns(t *testing.T) {
	var k crypto.Signer = open(t, filepath.Join(t.TempDir(), "k"), "one")
	digest := sha256.Sum256([]byte("report"))
	sig, err := k.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if !ecdsa.VerifyASN1(k.Public().(*ecdsa.PublicKey), digest[:], sig) {
		t.Error("the signature does not verify")
	}
}

func TestSealKeysDiffer(t *testing.T) {
	dir := t.TempDir()
	a, b := open(t, dir+"/a", "one"), open(t, dir+"/b", "one")
	if a.SealKey() == b.SealKey() || a.SealKey() == [32]byte{} {
		t.Error("two keys seal alike")
	}
}

func TestOtherToolsReadTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k")
	open(t, path, "one")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatal("no PEM block")
	}
	if _, err := x509.ParsePKCS8PrivateKey(block.Bytes); err != nil {
		t.Error(err)
	}
	if strings.Contains(string(text), "one") {
		t.Error("the machine's name stands in the file unhashed")
	}
}

func TestACopyOnAnotherMachineMakesItsOwnKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k")
	original := open(t, path, "one")
	image, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	clone := open(t, path, "two")
	if clone.ID() == original.ID() || clone.SealKey() == original.SealKey() {
		t.Fatal("the copy speaks with the original's key")
	}
	kept, err := os.ReadFile(clone.SetAside())
	if err != nil || string(kept) != string(image) {
		t.Errorf("the original's file is not kept: %v", err)
	}
	if again := open(t, path, "two"); again.ID() != clone.ID() || again.SetAside() != "" {
		t.Error("the copy does not keep its own key")
	}
}

func TestAMachineWithoutAName(t *testing.T) {
	dir := t.TempDir()
	nameless := open(t, dir+"/a", "")
	if open(t, dir+"/a", "one").ID() != nameless.ID() {
		t.Error("a key without a machine is not taken")
	}
	open(t, dir+"/b", "one")
	if _, err := keys.OpenOn(dir+"/b", ""); !errors.Is(err, keys.ErrNoMachine) {
		t.Errorf("got %v", err)
	}
}

func TestRefusesAFileOthersCanRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k")
	open(t, path, "one")
	for _, mode := range []os.FileMode{0o640, 0o604, 0o660, 0o644, 0o610} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := keys.OpenOn(path, "one")
		if !errors.Is(err, keys.ErrExposed) || !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("mode %v: %v", mode, err)
		}
	}
}

func TestRefusesAndKeepsADamagedFile(t *testing.T) {
	dir := t.TempDir()
	open(t, dir+"/good", "one")
	good, err := os.ReadFile(dir + "/good")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty": "", "words": "hello", "cut": string(good[:len(good)/2]),
		"another type": strings.ReplaceAll(string(good), "PRIVATE KEY", "CERTIFICATE"),
		"no key":       "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
	} {
		path := filepath.Join(dir, "k")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := keys.OpenOn(path, "one"); !errors.Is(err, keys.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		if kept, _ := os.ReadFile(path); string(kept) != text {
			t.Errorf("%s: the file was changed", name)
		}
	}
	if _, err := keys.OpenOn(dir, "one"); !errors.Is(err, keys.ErrDamaged) && !errors.Is(err, keys.ErrExposed) {
		t.Errorf("a folder: %v", err)
	}
}

func TestRacersGetOneKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k")
	var wg sync.WaitGroup
	ids := make([]cardea.DeviceID, 8)
	for i := range ids {
		wg.Go(func() {
			if k, err := keys.OpenOn(path, "one"); err == nil {
				ids[i] = k.ID()
			}
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id == "" || id != ids[0] {
			t.Fatalf("the racers have %v", ids)
		}
	}
}

func TestTheKeyNeverPrints(t *testing.T) {
	k := open(t, filepath.Join(t.TempDir(), "k"), "one")
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("key", "key", k)
	if !strings.Contains(log.String(), string(k.ID())) {
		t.Errorf("the log shows %s", log.String())
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, k); got != "redacted" {
			t.Errorf("%s prints %s", verb, got)
		}
	}
}

func TestMachineIsStable(t *testing.T) {
	if once, again := keys.Machine(), keys.Machine(); once != again {
		t.Error("the machine's name changes")
	}
}
