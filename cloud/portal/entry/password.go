package entry

import (
	"unicode/utf8"

	"github.com/cardea-id/cardea/cloud/language"
)

// The bounds of a password: NIST SP 800-63B asks for length and forbids rules
// about which characters.
const (
	minPassword = 10 // characters
	maxPassword = 256
)

// checkPassword says in a language what is wrong with a new password, or nothing.
func checkPassword(l *language.Language, password, email string) string {
	switch {
	case !utf8.ValidString(password):
		return l.Text("entry.password_no_text")
	case utf8.RuneCountInString(password) < minPassword:
		return l.Text("entry.password_short", "Least", minPassword)
	case len(password) > maxPassword:
		return l.Text("entry.password_long", "Most", maxPassword)
	case password == email:
		return l.Text("entry.password_is_email")
	}
	return ""
}
