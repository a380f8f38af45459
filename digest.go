package cardea

import (
	"crypto/sha256"
	"encoding/binary"
)

// A digest hashes a CBOR array written item by item in the deterministic
// encoding of RFC 8949, Section 4.2, so that any CBOR library can check it.
// The first item is a label that keeps digests of different things apart.
type digest struct{ buf []byte }

// newDigest begins an array of n items, after the label.
func newDigest(label string, n int) *digest {
	return (&digest{buf: make([]byte, 0, 256)}).array(n + 1).text(label)
}

func (d *digest) head(major byte, n uint64) *digest {
	major <<= 5
	switch {
	case n < 24:
		d.buf = append(d.buf, major|byte(n))
	case n < 1<<8:
		d.buf = append(d.buf, major|24, byte(n))
	case n < 1<<16:
		d.buf = binary.BigEndian.AppendUint16(append(d.buf, major|25), uint16(n))
	case n < 1<<32:
		d.buf = binary.BigEndian.AppendUint32(append(d.buf, major|26), uint32(n))
	default:
		d.buf = binary.BigEndian.AppendUint64(append(d.buf, major|27), n)
	}
	return d
}

func (d *digest) uint(n uint64) *digest { return d.head(0, n) }
func (d *digest) array(n int) *digest   { return d.head(4, uint64(n)) }

func (d *digest) bytes(b []byte) *digest {
	d.head(2, uint64(len(b)))
	d.buf = append(d.buf, b...)
	return d
}

func (d *digest) text(s string) *digest {
	d.head(3, uint64(len(s)))
	d.buf = append(d.buf, s...)
	return d
}

func (d *digest) bool(b bool) *digest {
	d.buf = append(d.buf, 0xf4)
	if b {
		d.buf[len(d.buf)-1] = 0xf5
	}
	return d
}

func (d *digest) position(p Position) *digest {
	return d.array(3).uint(uint64(p.Era)).uint(p.Seq).bytes(p.Hash[:])
}

func (d *digest) sum() Hash { return sha256.Sum256(d.buf) }
