// Package qr shows an address as a QR code (ISO/IEC 18004), as an image and as
// text for a terminal. Every module is a whole number of pixels and the quiet
// zone is the four modules the standard wants, so that what is made can be
// scanned. It is the only importer of the QR library.
package qr

import (
	"errors"
	"fmt"
	"strings"

	qrcode "github.com/skip2/go-qrcode"
)

var (
	// ErrTooLong is returned for text that is no reasonable address.
	ErrTooLong = errors.New("too long for a QR code that can be scanned")
	// ErrTooSmall is returned when a code does not fit in the pixels given.
	ErrTooSmall = errors.New("too few pixels for the QR code")
)

// maxText is what still makes modules that a phone can tell apart.
const maxText = 512

// A matrix is a code with its quiet zone; true is dark.
type matrix [][]bool

// encode uses the given share of error correction. A screen is neither torn nor
// dirty: less correction makes bigger modules, which matter more.
func encode(text string, level qrcode.RecoveryLevel) (matrix, error) {
	if text == "" || len(text) > maxText {
		return nil, fmt.Errorf("%w: %d bytes", ErrTooLong, len(text))
	}
	code, err := qrcode.New(text, level)
	if err != nil {
		return nil, fmt.Errorf("make the QR code: %w", err)
	}
	return code.Bitmap(), nil
}

// at is false, light, outside the code.
func (m matrix) at(x, y int) bool {
	return y < len(m) && x < len(m[y]) && m[y][x]
}

// Terminal is the code in half blocks, two modules a character, without
// colours: for text that is copied or logged. The reader must know the
// terminal: dark is light text on a dark ground. The wrong choice can not be
// scanned; where colours can be sent, use [Colored].
func Terminal(text string, dark bool) (string, error) {
	m, err := encode(text, qrcode.Low)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for y := 0; y < len(m); y += 2 {
		m.line(&b, y, dark)
		b.WriteByte('\n')
	}
	return b.String(), nil
}

// Black on white out of the 256-colour cube, which unlike the sixteen named
// colours no theme changes.
const (
	blackOnWhite = "\x1b[38;5;16;48;5;231m"
	reset        = "\x1b[0m"
)

// Colored is the code in half blocks that bring their own black and white, so
// that it can be scanned from a dark and from a light terminal alike.
func Colored(text string) (string, error) {
	m, err := encode(text, qrcode.Low)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for y := 0; y < len(m); y += 2 {
		b.WriteString(blackOnWhite)
		m.line(&b, y, false)
		b.WriteString(reset + "\n")
	}
	return b.String(), nil
}

// line writes rows y and y+1. The ink is the terminal's text: dark modules, or
// the light ones if the text is light.
func (m matrix) line(b *strings.Builder, y int, lightInk bool) {
	for x := range m[y] {
		upper, lower := m.at(x, y) != lightInk, m.at(x, y+1) != lightInk
		switch {
		case upper && lower:
			b.WriteRune('█')
		case upper:
			b.WriteRune('▀')
		case lower:
			b.WriteRune('▄')
		default:
			b.WriteByte(' ')
		}
	}
}
