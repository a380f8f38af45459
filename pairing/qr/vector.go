package qr

import (
	"fmt"
	"strings"

	qrcode "github.com/skip2/go-qrcode"
)

// SVG is the code as a drawing of px units a side, black on white, which can be
// shown and printed at any size. Zero px leaves the size to whatever shows it.
// As in a PNG there is more error correction where the pixels allow it.
//
// All dark modules are one path of bars: drawn one by one, the edges between
// them would shine through where a module is no whole number of pixels.
func SVG(text string, px int) ([]byte, error) {
	m, err := fit(text, px)
	if err != nil {
		return nil, err
	}
	if px != 0 && (px < len(m) || px > maxPixels) {
		return nil, fmt.Errorf("%w: %d, want %d to %d", ErrTooSmall, px, len(m), maxPixels)
	}
	return m.svg(px), nil
}

func (m matrix) svg(px int) []byte {
	side, margin, size := float64(len(m)), 0.0, ""
	if px != 0 {
		// Whole pixels a module, also at the margin, which takes the rest.
		scale := px / len(m)
		side, margin = float64(px)/float64(scale), float64((px-scale*len(m))/2)/float64(scale)
		size = fmt.Sprintf(`width="%d" height="%d" `, px, px)
	}
	return fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" %sviewBox="%g %g %g %g" shape-rendering="crispEdges">`+
		`<rect x="%[2]g" y="%[3]g" width="%[4]g" height="%[5]g" fill="#fff"/><path d="%[6]s"/></svg>`+"\n",
		size, -margin, -margin, side, side, m.bars())
}

// bars are the runs of dark modules, row by row, each as tall as a module.
func (m matrix) bars() string {
	var b strings.Builder
	for y := range m {
		for x := 0; x < len(m[y]); x++ {
			first := x
			for m.at(x, y) {
				x++
			}
			if x > first {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", first, y, x-first, x-first)
			}
		}
	}
	return b.String()
}

// A Label is what is printed on a device that has no screen.
type Label struct {
	// URI is what the code leads to.
	URI string
	// Lines stand beside it, for people: what to do, and the label's own code.
	Lines []string
}

// Label sizes, in modules of the QR code.
const (
	labelLetter = 3.2 // height of the first line
	labelSmall  = 2.2 // and of the others
	labelWide   = 1.25
)

// SVG is the label as a drawing to be printed. Error correction is at its
// highest: a label is scratched and dirty for years, and room there is.
func (l Label) SVG() ([]byte, error) {
	m, err := encode(l.URI, qrcode.High)
	if err != nil {
		return nil, err
	}
	wide := float64(len(m)) * (1 + labelWide)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.6g %d" shape-rendering="crispEdges">`, wide, len(m))
	fmt.Fprintf(&b, `<rect width="%.6g" height="%d" fill="#fff"/><path d="%s"/>`, wide, len(m), m.bars())
	y := float64(len(m))/2 - float64(len(l.Lines)-1)*labelLetter/1.4
	for i, line := range l.Lines {
		size, weight := labelSmall, "400"
		if i == 0 {
			size, weight = labelLetter, "700"
		}
		fmt.Fprintf(&b, `<text x="%d" y="%.4g" font-family="sans-serif" font-size="%.2g" font-weight="%s">%s</text>`,
			len(m), y, size, weight, escape.Replace(line))
		y += labelLetter * 1.5
	}
	b.WriteString("</svg>\n")
	return []byte(b.String()), nil
}

var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
