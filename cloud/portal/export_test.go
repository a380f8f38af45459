package portal

import (
	"context"
	"net/http"
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
