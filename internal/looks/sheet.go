package main

import (
	"image"
	"image/color"
	"image/draw"
)

// smaller is a picture with one pixel for each square of n by n.
func smaller(img image.Image, n int) image.Image {
	b := img.Bounds()
	out := image.NewRGBA(image.Rect(0, 0, b.Dx()/n, b.Dy()/n))
	for y := range out.Bounds().Dy() {
		for x := range out.Bounds().Dx() {
			out.SetRGBA(x, y, mean(img, b.Min.X+x*n, b.Min.Y+y*n, n))
		}
	}
	return out
}

func mean(img image.Image, left, top, n int) color.RGBA {
	var r, g, b uint32
	for y := top; y < top+n; y++ {
		for x := left; x < left+n; x++ {
			pr, pg, pb, _ := img.At(x, y).RGBA()
			r, g, b = r+pr>>8, g+pg>>8, b+pb>>8
		}
	}
	area := uint32(n * n)
	return color.RGBA{uint8(r / area), uint8(g / area), uint8(b / area), 255}
}

// gap is what lies between pictures on a sheet.
const gap = 12

// contacts lays pictures out in rows of n.
func contacts(pictures []image.Image, n int) image.Image {
	width, height := gap, gap
	for start := 0; start < len(pictures); start += n {
		w, h := gap, 0
		for _, p := range pictures[start:min(start+n, len(pictures))] {
			w, h = w+p.Bounds().Dx()+gap, max(h, p.Bounds().Dy())
		}
		width, height = max(width, w), height+h+gap
	}
	sheet := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.Draw(sheet, sheet.Bounds(), image.NewUniform(color.RGBA{0x80, 0x80, 0x80, 255}), image.Point{}, draw.Src)
	top := gap
	for start := 0; start < len(pictures); start += n {
		left, tall := gap, 0
		for _, p := range pictures[start:min(start+n, len(pictures))] {
			draw.Draw(sheet, p.Bounds().Add(image.Pt(left, top)), p, p.Bounds().Min, draw.Src)
			left, tall = left+p.Bounds().Dx()+gap, max(tall, p.Bounds().Dy())
		}
		top += tall + gap
	}
	return sheet
}
