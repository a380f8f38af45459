package portal

import (
	"context"
	"crypto/sha256"
	"io/fs"
	"net/http"
	"testing/fstest"
	"time"

	"github.com/cardea-id/cardea"
)

// What tests of this package's decoders reach for.
var (
	ReturnPath = returnPath
	WithNext   = withNext
	ParseBase  = parseBase
	BaseText   = baseText
	CheckName  = checkName
	ParseEmail = parseEmail
	Span       = span
	Suggest    = suggest
	NewPWs     = newPasswords
	NewThrot   = newThrottle
	Block      = block
)

// DecisionOf reads the form of a facet.
func DecisionOf(r *http.Request) (cardea.Decision, cardea.Scope, error) { return decisionOf(r) }

// Rewrite changes the text of one page of this portal alone.
func (p *Portal) Rewrite(name string, change func(text string) string) error {
	files := fstest.MapFS{}
	err := fs.WalkDir(pageFiles, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := pageFiles.ReadFile(path)
		if path == "pages/"+name {
			text = []byte(change(string(text)))
		}
		files[path] = &fstest.MapFile{Data: text}
		return err
	})
	p.pages = parsePages(files)
	return err
}

// SessionHash is what is stored of a session's secret.
func SessionHash(secret []byte) cardea.Hash { return sha256.Sum256(secret) }

// HoldTurns takes every turn to hash a password until release is called.
func (p *Portal) HoldTurns() (release func()) {
	for range cap(p.passwords.turns) {
		p.passwords.turns <- struct{}{}
	}
	return func() {
		for range cap(p.passwords.turns) {
			<-p.passwords.turns
		}
	}
}

// Check reports whether the password made the hash.
func Check(p *passwords, ctx context.Context, password, hash string) (bool, error) {
	return p.check(ctx, password, hash)
}

// Take and GiveBack are the throttle's.
func Take(t *throttle, key string, now time.Time) (time.Duration, bool) { return t.take(key, now) }
func GiveBack(t *throttle, key string)                                  { t.giveBack(key) }
