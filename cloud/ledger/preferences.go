package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
)

// A PreferenceChoice is one preference: what stands on the whole account, and
// where and when it was set, and what each device that has it is told.
type PreferenceChoice struct {
	cardea.Preference
	Def      cardea.PreferenceDef
	Title    string
	Language string // of the title
	// Idle: the consent it stands and falls with is not given, so that it is
	// nowhere in force.
	Idle bool
	On   []PlaceChoice
}

// A PlaceChoice is what stands of a preference on one device. Apart: it was set
// for the device, and counts there. Held: it was, and does not count, because the
// account's value protects more.
type PlaceChoice struct {
	cardea.Preference
	Device cardea.DeviceID
	Name   string
	Apart  bool
	Held   bool
}

func preferenceChoice(tx *accountdb.Tx, id cardea.AccountID, def cardea.PreferenceDef, places []Place) (PreferenceChoice, error) {
	account, err := tx.Setting(id, def.Key, cardea.Scope{})
	if err != nil {
		return PreferenceChoice{}, err
	}
	c := PreferenceChoice{Def: def, Preference: def.Resolve(tx.Millis(), account, nil)}
	for _, place := range places {
		if !def.On(place.Kind) {
			continue
		}
		device, err := tx.Setting(id, def.Key, cardea.Scope{Device: place.Device})
		if err != nil {
			return c, err
		}
		on := PlaceChoice{Device: place.Device, Name: place.Name, Preference: def.Resolve(tx.Millis(), account, device)}
		set := def.Counts(device, tx.Millis())
		on.Apart = set && on.Decided == device.Entry.Position.Point()
		on.Held = set && !on.Apart
		c.On = append(c.On, on)
	}
	return c, nil
}

// Preferences are the preferences of a customer that belong to a purpose, or to
// none if it is empty, as they stand on the whole account, for the brand's own
// servers. What its consent is not given for is absent.
func (l *Ledger) Preferences(ctx context.Context, subject string, purpose cardea.PurposeID) (out []cardea.Preference, err error) {
	err = l.DB.View(ctx, func(tx *accountdb.Tx) error {
		a, err := tx.AccountBySubject(subject)
		if err != nil {
			return err
		}
		cat, _ := l.Catalogue.Current()
		for _, def := range cat.Preferences {
			if def.Purpose != purpose {
				continue
			}
			given, err := l.given(tx, cat, a.ID, def.Under())
			if err != nil {
				return err
			}
			if !given {
				continue
			}
			set, err := tx.Setting(a.ID, def.Key, cardea.Scope{})
			if err != nil {
				return err
			}
			out = append(out, def.Resolve(tx.Millis(), set, nil))
		}
		return nil
	})
	if err != nil && !errors.Is(err, accountdb.ErrNotFound) {
		err = fmt.Errorf("preferences: %w", err)
	}
	return out, err
}

// given reports whether a consent is given at this moment on the whole account;
// none always is.
func (l *Ledger) given(tx *accountdb.Tx, cat *cardea.Catalogue, account cardea.AccountID, key cardea.Key) (bool, error) {
	if key == "" {
		return true, nil
	}
	c, err := l.anywhere(tx, cat, account, key)
	return c.Given() && (c.ValidUntil == 0 || tx.Millis() < c.ValidUntil), err
}
