// Package ledger is where decisions become state: it validates what somebody
// decided, appends it to the account's ledger, and says what follows.
//
// A denial is always accepted: whatever key it names, whatever it was based on.
// A grant is accepted if the catalogue asks the key now, it names the version
// and the notice in force, and nobody could not have seen what it claims to
// have seen; whether it opens anything is for the fold to say. A preference is
// accepted if its value fits and it has seen what stands. The same event twice
// counts once.
//
// Nothing here can grant on somebody's behalf: a grant comes from the owner's
// signed-in session, or from a device, there only for that device and for the
// classes that need no more.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/catalogue"
	"github.com/cardea-id/cardea/store/accountdb"
)

// A RejectedError says why a decision was not accepted.
type RejectedError struct{ Reason cardea.Rejected }

func (e *RejectedError) Error() string { return "the decision is rejected: " + string(e.Reason) }

// ErrReused: an event stands for another decision already.
var ErrReused = errors.New("the event stands for another decision")

// A Ledger is the ledgers of all accounts. Wake, if set, is told of every commit
// that changed an account.
type Ledger struct {
	DB        *accountdb.DB
	Catalogue *catalogue.Holder
	Wake      func(cardea.AccountID)

	folds folds

	mu   sync.Mutex
	grew chan struct{} // closed at the next commit; nil: nobody waits
}

// Grown is closed when some ledger grows next. Take it, then read, then wait.
func (l *Ledger) Grown() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.grew == nil {
		l.grew = make(chan struct{})
	}
	return l.grew
}

// Announce tells whoever waits for Grown that a ledger has grown.
func (l *Ledger) Announce() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.grew != nil {
		close(l.grew)
		l.grew = nil
	}
}

// Committed announces, and has the account's devices told. Whoever commits a
// decision in a transaction of their own calls it afterwards.
func (l *Ledger) Committed(account cardea.AccountID) {
	l.Announce()
	if l.Wake != nil {
		l.Wake(account)
	}
}

// A Proposal is a decision on its way into the ledger.
type Proposal struct {
	cardea.Decision
	Channel cardea.Channel
	Scope   cardea.Scope
	Link    cardea.LinkID // the device's, if it was made on one
	Log     cardea.LogID
	N       uint64
	// Shown is what stood on the page on which it was decided, if it was one.
	Shown accountdb.Notice
	// OnlyStops: the link was ended or is forked, so that what it says can stop
	// something and is the owner's word for nothing else.
	OnlyStops bool
	// Assurance is how sure it is that the owner decides. Nil: not known here.
	Assurance *accountdb.Assurance
}

// Decide takes one decision, in one transaction, and returns the entry. It
// returns a *RejectedError for a decision that can not be accepted.
func (l *Ledger) Decide(ctx context.Context, account cardea.AccountID, channel cardea.Channel, scope cardea.Scope, d cardea.Decision) (cardea.Entry, error) {
	return l.Propose(ctx, account, Proposal{Decision: d, Channel: channel, Scope: scope})
}

// Propose is Decide for whoever has more to say of the decision.
func (l *Ledger) Propose(ctx context.Context, account cardea.AccountID, p Proposal) (cardea.Entry, error) {
	var e cardea.Entry
	err := l.DB.Update(ctx, func(tx *accountdb.Tx) (err error) {
		e, err = l.Take(tx, account, p)
		if err == nil && p.Assurance != nil {
			err = tx.Assure(account, e.Position.Seq, *p.Assurance)
		}
		return err
	})
	if err != nil {
		return e, fmt.Errorf("decide: %w", err)
	}
	l.Committed(account)
	return e, nil
}

// Take appends a proposal within a transaction that holds the account. Of an
// event that was appended before it returns that entry, or ErrReused if it was
// another decision.
func (l *Ledger) Take(tx *accountdb.Tx, account cardea.AccountID, p Proposal) (cardea.Entry, error) {
	if err := l.Catalogue.Follow(tx); err != nil {
		return cardea.Entry{}, err
	}
	if e, err := tx.Recorded(account, p.Event); !errors.Is(err, accountdb.ErrNotFound) {
		if err == nil {
			err = l.same(tx, account, e, p)
		}
		return e, err
	}
	e, err := l.take(tx, account, p)
	if err == nil {
		err = l.keepShown(tx, account, e, p.Shown)
	}
	return e, err
}

// take appends a proposal of an event that is new.
func (l *Ledger) take(tx *accountdb.Tx, account cardea.AccountID, p Proposal) (cardea.Entry, error) {
	e := cardea.Entry{
		Decision: p.Decision, Scope: p.Scope, By: cardea.Owner, Channel: p.Channel,
		Link: p.Link, Log: p.Log, N: p.N,
	}
	if err := l.resolve(tx, account, &e); err != nil {
		return e, err
	}
	switch p.Act {
	case cardea.ActDeny, cardea.ActUnlink:
		return tx.Append(account, e)
	case cardea.ActLift:
		if p.OnlyStops {
			return e, &RejectedError{cardea.RejectedConfirm}
		}
		return tx.Append(account, e)
	case cardea.ActGrant, cardea.ActPrefer:
	default:
		return e, &RejectedError{cardea.RejectedUnknown}
	}
	if p.OnlyStops && !l.stops(p.Decision) {
		return e, &RejectedError{cardea.RejectedConfirm}
	}
	if p.Act == cardea.ActGrant {
		if err := l.mayShare(tx, account, e.Key); err != nil {
			return e, err
		}
		return l.grant(tx, account, e)
	}
	return l.prefer(tx, account, e)
}

// mayShare refuses that an account of which nothing is proved says yes to what
// leaves the device.
func (l *Ledger) mayShare(tx *accountdb.Tx, account cardea.AccountID, key cardea.Key) error {
	cat, _ := l.Catalogue.Current()
	if terms, ok := cat.Terms(key); !ok || terms.Class == cardea.ClassL {
		return nil
	}
	lite, err := tx.Lite(account)
	if err == nil && lite {
		err = &RejectedError{cardea.RejectedConfirm}
	}
	return err
}

// same is ErrReused unless the entry is what is proposed. What it was based on
// and where it was said may differ: a device copies its log when it must.
func (l *Ledger) same(tx *accountdb.Tx, account cardea.AccountID, e cardea.Entry, p Proposal) error {
	if e.Act != p.Act || e.Key != p.Key || e.Version != p.Version || e.Notice != p.Notice || e.Preference != p.Preference || e.Scope != p.Scope {
		return ErrReused
	}
	cat, _ := l.Catalogue.Current()
	def, ok := cat.Preference(p.Preference)
	if p.Act != cardea.ActPrefer || !ok {
		return nil
	}
	value, err := valueOf(def, p.Value)
	if err != nil {
		return ErrReused
	}
	is, err := tx.HasValue(account, e, value)
	if err == nil && !is {
		err = ErrReused
	}
	return err
}

// stops reports whether a decision only stops something: a denial, the end of a
// link, a protective value. Such a one is accepted whatever it was based on.
func (l *Ledger) stops(d cardea.Decision) bool {
	if d.Act != cardea.ActPrefer {
		return d.Act == cardea.ActDeny || d.Act == cardea.ActUnlink
	}
	cat, _ := l.Catalogue.Current()
	def, _ := cat.Preference(d.Preference)
	value, err := def.Parse(string(d.Value))
	return err == nil && def.Protects(value)
}

// resolve replaces the base that is claimed by the one that is true. What
// claims to have seen the future is refused, but what only stops something is
// taken to have seen nothing.
func (l *Ledger) resolve(tx *accountdb.Tx, account cardea.AccountID, e *cardea.Entry) error {
	a, err := tx.Account(account)
	if err != nil {
		return err
	}
	at, err := tx.HashAt(account, e.Base.Seq)
	if err != nil {
		return err
	}
	base, err := cardea.ResolveBase(e.Base, a.Head, at)
	if err != nil && !l.stops(e.Decision) {
		return &RejectedError{cardea.RejectedBase}
	}
	e.Base = base
	return nil
}

func (l *Ledger) grant(tx *accountdb.Tx, account cardea.AccountID, e cardea.Entry) (cardea.Entry, error) {
	if reason := l.admit(e); reason != "" {
		return e, &RejectedError{reason}
	}
	e, err := tx.Append(account, e)
	if err != nil {
		return e, err
	}
	return e, l.fits(tx, account)
}

// admit says why a grant can not count, or nothing. What a device says may have
// been said before it heard of a version in which nothing of substance is new.
func (l *Ledger) admit(e cardea.Entry) cardea.Rejected {
	cat, _ := l.Catalogue.Current()
	terms, ok := cat.Terms(e.Key)
	purpose, _ := cat.VersionOf(e.Key.Purpose(), e.Version)
	local := terms.Class == cardea.ClassC || terms.Class == cardea.ClassL
	switch {
	case !ok || terms.Class == cardea.ClassN:
		return cardea.RejectedUnknown
	case e.Version != terms.Version && !(e.Channel == cardea.ChannelDevice && terms.GoesOn(e.Version)):
		return cardea.RejectedNotice
	case !purpose.ShowsNotice(e.Notice):
		return cardea.RejectedNotice
	case e.Channel == cardea.ChannelDevice && (!local || e.Scope.Everywhere()):
		return cardea.RejectedConfirm
	case e.Channel != cardea.ChannelDevice && e.Channel != cardea.ChannelPortal:
		return cardea.RejectedConfirm
	}
	return ""
}

// fits refuses what a live link could no longer be told.
func (l *Ledger) fits(tx *accountdb.Tx, account cardea.AccountID) error {
	links, err := tx.Links(account)
	if err != nil {
		return err
	}
	cat, _ := l.Catalogue.Current()
	for _, link := range links {
		if link.State != accountdb.LinkLive {
			continue
		}
		body, err := l.Body(tx, cat, link)
		if err != nil {
			return err
		}
		if _, err := Fit(body); err != nil {
			return err
		}
	}
	return nil
}
