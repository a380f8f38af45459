package desk

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/mail"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/web"
)

// readForm reads the body of a POST within web.MaxBody.
func readForm(w http.ResponseWriter, r *http.Request) error {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return Problem{Status: http.StatusUnsupportedMediaType, Key: "problem.no_form"}
	}
	r.Body = http.MaxBytesReader(w, r.Body, web.MaxBody)
	if err := r.ParseForm(); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return Problem{Status: http.StatusRequestEntityTooLarge, Key: "problem.too_much"}
		}
		return Problem{Status: http.StatusBadRequest, Key: "problem.damaged"}
	}
	return nil
}

// MaxName bounds the name of a device, in characters; MaxNameBytes keeps scripts
// and combining marks from making it long all the same.
const (
	MaxName      = 60
	MaxNameBytes = 240
)

// CheckName brings a device's name to one line without space around it, and
// says in its reader's language what is wrong with it, or nothing. Every script is welcome. What turns
// the direction of the text around it is not: it could make one name look like
// another.
func (v Visit) CheckName(text string) (name, wrong string) {
	if !utf8.ValidString(text) {
		return "", v.Language.Text("page.name.no_text")
	}
	name = strings.Join(strings.Fields(text), " ")
	switch {
	case name == "":
		return "", v.Language.Text("page.name.empty")
	case utf8.RuneCountInString(name) > MaxName || len(name) > MaxNameBytes:
		return "", v.Language.Text("page.name.too_long", "Most", MaxName)
	case strings.ContainsFunc(name, hidden) || !strings.ContainsFunc(name, seen):
		return "", v.Language.Text("page.name.unseen")
	}
	return name, ""
}

// hidden reports characters that a name has no use for: controls, and the marks
// that override the direction of text (Unicode Standard Annex 9). The joiners
// that scripts and emoji need are not among them.
func hidden(r rune) bool {
	return unicode.IsControl(r) || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' || r == '\u2028' || r == '\u2029' || r == '\ufeff'
}

// seen reports characters that leave a trace: joiners alone make no name.
func seen(r rune) bool { return unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S) }

// maxEmail is the longest address there is (RFC 5321, Section 4.5.3.1.3).
const maxEmail = 254

// ParseEmail brings an address to the one form under which it is kept. Lower
// case is wrong by the letter of RFC 5321 and right for every mailbox people
// have.
func ParseEmail(text string) (email string, ok bool) {
	email = strings.ToLower(strings.TrimSpace(text))
	if len(email) > maxEmail || strings.ContainsFunc(email, hidden) {
		return "", false
	}
	a, err := mail.ParseAddress(email)
	if err != nil || a.Address != email || a.Name != "" {
		return "", false
	}
	return email, true
}

// BaseText is a position as a hidden field carries it: era, sequence and hash.
func BaseText(p cardea.Position) string {
	return fmt.Sprintf("%d.%d.%s", p.Era, p.Seq, p.Hash)
}

// ParseBase reads what BaseText wrote.
func ParseBase(text string) (cardea.Position, error) {
	var p cardea.Position
	era, rest, _ := strings.Cut(text, ".")
	seq, hash, ok := strings.Cut(rest, ".")
	if !ok {
		return p, fmt.Errorf("base %.80q: want era.sequence.hash", text)
	}
	e, err := strconv.ParseUint(era, 10, 32)
	if err != nil {
		return p, fmt.Errorf("base era: %w", err)
	}
	p.Era = uint32(e)
	if p.Seq, err = strconv.ParseUint(seq, 10, 64); err != nil {
		return p, fmt.Errorf("base sequence: %w", err)
	}
	if err := p.Hash.UnmarshalText([]byte(hash)); err != nil {
		return p, fmt.Errorf("base hash: %w", err)
	}
	return p, nil
}

// Anchor is where on the page a key is asked. What was decided stays out of the
// address that is sent: a fragment is not.
func Anchor(k cardea.Key) string { return "c-" + strings.ReplaceAll(string(k), "/", "-") }
