package cardea

import (
	"fmt"
	"slices"
)

// A DataGroup is one of the four sorts of what can be known of a person.
type DataGroup string

// The groups there are.
const (
	DataIdentity    DataGroup = "identity"    // who they are
	DataDescriptive DataGroup = "descriptive" // what is so of them
	DataAttitudinal DataGroup = "attitudinal" // what they like and think
	DataBehavioural DataGroup = "behavioural" // what they do
)

// DataGroups lists all of them.
var DataGroups = []DataGroup{DataIdentity, DataDescriptive, DataAttitudinal, DataBehavioural}

// A Category registers what a purpose names as data, for those who have to read
// it by machine.
type Category struct {
	Data  string    `yaml:"data" json:"data"` // as it stands in the purposes
	Group DataGroup `yaml:"group" json:"group"`
	// DPV is the concept of the W3C's Data Privacy Vocabulary, with the prefix
	// "dpv:" or that of its extension for personal data, "pd:".
	DPV string `yaml:"dpv" json:"dpv"`
	// Special: it is of the sorts that the GDPR's Article 9 protects, and leaves a
	// device only with the facet "sensitive".
	Special bool `yaml:"special" json:"special,omitempty"`
}

// Category finds what is registered of a purpose's data.
func (c *Catalogue) Category(data string) (Category, bool) {
	i := slices.IndexFunc(c.Categories, func(known Category) bool { return known.Data == data })
	if i < 0 {
		return Category{}, false
	}
	return c.Categories[i], true
}

// validateCategories wants all of the data registered, or none.
func (c *Catalogue) validateCategories() error {
	if len(c.Categories) == 0 {
		return nil
	}
	seen := map[string]bool{}
	for _, known := range c.Categories {
		switch {
		case known.Data == "" || seen[known.Data]:
			return fmt.Errorf("%w: data_categories: %.60q stands there twice, or is nothing", ErrInvalidCatalogue, known.Data)
		case !slices.Contains(DataGroups, known.Group):
			return fmt.Errorf("%w: data_categories: %.60q: group is one of %q", ErrInvalidCatalogue, known.Data, DataGroups)
		case !isConcept(known.DPV):
			return fmt.Errorf("%w: data_categories: %.60q: dpv is a concept such as pd:EmailAddress", ErrInvalidCatalogue, known.Data)
		}
		seen[known.Data] = true
	}
	for _, p := range c.Purposes {
		for _, data := range p.Data {
			if !seen[data] {
				return fmt.Errorf("%w: purpose %q: %.60q is not among the data_categories", ErrInvalidCatalogue, p.ID, data)
			}
		}
	}
	return nil
}

// isConcept reports whether text is a name in one of the two namespaces.
func isConcept(text string) bool {
	for _, prefix := range []string{"dpv:", "pd:"} {
		if len(text) > len(prefix) && text[:len(prefix)] == prefix {
			return !slices.ContainsFunc([]byte(text[len(prefix):]), func(b byte) bool {
				return (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') && (b < '0' || b > '9')
			})
		}
	}
	return false
}
