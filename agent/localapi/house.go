package localapi

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/agent/syncer"
	"github.com/cardea-id/cardea/pairing"
)

// A Gate answers "may I?" for whoever uses the device now. Its methods are safe
// for concurrent use, answer from memory and never wait.
type Gate interface {
	// Active is whoever uses the device now, and the generation that says so; ok
	// is false for a guest.
	Active() (link cardea.LinkID, generation uint64, ok bool)
	// DecideFor answers for one link, whoever uses the device by now.
	DecideFor(cardea.LinkID, cardea.Query) cardea.Answer
	// Generation counts the states there were; it never stays the same over a
	// change, a restart included.
	Generation() uint64
	// Changed is closed when the generation moves on from since, at once if it
	// has already.
	Changed(since uint64) <-chan struct{}
	// Clock reports whether the time is known.
	Clock() cardea.Now
	// Fresh reports whether what a link's cloud stated may be relied on, if it
	// counts for age after the cloud's last answer.
	Fresh(link cardea.LinkID, age time.Duration) bool
}

// A Pairer runs the pairing of the device: one at a time, resumed after a
// restart.
type Pairer interface {
	// Start asks the server for a code, or returns the pairing that waits.
	Start(context.Context) (client.Pairing, error)
	Show() client.Pairing
	// Generation and Changed are the gate's, of what Show says.
	Generation() uint64
	Changed(since uint64) <-chan struct{}
	// Confirm says how often the device's button was pressed after the owner's
	// yes: session.ErrNothingToConfirm if there was none.
	Confirm(ctx context.Context, presses int) (client.Pairing, error)
	// Cancel forgets the code. Without one it does nothing.
	Cancel() error
	// Token is an access token of the link that counts for minValid more:
	// session.ErrOffline if the server can not be reached, a *pairing.Error if
	// it refuses.
	Token(ctx context.Context, link cardea.LinkID, audience, scope string, minValid time.Duration) (pairing.Tokens, error)
	// TokenAge is how old the link's own access token is and how long it counts,
	// if one is at hand. It fetches nothing.
	TokenAge(link cardea.LinkID) (age, left time.Duration, held bool)
	// Prove makes the proof for a request with such a token, "" for a bearer's:
	// session.ErrRequest if no program may have one.
	Prove(ctx context.Context, t pairing.Tokens, audience string, r client.Request) (pairing.Secret, error)
}

// A Decider keeps what is decided on the device: each method returns after the
// decision is on the disk and the gate enforces it. A link that is not held is
// devicedb.ErrNotFound.
type Decider interface {
	Withdraw(cardea.LinkID, cardea.Key, cardea.Reach, cardea.Position) error
	Allow(link cardea.LinkID, key cardea.Key, version uint32, notice cardea.Hash, reach cardea.Reach, base cardea.Position) error
	// Lift takes a denial for everyone back: syncer.ErrNotAuthor if it is
	// somebody else's. Withdraw may be syncer.ErrNotOwner.
	Lift(cardea.LinkID, cardea.Key, cardea.Position) error
	Prefer(cardea.LinkID, cardea.PreferenceKey, cardea.Value, cardea.Reach, cardea.Position) error
	Unlink(cardea.LinkID) error
	// Activate says who uses the device now; the zero id is a guest.
	Activate(cardea.LinkID) error
	// Status is how the exchange with the cloud goes.
	Status() syncer.Status
}

// A Resetter gives the device to somebody new: every link has ended, with its
// last words kept, and the device has another key when a method returns without
// an error. With one nothing has changed. The agent then starts anew and keeps
// the socket.
type Resetter interface {
	// Reset empties the device and needs no network.
	Reset(context.Context) (cardea.DeviceID, error)
	// NewOwner asks the server for a code first, in the name of the new key, and
	// goes on with that pairing.
	NewOwner(context.Context) (client.Pairing, error)
}

// ErrGuest is returned when a call needs somebody to be linked and nobody is.
var ErrGuest = errors.New("nobody is linked: pair the device first")

// A Finder says whether the device is to show itself, for its owner to find it.
// changed is closed when that is another answer.
type Finder interface {
	Identifying() (now bool, changed <-chan struct{})
}

// A Pager has a page of answers for each program.
type Pager interface {
	// Page is the page of a program by its name, as a file to be handed over
	// and closed; mine says what the program may ask about.
	Page(program string, mine func(cardea.PurposeID) bool) (*os.File, error)
}

// A Noticer has what owners are shown: notices.ErrOffline while its cloud can not
// be asked, notices.ErrNone if that has none.
type Noticer interface {
	Notice(ctx context.Context, issuer string, key cardea.Key, version uint32, lang string) (client.Notice, error)
}
