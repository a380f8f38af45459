package brand

import (
	"encoding/hex"
	"fmt"
	"math"
	"strings"
)

// An rgb is a colour of sRGB.
type rgb [3]uint8

func (c rgb) String() string { return "#" + hex.EncodeToString(c[:]) }

func parse(text string) (c rgb, err error) {
	raw, ok := strings.CutPrefix(text, "#")
	if bytes, err := hex.DecodeString(raw); ok && err == nil && len(bytes) == 3 {
		return rgb(bytes), nil
	}
	return c, fmt.Errorf("%.20q is no colour such as #146650", text)
}

var white, black = rgb{255, 255, 255}, rgb{}

// The grounds of the style sheet on which the accent is written, apart from that
// which is washed with the accent itself.
var (
	onLight = ground{paper: rgb{0xf5, 0xf5, 0xf2}, card: rgb{0xfd, 0xfd, 0xfb}}
	onDark  = ground{paper: rgb{0x12, 0x14, 0x13}, card: rgb{0x1a, 0x1d, 0x1b}}
)

type ground struct{ paper, card rgb }

// wash is how much of the accent its wash has, of 100; see style.css.
const wash = 12

// enough is the contrast that text needs (WCAG 2.2, Section 1.4.3), and a little
// for the rounding of browsers.
const enough = 4.6

// least is the lowest contrast of a colour with what it is written on.
func (g ground) least(c rgb) float64 {
	return min(contrast(c, g.paper), contrast(c, g.card), contrast(c, c.mixed(g.card, wash)))
}

// readable reads a colour that must stand out from its grounds.
func readable(name, text string, g ground) (rgb, error) {
	c, err := parse(text)
	if err != nil {
		return c, fmt.Errorf("%s: %w", name, err)
	}
	if is := g.least(c); is < enough {
		to := black
		if g == onDark {
			to = white
		}
		return c, fmt.Errorf("%s: text in %s has a contrast of %.1f to its ground and needs %.1f: %s would do", name, c, is, enough, c.until(g, to))
	}
	return c, nil
}

// until is the colour, mixed with as much of another as it needs to be readable.
func (c rgb) until(g ground, other rgb) rgb {
	for n := range 100 {
		if next := other.mixed(c, n); g.least(next) >= enough {
			return next
		}
	}
	return other
}

// mixed is n of 100 of the colour in another.
func (c rgb) mixed(other rgb, n int) (out rgb) {
	for i := range out {
		out[i] = uint8(math.Round((float64(c[i])*float64(n) + float64(other[i])*float64(100-n)) / 100))
	}
	return out
}

// contrast is that of WCAG 2.2: from 1 to 21.
func contrast(a, b rgb) float64 {
	high, low := a.luminance(), b.luminance()
	if high < low {
		high, low = low, high
	}
	return (high + 0.05) / (low + 0.05)
}

func (c rgb) luminance() float64 {
	var linear [3]float64
	for i, v := range c {
		s := float64(v) / 255
		if linear[i] = s / 12.92; s > 0.04045 {
			linear[i] = math.Pow((s+0.055)/1.055, 2.4)
		}
	}
	return 0.2126*linear[0] + 0.7152*linear[1] + 0.0722*linear[2]
}
