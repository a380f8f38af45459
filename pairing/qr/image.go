package qr

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"

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
	var b bytes.Buffer
	if err := png.Encode(&b, m.draw(px)); err != nil {
		return nil, fmt.Errorf("write the image: %w", err)
	}
	return b.Bytes(), nil
}

// fit takes more error correction where the pixels allow it.
func fit(text string, px int) (matrix, error) {
	m, err := encode(text, qrcode.Medium)
	if err != nil || px == 0 || px/len(m) >= goodModule {
		return m, err
	}
	return encode(text, qrcode.Low)
}

func (m matrix) draw(px int) image.Image {
	img := image.NewPaletted(image.Rect(0, 0, px, px), color.Palette{color.White, color.Black})
	scale := px / len(m)
	margin := (px - scale*len(m)) / 2
	for y := range scale * len(m) {
		for x := range scale * len(m) {
			if m.at(x/scale, y/scale) {
				img.SetColorIndex(margin+x, margin+y, 1)
			}
		}
	}
	return img
}
