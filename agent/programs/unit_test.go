package programs_test

import (
	"strings"
	"testing"

	"github.com/cardea-id/cardea/agent/programs"
)

var cgroups = []struct{ why, text, unit string }{
	{"unified", "0::/system.slice/speaker-ui.service\n", "speaker-ui.service"},
	{"below the unit", "0::/system.slice/speaker-ui.service/worker.service\n", "speaker-ui.service"},
	{"nested slices", "0::/a.slice/a-b.slice/x.service\n", "x.service"},
	{"a template", "0::/system.slice/ui@tv.service\n", "ui@tv.service"},
	{"the hierarchy before", "12:cpu:/x.service\n1:name=systemd:/system.slice/ui.service\n", "ui.service"},
	{"hybrid", "1:name=systemd:/system.slice/ui.service\n0::/\n", "ui.service"},
	{"no line end", "0::/system.slice/ui.service", "ui.service"},
	{"a session", "0::/user.slice/user-1000.slice/session-2.scope\n", "session-2.scope"},

	{"a user names units as they like", "0::/user.slice/user-1000.slice/user@1000.service/app.slice/speaker-ui.service\n", "user@1000.service"},
	{"a user names a slice as they like", "0::/user.slice/user-1000.slice/user@1000.service/system.slice/speaker-ui.service\n", "user@1000.service"},
	{"another controller", "3:memory:/system.slice/speaker-ui.service\n", ""},
	{"no unit at the top", "0::/container/system.slice/speaker-ui.service\n", ""},
	{"outside the namespace", "0::/../../system.slice/speaker-ui.service\n", ""},
	{"the root", "0::/\n", ""},
	{"only slices", "0::/system.slice\n", ""},
	{"nothing", "", ""},
	{"nonsense", "::::\n/\n", ""},
	{"a relative path", "0::system.slice/ui.service\n", ""},
	{"hidden", "0::/.service\n", ""},
}

func TestParseUnit(t *testing.T) {
	for _, c := range cgroups {
		if got := programs.ParseUnit(c.text); got != c.unit {
			t.Errorf("%s: %q is unit %q, want %q", c.why, c.text, got, c.unit)
		}
	}
}

func FuzzUnit(f *testing.F) {
	for _, c := range cgroups {
		f.Add(c.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		unit := programs.ParseUnit(text)
		if unit != "" && (strings.Contains(unit, "/") || !strings.Contains(text, "/"+unit)) {
			t.Errorf("%q names unit %q", text, unit)
		}
	})
}
