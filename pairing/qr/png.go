package qr

import (
	"bytes"
	"encoding/binary"
	"hash/adler32"
	"hash/crc32"
	"math/bits"
)

// writePNG writes a square image of black and white (PNG, Third Edition). What is
// in it repeats itself so much that runs of one byte are all that is looked for: a
// compressor for anything would be a hundredth of the agent.
func writePNG(px int, row func(y int) []byte) []byte {
	header := binary.BigEndian.AppendUint32(nil, uint32(px))
	header = binary.BigEndian.AppendUint32(header, uint32(px))
	header = append(header, 1, 0, 0, 0, 0) // one bit a pixel, grey
	out := chunk([]byte("\x89PNG\r\n\x1a\n"), "IHDR", header)
	out = chunk(out, "IDAT", zlibOf(lines(px, row)))
	return chunk(out, "IEND", nil)
}

// chunk appends a chunk (Section 5.3).
func chunk(out []byte, kind string, data []byte) []byte {
	out = binary.BigEndian.AppendUint32(out, uint32(len(data)))
	from := len(out)
	out = append(append(out, kind...), data...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[from:]))
}

// Filters of a line (Section 9).
const (
	filterNone = 0
	filterUp   = 2 // what it has over the line above
)

// lines are those of the image with their filters: one that is as the one above
// becomes nothing but zeros.
func lines(px int, row func(y int) []byte) (all []byte) {
	var above []byte
	for y := range px {
		line := row(y)
		if bytes.Equal(line, above) {
			all = append(append(all, filterUp), make([]byte, len(line))...)
		} else {
			all = append(append(all, filterNone), line...)
		}
		above = line
	}
	return all
}

// zlibOf is data as RFC 1950 has it, in one block of RFC 1951 with fixed codes.
func zlibOf(data []byte) []byte {
	w := bitWriter{out: []byte{0x78, 0x01}}
	w.put(1, 1) // the last block
	w.put(1, 2) // fixed codes
	for i := 0; i < len(data); {
		w.literal(data[i])
		run := 1
		for i+run < len(data) && data[i+run] == data[i] {
			run++
		}
		i += run
		for run--; run > 0; {
			run -= w.again(data[i-1], run)
		}
	}
	w.symbol(endOfBlock)
	w.put(0, 7) // what is left of a byte
	return binary.BigEndian.AppendUint32(w.out, adler32.Checksum(data))
}

// A bitWriter fills bytes from the lowest bit (RFC 1951, Section 3.1.1).
type bitWriter struct {
	out  []byte
	held uint32
	n    int
}

func (w *bitWriter) put(v uint32, n int) {
	w.held |= v << w.n
	for w.n += n; w.n >= 8; w.n -= 8 {
		w.out = append(w.out, byte(w.held))
		w.held >>= 8
	}
}

// Symbols of the fixed codes (RFC 1951, Sections 3.2.5 and 3.2.6).
const (
	endOfBlock = 256
	length3    = 257
	length258  = 285
)

// symbol writes a symbol's code, which begins with its highest bit.
func (w *bitWriter) symbol(s uint16) {
	code, n := s-256, 7
	switch {
	case s < 144:
		code, n = 0x30+s, 8
	case s < 256:
		code, n = 0x190+s-144, 9
	case s >= 280:
		code, n = 0xc0+s-280, 8
	}
	w.put(uint32(bits.Reverse16(code)>>(16-n)), n)
}

func (w *bitWriter) literal(b byte) { w.symbol(uint16(b)) }

// again writes the last byte up to so many times more, and how often it did.
func (w *bitWriter) again(b byte, run int) int {
	switch {
	case run < 3:
		w.literal(b)
		return 1
	case run >= 258:
		run = 258
		w.symbol(length258)
	default:
		// Above ten, four symbols share each number of extra bits.
		more := uint32(run - 3)
		extra := max(bits.Len32(more)-3, 0)
		w.symbol(length3 + uint16(4*extra) + uint16(more>>extra))
		w.put(more&(1<<extra-1), extra)
	}
	w.put(0, 5) // a distance of one
	return run
}
