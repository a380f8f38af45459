// Command vm runs an agent in a small virtual machine: a real kernel that
// believes it is 1970, TLS, a real disk, a network cable that is pulled, a suspend, a
// pause, and power cuts while withdrawals are on their way to the disk. The
// cloud runs on this machine, and the owner is played as everywhere else.
//
//	vm [-bin bin] [-cuts 3] [-keep]
//
// It prints what was decided at each step and ends with 1 at the first answer
// that is wrong. It needs qemu-system-x86_64 and a Debian cloud kernel with its
// modules; nothing is asked of the processor, so it also runs inside a
// container, at a tenth of the speed.
//
// The same program is the machine's init: see guest.go.
//
// What it does not show: a power cut takes the guest's memory, but not what the
// virtual disk was given and has not flushed, which the host keeps. Whether the
// flush itself is asked for is checked under strace elsewhere.
package main
