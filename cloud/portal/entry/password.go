package entry

import (
	"fmt"
	"unicode/utf8"
)

// The bounds of a password: NIST SP 800-63B asks for length and forbids rules
// about which characters.
const (
	minPassword = 10 // characters
	maxPassword = 256
)

// checkPassword says what is wrong with a new password, or nothing.
func checkPassword(password, email string) string {
	switch {
	case !utf8.ValidString(password):
		return "This password has bytes that are no text. Choose another one."
	case utf8.RuneCountInString(password) < minPassword:
		return fmt.Sprintf("Choose at least %d characters. A few words in a row are easy to remember.", minPassword)
	case len(password) > maxPassword:
		return fmt.Sprintf("Choose at most %d characters.", maxPassword)
	case password == email:
		return "Choose something other than your e-mail address."
	}
	return ""
}
