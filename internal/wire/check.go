package wire

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/cardea-id/cardea"
)

func versionError(v uint64) error {
	return fmt.Errorf("%w: it is %d, this program speaks %d", ErrVersion, v, cardea.Version)
}

// text reports whether s is UTF-8 of at most the given bytes. The CBOR library
// checks it only when decoding.
func text(s string, most int) bool { return len(s) <= most && utf8.ValidString(s) }

func word(s string) bool { return s != "" && text(s, maxWord) }

func instant(m cardea.Millis) bool { return m >= 0 && m < maxMillis }

func validJSON(s string) bool { return json.Valid([]byte(s)) }

// position accepts a place in a ledger: only the empty ledger has no hash.
func position(p cardea.Position) bool {
	return p.Seq <= maxCount && (p.Seq == 0) == p.Hash.IsZero()
}

func checkDevice(id cardea.DeviceID) error {
	if _, err := cardea.ParseDeviceID(string(id)); err != nil {
		return malformed("%w", err)
	}
	return nil
}
