package gate

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// BootTime reads CLOCK_BOOTTIME: the time since the boot, suspend included. It
// is a system call of about 250 ns.
func BootTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic("no CLOCK_BOOTTIME: " + err.Error()) // every Linux since 2.6.39 has it
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
