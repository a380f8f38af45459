package catalogue

import (
	"errors"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// What the YAML library says about a field and a type of Go, and what it says to
// somebody who writes a catalogue.
var (
	noField   = regexp.MustCompile(`field (\S+) not found in type [\w.]+`)
	wrongType = regexp.MustCompile("cannot unmarshal !!(\\S+) (`.*` )?into [\\w.]+")
)

// fault is what is wrong with a text that is no catalogue, in one line.
func fault(err error) string {
	if errors.Is(err, io.EOF) {
		return "it is empty: say in YAML what owners are asked, as testdata/catalogue.yaml does"
	}
	text := err.Error()
	if wrong, ok := errors.AsType[*yaml.TypeError](err); ok {
		text = strings.Join(wrong.Errors, "; ")
	}
	text = noField.ReplaceAllString(text, "there is no field $1")
	return wrongType.ReplaceAllString(text, "$2($1) is of the wrong type")
}
