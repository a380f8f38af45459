// Package config reads TOML configuration files. A key nobody knows is an
// error, because a misspelt one would otherwise silently do nothing. It is the
// only importer of the TOML library.
package config

import (
	"errors"
	"fmt"
	"os"

	"github.com/BurntSushi/toml"
)

// ErrUnknownKey is returned for a file that sets something that does not exist.
var ErrUnknownKey = errors.New("unknown configuration key")

// Load reads the file at path over the values v already holds.
func Load(path string, v any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	if err := Parse(string(text), v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// Parse reads TOML text over the values v already holds.
func Parse(text string, v any) error {
	meta, err := toml.Decode(text, v)
	if err != nil {
		return fmt.Errorf("parse configuration: %w", err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return fmt.Errorf("%w %q: remove it or correct its spelling", ErrUnknownKey, unknown[0].String())
	}
	return nil
}

// Tree reads TOML text whose keys only the text itself knows, such as a file of
// messages: as maps of maps and plain values.
func Tree(text string) (map[string]any, error) {
	tree := map[string]any{}
	if _, err := toml.Decode(text, &tree); err != nil {
		return nil, fmt.Errorf("parse tree: %w", err)
	}
	return tree, nil
}
