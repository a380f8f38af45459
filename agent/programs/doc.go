// Package programs knows the programs of the device: which of them is at the
// other end of a connection, and what it may ask for.
//
// Who it is the kernel says, of the process that connected: its user and its
// group as they were then, whatever became of the process, and, where a rule asks
// for one, its systemd unit. A unit is believed only while the process is
// provably still the one that connected, so that nobody inherits one with a
// process id.
//
// What a program may ask for stands in one file for each, which only whoever
// administers the device may write. A file that is wrong entitles nobody and is
// told; it does not silence the others. Of the files that match a caller the most
// particular counts, whatever they are called.
package programs
