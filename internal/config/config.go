// Package config reads TOML configuration files. A key nobody knows is an
// error, because a misspelt one would otherwise silently do nothing. It is the
// only importer of the TOML library.
package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"

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
		return fmt.Errorf("parse configuration: %w%s", err, hint(err))
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return fmt.Errorf("%w %q: remove it or correct its spelling", ErrUnknownKey, unknown[0].String())
	}
	return withUnits(meta, reflect.TypeOf(v))
}

// withUnits refuses a time that is a bare number. The library takes it for
// nanoseconds, which nobody who wrote 72 has meant.
func withUnits(meta toml.MetaData, t reflect.Type) error {
	for _, key := range meta.Keys() {
		if meta.Type(key...) == "Integer" && typeOf(t, key) == reflect.TypeFor[time.Duration]() {
			return fmt.Errorf("parse configuration: %s: a number is no time%s", key, timeHint)
		}
	}
	return nil
}

// typeOf is the type of a key's field; nil if there is none.
func typeOf(t reflect.Type, key []string) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if len(key) == 0 || t.Kind() != reflect.Struct {
		return t
	}
	for f := range t.Fields() {
		if strings.EqualFold(f.Tag.Get("toml"), key[0]) {
			return typeOf(f.Type, key[1:])
		}
	}
	return nil
}

const timeHint = `: write one like "10m" or "72h"`

// hint is what to write instead, where the library does not say.
func hint(err error) string {
	switch text := err.Error(); {
	case strings.Contains(text, "invalid duration"):
		return timeHint
	case strings.Contains(text, "destination has type string"):
		return ": write it in quotes"
	}
	return ""
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
