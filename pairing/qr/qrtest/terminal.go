package qrtest

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// DecodeTerminal reads the QR code in what a terminal was sent: half blocks
// among other lines, with or without colours. Where the text leaves the colours
// to the terminal it is read as a dark and as a light one would show it.
func DecodeTerminal(text string) (string, error) {
	got, err := DecodeScreen(text, true)
	if err != nil {
		return DecodeScreen(text, false)
	}
	return got, nil
}

// DecodeScreen reads the QR code as a terminal shows it whose own colours are
// light on dark, or dark on light.
func DecodeScreen(text string, dark bool) (string, error) {
	lines := parse(text, dark)
	for start := 0; start < len(lines); start++ {
		end := start
		for end < len(lines) && lines[end].blocks {
			end++
		}
		// The smallest code has 21 modules a side, two of them a line.
		if end-start >= 10 {
			// Two lines more on either side: a light quiet zone has no blocks.
			around := lines[max(start-2, 0):min(end+2, len(lines))]
			if got, err := decode(draw(around, dark)); err == nil {
				return got, nil
			}
		}
		start = end
	}
	return "", ErrNotFound
}

// Screen is a picture of a terminal that shows the text, whose own colours are
// light on dark, or dark on light, for a decoder that is no part of this package.
func Screen(text string, dark bool) ([]byte, error) {
	var b bytes.Buffer
	if err := png.Encode(&b, draw(parse(text, dark), dark)); err != nil {
		return nil, fmt.Errorf("draw the screen: %w", err)
	}
	return b.Bytes(), nil
}

// A line is a row of characters, each an upper and a lower half; true is dark.
type line struct {
	cells  [][2]bool
	blocks bool // there are half blocks in it
}

var escape = regexp.MustCompile(`^\x1b(?:\[([0-9;?]*)([@-~])|\][^\a\x1b]*(?:\a|\x1b\\)|[@-Z\\-_])`)

// parse keeps colours from line to line, as a terminal does.
func parse(text string, dark bool) []line {
	lines := []line{{}}
	p := newPen(dark)
	for text != "" {
		l := &lines[len(lines)-1]
		if m := escape.FindStringSubmatch(text); m != nil {
			if m[2] == "m" {
				p.set(m[1])
			}
			text = text[len(m[0]):]
			continue
		}
		r, size := utf8.DecodeRuneInString(text)
		text = text[size:]
		switch r {
		case '\n':
			lines = append(lines, line{})
		case '\r':
		case '█', '▀', '▄':
			l.blocks = true
			upper, lower := p.ground, p.ground
			if r != '▄' {
				upper = p.ink
			}
			if r != '▀' {
				lower = p.ink
			}
			l.cells = append(l.cells, [2]bool{upper, lower})
		default:
			l.cells = append(l.cells, [2]bool{p.ground, p.ground})
		}
	}
	return lines
}

// draw rasterises lines with a margin in the terminal's own ground.
func draw(lines []line, dark bool) image.Image {
	const px, margin = 6, 4
	width := 0
	for _, l := range lines {
		width = max(width, len(l.cells))
	}
	img := image.NewGray(image.Rect(0, 0, (width+2*margin)*px, (2*len(lines)+2*margin)*px))
	for y := range img.Rect.Dy() {
		for x := range img.Rect.Dx() {
			cx, cy := x/px-margin, y/px-margin
			on := dark
			if cx >= 0 && cy >= 0 && cy/2 < len(lines) && cx < len(lines[cy/2].cells) {
				on = lines[cy/2].cells[cx][cy%2]
			}
			if !on {
				img.SetGray(x, y, color.Gray{Y: 255})
			}
		}
	}
	return img
}

// A pen is the colours in force, each dark or light.
type pen struct{ ink, ground, dark bool }

func newPen(dark bool) pen { return pen{ink: !dark, ground: dark, dark: dark} }

// set obeys "select graphic rendition" (ECMA-48, Section 8.3.117).
func (p *pen) set(params string) {
	list := strings.Split(params, ";")
	for i := 0; i < len(list); i++ {
		n, _ := strconv.Atoi(list[i])
		switch {
		case n == 0:
			*p = newPen(p.dark)
		case n == 7:
			p.ink, p.ground = p.ground, p.ink
		case n == 39:
			p.ink = !p.dark
		case n == 49:
			p.ground = p.dark
		case n == 38 || n == 48:
			is, used := extended(list[i+1:])
			p.paint(n == 38, is)
			i += used
		case n >= 30 && n <= 37 || n >= 40 && n <= 47:
			p.paint(n < 40, n%10 < 7)
		case n >= 90 && n <= 97 || n >= 100 && n <= 107:
			p.paint(n < 100, n%10 < 1)
		}
	}
}

func (p *pen) paint(ink, dark bool) {
	if ink {
		p.ink = dark
		return
	}
	p.ground = dark
}

// extended reads "5;n" of the 256 colours or "2;r;g;b", and how many
// parameters that were.
func extended(list []string) (dark bool, used int) {
	at := func(i int) int {
		if i >= len(list) {
			return 0
		}
		n, _ := strconv.Atoi(list[i])
		return n
	}
	switch at(0) {
	case 5:
		n := at(1)
		switch {
		case n < 16:
			return n != 7 && n < 9, 2
		case n >= 232:
			return n < 244, 2
		}
		n -= 16
		return n/36+n/6%6+n%6 < 8, 2
	case 2:
		return at(1)+at(2)+at(3) < 384, 4
	}
	return true, len(list)
}
