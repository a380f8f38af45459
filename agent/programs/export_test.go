package programs

import (
	"syscall"
	"testing"
)

// ParseUnit and ParseStart let tests feed files of machines that are not there.
var (
	ParseUnit  = parseUnit
	ParseStart = parseStart
)

// OnAnOlderKernel has the kernel hold no peers for one test.
func OnAnOlderKernel(t testing.TB) {
	pidfd, holds := peerPidfd, kernelHoldsPeers
	peerPidfd = func(int) (int, error) { return 0, syscall.ENOPROTOOPT }
	kernelHoldsPeers = func() bool { return false }
	t.Cleanup(func() { peerPidfd, kernelHoldsPeers = pidfd, holds })
}

// InUnit has every process be of a unit for one test, as seen by its id.
func InUnit(t testing.TB, unit string) {
	cgroup := cgroupOf
	cgroupOf = func(int32) ([]byte, error) { return []byte("0::/system.slice/" + unit + "\n"), nil }
	t.Cleanup(func() { cgroupOf = cgroup })
}
