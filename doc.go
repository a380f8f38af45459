// Package cardea is the vocabulary of Cardea and its pure rules.
//
// A device holds links: one account on one device. What the owner of an
// account decided, purpose by purpose and facet by facet, stands in the
// account's [Entry] ledger. [Fold] turns the ledger into what is given on one
// device, a [Body] carries that to the device, signed, and [Decide] answers the
// device's programs from it without a network.
//
// Everything here is a value or a pure function of its arguments: no I/O, no
// clock, no randomness but the making of identifiers, nothing outside the
// standard library. Time is an argument. Whoever has read this package knows
// the domain; every other package moves, stores, signs or shows what is
// defined here.
//
// Three rules hold everywhere. A denial is always accepted and is local; a
// grant is decided in the ledger. No answer is "no", an old answer is "no", an
// unknown answer is "no". State travels whole, never as a difference, so that
// applying a message twice, late or out of order is harmless.
package cardea
