package ledger

import (
	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
)

// prefer takes a preference. No value gives the scope back to what stands
// elsewhere: of a device to the account's value, of the account to the default.
func (l *Ledger) prefer(tx *accountdb.Tx, account cardea.AccountID, e cardea.Entry) (cardea.Entry, error) {
	cat, _ := l.Catalogue.Current()
	def, ok := cat.Preference(e.Preference)
	if !ok || len(def.Devices) == 0 && !e.Scope.Everywhere() {
		return e, &RejectedError{cardea.RejectedUnknown}
	}
	value, err := valueOf(def, e.Value)
	if err != nil {
		return e, &RejectedError{cardea.RejectedValue}
	}
	e.Value = value
	if !may(def, e) {
		return e, &RejectedError{cardea.RejectedConfirm}
	}
	if known, err := sawAll(tx, account, def, e); err != nil {
		return e, err
	} else if !known {
		return e, &RejectedError{cardea.RejectedConflict}
	}
	if e, err = tx.Append(account, e); err != nil {
		return e, err
	}
	if err := tx.Settle(account, e); err != nil {
		return e, err
	}
	if def.Protects(value) { // a denial by another name
		tx.Stop(account, e)
	}
	return e, l.fits(tx, account)
}

// valueOf is a value in its shortest form, or none.
func valueOf(def cardea.PreferenceDef, v cardea.Value) (cardea.Value, error) {
	if v == "" {
		return "", nil
	}
	return def.Parse(string(v))
}

// may reports whether this can be said where it was: to take protection back is
// a grant by another name.
func may(def cardea.PreferenceDef, e cardea.Entry) bool {
	device := e.Channel == cardea.ChannelDevice
	ownWord := e.Channel == cardea.ChannelPortal || device && !e.Scope.Everywhere()
	switch {
	case def.Privacy && !def.Protects(e.Value) && !ownWord:
		return false
	case def.Sync == cardea.SyncCloud && device:
		return false
	}
	return true
}

// sawAll reports whether the decision has seen what it replaces.
func sawAll(tx *accountdb.Tx, account cardea.AccountID, def cardea.PreferenceDef, e cardea.Entry) (bool, error) {
	stands, err := tx.Setting(account, e.Preference, e.Scope)
	if err != nil {
		return false, err
	}
	since, err := tx.Settings(account, e.Preference, e.Scope, e.Base.Seq)
	return def.Settles(stands, e) && !def.Overlooks(since, e), err
}
