// Package client is the Go client of the agent's local API, and the shapes of
// everything that API says and hears, so that the two ends can not differ.
//
// A program asks a [Client] who is here, for a token, for a preference, and
// before it touches personal data, may I? It is safe for concurrent use and
// keeps its connections, because the agent looks at who is calling once a
// connection.
//
// When the agent does not answer, the answer is no: [Client.Decide] then
// returns a denial for [cardea.ReasonNoAgent], and every error that means this
// is [ErrNoAgent].
package client
