// Package arch holds the house to its plan: which package may import which, who
// owns each third-party module, what the agent must not link, and that every
// package has a comment and tests. It has no code but its tests.
package arch
