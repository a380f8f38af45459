package agent

import "testing"

// A socket has a file whether its path was told from the root or not.
func TestPathOf(t *testing.T) {
	for address, want := range map[string]string{"/run/cardea/agent.sock": "/run/cardea/agent.sock", "run/agent.sock": "run/agent.sock", "@cardea": ""} {
		if got := pathOf(address); got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
}
