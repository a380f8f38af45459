package qr

import (
	"bytes"
	"fmt"

	qrcode "github.com/skip2/go-qrcode"
)

const (
	defaultModule = 8    // pixels, if the caller does not say
	goodModule    = 4    // pixels, below which a phone starts to struggle
	maxPixels     = 4096 // a side
)

// PNG is the code as a square image of px pixels a side, black on white. Modules
// are as many whole pixels as fit and the rest is margin. Zero px takes what
// the code needs at eight pixels a module.
func PNG(text string, px int) ([]byte, error) {
	m, err := fit(text, px)
	if err != nil {
		return nil, err
	}
	if px == 0 {
		px = len(m) * defaultModule
	}
	if px < len(m) || px > maxPixels {
		return nil, fmt.Errorf("%w: %d, want %d to %d", ErrTooSmall, px, len(m), maxPixels)
	}
	return writePNG(px, m.rows(px)), nil
}

// fit takes more error correction where the pixels allow it.
func fit(text string, px int) (matrix, error) {
	m, err := encode(text, qrcode.Medium)
	if err != nil || px == 0 || px/len(m) >= goodModule {
		return m, err
	}
	return encode(text, qrcode.Low)
}

// rows are the lines of the image from the top, eight pixels a byte, 1 for white.
func (m matrix) rows(px int) func(y int) []byte {
	scale := px / len(m)
	margin := (px - scale*len(m)) / 2
	white := bytes.Repeat([]byte{0xff}, (px+7)/8)
	drawn := make([][]byte, len(m)) // once for all lines of a module
	return func(y int) []byte {
		if y < margin || y >= margin+scale*len(m) {
			return white
		}
		y = (y - margin) / scale
		if drawn[y] == nil {
			drawn[y] = bytes.Clone(white)
			for x := range scale * len(m) {
				if m.at(x/scale, y) {
					drawn[y][(margin+x)/8] &^= 0x80 >> ((margin + x) % 8)
				}
			}
		}
		return drawn[y]
	}
}
