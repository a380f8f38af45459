package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tracedAgent is a folder of the programs in which the agent's opening of files is
// written down.
func tracedAgent(t *testing.T) (dir, log string) {
	t.Helper()
	dir = t.TempDir()
	log = filepath.Join(dir, "opened")
	script := fmt.Sprintf("#!/bin/sh\nexec strace -D -f -qq -e trace=open,openat -o '%s' '%s' \"$@\"\n", log, filepath.Join(bin, "cardea-agent"))
	must(t, os.WriteFile(filepath.Join(dir, "cardea-agent"), []byte(script), 0o755))
	return dir, log
}

// A device that was given its authority never reads the system's, whose bundle
// would stay in its memory; one that was not does.
func TestPinnedAgentLeavesTheBundleAlone(t *testing.T) {
	s := newTLSStage(t)
	bundle := filepath.Join(t.TempDir(), "bundle.pem")
	must(t, os.WriteFile(bundle, s.Authority.PEM(), 0o644))
	t.Setenv("SSL_CERT_FILE", bundle) // the system's, for agents started from now on
	t.Setenv("SSL_CERT_DIR", t.TempDir())
	pinned := s.CAFile
	for name, ca := range map[string]string{"pinned": pinned, "not-pinned": ""} {
		var log string
		s.Bin, log = tracedAgent(t)
		s.CAFile = ca
		a, err := s.StartAgent(t.Context(), name, "speaker")
		must(t, err)
		roundTrip(t, s, a, name+"@example.com")
		must(t, a.Process.Stop())
		opened, err := os.ReadFile(log)
		must(t, err)
		if got, want := strings.Contains(string(opened), bundle), ca == ""; got != want {
			t.Errorf("%s: the system's authorities were read: %v", name, got)
		}
		if !strings.Contains(string(opened), "device.db") {
			t.Errorf("%s: nothing was written down:\n%s", name, opened)
		}
	}
}
