package qr_test

import (
	"bytes"
	"errors"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/pairing/qr"
	"github.com/cardea-id/cardea/pairing/qr/qrtest"
)

// The addresses of the forms, and the smallest picture that can hold each: its
// modules with the quiet zone, two pixels each. At one pixel a module only a
// decoder that is given the pixels themselves reads it, and no camera.
var forms = []struct {
	name, uri string
	version   int
	pixels    int // at two a module
}{
	{"short, host of 6", "HTTPS://ID.XYZ/P/WDJBMJHT", 1, 58},
	{"short", "HTTPS://ID.EXAMPLE.COM/P/WDJBMJHT", 2, 66},
	{"complete", "https://id.example.com/pair?code=WDJB-MJHT", 3, 74},
	{"label", "HTTPS://ID.EXAMPLE.COM/L/BCDFGHJKLMNPQRSTVWXZ", 2, 66},
}

// The sizes of displays.
var displays = []int{64, 128, 256, 512}

// zbar reads what a file shows, with the library most scanners are made of. The
// Makefile installs it.
func zbar(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "zbarimg", "-q", "--raw", "-Sdisable", "-Sqrcode.enable", path).Output()
	if err != nil {
		t.Errorf("zbarimg %s: %v (run make tools)", path, err)
	}
	return strings.TrimSuffix(string(out), "\n")
}

// rasterise draws an SVG with a library of its own.
func rasterise(t *testing.T, svg []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "rsvg-convert", args...)
	cmd.Stdin = bytes.NewReader(svg)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("rsvg-convert: %v (run make tools)", err)
	}
	return out
}

// bothRead gives a picture to two decoders that have nothing in common.
func bothRead(t *testing.T, what string, picture []byte, want string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "code.png")
	if err := os.WriteFile(path, picture, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := zbar(t, path); got != want {
		t.Errorf("%s: zbar reads %q, want %q", what, got, want)
	}
	if got, err := qrtest.DecodePNG(picture); got != want {
		t.Errorf("%s: gozxing reads %q, %v, want %q", what, got, err, want)
	}
}

// Every form is read at every size that can hold it with two pixels a module.
func TestEveryFormAtEverySize(t *testing.T) {
	for _, form := range forms {
		for _, px := range displays {
			if px < form.pixels {
				continue
			}
			what := fmt.Sprintf("%s, %d px", form.name, px)
			picture, err := qr.PNG(form.uri, px)
			if err != nil {
				t.Fatal(err)
			}
			bothRead(t, what+", PNG", picture, form.uri)
			drawing, err := qr.SVG(form.uri, px)
			if err != nil {
				t.Fatal(err)
			}
			bothRead(t, what+", SVG", rasterise(t, drawing), form.uri)
		}
		for _, dark := range []bool{true, false} {
			text, err := qr.Terminal(form.uri, dark)
			if err != nil {
				t.Fatal(err)
			}
			screen, err := qrtest.Screen(text, dark)
			if err != nil {
				t.Fatal(err)
			}
			bothRead(t, fmt.Sprintf("%s, terminal, dark %v", form.name, dark), screen, form.uri)
		}
	}
}

// What 64 pixels can hold: version 1, which is 25 characters of the short form,
// so a host of six. One character more needs version 2 and 66 pixels; it is
// drawn all the same, at one pixel a module, for a display that is looked at
// through a magnifier or enlarged.
func TestBoundOfSixtyFourPixels(t *testing.T) {
	for host, pixels := range map[string]int{"ID.XYZ": 2, "ID1.XYZ": 1} {
		uri := "HTTPS://" + host + "/P/WDJBMJHT"
		data, err := qr.PNG(uri, 64)
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		first, side := 0, 0
		dark := func(x int) bool { r, _, _, _ := img.At(x, x).RGBA(); return r == 0 }
		for !dark(first) {
			first++
		}
		for dark(first + side) { // along the diagonal: the first module of the finder's frame
			side++
		}
		if side != pixels {
			t.Errorf("%s: a module of %d pixels, want %d", host, side, pixels)
		}
	}
	// The long form of the same host is three modules a side more at least.
	for _, form := range forms {
		if _, err := qr.PNG(form.uri, form.pixels/2-1); !errors.Is(err, qr.ErrTooSmall) {
			t.Errorf("%s in %d pixels: %v", form.name, form.pixels/2-1, err)
		}
		if _, err := qr.SVG(form.uri, form.pixels/2-1); !errors.Is(err, qr.ErrTooSmall) {
			t.Errorf("%s in %d units: %v", form.name, form.pixels/2-1, err)
		}
		if side := 17 + 4*form.version + 8; 2*side != form.pixels {
			t.Errorf("%s: version %d is %d modules, not %d", form.name, form.version, side, form.pixels/2)
		}
		if _, err := qr.PNG(form.uri, form.pixels/2); err != nil {
			t.Errorf("%s in %d pixels: %v", form.name, form.pixels/2, err)
		}
	}
}

// A drawing without a size is read at whatever size it is shown.
func TestSVGScales(t *testing.T) {
	drawing, err := qr.SVG(forms[1].uri, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, side := range []string{"128", "333", "1024"} {
		bothRead(t, side+" px", rasterise(t, drawing, "-w", side, "-h", side, "--keep-aspect-ratio"), forms[1].uri)
	}
}

// A label is printed, and read among the words beside it.
func TestLabel(t *testing.T) {
	label := qr.Label{URI: forms[3].uri, Lines: []string{"Scan to add", "BCDF-GHJK-LMNP-QRST-VWXZ", "Hearth <Mini> & Co"}}
	drawing, err := label.SVG()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(drawing, []byte("Hearth &lt;Mini&gt; &amp; Co")) {
		t.Errorf("the words are markup: %s", drawing)
	}
	picture := rasterise(t, drawing, "-w", "900")
	bothRead(t, "label", picture, label.URI)
	if _, err := (qr.Label{}).SVG(); !errors.Is(err, qr.ErrTooLong) {
		t.Errorf("an empty label: %v", err)
	}
}
