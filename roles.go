package cardea

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// MaxRoles is how many roles an account has at most.
	MaxRoles = 8
	// MaxRoleAge is how long a device counts on roles without a word from its
	// cloud: as long as its own token lives at most.
	MaxRoleAge = 24 * time.Hour
)

// Roles are what a user is to the brand ("driver", "service"), for its APIs and its
// devices to go by: names in order, none twice, with a space between them. They
// open no purpose.
type Roles string

// ErrInvalidRole is returned for a list that is not one of roles.
var ErrInvalidRole = errors.New("invalid role")

// ParseRoles puts names in order. A name has a small letter first, then small
// letters, digits, _ and -, 32 characters in all at most.
func ParseRoles(names []string) (Roles, error) {
	sorted := slices.Compact(slices.Sorted(slices.Values(names)))
	if len(sorted) > MaxRoles {
		return "", fmt.Errorf("%w: at most %d", ErrInvalidRole, MaxRoles)
	}
	for _, name := range sorted {
		if !roleName(name) {
			return "", fmt.Errorf("%w: %.40q: write it like driver, in at most 32 small letters, digits, _ and -", ErrInvalidRole, name)
		}
	}
	return Roles(strings.Join(sorted, " ")), nil
}

func roleName(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyz"
	return s != "" && len(s) <= 32 && strings.Contains(letters, s[:1]) && strings.Trim(s, letters+"0123456789_-") == ""
}

// Names lists the roles, nil if there are none.
func (r Roles) Names() []string {
	if r == "" {
		return nil
	}
	return strings.Split(string(r), " ")
}
