// Package pairing is the OAuth 2.0 device authorization grant (RFC 8628): its
// messages, errors and user codes, for both ends, the rules by which the server
// lets a [Grant] live, and the device's client.
//
// The [Client] works with any server of RFC 8628. What Cardea's server adds is
// negotiated: proofs of possession (RFC 9449) when the client has a key, polls
// that the server holds until the owner decides ("Prefer: wait=20"), metadata
// (RFC 8414). A server that knows none of it is spoken to plainly.
//
// A pairing that was begun is not lost before its code expires: not to an
// unreachable network, a failing server, a lost answer, a restart or a wall
// clock that jumps. Only the owner's answer, the code's end or the caller's
// context ends a [Client.Wait].
//
// Nothing here prints a token or a device code: they are of type [Secret].
package pairing
