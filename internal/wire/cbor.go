package wire

import (
	"bytes"

	"github.com/fxamacker/cbor/v2"

	"github.com/cardea-id/cardea"
)

var (
	encoding = must(encodingOptions().EncMode())
	decoding = must(decodingOptions(cbor.ExtraDecErrorUnknownField).DecMode())
	// peeking reads one field of a message whose others it may not know.
	peeking = must(decodingOptions(cbor.ExtraDecErrorNone).DecMode())
)

// encodingOptions is the core deterministic encoding of RFC 8949, Section
// 4.2.1. A nil slice is an empty one, so that there is no null anywhere.
func encodingOptions() cbor.EncOptions {
	o := cbor.CoreDetEncOptions()
	o.NilContainers = cbor.NilContainerAsEmpty
	return o
}

func decodingOptions(unknown cbor.ExtraDecErrorCond) cbor.DecOptions {
	return cbor.DecOptions{
		DupMapKey:          cbor.DupMapKeyEnforcedAPF,
		IndefLength:        cbor.IndefLengthForbidden,
		TagsMd:             cbor.TagsForbidden,
		MaxNestedLevels:    8,
		MaxArrayElements:   1024,
		MaxMapPairs:        256,
		UTF8:               cbor.UTF8RejectInvalid,
		NaN:                cbor.NaNDecodeForbidden,
		Inf:                cbor.InfDecodeForbidden,
		BignumTag:          cbor.BignumTagForbidden,
		ByteStringToString: cbor.ByteStringToStringForbidden,
		ExtraReturnErrors:  unknown,
	}
}

func must[M any](mode M, err error) M {
	if err != nil {
		panic(err) // only constants go in
	}
	return mode
}

// encode can not fail: only this package's structs and the vocabulary's go in.
func encode(v any) []byte { return must(encoding.Marshal(v)) }

// decode reads one item into the zero value v points to and refuses every
// encoding but the one encode writes. The comparison also refuses what the
// library is lax about: long integers, unsorted keys, null, byte strings of
// another length than the array they go into.
func decode(b []byte, v any) error {
	if err := decoding.Unmarshal(b, v); err != nil {
		return malformed("%w", err)
	}
	if !bytes.Equal(encode(v), b) {
		return malformed("not the deterministic encoding")
	}
	return nil
}

// decodeVersion is decode for a message with a protocol version. The version is
// read first: a newer message is ErrVersion, not malformed.
func decodeVersion(b []byte, v any) error {
	var head struct {
		V *uint64 `cbor:"1,keyasint"`
	}
	if err := peeking.Unmarshal(b, &head); err != nil {
		return malformed("%w", err)
	}
	if head.V == nil {
		return malformed("no version")
	}
	if *head.V != cardea.Version {
		return versionError(*head.V)
	}
	return decode(b, v)
}
