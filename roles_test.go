package cardea_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cardea-id/cardea"
)

func TestParseRoles(t *testing.T) {
	got, err := cardea.ParseRoles([]string{"service", "driver", "service", "x-2_y"})
	if err != nil || got != "driver service x-2_y" || !slices.Equal(got.Names(), []string{"driver", "service", "x-2_y"}) {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := cardea.ParseRoles(nil); err != nil || got != "" || got.Names() != nil {
		t.Errorf("none: %q, %v", got, err)
	}
	for _, bad := range []string{"", "Driver", "2nd", "a b", "a\n", "ä", strings.Repeat("r", 33)} {
		if _, err := cardea.ParseRoles([]string{bad}); !errors.Is(err, cardea.ErrInvalidRole) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := cardea.ParseRoles(strings.Split("abcdefghi", "")); !errors.Is(err, cardea.ErrInvalidRole) {
		t.Errorf("nine: %v", err)
	}
}
