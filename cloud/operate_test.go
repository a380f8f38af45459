package cloud_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A cloud whose disk is full runs, shows pages, and is neither healthy nor
// ready, at either address; with room again it is both.
func TestHealthFailsWhenTheWorkFails(t *testing.T) {
	c := config(t)
	c.OperateListen = strings.TrimPrefix(config(t).Issuer, "http://")
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=8m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(disk, unix.MNT_DETACH) })
	c.DataDir = filepath.Join(disk, "data")
	start(t, c)
	fill := filepath.Join(disk, "fill")
	if err := os.WriteFile(fill, make([]byte, 16<<20), 0o600); err == nil {
		t.Fatal("the disk is not full")
	}
	for _, address := range []string{c.Issuer, "http://" + c.OperateListen} {
		for _, page := range []string{"/healthz", "/readyz"} {
			if code, body := ask(t, address+page); code != http.StatusServiceUnavailable || !strings.Contains(body, "stop journal") {
				t.Errorf("%s of a full disk: %d %s", page, code, body)
			}
		}
	}
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		code, body := ask(t, c.Issuer+"/readyz")
		if code == http.StatusOK {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("with room again: %d %s", code, body)
		}
	}
	if code, _ := ask(t, c.Issuer+"/metrics"); code != http.StatusNotFound {
		t.Errorf("owners and devices are shown the metrics: %d", code)
	}
	if code, body := ask(t, "http://"+c.OperateListen+"/metrics"); code != http.StatusOK || !strings.Contains(body, "cardea_devices_connected 0") {
		t.Errorf("metrics: %d %.200s", code, body)
	}
}

func ask(t *testing.T, address string) (int, string) {
	t.Helper()
	r, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}
