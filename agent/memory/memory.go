// Package memory gives back what a process does not need while it does nothing.
//
// [GiveBack] promises that nothing is lost by it: what is taken out of the
// process's memory is free, or is what stands in the program's file, which the
// kernel maps again when it is needed.
package memory

import (
	"os"
	"runtime"
	"runtime/debug"
)

// percent is how much garbage may stand beside what is used before it is
// collected. It also sets the least there is of it: 1.2 MB at 30, 4 MB at the
// runtime's own 100.
const percent = 30

// Frugal has the runtime take as little as it can for a program that mostly
// waits: one thread at a time, and little garbage. It is for the start of a
// process. What stands in the environment (GOMAXPROCS, GOGC) counts instead.
func Frugal() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}

// GiveBack gives free memory back to the kernel, and has it forget which pages of
// the program's file this process has used: the start needed many that nothing
// needs afterwards. An error says why the latter could not be done.
func GiveBack() error {
	debug.FreeOSMemory()
	return unmap("/proc/self")
}
