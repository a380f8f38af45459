package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
)

// Only what every user may read: a name that depends on who asks would set the
// key aside for no reason.
var machineFiles = []string{"/etc/machine-id", "/proc/device-tree/serial-number"}

// Machine names this machine: machine-id(5), which an installation has of its
// own, and the board's serial number, which no copy of an image carries over.
// Empty means that it has neither.
func Machine() string {
	var names []string
	for _, file := range machineFiles {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		name := strings.Trim(string(text), "\x00 \t\r\n")
		if name != "" && name != "uninitialized" { // as systemd leaves it before the first boot
			names = append(names, name)
		}
	}
	return strings.Join(names, "\x00")
}

// hashName keeps the machine's name to itself: machine-id(5) asks for it.
func hashName(machine string) string {
	if machine == "" {
		return ""
	}
	sum := sha256.Sum256([]byte("cardea device key\x00" + machine))
	return hex.EncodeToString(sum[:])
}
