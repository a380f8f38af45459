package wire

// The messages that only this package knows, for the test that compares them
// with docs/protocol.md.
var (
	KeysOnWire    any = keyList{}
	CoseKeyOnWire any = coseKey{}
	UnknownOnWire any = unknown{}
)
