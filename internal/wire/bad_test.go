package wire_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/internal/wire/vectors"
)

// A rogue writes the vectors that must not open. Each is right but for what its
// name says.
type rogue struct {
	cast
	t   testing.TB
	all []vectors.Vector
}

func (r *rogue) add(kind, name, err string, b []byte) {
	r.all = append(r.all, vectors.Vector{Name: name, Kind: kind, Error: err, Bytes: b})
}

func badVectors(t testing.TB, c cast) []vectors.Vector {
	r := &rogue{cast: c, t: t}
	r.envelopes()
	r.seals()
	r.signatures()
	r.encodings()
	r.downs()
	r.ups()
	r.batches()
	r.bodies()
	r.keyLists()
	r.unknowns()
	r.topics()
	return r.all
}

func (r *rogue) sealed() []byte {
	b, _, err := wire.SealDown(r.statement(), r.cloud, r.key)
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

func (r *rogue) signed() []byte {
	_, b, err := wire.SealDown(r.statement(), r.cloud, r.key)
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

// envelopes are damaged or addressed wrongly as a whole.
func (r *rogue) envelopes() {
	good := r.sealed()
	flip := func(i int) []byte {
		b := bytes.Clone(good)
		b[(i+len(b))%len(b)] ^= 1
		return b
	}
	r.add("statement", "nothing", "malformed", []byte{})
	r.add("statement", "only a tag", "malformed", good[:1])
	r.add("statement", "half of it", "malformed", good[:len(good)/2])
	r.add("statement", "the last byte is missing", "malformed", good[:len(good)-1])
	r.add("statement", "a byte behind it", "malformed", append(bytes.Clone(good), 0))
	r.add("statement", "no tag", "malformed", good[1:])
	r.add("statement", "a long form of the tag", "malformed", append([]byte{0xd8, 0x10}, good[1:]...))
	r.add("statement", "two tags", "malformed", append([]byte{0xd0}, good...))
	r.add("statement", "signed but not sealed", "malformed", r.signed())
	r.add("statement", "over 8 KB", "too_big", append(bytes.Clone(good), make([]byte, cardea.MaxMessageBytes)...))
	r.add("statement", "text", "malformed", []byte("HTTP/1.1 502 Bad Gateway"))
	r.add("statement", "a bit flipped in the link", "foreign", flip(10))
	r.add("statement", "a bit flipped in the IV", "signature", flip(30))
	r.add("statement", "a bit flipped in the ciphertext", "signature", flip(60))
	r.add("statement", "a bit flipped in the tag of the ciphertext", "signature", flip(-1))
	r.all = append(r.all,
		vectors.Vector{Name: "opened for another link", Kind: "statement", Link: cardea.LinkID(fill(16, "other")), Error: "foreign", Bytes: good},
		vectors.Vector{Name: "opened on another device", Kind: "statement", Device: cardea.DeviceID(thumbprint(&r.stranger.PublicKey)), Error: "signature", Bytes: good},
		vectors.Vector{Name: "held bytes of another device", Kind: "held", Device: cardea.DeviceID(thumbprint(&r.stranger.PublicKey)), Error: "signature", Bytes: r.signed()},
		vectors.Vector{Name: "held bytes of another link", Kind: "held", Link: cardea.LinkID(fill(16, "other")), Error: "foreign", Bytes: r.signed()},
	)
	r.add("report", "over 16 KB", "too_big", append(bytes.Clone(good), make([]byte, cardea.MaxReportBytes)...))
	r.add("held", "sealed, not the bytes inside", "malformed", good)
	r.add("report", "a statement sent back to the cloud", "signature", good)
}

// seals have a wrong COSE_Encrypt0 around right content.
func (r *rogue) seals() {
	right := sealing{link: r.link, key: r.key, plain: r.signed(), aad: r.downAAD()}
	for _, tt := range []struct {
		name, err string
		spoil     func(s *sealing)
	}{
		{"another link's key", "signature", func(s *sealing) { s.key[0]++ }},
		{"bound to the topic of reports", "signature", func(s *sealing) { s.aad = r.upAAD() }},
		{"bound to another device", "signature", func(s *sealing) {
			other := thumbprint(&r.stranger.PublicKey)
			s.aad = encode([]any{other, "cardea/1/" + other + "/down"})
		}},
		{"bound to nothing", "signature", func(s *sealing) { s.aad = []byte{} }},
		{"A128GCM in the header", "signature", func(s *sealing) { s.header = fields{1: 1, 4: r.link[:]} }},
		{"no algorithm of the seal", "malformed", func(s *sealing) { s.header = fields{4: r.link[:]} }},
		{"no link", "malformed", func(s *sealing) { s.header = fields{1: 3} }},
		{"the link is zero", "malformed", func(s *sealing) { s.header = fields{1: 3, 4: make([]byte, 16)} }},
		{"a link of 15 bytes", "malformed", func(s *sealing) { s.header = fields{1: 3, 4: r.link[:15]} }},
		{"a link of 17 bytes", "malformed", func(s *sealing) { s.header = fields{1: 3, 4: append(r.link[:], 0)} }},
		{"the link in text", "malformed", func(s *sealing) { s.header = fields{1: 3, 4: r.link.String()} }},
		{"a parameter more in the header of the seal", "malformed", func(s *sealing) { s.header = fields{1: 3, 4: r.link[:], 99: 1} }},
		{"the header of the seal unsorted", "malformed", func(s *sealing) {
			s.header = append(append([]byte{0xa2, 0x04, 0x50}, r.link[:]...), 0x01, 0x03)
		}},
		{"the header of the seal has a key twice", "malformed", func(s *sealing) {
			s.header = append([]byte{0xa3, 0x01, 0x03, 0x01, 0x03, 0x04, 0x50}, r.link[:]...)
		}},
		{"the header of the seal is empty", "malformed", func(s *sealing) { s.header = []byte{} }},
		{"an IV of 11 bytes", "malformed", func(s *sealing) { s.iv = make([]byte, 11) }},
		{"an IV of 16 bytes", "malformed", func(s *sealing) { s.iv = make([]byte, 16) }},
		{"no IV", "malformed", func(s *sealing) { s.unprotected = fields{} }},
		{"an unprotected parameter more", "malformed", func(s *sealing) { s.iv = fill(12, "iv"); s.unprotected = fields{5: s.iv, 4: r.link[:]} }},
		{"sealed but not signed", "malformed", func(s *sealing) { s.plain = encode(r.statement()) }},
		{"nothing inside", "malformed", func(s *sealing) { s.plain = []byte{} }},
	} {
		s := right
		tt.spoil(&s)
		r.add("statement", tt.name, tt.err, s.bytes())
	}
}

// signatures have a wrong COSE_Sign1 in a right seal.
func (r *rogue) signatures() {
	kid := []byte(thumbprint(&r.cloud.PublicKey))
	right := signing{key: r.cloud, header: signHeader(r.cloud, typStatement), payload: r.statement(), aad: r.downAAD()}
	for _, tt := range []struct {
		name, err string
		spoil     func(s *signing)
	}{
		{"signed by a stranger", "signature", func(s *signing) { s.key, s.header = r.stranger, signHeader(r.stranger, typStatement) }},
		{"signed by a stranger in the cloud's name", "signature", func(s *signing) { s.key = r.stranger }},
		{"signed by the device itself", "signature", func(s *signing) { s.key, s.header = r.device, signHeader(r.device, typStatement) }},
		{"signed by the root", "signature", func(s *signing) { s.key, s.header = r.root, signHeader(r.root, typStatement) }},
		{"signed for the topic of reports", "signature", func(s *signing) { s.aad = r.upAAD() }},
		{"signed for nobody", "signature", func(s *signing) { s.aad = nil }},
		{"a bit flipped in the signature", "signature", func(s *signing) { s.spoil = func(b []byte) []byte { b[40] ^= 1; return b } }},
		{"a signature of 63 bytes", "signature", func(s *signing) { s.spoil = func(b []byte) []byte { return b[:63] } }},
		{"a signature of zeros", "signature", func(s *signing) { s.spoil = func(b []byte) []byte { return make([]byte, 64) } }},
		{"no signature", "signature", func(s *signing) { s.spoil = func(b []byte) []byte { return []byte{} } }},
		{"ES384 in the header", "signature", func(s *signing) { s.header = fields{1: -35, 4: kid, 16: typStatement} }},
		{"EdDSA in the header", "signature", func(s *signing) { s.header = fields{1: -8, 4: kid, 16: typStatement} }},
		{"HMAC in the header", "signature", func(s *signing) { s.header = fields{1: 5, 4: kid, 16: typStatement} }},
		{"algorithm 0", "signature", func(s *signing) { s.header = fields{1: 0, 4: kid, 16: typStatement} }},
		{"the algorithm in text", "malformed", func(s *signing) { s.header = fields{1: "ES256", 4: kid, 16: typStatement} }},
		{"no algorithm of the signature", "malformed", func(s *signing) { s.header = fields{4: kid, 16: typStatement} }},
		{"no key id", "malformed", func(s *signing) { s.header = fields{1: -7, 16: typStatement} }},
		{"an empty key id", "signature", func(s *signing) { s.header = fields{1: -7, 4: []byte{}, 16: typStatement} }},
		{"no kind", "malformed", func(s *signing) { s.header = fields{1: -7, 4: kid} }},
		{"the kind as a number", "malformed", func(s *signing) { s.header = fields{1: -7, 4: kid, 16: 60} }},
		{"the kind of a report", "malformed", func(s *signing) { s.header = signHeader(r.cloud, typReport) }},
		{"the kind of a key list", "malformed", func(s *signing) { s.header = signHeader(r.cloud, typKeys) }},
		{"a body in a renewal", "malformed", func(s *signing) { s.header = signHeader(r.cloud, typRenewal) }},
		{"a critical parameter", "malformed", func(s *signing) {
			s.header = fields{1: -7, 2: []int{99}, 4: kid, 16: typStatement, 99: 1}
		}},
		{"a certificate in the header", "malformed", func(s *signing) { s.unprotected = fields{33: []byte("x5chain")} }},
		{"the key id unprotected", "malformed", func(s *signing) {
			s.header, s.unprotected = fields{1: -7, 16: typStatement}, fields{4: kid}
		}},
		{"the header of the signature unsorted", "malformed", func(s *signing) {
			b := append([]byte{0xa3, 0x04, 0x58, 0x2b}, kid...)
			s.header = append(append(b, 0x01, 0x26, 0x10), encode(typStatement)...)
		}},
	} {
		s := right
		tt.spoil(&s)
		r.add("statement", tt.name, tt.err, r.sealSigned(s.bytes(), r.downAAD()))
	}
	r.add("renewal", "a renewal in the name of a statement", "malformed", r.sealDown(typStatement, encode(r.renewal())))
	detached := encode([]any{encode(signHeader(r.cloud, typStatement)), fields{}, nil, make([]byte, 64)})
	r.add("statement", "a detached payload", "malformed", r.sealSigned(append([]byte{0xd2}, detached...), r.downAAD()))
}

// encodings hold the right content in another form than the deterministic one.
func (r *rogue) encodings() {
	good := encode(r.statement()) // a map of 12 pairs, its first 1: 1
	put := func(b ...byte) func(rest []byte) []byte {
		return func(rest []byte) []byte { return append(bytes.Clone(b), rest...) }
	}
	if !bytes.HasPrefix(good, []byte{0xac, 0x01, 0x01}) {
		r.t.Fatalf("another statement than the vectors are made of: %x", good[:3])
	}
	rest := good[3:]
	r.each(map[string][]byte{
		"a key twice":                   put(0xad, 0x01, 0x01, 0x01, 0x01)(rest),
		"a map of indefinite length":    append(put(0xbf, 0x01, 0x01)(rest), 0xff),
		"a long map head":               put(0xb8, 0x0c, 0x01, 0x01)(rest),
		"a long key":                    put(0xac, 0x18, 0x01, 0x01)(rest),
		"a long number":                 put(0xac, 0x01, 0x18, 0x01)(rest),
		"the version as a bignum":       put(0xac, 0x01, 0xc2, 0x41, 0x01)(rest),
		"the version as a float":        put(0xac, 0x01, 0xf9, 0x3c, 0x00)(rest),
		"tagged as self-described CBOR": put(0xd9, 0xd9, 0xf7)(good),
		"the keys unsorted":             append(append([]byte{0xac}, rest...), 0x01, 0x01),
		"a field more":                  edit(good, map[int]any{99: 1}),
		"a text key":                    put(0xad, 0x01, 0x01)(append(bytes.Clone(rest), 0x61, 'x', 0x01)),
		"null rejections":               edit(good, map[int]any{10: cbor.RawMessage{0xf6}}),
		"undefined for the head":        edit(good, map[int]any{5: cbor.RawMessage{0xf7}}),
		"no rejections, but said":       edit(good, map[int]any{10: []any{}}),
		"not closed, but said":          edit(good, map[int]any{13: false}),
		"not recovering, but said":      edit(good, map[int]any{14: false}),
		"a nonce of zeros":              edit(good, map[int]any{7: make([]byte, 16)}),
		"no loss confirmed, but said":   edit(good, map[int]any{15: make([]byte, 16)}),
		"a nonce of 15 bytes":           edit(good, map[int]any{7: make([]byte, 15)}),
		"a nonce as an array":           edit(good, map[int]any{7: []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}}),
		"a time with a tag":             edit(good, map[int]any{6: cbor.Tag{Number: 1, Content: now}}),
		"a time as a float":             edit(good, map[int]any{6: 1.5}),
		"an infinite lease":             edit(good, map[int]any{8: cbor.RawMessage{0xf9, 0x7c, 0x00}}),
		"a revision of 65 bits":         edit(good, map[int]any{4: cbor.RawMessage{0xc2, 0x49, 1, 0, 0, 0, 0, 0, 0, 0, 0}}),
		"a head of two items":           edit(good, map[int]any{5: []any{1, 31}}),
		"a head of four items":          edit(good, map[int]any{5: []any{1, 31, make([]byte, 32), 1}}),
		"the device in bytes":           edit(good, map[int]any{2: []byte(r.id)}),
		"a device that is not UTF-8":    edit(good, map[int]any{2: cbor.RawMessage{0x62, 0xff, 0xfe}}),
		"nine levels deep":              edit(good, map[int]any{10: cbor.RawMessage(append(bytes.Repeat([]byte{0x81}, 9), 0x01))}),
		"an array that claims 2^60":     {0xa1, 0x0a, 0x9b, 0x10, 0, 0, 0, 0, 0, 0, 0},
		"an array instead of a map":     encode([]any{1}),
		"nothing signed":                {},
		"two maps":                      append(bytes.Clone(good), 0xa0),
		"a negative key":                edit(good, map[int]any{-1: 1}),
	}, func(name string, b []byte) {
		r.add("statement", name, "malformed", r.sealDown(typStatement, b))
	})
}

// each goes through a table in the same order in every run.
func (r *rogue) each(table map[string][]byte, do func(name string, b []byte)) {
	for _, name := range slices.Sorted(maps.Keys(table)) {
		do(name, table[name])
	}
}

// downs are well encoded, signed and sealed, and say what may not be said.
func (r *rogue) downs() {
	for _, tt := range []struct {
		name, err string
		changes   map[int]any
	}{
		{"version 2", "version", map[int]any{1: 2, 99: "a field of version 2"}},
		{"version 0", "version", map[int]any{1: 0}},
		{"no version", "malformed", map[int]any{1: nil}},
		{"no device", "malformed", map[int]any{2: nil}},
		{"a device that is no thumbprint", "malformed", map[int]any{2: "kitchen"}},
		{"signed for another device", "foreign", map[int]any{2: thumbprint(&r.stranger.PublicKey)}},
		{"signed for another link", "foreign", map[int]any{3: fill(16, "other")}},
		{"signed for no link", "malformed", map[int]any{3: make([]byte, 16)}},
		{"revision 0", "malformed", map[int]any{4: 0}},
		{"revision 2^53", "malformed", map[int]any{4: uint64(1) << 53}},
		{"revision -1", "malformed", map[int]any{4: -1}},
		{"a head without a hash", "malformed", map[int]any{5: []any{1, 31, make([]byte, 32)}}},
		{"a head with a hash, at 0", "malformed", map[int]any{5: []any{1, 0, fill(32, "x")}}},
		{"an era of 33 bits", "malformed", map[int]any{5: []any{uint64(1) << 32, 31, fill(32, "x")}}},
		{"no time", "malformed", map[int]any{6: 0}},
		{"a time before 1970", "malformed", map[int]any{6: -1}},
		{"a time after 2248", "malformed", map[int]any{6: int64(1) << 43}},
		{"a lease after 2248", "malformed", map[int]any{8: int64(1) << 43}},
		{"a negative lease", "malformed", map[int]any{8: -1}},
		{"seen without a hash", "malformed", map[int]any{9: []any{fill(16, "log"), 2, make([]byte, 32)}}},
		{"seen without a log", "malformed", map[int]any{9: []any{make([]byte, 16), 2, fill(32, "x")}}},
		{"49 rejections", "too_big", map[int]any{10: rejections(49)}},
		{"a rejection without an event", "malformed", map[int]any{10: []any{[]any{make([]byte, 16), "base"}}}},
		{"a rejection without a reason", "malformed", map[int]any{10: []any{[]any{fill(16, "e"), ""}}}},
		{"another body's hash", "malformed", map[int]any{11: fill(32, "another body")}},
		{"no hash of the body", "malformed", map[int]any{11: make([]byte, 32)}},
		{"an empty body", "malformed", map[int]any{12: []byte{}}},
		{"a body in place, not in bytes", "malformed", map[int]any{12: r.body()}},
		{"a body that can not be read", "malformed", map[int]any{11: sum([]byte{0xa0}), 12: []byte{0xa0}}},
		{"closed, and a body", "malformed", map[int]any{13: true}},
		{"asks to recover, and a body", "malformed", map[int]any{14: true}},
	} {
		r.add("statement", tt.name, tt.err, r.sealDown(typStatement, edit(encode(r.statement()), tt.changes)))
	}
	r.add("renewal", "a renewal of nothing", "malformed", r.sealDown(typRenewal, edit(encode(r.renewal()), map[int]any{4: 0, 11: make([]byte, 32)})))
	r.add("renewal", "asks to recover, and is closed", "malformed", r.sealDown(typRenewal, edit(encode(r.closed()), map[int]any{7: fill(16, "nonce"), 14: true})))
	r.add("renewal", "asks to recover, and answers nothing", "malformed", r.sealDown(typRenewal, edit(encode(r.renewal()), map[int]any{7: nil, 14: true})))
	r.add("renewal", "confirms a loss, and answers nothing", "malformed", r.sealDown(typRenewal, edit(encode(r.renewal()), map[int]any{7: nil, 15: fill(16, "loss")})))
	r.add("renewal", "confirms a loss, and asks to recover", "malformed", r.sealDown(typRenewal, edit(encode(r.renewal()), map[int]any{14: true, 15: fill(16, "loss")})))
	r.add("renewal", "confirms a loss, and is closed", "malformed", r.sealDown(typRenewal, edit(encode(r.closed()), map[int]any{7: fill(16, "nonce"), 15: fill(16, "loss")})))
	r.add("renewal", "closed at a revision without a hash", "malformed", r.sealDown(typRenewal, edit(encode(r.closed()), map[int]any{4: 7})))
}

func rejections(n int) (list []any) {
	for range n {
		list = append(list, []any{fill(16, "e"), "base"})
	}
	return list
}

func sum(b []byte) []byte { h := sha256.Sum256(b); return h[:] }

func (r *rogue) ups() {
	entry := func(changes map[int]any) map[int]any {
		return map[int]any{10: []any{cbor.RawMessage(edit(encode(r.report().Entries[0]), changes))}}
	}
	many := make([]any, wire.MaxEntries+1)
	for i := range many {
		many[i] = cardea.LogEntry{N: 3, Event: event("e"), Act: "x", Previous: hash("x")}
	}
	links := make([]any, wire.MaxLinks+1)
	for i := range links {
		links[i] = r.link
	}
	for _, tt := range []struct {
		name, err string
		changes   map[int]any
	}{
		{"a report of version 2", "version", map[int]any{1: 2}},
		{"a report of another device", "foreign", map[int]any{2: thumbprint(&r.stranger.PublicKey)}},
		{"a report on another link", "foreign", map[int]any{4: fill(16, "other")}},
		{"17 links", "too_big", map[int]any{3: links}},
		{"a link that is none", "malformed", map[int]any{3: []any{make([]byte, 16)}}},
		{"null links", "malformed", map[int]any{3: cbor.RawMessage{0xf6}}},
		{"no log", "malformed", map[int]any{5: make([]byte, 16)}},
		{"no boot", "malformed", map[int]any{6: make([]byte, 16)}},
		{"no nonce", "malformed", map[int]any{7: make([]byte, 16)}},
		{"a revision without a hash", "malformed", map[int]any{8: []any{8, make([]byte, 32)}}},
		{"a hash without a revision", "malformed", map[int]any{8: []any{0, fill(32, "x")}}},
		{"a clock set by hand", "malformed", map[int]any{9: "rtc"}},
		{"49 entries", "too_big", map[int]any{10: many}},
		{"9 orders done", "too_big", map[int]any{15: links[:9]}},
		{"an order done that is none", "malformed", map[int]any{15: []any{make([]byte, 16)}}},
		{"orders done, and none", "malformed", map[int]any{15: []any{}}},
		{"entry 0", "malformed", entry(map[int]any{1: 0})},
		{"entry 2^53", "malformed", entry(map[int]any{1: uint64(1) << 53})},
		{"entry 1 that follows another", "malformed", entry(map[int]any{1: 1})},
		{"entry 3 that follows none", "malformed", entry(map[int]any{11: make([]byte, 32)})},
		{"an entry without an event", "malformed", entry(map[int]any{2: make([]byte, 16)})},
		{"a base without a hash", "malformed", entry(map[int]any{3: []any{1, 30, make([]byte, 32)}})},
		{"a base at 2^64-1", "malformed", entry(map[int]any{3: []any{1, ^uint64(0), fill(32, "x")}})},
		{"an entry without an act", "malformed", entry(map[int]any{4: ""})},
		{"an act of 33 bytes", "malformed", entry(map[int]any{4: strings.Repeat("x", 33)})},
		{"a denial of no key", "malformed", entry(map[int]any{6: nil})},
		{"a denial of an unknown facet", "malformed", entry(map[int]any{6: "recommendations/all"})},
		{"a key of 49 bytes", "malformed", entry(map[int]any{4: "x", 6: strings.Repeat("x", 49)})},
		{"a preference in capitals", "malformed", entry(map[int]any{4: "prefer", 6: nil, 9: "VOICE"})},
		{"a statement of 8193 bytes", "too_big", map[int]any{11: make([]byte, cardea.MaxMessageBytes+1)}},
		{"no statement held, but said", "malformed", map[int]any{11: []byte{}}},
		{"no loss, but said", "malformed", map[int]any{13: make([]byte, 16)}},
		{"a loss of 15 bytes", "malformed", map[int]any{13: fill(15, "loss")}},
		{"a value of 1025 bytes", "malformed", entry(map[int]any{10: strings.Repeat("1", 1025)})},
	} {
		r.add("report", tt.name, tt.err, r.sealUp(edit(encode(r.report()), tt.changes)))
	}
	right := signing{key: r.device, header: signHeader(r.device, typReport), payload: r.report(), aad: r.upAAD()}
	for _, tt := range []struct {
		name  string
		spoil func(s *signing)
	}{
		{"a report by a stranger", func(s *signing) { s.key, s.header = r.stranger, signHeader(r.stranger, typReport) }},
		{"a report by a stranger in the device's name", func(s *signing) { s.key = r.stranger }},
		{"a report by the cloud", func(s *signing) { s.key, s.header = r.cloud, signHeader(r.cloud, typReport) }},
		{"a report for the topic of statements", func(s *signing) { s.aad = r.downAAD() }},
	} {
		s := right
		tt.spoil(&s)
		r.add("report", tt.name, "signature", r.sealSigned(s.bytes(), r.upAAD()))
	}
}

func (r *rogue) bodies() {
	good, err := wire.EncodeBody(r.body())
	if err != nil {
		r.t.Fatal(err)
	}
	consent := func(changes map[int]any) map[int]any {
		return map[int]any{2: []any{cbor.RawMessage(edit(encode(r.body().Consents[0]), changes))}}
	}
	preference := func(key, value string) map[int]any {
		return map[int]any{3: []any{fields{1: key, 2: value, 3: []int{0, 0}}}}
	}
	said := func(field int, what any) map[int]any {
		return map[int]any{3: []any{fields{1: "p", 2: "1", 3: []int{0, 0}, field: what}}}
	}
	use, wake := r.body().Consents[0], r.body().Consents[2]
	for _, tt := range []struct {
		name, err string
		changes   map[int]any
	}{
		{"a body without consents", "malformed", map[int]any{2: nil}},
		{"null consents", "malformed", map[int]any{2: cbor.RawMessage{0xf6}}},
		{"a key given twice", "malformed", map[int]any{2: []any{use, use}}},
		{"consents out of order", "malformed", map[int]any{2: []any{wake, use}}},
		{"129 consents", "too_big", map[int]any{2: repeat(129)}},
		{"a consent of no key", "malformed", consent(map[int]any{1: ""})},
		{"a consent of an unknown facet", "malformed", consent(map[int]any{1: "recommendations/all"})},
		{"given for version 0", "malformed", consent(map[int]any{2: 0})},
		{"no reason", "malformed", consent(map[int]any{3: ""})},
		{"a reason of 33 bytes", "malformed", consent(map[int]any{3: strings.Repeat("x", 33)})},
		{"decided at 2^53", "malformed", consent(map[int]any{4: []any{1, uint64(1) << 53}})},
		{"valid until 0, but said", "malformed", consent(map[int]any{5: 0})},
		{"valid after 2248", "malformed", consent(map[int]any{5: int64(1) << 43})},
		{"given in an unknown class", "malformed", consent(map[int]any{6: "Z"})},
		{"class C for 73 hours", "malformed", consent(map[int]any{7: 73 * 3600})},
		{"given, and denied for everyone", "malformed", consent(map[int]any{8: true})},
		{"denied for no one, but said", "malformed", consent(map[int]any{8: false})},
		{"a staleness of 33 bits", "malformed", consent(map[int]any{7: uint64(1) << 32})},
		{"a name of 129 bytes", "malformed", map[int]any{1: fields{1: "s", 2: strings.Repeat("x", 129)}}},
		{"a name that is not UTF-8", "malformed", map[int]any{1: fields{1: "s", 2: cbor.RawMessage{0x61, 0xff}}}},
		{"an empty name, but said", "malformed", map[int]any{1: fields{1: "s", 2: ""}}},
		{"no roles, but said", "malformed", map[int]any{1: fields{1: "s", 3: []string{}}}},
		{"roles out of order", "malformed", map[int]any{1: fields{1: "s", 3: []string{"service", "driver"}}}},
		{"a role twice", "malformed", map[int]any{1: fields{1: "s", 3: []string{"driver", "driver"}}}},
		{"a role in capitals", "malformed", map[int]any{1: fields{1: "s", 3: []string{"Driver"}}}},
		{"nine roles", "malformed", map[int]any{1: fields{1: "s", 3: strings.Split("abcdefghi", "")}}},
		{"a preference in blanks", "malformed", preference("voice speed", "1")},
		{"a value that is no JSON", "malformed", preference("p", "yes")},
		{"a value with a tail", "malformed", preference("p", "1 2")},
		{"a value with space around", "malformed", preference("p", " 1")},
		{"a value with space behind", "malformed", preference("p", "1\n")},
		{"a list for a value", "malformed", preference("p", "[1]")},
		{"a list with a number in it", "malformed", preference("p", `["a",1]`)},
		{"a list with null in it", "malformed", preference("p", `["a",null]`)},
		{"a list with something twice", "malformed", preference("p", `["a","b","a"]`)},
		{"a list in a list", "malformed", preference("p", `[["a"]]`)},
		{"an object for a value", "malformed", preference("p", `{"a":1}`)},
		{"a list of 1025 bytes", "malformed", preference("p", `["`+strings.Repeat("x", 1021)+`"]`)},
		{"null for a value", "malformed", preference("p", "null")},
		{"no source, but said", "malformed", said(4, "")},
		{"a source of 33 bytes", "malformed", said(4, strings.Repeat("x", 33))},
		{"set after 2248", "malformed", said(5, int64(1)<<43)},
		{"under no consent, but said", "malformed", said(6, "")},
		{"under an unknown facet", "malformed", said(6, "recommendations/all")},
		{"a value that ends at 0, but said", "malformed", said(7, 0)},
		{"no value", "malformed", preference("p", "")},
		{"an order without an id", "malformed", map[int]any{4: []any{fields{1: make([]byte, 16), 2: "unlink"}}}},
		{"an order of nothing", "malformed", map[int]any{4: []any{fields{1: fill(16, "o"), 2: ""}}}},
		{"an order twice", "malformed", map[int]any{4: []any{r.body().Orders[0], r.body().Orders[0]}}},
		{"a field more in a body", "malformed", map[int]any{5: 1}},
	} {
		r.add("body", tt.name, tt.err, edit(good, tt.changes))
	}
	r.add("body", "an empty map", "malformed", []byte{0xa0})
	r.add("body", "half a body", "malformed", good[:len(good)/2])
	r.add("body", "a body over 6 KB", "too_big", append(bytes.Clone(good), make([]byte, wire.MaxBodyBytes)...))
}

// repeat makes small consents in order.
func repeat(n int) (list []any) {
	for i := range n {
		key := cardea.KeyOf(cardea.PurposeID("p"+string([]byte{'a' + byte(i/26), 'a' + byte(i%26)})), cardea.FacetUse)
		list = append(list, cardea.Consent{Key: key, Reason: "x", Class: "A"})
	}
	return list
}

func (r *rogue) keyLists() {
	b, err := wire.SignKeyList(r.keyList(), r.root)
	if err != nil {
		r.t.Fatal(err)
	}
	_, good, err := open1(b, &r.root.PublicKey, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	key := func(changes map[int]any) map[int]any {
		x, y := fill(32, "x"), fill(32, "y")
		if raw, err := r.cloud.PublicKey.Bytes(); err == nil {
			x, y = raw[1:33], raw[33:]
		}
		return map[int]any{3: []any{cbor.RawMessage(edit(encode(fields{1: 2, 3: -7, -1: 1, -2: x, -3: y}), changes))}}
	}
	for _, tt := range []struct {
		name, err string
		changes   map[int]any
	}{
		{"a key list of protocol version 2", "version", map[int]any{1: 2}},
		{"list version 0", "malformed", map[int]any{2: 0}},
		{"no keys", "malformed", map[int]any{3: []any{}}},
		{"9 anchors", "too_big", map[int]any{4: [][]byte{{1}, {1}, {1}, {1}, {1}, {1}, {1}, {1}, {1}}}},
		{"an empty anchor", "malformed", map[int]any{4: [][]byte{{}}}},
		{"an anchor of 4097 bytes", "malformed", map[int]any{4: [][]byte{make([]byte, 4097)}}},
		{"no end", "malformed", map[int]any{5: 0}},
		{"an OKP key", "malformed", key(map[int]any{1: 1})},
		{"an EdDSA key", "malformed", key(map[int]any{3: -8})},
		{"a P-384 key", "malformed", key(map[int]any{-1: 2})},
		{"a point that is not on the curve", "malformed", key(map[int]any{-2: fill(32, "x")})},
		{"a point at nothing", "malformed", key(map[int]any{-2: make([]byte, 32), -3: make([]byte, 32)})},
		{"a coordinate of 31 bytes", "malformed", key(map[int]any{-2: fill(31, "x")})},
		{"a compressed point", "malformed", key(map[int]any{-3: true})},
		{"a private key", "malformed", key(map[int]any{-4: fill(32, "d")})},
	} {
		r.add("keys", tt.name, tt.err, signing{key: r.root, header: signHeader(r.root, typKeys), payload: edit(good, tt.changes)}.bytes())
	}
	for _, tt := range []struct {
		name, err string
		key       *ecdsa.PrivateKey
		header    fields
	}{
		{"a key list by its own key", "signature", r.cloud, signHeader(r.cloud, typKeys)},
		{"a key list in the root's name", "signature", r.cloud, signHeader(r.root, typKeys)},
		{"a key list of another kind", "malformed", r.root, signHeader(r.root, typStatement)},
	} {
		r.add("keys", tt.name, tt.err, signing{key: tt.key, header: tt.header, payload: good}.bytes())
	}
	r.add("keys", "a key list over 16 KB", "too_big", append(bytes.Clone(b), make([]byte, wire.MaxKeyListBytes)...))
}

func (r *rogue) unknowns() {
	up := []byte("the sealed report")
	b, err := wire.SignUnknown(up, r.link, r.cloud)
	if err != nil {
		r.t.Fatal(err)
	}
	_, good, err := open1(b, &r.cloud.PublicKey, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	add := func(name, err string, up, b []byte) {
		r.all = append(r.all, vectors.Vector{Name: name, Kind: "unknown", Error: err, Up: up, Bytes: b})
	}
	signed := func(key *ecdsa.PrivateKey, typ string, changes map[int]any) []byte {
		return signing{key: key, header: signHeader(key, typ), payload: edit(good, changes)}.bytes()
	}
	add("unknown to another report", "foreign", []byte("the report after"), b)
	add("unknown of another link", "foreign", up, signed(r.cloud, typUnknown, map[int]any{2: fill(16, "other")}))
	add("unknown by a stranger", "signature", up, signed(r.stranger, typUnknown, nil))
	add("unknown by the device", "signature", up, signed(r.device, typUnknown, nil))
	add("unknown of another kind", "malformed", up, signed(r.cloud, typRenewal, nil))
	add("unknown of version 2", "version", up, signed(r.cloud, typUnknown, map[int]any{1: 2}))
	add("unknown without a report", "malformed", up, signed(r.cloud, typUnknown, map[int]any{3: nil}))
	add("a renewal for an unknown", "malformed", up, r.sealDown(typRenewal, encode(r.renewal())))
	add("unknown over its size", "too_big", up, append(bytes.Clone(b), make([]byte, 512)...))
	r.add("statement", "an unknown for a statement", "malformed", b)
}

func (r *rogue) topics() {
	id := string(r.id)
	r.each(map[string][]byte{
		"the topic of statements":     []byte("cardea/1/" + id + "/down"),
		"a topic of version 2":        []byte("cardea/2/" + id + "/up"),
		"a topic of a name":           []byte("cardea/1/kitchen/up"),
		"a topic of everybody":        []byte("cardea/1/+/up"),
		"a topic of all":              []byte("cardea/#"),
		"a level more":                []byte("cardea/1/" + id + "/up/up"),
		"a level less":                []byte("cardea/1/up"),
		"a level before":              []byte("/cardea/1/" + id + "/up"),
		"a padded device":             []byte("cardea/1/" + id + "=/up"),
		"a device one short":          []byte("cardea/1/" + id[1:] + "/up"),
		"a device with spare bits":    []byte("cardea/1/" + id[:42] + "_/up"),
		"no topic":                    []byte(""),
		"a topic with a zero in it":   []byte("cardea/1/" + id + "\x00/up"),
		"a topic with a line's break": []byte("cardea/1/" + id + "/up\n"),
	}, func(name string, b []byte) {
		r.add("topic", name, "malformed", b)
	})
}
