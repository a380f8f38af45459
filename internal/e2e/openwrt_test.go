package e2e_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/stage"
)

// procd stands for OpenWrt's: it prints what it is told.
const procd = `procd_open_instance() { :; }
procd_close_instance() { :; }
procd_set_param() { echo "$@"; }
mkdir() { :; }
chown() { :; }
`

// The init script starts the agent as its own user, with a configuration that the
// agent can use.
func TestOpenWrt(t *testing.T) {
	module, err := stage.Module()
	must(t, err)
	folder := filepath.Join(module, "deploy/openwrt")
	out, err := exec.CommandContext(t.Context(), "sh", "-euc", procd+". "+filepath.Join(folder, "cardea-agent")+"\nstart_service").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	params := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		params[name] = value
	}
	if params["user"] != "cardea" || params["group"] != "cardea" {
		t.Errorf("it runs as %s:%s", params["user"], params["group"])
	}
	args := strings.Fields(strings.ReplaceAll(params["command"], "/etc/cardea", folder))
	if len(args) != 3 || args[0] != "/usr/bin/cardea-agent" {
		t.Fatalf("it starts %q", params["command"])
	}
	check := exec.CommandContext(t.Context(), filepath.Join(bin, "cardea-agent"), append(args[1:], "-check")...)
	if said, err := check.CombinedOutput(); err != nil {
		t.Errorf("its configuration: %v: %s", err, said)
	}
}
