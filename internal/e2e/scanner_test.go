package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// After a whole life on a device nothing of it can be read in its files: no
// password and no token, ours or anybody's, no statement, no choice, no setting,
// and not who it was. The log does not have it either.
func TestFilesOfADeviceTellNothing(t *testing.T) {
	s := newStage(t)
	phone := newPhone(t, s, "ada@example.com")
	a := newAgent(t, s, "a", "speaker")
	link, found := life(t, s, a, phone)
	delete(found, "the device key") // whose file it is, and which is bound to the machine
	for _, what := range []string{"a sentence nobody guesses", "ada@example.com", "access_token", "refresh_token", "id_token", "password", "granted"} {
		found.add(what, []byte(what))
	}
	before := must1(a.Consents(t.Context()))(t)
	for _, c := range before.Consents {
		found.add(string(c.Key), []byte(c.Key))
	}
	found.add("the head", before.Head.Hash[:])
	scan(t, a, found)
	if text := logOf(t, a); strings.Contains(text, "ada@") || strings.Contains(text, "eyJ") || strings.Contains(text, "nobody guesses") {
		t.Errorf("the log tells: %s", text)
	}
	for _, name := range []string{"device.db", "device.key"} {
		info, err := os.Stat(filepath.Join(a.Dir, "state", name))
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s is open to others: %v", name, info.Mode())
		}
	}
	if link.IsZero() {
		t.Error("nobody lived there")
	}
}
