// Package portal is the owner's pages: sign in, pair a device, decide what
// devices may do, see what they do. It puts the rooms together, each of which
// has a package and says what it promises: entry, pairs, choices, preferences and
// devices, all on the desk they share.
//
// What it promises of all pages: opening one changes nothing; every change is a
// POST from one of these pages, whose origin is checked and which carries a
// token of the browser it was given to.
package portal
