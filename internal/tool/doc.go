// Package tool is the program cardea: what an operator, a tinkerer or a script
// says to the agent of a device, and hears from it.
//
// There is one table of commands; help and the completion of three shells are
// made of it, so that none of them can name what is not there. A command prints
// for people, or with --json exactly what the agent answered. Colours are for
// terminals only, and none are used where NO_COLOR is set (no-color.org).
//
// A fault is told in one line that says what to do about it, and by the exit
// code: [Done], [No], [Usage], [NoAgent], [Interrupted].
package tool
