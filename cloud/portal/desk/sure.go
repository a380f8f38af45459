package desk

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
)

// An Act is something for which a session must be surer of its owner than for
// looking around.
type Act string

// The acts there are.
const (
	Erase   Act = "erase"   // the account
	Export  Act = "export"  // everything that is known of the owner
	Ways    Act = "ways"    // adding or removing a way to sign in
	Pairing Act = "pairing" // letting a device in; only if the policy says so
)

// Fresh is how long showing one's strongest method counts for what needs it.
const Fresh = 5 * time.Minute

// A Policy is what the brand asks beyond what the desk asks by itself.
type Policy struct {
	// Verified are the acts for which a passkey, or two methods of different
	// kinds, are needed.
	Verified []Act
}

// Sure returns nil if the owner has shown the strongest method they have a moment
// ago, and as much as the policy asks for the act. Otherwise it is an error for the
// page to return: the owner is asked to sign in again, and led back to a page of
// ours where they go on.
func (d *Desk) Sure(v Visit, act Act, back string) error {
	now := time.Now()
	if slices.Contains(d.Policy.Verified, act) && v.Session.LevelSince(now.Add(-Fresh)) < accountdb.Verified {
		return Again{Back: back, Verified: true}
	}
	if act != Pairing && !v.Session.Strong(now, Fresh) {
		return Again{Back: back}
	}
	return nil
}

// SureToWiden is the same for a yes to what devices may do, or for a setting that
// protects less; a no is never asked for more. class is of what it is about: who
// has proved nothing yet says yes only to what stays on the device. paired is when
// the oldest of the devices was paired that the yes reaches, zero if it reaches
// none: a session that began after it may be a thief's.
func (d *Desk) SureToWiden(v Visit, class cardea.Class, paired time.Time, back string) error {
	local := class == cardea.ClassL || class == cardea.ClassN
	if !local && v.Session.Claimed && v.Session.Ways.Strongest() == accountdb.Claimed {
		return Again{Back: back, Confirm: true}
	}
	young := !paired.IsZero() && v.Session.Started.After(paired)
	if young && !v.Session.Strong(time.Now(), Fresh) {
		return Again{Back: back}
	}
	return nil
}

// Again is why a page does not answer yet: the owner must say once more who they
// are.
type Again struct {
	Back     string // where they go on then
	Verified bool   // by a passkey, or two methods
	Confirm  bool   // by answering from the address they gave
}

func (Again) Error() string { return "the owner must sign in again" }

// Page is where the owner does so.
func (a Again) Page() string {
	if a.Confirm {
		return WithNext("/account/confirm", a.Back)
	}
	q := url.Values{"next": {ReturnPath(a.Back)}}
	if a.Verified {
		q.Set("sure", "2")
	}
	return "/again?" + q.Encode()
}

// ask leads the owner there.
func (a Again) ask(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, a.Page(), http.StatusSeeOther)
}
