package qr_test

import (
	"bytes"
	"errors"
	"fmt"
	"image/png"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/qr"
	"github.com/cardea-id/cardea/pairing/qr/qrtest"
)

var addresses = []string{
	"HTTPS://C.EXAMPLE/P/WDJBMJHT",
	"http://127.0.0.1:8080/pair?code=WDJB-MJHT",
	"https://login.example.com/pair?code=BCDF-GHJK",
	"https://a-rather-long-host-name.customers.example.com/device/authorization/pair?user_code=WDJB-MJHT&device=kitchen",
}

func TestPNGIsScanned(t *testing.T) {
	for _, address := range addresses {
		for _, px := range []int{0, 64, 128, 200, 256, 333, 480, 1024} {
			data, err := qr.PNG(address, px)
			if err != nil {
				t.Fatalf("PNG(%q, %d): %v", address, px, err)
			}
			if got, err := qrtest.DecodePNG(data); got != address {
				t.Errorf("PNG(%q, %d) is read as %q, %v", address, px, got, err)
			}
		}
	}
}

func TestPNGHasWholePixelsAndAQuietZone(t *testing.T) {
	for _, px := range []int{100, 256, 301} {
		data, err := qr.PNG(addresses[1], px)
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if img.Bounds().Dx() != px || img.Bounds().Dy() != px {
			t.Errorf("the image is %v, want %d pixels a side", img.Bounds(), px)
		}
		dark := func(x, y int) bool { r, _, _, _ := img.At(x, y).RGBA(); return r == 0 }
		first := 0
		for !dark(first, first) {
			first++
		}
		// The finder pattern is seven modules wide.
		side := 0
		for dark(first+side, first) {
			side++
		}
		if side%7 != 0 {
			t.Errorf("%d px: a finder pattern of %d pixels is no whole number a module", px, side)
		}
		if module := side / 7; first < 4*module {
			t.Errorf("%d px: a quiet zone of %d pixels is less than four modules of %d", px, first, module)
		}
	}
}

func TestPNGRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		px   int
		want error
	}{
		"too few pixels":  {addresses[1], 20, qr.ErrTooSmall},
		"too many pixels": {addresses[1], 1 << 20, qr.ErrTooSmall},
		"negative":        {addresses[1], -3, qr.ErrTooSmall},
		"too long":        {strings.Repeat("a", 513), 0, qr.ErrTooLong},
		"empty":           {"", 0, qr.ErrTooLong},
	} {
		if _, err := qr.PNG(c.text, c.px); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

func TestTerminalIsScannedWithTheRightGroundOnly(t *testing.T) {
	for _, address := range addresses {
		for _, dark := range []bool{true, false} {
			text, err := qr.Terminal(address, dark)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := qrtest.DecodeScreen(text, dark); got != address {
				t.Errorf("dark %v: %q is read as %q, %v", dark, address, got, err)
			}
			if got, err := qrtest.DecodeScreen(text, !dark); !errors.Is(err, qrtest.ErrNotFound) {
				t.Errorf("the wrong ground is read as %q, %v", got, err)
			}
			if got, err := qrtest.DecodeTerminal(text); got != address {
				t.Errorf("in a capture: %q is read as %q, %v", address, got, err)
			}
		}
	}
}

func TestColoredIsScannedFromBoth(t *testing.T) {
	for _, address := range addresses {
		text, err := qr.Colored(address)
		if err != nil {
			t.Fatal(err)
		}
		for _, dark := range []bool{true, false} {
			if got, err := qrtest.DecodeScreen(text, dark); got != address {
				t.Errorf("dark %v: %q is read as %q, %v", dark, address, got, err)
			}
		}
	}
}

func TestTerminalFitsASmallWindow(t *testing.T) {
	text, err := qr.Terminal(addresses[1], true)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for _, l := range lines {
		if n := utf8.RuneCountInString(l); n != utf8.RuneCountInString(lines[0]) || n > 80 {
			t.Errorf("a line of %d characters", n)
		}
	}
	if len(lines) > 23 {
		t.Errorf("%d lines do not fit a terminal of 24", len(lines))
	}
}

func TestEveryCodeIsScanned(t *testing.T) {
	for range 15 {
		address := "https://cardea.example/pair?code=" + string(pairing.NewUserCode())
		data, err := qr.PNG(address, 256)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := qrtest.DecodePNG(data); got != address {
			t.Errorf("%q is read as %q, %v", address, got, err)
		}
		text, err := qr.Colored(address)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := qrtest.DecodeTerminal(text); got != address {
			t.Errorf("%q in a terminal is read as %q, %v", address, got, err)
		}
	}
}

func ExampleTerminal() {
	text, _ := qr.Terminal("HTTPS://C.EXAMPLE", true)
	fmt.Println(strings.Count(text, "\n"), "lines")
	// Output: 15 lines
}
