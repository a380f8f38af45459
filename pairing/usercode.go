package pairing

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"unicode"
)

// ErrInvalidUserCode is returned for text that can not be a user code.
var ErrInvalidUserCode = errors.New("not a code: eight letters as in WDJB-MJHT, no vowels and no digits")

// alphabet is the one RFC 8628, Section 6.1 recommends: no vowels, so that no
// words arise, and nothing that is mistaken for something else.
const alphabet = "BCDFGHJKLMNPQRSTVWXZ"

const (
	codeLetters  = 8 // 20^8 codes, 34.5 bits
	maxTypedCode = 64
)

// A UserCode is what a device shows and its owner types or compares, in the
// form "WDJB-MJHT". It is not for logs: whoever has it can answer for a device.
type UserCode string

// NewUserCode returns a fresh code.
func NewUserCode() UserCode {
	letters := make([]byte, 0, codeLetters)
	var b [1]byte
	for len(letters) < codeLetters {
		rand.Read(b[:])
		// 240 is the largest multiple of 20 in a byte: above it some letters
		// would come up more often.
		if b[0] < 240 {
			letters = append(letters, alphabet[int(b[0])%len(alphabet)])
		}
	}
	return shown(letters)
}

// UserCodeOf returns the code that belongs to a seed: the same seed, the same
// code. Seeds that can not be told from random give codes that can not be.
func UserCodeOf(seed [32]byte) UserCode {
	return shown(lettersOf(seed, codeLetters))
}

// lettersOf writes a seed in the alphabet, the first n letters of it.
func lettersOf(seed [32]byte, n int) []byte {
	letters := make([]byte, n)
	rest := new(big.Int).SetBytes(seed[:])
	for i, mod := 0, big.NewInt(int64(len(alphabet))); i < n; i++ {
		letter := new(big.Int)
		rest.DivMod(rest, mod, letter)
		letters[i] = alphabet[letter.Int64()]
	}
	return letters
}

// ParseUserCode reads a code as people type it: in any case, with spaces,
// dashes and other punctuation or without, in full-width letters.
func ParseUserCode(text string) (UserCode, error) {
	if len(text) > maxTypedCode {
		return "", ErrInvalidUserCode
	}
	letters := make([]byte, 0, codeLetters)
	for _, r := range text {
		if unicode.IsSpace(r) || unicode.IsPunct(r) || unicode.Is(unicode.Cf, r) {
			continue
		}
		if 'Ａ' <= r && r <= 'ｚ' {
			r -= 'Ａ' - 'A'
		}
		if 'a' <= r && r <= 'z' {
			r -= 'a' - 'A'
		}
		if r > unicode.MaxASCII || strings.IndexByte(alphabet, byte(r)) < 0 {
			return "", fmt.Errorf("%w (%q is in no code)", ErrInvalidUserCode, r)
		}
		letters = append(letters, byte(r))
	}
	if len(letters) != codeLetters {
		return "", fmt.Errorf("%w (got %d)", ErrInvalidUserCode, len(letters))
	}
	return shown(letters), nil
}

func shown(letters []byte) UserCode {
	return UserCode(letters[:codeLetters/2]) + "-" + UserCode(letters[codeLetters/2:])
}

// LogValue keeps codes out of logs.
func (UserCode) LogValue() slog.Value { return slog.StringValue(redacted) }
