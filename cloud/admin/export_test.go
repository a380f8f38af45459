package admin

import (
	"maps"
	"slices"
)

// Calls lists what is served, as "GET /admin/v1/catalogue".
func Calls() []string { return slices.Sorted(maps.Keys(new(api).calls())) }
