// Package localapi is how the programs of a device speak to the agent: HTTP/1.1
// and JSON on a Unix socket, readable with "curl --unix-socket".
//
// Who calls is what the kernel says of the other end of the socket, asked once
// a connection: no header, token or name in a request makes a caller. Package
// programs says which program that is and what it may ask for. A caller no file
// names gets nothing but an error that says so; root and the agent's own user are
// no exception.
//
// Every permission is given or refused, and written to the log, by one
// function, Server.permit. A program sees only the purposes, audiences and
// preferences its file lists; what it may not see is absent from what it reads
// and refused when it asks for it by name.
//
// The socket is not for browsers: a request with an Origin or a Referer, or
// for another host than "localhost" or "cardea", is refused, so that no page
// can be made to speak to it through a proxy that forwards to the socket.
//
// Nothing here waits for a network but a token that has to be refreshed and the
// start of a pairing. Bodies, headers, connections of a user and the lines a
// slow watcher may be behind are bounded.
package localapi
