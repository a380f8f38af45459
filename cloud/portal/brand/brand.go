// Package brand is who the pages speak for: a name, a logo and a colour.
//
// What it promises: a colour is only used if it can be read. Links and states are
// written in it, on every ground the style sheet has, and must stand out from each
// as WCAG 2.2 asks of text (Section 1.4.3); a colour that does not is refused at
// start, with one that would do. A logo is a picture and nothing else: a file in
// SVG, shown where scripts never run and nothing is loaded.
package brand

import (
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"strings"
)

// Config is what the brand says of itself.
type Config struct {
	// Name stands on every page. Empty: "Cardea".
	Name string
	// Logo is the path of a file in SVG, at most 64 KB. Empty: a door's hinge.
	Logo string
	// Colour is the accent on light pages, "#146650", and ColourDark on dark ones.
	// Empty: a dark green; for dark pages, the same colour made light enough.
	Colour, ColourDark string
}

// A Brand can be shown.
type Brand struct {
	Name        string
	Logo        []byte // empty: none
	light, dark rgb
	own         bool // it has a colour
}

// String is its name, for sentences.
func (b Brand) String() string { return b.Name }

// Load reads and checks what the brand says of itself.
func Load(c Config) (Brand, error) {
	b := Brand{Name: c.Name, own: c.Colour != ""}
	if b.Name == "" {
		b.Name = "Cardea"
	}
	var err error
	if b.own {
		if b.light, err = readable("brand_colour", c.Colour, onLight); err != nil {
			return Brand{}, err
		}
		b.dark = b.light.until(onDark, white)
	}
	if c.ColourDark != "" {
		if !b.own {
			return Brand{}, errors.New("brand_colour_dark: set brand_colour as well")
		}
		if b.dark, err = readable("brand_colour_dark", c.ColourDark, onDark); err != nil {
			return Brand{}, err
		}
	}
	if c.Logo != "" {
		if b.Logo, err = readLogo(c.Logo); err != nil {
			return Brand{}, fmt.Errorf("brand_logo: %w", err)
		}
	}
	return b, nil
}

// Sheet is the style sheet with the brand's colours, which goes over that of the
// pages; empty if it has none.
func (b Brand) Sheet() []byte {
	if !b.own {
		return nil
	}
	return fmt.Appendf(nil, ":root { --accent: %s; }\n@media (prefers-color-scheme: dark) { :root { --accent: %s; } }\n", b.light, b.dark)
}

// maxLogo keeps pages light.
const maxLogo = 64 << 10

// readLogo reads a picture. What could act is refused, though browsers would not
// let it in a picture: somebody may open the file by itself.
func readLogo(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(text) > maxLogo {
		return nil, fmt.Errorf("%s has more than %d KB: simplify it", path, maxLogo>>10)
	}
	root := ""
	for d := xml.NewDecoder(strings.NewReader(string(text))); ; {
		token, err := d.Token()
		if token == nil {
			break // at the end, or at a fault that root tells of
		}
		if err != nil {
			return nil, fmt.Errorf("%s is no SVG: %w", path, err)
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if root == "" {
			root = e.Name.Local
		}
		if acts(e) {
			return nil, fmt.Errorf("%s has a script or a link in <%s>: export it as a plain picture", path, e.Name.Local)
		}
	}
	if root != "svg" {
		return nil, fmt.Errorf("%s is no SVG", path)
	}
	return text, nil
}

func acts(e xml.StartElement) bool {
	if name := strings.ToLower(e.Name.Local); name == "script" || name == "foreignobject" || name == "a" {
		return true
	}
	for _, a := range e.Attr {
		name := strings.ToLower(a.Name.Local)
		if strings.HasPrefix(name, "on") || name == "href" && !strings.HasPrefix(a.Value, "#") && !strings.HasPrefix(a.Value, "data:image/") {
			return true
		}
	}
	return false
}
