package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
)

// ErrNoConsent: an entry is no yes or no to anything a catalogue ever asked.
var ErrNoConsent = errors.New("the entry decides on no consent that was ever asked")

// Evidence is everything that is known of one yes or no.
type Evidence struct {
	Subject string // the account's pseudonym
	Entry   cardea.Entry
	Shown   accountdb.Notice // zero if nobody knows what was shown
	// Purpose is the version that was decided on, and of a no that names none the
	// one that was asked then. Language is that of Text: what was read, or the
	// catalogue's first where nobody knows. Names is as in a Choice.
	Purpose  cardea.Purpose
	Language string
	Names    string
	Text     cardea.Text
	Data     []cardea.Category // what was registered of each of the purpose's data; zero for none
	On       string            // the device it reaches, by name; empty for all, and for one that is gone
	// Before and After are what stood at the entry's scope without it and with it.
	Before, After cardea.Consent
}

// Evidence reads what is known of the entry at seq. It returns
// accountdb.ErrNotFound if the ledger has none there, and ErrNoConsent.
func (l *Ledger) Evidence(ctx context.Context, account cardea.AccountID, seq uint64) (Evidence, error) {
	var v Evidence
	err := l.DB.View(ctx, func(tx *accountdb.Tx) error {
		a, err := tx.Account(account)
		if err != nil {
			return err
		}
		v = Evidence{Subject: a.Subject}
		if v.Entry, err = tx.Entry(account, seq); err != nil {
			return err
		}
		if v.Entry.Act != cardea.ActGrant && v.Entry.Act != cardea.ActDeny {
			return ErrNoConsent
		}
		if v.Shown, err = tx.Shown(account, seq); err != nil {
			return err
		}
		return l.evidence(tx, account, &v)
	})
	if err != nil {
		return v, fmt.Errorf("evidence: %w", err)
	}
	return v, nil
}

// evidence finds what was asked then and what the entry made of it.
func (l *Ledger) evidence(tx *accountdb.Tx, account cardea.AccountID, v *Evidence) error {
	e := v.Entry
	cat, err := l.catalogueAt(tx, e.Recorded)
	if err != nil {
		return err
	}
	version := max(e.Version, v.Shown.Version)
	purpose, ok := cat.VersionOf(e.Key.Purpose(), version)
	if version == 0 {
		purpose, ok = cat.Purpose(e.Key.Purpose())
	}
	if !ok {
		return ErrNoConsent
	}
	v.Purpose, v.Language = purpose, languageOf(cat, v.Shown.Language)
	if read, ok := languageRead(purpose, e.Notice); ok {
		v.Language = read
	}
	v.Text, v.Names = purpose.Texts[v.Language], cat.Languages[0]
	for _, name := range purpose.Data {
		registered, _ := cat.Category(name)
		v.Data = append(v.Data, registered)
	}
	names, err := deviceNames(tx, account)
	if err != nil {
		return err
	}
	v.On = names.devices[e.Scope.Device]
	terms, ok := cat.Terms(e.Key)
	if !ok {
		return ErrNoConsent
	}
	for _, side := range []struct {
		upTo uint64
		out  *cardea.Consent
	}{{e.Position.Seq - 1, &v.Before}, {e.Position.Seq, &v.After}} {
		fold, _, err := foldedUntil(tx, account, func(o cardea.Entry) bool { return o.Position.Seq <= side.upTo })
		if err != nil {
			return err
		}
		*side.out = endedBy(fold.On(e.Scope.Device, e.Key, terms), e.Recorded)
	}
	return nil
}

// keepShown keeps what was shown when a yes or no was said. Of a yes its notice
// says it, which is of one version in one language; of a no the page, if what it
// says is a notice there was.
func (l *Ledger) keepShown(tx *accountdb.Tx, account cardea.AccountID, e cardea.Entry, shown accountdb.Notice) error {
	if e.Act == cardea.ActGrant {
		shown.Version, shown.Hash = e.Version, e.Notice
	} else if e.Act != cardea.ActDeny {
		return nil
	}
	cat, _ := l.Catalogue.Current()
	purpose, _ := cat.VersionOf(e.Key.Purpose(), shown.Version)
	var known bool
	if shown.Language, known = languageRead(purpose, shown.Hash); !known {
		return nil
	}
	return tx.PutShown(account, e.Position.Seq, shown)
}
