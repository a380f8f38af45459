package brand

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestColours(t *testing.T) {
	for _, c := range []struct{ light, dark, want string }{
		{"", "", ""},
		{"#146650", "", "#146650"},
		{"#1a4fd0", "", "#1a4fd0"},
		{"#1a4fd0", "#9db8ff", "#9db8ff"},
		{"#a00020", "", "#a00020"},
	} {
		b, err := Load(Config{Colour: c.light, ColourDark: c.dark})
		if err != nil {
			t.Errorf("%v: %v", c, err)
			continue
		}
		if !strings.Contains(string(b.Sheet()), c.want) {
			t.Errorf("%v: sheet %s", c, b.Sheet())
		}
		if b.own && (onLight.least(b.light) < enough || onDark.least(b.dark) < enough) {
			t.Errorf("%v: %s and %s can not be read", c, b.light, b.dark)
		}
	}
	for _, c := range []struct{ light, dark, says string }{
		{"#ffcc00", "", "brand_colour: text in #ffcc00 has a contrast of"},
		{"#146650", "#146650", "brand_colour_dark: text in #146650"},
		{"", "#9db8ff", "set brand_colour as well"},
		{"green", "", "is no colour"},
		{"#12345", "", "is no colour"},
		{"146650", "", "is no colour"},
	} {
		_, err := Load(Config{Colour: c.light, ColourDark: c.dark})
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: %v, want %q", c, err, c.says)
		}
	}
}

// The colour that an error proposes is taken.
func TestWhatIsProposedWouldDo(t *testing.T) {
	for _, colour := range []string{"#ffcc00", "#ff0000", "#00ff00", "#ffffff", "#777777", "#1ab0ff"} {
		_, err := Load(Config{Colour: colour})
		if err == nil {
			t.Errorf("%s was taken", colour)
			continue
		}
		words := strings.Fields(strings.TrimSuffix(err.Error(), " would do"))
		if _, err := Load(Config{Colour: words[len(words)-1]}); err != nil {
			t.Errorf("%s: %v", colour, err)
		}
	}
}

func TestContrast(t *testing.T) {
	if c := contrast(white, black); c != 21 {
		t.Errorf("white on black: %v", c)
	}
	if c := contrast(rgb{0x77, 0x77, 0x77}, white); c < 4.47 || c > 4.49 { // W3C's own example
		t.Errorf("#777 on white: %v", c)
	}
}

// The grounds that colours are checked against are those of the style sheet.
func TestGroundsAreTheSheets(t *testing.T) {
	text, err := os.ReadFile("../desk/assets/style.css")
	if err != nil {
		t.Fatal(err)
	}
	light, dark, ok := strings.Cut(string(text), "prefers-color-scheme: dark")
	if !ok {
		t.Fatal("the sheet has no dark part")
	}
	for name, c := range map[string]struct {
		part string
		want rgb
	}{
		"--paper, light": {light, onLight.paper}, "--card, light": {light, onLight.card},
		"--paper, dark": {dark, onDark.paper}, "--card, dark": {dark, onDark.card},
	} {
		property, _, _ := strings.Cut(name, ",")
		if !strings.Contains(c.part, property+": "+c.want.String()+";") {
			t.Errorf("%s of the sheet is not %s", name, c.want)
		}
	}
	if !strings.Contains(light, "--wash: color-mix(in srgb, var(--accent) 12%, var(--card));") {
		t.Errorf("the sheet's wash is not %d of 100", wash)
	}
}

func TestLogo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "logo.svg")
	for text, says := range map[string]string{
		`<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>`:                         "",
		`<svg xmlns="http://www.w3.org/2000/svg"><defs><g id="a"/></defs><use href="#a"/></svg>`: "",
		`<svg><script>alert(1)</script></svg>`:                                                   "script",
		`<svg onload="alert(1)"/>`:                                                               "script",
		`<svg><image href="https://example.com/track.png"/></svg>`:                               "link",
		`<svg><foreignObject/></svg>`:                                                            "script",
		`<html/>`:                                                                                "no SVG",
		`hello`:                                                                                  "no SVG",
		`<svg>` + strings.Repeat("<g/>", 20<<10) + `</svg>`:                                      "64 KB",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := Load(Config{Logo: path})
		switch {
		case says == "" && (err != nil || string(b.Logo) != text):
			t.Errorf("%.60s: %v", text, err)
		case says != "" && (err == nil || !strings.Contains(err.Error(), says)):
			t.Errorf("%.60s: %v, want %q", text, err, says)
		}
	}
	if _, err := Load(Config{Logo: path + ".none"}); err == nil || !strings.Contains(err.Error(), "brand_logo") {
		t.Errorf("a logo that is not there: %v", err)
	}
	if b, err := Load(Config{}); err != nil || b.Name != "Cardea" || b.Sheet() != nil {
		t.Errorf("nothing: %+v %v", b, err)
	}
}

// A colour that was renamed in one place alone would be no colour at all.
func TestSheetUsesWhatItDefines(t *testing.T) {
	text, err := os.ReadFile("../desk/assets/style.css")
	if err != nil {
		t.Fatal(err)
	}
	for _, used := range regexp.MustCompile(`var\((--[a-z-]+)\)`).FindAllStringSubmatch(string(text), -1) {
		if !strings.Contains(string(text), used[1]+": ") {
			t.Errorf("the sheet uses %s and does not define it", used[1])
		}
	}
}
