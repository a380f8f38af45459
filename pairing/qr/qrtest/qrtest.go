// Package qrtest reads QR codes as a phone would, with another library than the
// one that makes them, so that tests compare what is scanned. It is for tests
// and demonstrations only.
package qrtest

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
)

// ErrNotFound is returned when there is no QR code to be read.
var ErrNotFound = errors.New("no QR code found")

// DecodePNG reads the QR code in a picture.
func DecodePNG(data []byte) (string, error) {
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return "", fmt.Errorf("read the picture: %w", err)
	}
	return decode(img)
}

// decode tries as a phone does, again and a little differently: the library
// misses about one code in two hundred at the first look.
func decode(img image.Image) (string, error) {
	hints := []map[gozxing.DecodeHintType]any{
		{gozxing.DecodeHintType_TRY_HARDER: true},
		{gozxing.DecodeHintType_PURE_BARCODE: true},
	}
	for _, scale := range []int{1, 2, 3} {
		for _, hint := range hints {
			bitmap, err := gozxing.NewBinaryBitmapFromImage(enlarge(img, scale))
			if err != nil {
				return "", fmt.Errorf("%w: %w", ErrNotFound, err)
			}
			if got, err := qrcode.NewQRCodeReader().Decode(bitmap, hint); err == nil {
				return got.GetText(), nil
			}
		}
	}
	return "", ErrNotFound
}

func enlarge(img image.Image, scale int) image.Image {
	if scale == 1 {
		return img
	}
	from := img.Bounds()
	to := image.NewGray(image.Rect(0, 0, from.Dx()*scale, from.Dy()*scale))
	for y := range to.Rect.Dy() {
		for x := range to.Rect.Dx() {
			to.SetGray(x, y, color.GrayModel.Convert(img.At(from.Min.X+x/scale, from.Min.Y+y/scale)).(color.Gray))
		}
	}
	return to
}
