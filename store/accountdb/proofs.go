package accountdb

import "time"

// A Method is a way to show who one is.
type Method string

// The methods there are. Each is a column of its own in a session.
const (
	ByPasskey   Method = "passkey"   // a key of the owner's, who was verified by what keeps it
	ByPassword  Method = "password"  // something they know
	ByCode      Method = "code"      // a code that was sent to their address
	ByElsewhere Method = "elsewhere" // the word of an OpenID provider
)

// Proofs say when each method was last shown in a session. A zero time is never.
type Proofs struct {
	Passkey, Password, Code, Elsewhere time.Time
}

// Ways are what an account can sign in with.
type Ways struct {
	Passkeys  int
	Password  bool
	Renewed   bool // the password was lately set by whoever got a code, see renewedFor
	Email     bool // there is an address that has proved to be the owner's
	Elsewhere int
}

// Count is how many ways there are. An address is one only where mail can be
// sent.
func (w Ways) Count(mail bool) int {
	n := w.Passkeys + w.Elsewhere
	if w.Password {
		n++
	}
	if w.Email && mail {
		n++
	}
	return n
}

// A Level is how sure it is that somebody is the owner.
type Level int

// The levels there are.
const (
	Claimed  Level = iota // nobody but themselves says so
	Shown                 // one method was shown
	Verified              // two of different kinds, or a passkey, which is two in one
)

// Strongest is the level an account can reach with what it has. One with a
// passkey is asked for it, or for two others.
func (w Ways) Strongest() Level {
	switch {
	case w.Passkeys > 0:
		return Verified
	case w.Password, w.Email, w.Elsewhere > 0:
		return Shown
	}
	return Claimed
}

// Level is how sure it is that the owner is behind the session.
func (s Session) Level() Level { return s.LevelSince(time.UnixMilli(1)) }

// LevelSince is the same, of what was shown at or after a time. A password and
// what comes to the mailbox by which it was just set are one thing, not two.
func (s Session) LevelSince(from time.Time) Level {
	shown := func(at time.Time) bool { return !at.IsZero() && !at.Before(from) }
	p := s.Proofs
	switch {
	case shown(p.Passkey), shown(p.Password) && (shown(p.Code) || shown(p.Elsewhere)) && !s.Ways.Renewed:
		return Verified
	case shown(p.Password), shown(p.Code), shown(p.Elsewhere):
		return Shown
	}
	return Claimed
}

// Strong reports whether the strongest that the account has was shown within a
// time before now. Where there is a password, a code or another's word alone does
// not stand in for it. Of an account that has nothing yet the session is all there
// is.
func (s Session) Strong(now time.Time, within time.Duration) bool {
	from := now.Add(-within)
	switch level := s.LevelSince(from); {
	case level < s.Ways.Strongest():
		return false
	case level == Shown && s.Ways.Password:
		return !s.Proofs.Password.Before(from)
	}
	return true
}

// AMR are the methods as RFC 8176 calls them, and "fed", for which it has no
// word: another's.
func (s Session) AMR() (list []string) {
	p := s.Proofs
	if !p.Passkey.IsZero() {
		list = append(list, "pop", "user") // Section 2: a key was proved, with somebody there
	}
	if !p.Password.IsZero() {
		list = append(list, "pwd")
	}
	if !p.Code.IsZero() {
		list = append(list, "otp")
	}
	if !p.Elsewhere.IsZero() {
		list = append(list, "fed")
	}
	if s.Level() == Verified {
		list = append(list, "mfa")
	}
	return list
}
