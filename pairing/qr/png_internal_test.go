package qr

import (
	"bytes"
	"compress/zlib"
	"image"
	"image/png"
	"io"
	"math/rand/v2"
	"testing"
)

// What is written is what the standard library reads, whatever it is.
func FuzzZlib(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(bytes.Repeat([]byte{0xff}, 3000))
	f.Add([]byte{0, 143, 144, 255, 255, 255, 255, 1, 1, 2, 2, 2})
	for n := range 300 {
		f.Add(bytes.Repeat([]byte{7}, n))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := zlib.NewReader(bytes.NewReader(zlibOf(data)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%x comes back as %x, %v", data, got, err)
		}
	})
}

// Every pixel of any image is where it was, and a large one is small.
func TestWritePNG(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, px := range []int{1, 7, 8, 9, 64, 333} {
		black := map[image.Point]bool{}
		for range px * px / 3 {
			black[image.Pt(r.IntN(px), r.IntN(px)/2*2)] = true
		}
		text := writePNG(px, func(y int) []byte {
			row := bytes.Repeat([]byte{0xff}, (px+7)/8)
			for x := range px {
				if black[image.Pt(x, y/2*2)] {
					row[x/8] &^= 0x80 >> (x % 8)
				}
			}
			return row
		})
		img, err := png.Decode(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if img.Bounds() != image.Rect(0, 0, px, px) {
			t.Fatalf("%v for %d pixels", img.Bounds(), px)
		}
		for y := range px {
			for x := range px {
				if v, _, _, _ := img.At(x, y).RGBA(); (v == 0) != black[image.Pt(x, y/2*2)] {
					t.Fatalf("%d pixels: %d,%d is %d", px, x, y, v)
				}
			}
		}
	}
	large, err := PNG("HTTPS://ID.EXAMPLE.COM/P/WDJBMJHT", maxPixels)
	if err != nil || len(large) > 64<<10 {
		t.Errorf("%d bytes, %v", len(large), err)
	}
}
