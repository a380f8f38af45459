package wire_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/internal/wire/vectors"
)

// Every decoder holds to three things for any input: it does not panic, what it
// accepts encodes to the same bytes again, and its errors are the package's.
// Bytes that no key made stop at the seal, so each input is also tried under a
// right seal and under a right signature.

// seed adds the vectors of the kinds: their bytes, and what is inside.
func seed(f *testing.F, c cast, aad []byte, kinds ...string) {
	set := vectors.Load(f)
	for _, v := range slices.Concat(set.Good, set.Bad) {
		if !slices.Contains(kinds, v.Kind) {
			continue
		}
		f.Add([]byte(v.Bytes))
		signed, err := open0(v.Bytes, c.key, aad)
		if err != nil {
			signed = v.Bytes
		} else {
			f.Add(signed)
		}
		var m []cbor.RawMessage
		var payload []byte
		if len(signed) > 0 && cbor.Unmarshal(signed[1:], &m) == nil && len(m) == 4 && cbor.Unmarshal(m[2], &payload) == nil {
			f.Add(payload)
		}
	}
}

func ours(t *testing.T, err error) bool {
	t.Helper()
	if vectors.ErrorName(err) == "other" {
		t.Errorf("an error of no kind: %v", err)
	}
	return err == nil
}

func FuzzDecodeBody(f *testing.F) {
	seed(f, newCast(f), nil, "body")
	f.Fuzz(func(t *testing.T, b []byte) {
		body, err := wire.DecodeBody(b)
		if !ours(t, err) {
			return
		}
		again, err := wire.EncodeBody(body)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("encodes again to %x, %v", again, err)
		}
	})
}

func FuzzOpenDown(f *testing.F) {
	c := newCast(f)
	seed(f, c, c.downAAD(), "statement", "renewal", "held")
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, sealed := range [][]byte{b, c.sealSigned(b, c.downAAD()), c.sealDown(typStatement, b), c.sealDown(typRenewal, b)} {
			d, signed, err := wire.OpenDown(sealed, c.id, c.link, c.key, c.trust)
			if !ours(t, err) {
				continue
			}
			_, payload, err := open1(signed, &c.cloud.PublicKey, c.downAAD())
			if err != nil || !bytes.Equal(encode(d), payload) {
				t.Errorf("encodes again to %x, %v", encode(d), err)
			}
			if _, _, err := wire.SealDown(d, c.cloud, c.key); err != nil {
				t.Errorf("opens, but does not seal: %v", err)
			}
		}
	})
}

func FuzzOpenUp(f *testing.F) {
	c := newCast(f)
	seed(f, c, c.upAAD(), "report")
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, sealed := range [][]byte{b, c.sealSigned(b, c.upAAD()), c.sealUp(b)} {
			u, err := wire.OpenUp(sealed, c.id, c.link, c.key, &c.device.PublicKey)
			if !ours(t, err) {
				continue
			}
			signed, err := open0(sealed, c.key, c.upAAD())
			if err != nil {
				t.Fatal(err)
			}
			_, payload, err := open1(signed, &c.device.PublicKey, c.upAAD())
			if err != nil || !bytes.Equal(encode(u), payload) {
				t.Errorf("encodes again to %x, %v", encode(u), err)
			}
			if _, err := wire.SealUp(wire.Fit(u), c.device, c.key); err != nil {
				t.Errorf("opens, but does not seal: %v", err)
			}
		}
	})
}

func FuzzOpenBatch(f *testing.F) {
	c := newCast(f)
	seed(f, c, c.upAAD(), "batch")
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, sealed := range [][]byte{b, c.sealSigned(b, c.upAAD()), c.sealBatch(b)} {
			got, err := wire.OpenBatch(sealed, c.id, c.link, c.key, &c.device.PublicKey)
			if !ours(t, err) {
				continue
			}
			if link, err := wire.PeekBatch(sealed); err != nil || link != c.link {
				t.Errorf("peeked %s: %v", link, err)
			}
			signed, err := open0(sealed, c.key, c.upAAD())
			if err != nil {
				t.Fatal(err)
			}
			_, payload, err := open1(signed, &c.device.PublicKey, c.upAAD())
			if err != nil || !bytes.Equal(encode(got), payload) {
				t.Errorf("encodes again to %x, %v", encode(got), err)
			}
			if _, err := wire.SealBatch(wire.FitBatch(got), c.device, c.key); err != nil {
				t.Errorf("opens, but does not seal: %v", err)
			}
		}
	})
}

func FuzzPeekUp(f *testing.F) {
	c := newCast(f)
	seed(f, c, c.upAAD(), "report", "statement")
	f.Fuzz(func(t *testing.T, b []byte) {
		link, err := wire.PeekUp(b)
		if !ours(t, err) {
			return
		}
		var m []cbor.RawMessage
		if err := cbor.Unmarshal(b[1:], &m); err != nil || !bytes.Equal(encode(m), b[1:]) {
			t.Errorf("encodes again to %x, %v", encode(m), err)
		}
		_, err = wire.OpenUp(b, c.id, link, c.key, &c.device.PublicKey)
		if ours(t, err); link.IsZero() || vectors.ErrorName(err) == "foreign" && link != c.link {
			t.Errorf("peeked %s: %v", link, err)
		}
	})
}

func FuzzKeyList(f *testing.F) {
	c := newCast(f)
	seed(f, c, nil, "keys")
	f.Fuzz(func(t *testing.T, b []byte) {
		byRoot := signing{key: c.root, header: signHeader(c.root, typKeys), payload: b}.bytes()
		for _, b := range [][]byte{b, byRoot} {
			list, err := wire.OpenKeyList(b, &c.root.PublicKey)
			if !ours(t, err) {
				continue
			}
			again, err := wire.SignKeyList(list, c.root)
			if err != nil {
				t.Fatal(err)
			}
			_, was, err := open1(b, &c.root.PublicKey, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, is, err := open1(again, &c.root.PublicKey, nil); err != nil || !bytes.Equal(is, was) {
				t.Errorf("encodes again to %x, %v", is, err)
			}
		}
	})
}

func FuzzOpenUnknown(f *testing.F) {
	c := newCast(f)
	seed(f, c, nil, "unknown")
	report := []byte("the sealed report")
	f.Fuzz(func(t *testing.T, b []byte) {
		signed := signing{key: c.cloud, header: signHeader(c.cloud, typUnknown), payload: b}.bytes()
		for _, b := range [][]byte{b, signed} {
			if !ours(t, wire.OpenUnknown(b, report, c.link, c.trust)) {
				continue
			}
			want := encode(map[int]any{1: cardea.Version, 2: c.link, 3: sum(report)})
			if _, payload, err := open1(b, &c.cloud.PublicKey, nil); err != nil || !bytes.Equal(payload, want) {
				t.Errorf("%x opened, %v", payload, err)
			}
		}
	})
}

func FuzzParseTopic(f *testing.F) {
	seed(f, newCast(f), nil, "topic")
	f.Fuzz(func(t *testing.T, b []byte) {
		id, err := wire.ParseUpTopic(string(b))
		if ours(t, err) && wire.UpTopic(id) != string(b) {
			t.Errorf("%q is the topic of %q", b, id)
		}
	})
}

func FuzzLinkKeyText(f *testing.F) {
	text, err := newCast(f).key.MarshalText()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, b []byte) {
		var key wire.LinkKey
		if key.UnmarshalText(b) != nil {
			return
		}
		if again, err := key.MarshalText(); err != nil || !bytes.Equal(again, b) {
			t.Errorf("writes %q, %v", again, err)
		}
	})
}
