package gate

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// BootTime reads CLOCK_BOOTTIME: the time since the boot, suspend included. It
// is a system call, and one that never waits: the runtime need not hear of it,
// which would wake its watchman on an idle device.
func BootTime() time.Duration {
	var ts unix.Timespec
	if _, _, errno := unix.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_BOOTTIME, uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		panic("no CLOCK_BOOTTIME: " + errno.Error()) // every Linux since 2.6.39 has it
	}
	return time.Duration(ts.Nano())
}

// BootID is the kernel's random name of this boot, or empty if it has none.
func BootID() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// Where the kernel counts the suspends it came back from, and where its
// real-time clocks are.
const (
	suspendsFile = "/sys/power/suspend_stats/success"
	rtcFolder    = "/sys/class/rtc"
)

// Resumes is for Config.Resumes: it counts how often this machine came back from
// a suspend, or is nil where CLOCK_BOOTTIME counts the time in suspend or there
// is no suspend. The kernel counts it by a clock that does not stop or by an
// RTC; a machine that has neither learns nothing from its boot clock.
func Resumes() func() uint64 {
	count, ok := readCount(suspendsFile)
	if !ok {
		return nil
	}
	var mono unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono) != nil {
		return nil
	}
	rtcs, _ := filepath.Glob(filepath.Join(rtcFolder, "rtc*")) // the pattern is well formed
	if countsSuspend(BootTime()-time.Duration(mono.Nano()), count, len(rtcs) > 0) {
		return nil
	}
	return countFrom(suspendsFile)
}

// countsSuspend reports whether the boot clock goes on in suspend: ahead is what
// it has more than the clock that does not, after so many suspends. Before the
// first one the RTC tells.
func countsSuspend(ahead time.Duration, suspends uint64, rtc bool) bool {
	if suspends > 0 {
		return ahead > 10*time.Millisecond
	}
	return rtc
}

// countFrom reads a counter of the kernel's each time it is asked. One that can
// not be read any more has moved.
func countFrom(path string) func() uint64 {
	return func() uint64 {
		if n, ok := readCount(path); ok {
			return n
		}
		return 1<<64 - 1
	}
}

func readCount(path string) (n uint64, ok bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err = strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil
}

// RTC reads the real-time clock, since 1970, and is nil where nothing can stop
// the other clocks: on a machine that no hypervisor pauses. In a paused one all
// of the kernel's clocks stand still, the wall clock too.
func RTC() func() time.Duration {
	if !virtual("/") {
		return nil
	}
	path := filepath.Join(rtcFolder, "rtc0/since_epoch")
	if _, ok := readCount(path); !ok {
		return nil
	}
	return func() time.Duration {
		seconds, _ := readCount(path) // none is no time ahead
		return time.Duration(min(seconds, uint64(maxTime/1000))) * time.Second
	}
}

// virtual reports whether the kernel under root knows of a hypervisor.
func virtual(root string) bool {
	for _, path := range []string{"sys/hypervisor/type", "proc/device-tree/hypervisor"} {
		if _, err := os.Stat(filepath.Join(root, path)); err == nil {
			return true
		}
	}
	text, err := os.ReadFile(filepath.Join(root, "proc/cpuinfo"))
	return err == nil && strings.Contains(string(text), " hypervisor")
}
