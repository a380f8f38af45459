package admin

import (
	"errors"
	"net/http"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/store/accountdb"
)

// A place says how far a decision reaches: exactly one of the two is set.
type place struct {
	Everywhere bool            `json:"everywhere"`
	Device     cardea.DeviceID `json:"device"`
}

func (p place) scope() cardea.Scope { return cardea.Scope{Device: p.Device} }

// check refuses a place that is no place of the account.
func (p place) check(tx *accountdb.Tx, account cardea.AccountID) error {
	if p.Everywhere == (p.Device != "") {
		return web.Errorf(http.StatusBadRequest, "invalid_request", "set either \"everywhere\": true or \"device\"")
	}
	if p.Everywhere {
		return nil
	}
	had, err := tx.HadLink(account, p.Device)
	if err != nil {
		return err
	}
	if !had {
		return web.Errorf(http.StatusNotFound, "unknown_device", "the account has no such device")
	}
	return nil
}

// A recorded decision as it is answered.
type recorded struct {
	Event    cardea.EventID  `json:"event"`
	Position cardea.Position `json:"position"`
	Recorded cardea.Millis   `json:"recorded"`
}

// deny stops something for a customer, on one device or everywhere. It is
// recorded whatever the catalogue asks now; "asked" tells whether it asks this.
func (a *api) deny(w http.ResponseWriter, r *http.Request, by caller) error {
	var in struct {
		Event cardea.EventID `json:"event"` // makes a repeated request count once
		Key   string         `json:"key"`
		place
	}
	if err := web.ReadJSON(w, r, &in); err != nil {
		return err
	}
	key, err := cardea.ParseKey(in.Key)
	if err != nil {
		return web.Errorf(http.StatusBadRequest, "invalid_key", "%v", err)
	}
	d := cardea.Decision{Event: in.Event, Act: cardea.ActDeny, Key: key}
	e, err := a.take(r, by, in.place, d, nil)
	if err != nil {
		return err
	}
	cat, _ := a.Ledger.Catalogue.Current()
	_, asked := cat.Terms(key)
	web.JSON(w, http.StatusOK, struct {
		recorded
		Asked bool `json:"asked"`
	}{recorded{e.Event, e.Position, e.Recorded}, asked})
	return nil
}

// prefer sets a preference for a customer; null gives it back to what stands
// elsewhere. With a base, the head they had seen, it fails if somebody changed it
// since.
func (a *api) prefer(w http.ResponseWriter, r *http.Request, by caller) error {
	var in struct {
		Event cardea.EventID   `json:"event"`
		Key   string           `json:"key"`
		Value rawValue         `json:"value"`
		Base  *cardea.Position `json:"base"`
		place
	}
	if err := web.ReadJSON(w, r, &in); err != nil {
		return err
	}
	in.Everywhere = in.Everywhere || in.Device == ""
	d := cardea.Decision{
		Event: in.Event, Act: cardea.ActPrefer,
		Preference: cardea.PreferenceKey(in.Key), Value: cardea.Value(in.Value),
	}
	if err := a.mayPrefer(d); err != nil {
		return err
	}
	if in.Value == givenBack {
		d.Value = ""
	}
	e, err := a.take(r, by, in.place, d, in.Base)
	if err != nil {
		return err
	}
	web.JSON(w, http.StatusOK, recorded{e.Event, e.Position, e.Recorded})
	return nil
}

// mayPrefer refuses what only the owner may say: taking back protection is a
// grant by another name.
func (a *api) mayPrefer(d cardea.Decision) error {
	cat, _ := a.Ledger.Catalogue.Current()
	def, ok := cat.Preference(d.Preference)
	if !ok {
		return web.Errorf(http.StatusBadRequest, "unknown_preference", "the catalogue has no such preference")
	}
	value, err := def.Parse(string(d.Value))
	if err != nil && d.Value != givenBack {
		return web.Errorf(http.StatusBadRequest, "invalid_value", "%v", err)
	}
	if def.Privacy && !def.Protects(value) {
		return web.Errorf(http.StatusForbidden, "owner_only", "only the owner can set %s to anything but %s", def.Key, def.Protective)
	}
	return nil
}

// take puts a decision into the ledger and the audit, in one transaction. A
// decision without a base is taken to know everything up to now.
func (a *api) take(r *http.Request, by caller, p place, d cardea.Decision, base *cardea.Position) (e cardea.Entry, err error) {
	if d.Event.IsZero() {
		d.Event = cardea.NewID[cardea.EventID]()
	}
	err = a.update(r, func(tx *accountdb.Tx, account accountdb.Account) error {
		if err := p.check(tx, account.ID); err != nil {
			return err
		}
		d.Base = account.Head
		if base != nil {
			d.Base = *base
		}
		proposal := ledger.Proposal{Decision: d, Channel: cardea.ChannelBrand, Scope: p.scope()}
		if e, err = a.Ledger.Take(tx, account.ID, proposal); err != nil {
			return err
		}
		return tx.Audit(account.ID, by.actor(), string(d.Act), string(d.Key)+string(d.Preference))
	})
	return e, err
}

// A rawValue is JSON as it was sent.
type rawValue string

// givenBack is sent for no value any more.
const givenBack = "null"

// UnmarshalJSON keeps the text.
func (v *rawValue) UnmarshalJSON(text []byte) error {
	*v = rawValue(text)
	return nil
}

// shown turns an expected outcome into what the caller is told.
func shown(err error) error {
	if errors.Is(err, accountdb.ErrNotFound) {
		return web.Errorf(http.StatusNotFound, "unknown_account", "no account has this subject")
	}
	if errors.Is(err, ledger.ErrReused) {
		return web.Errorf(http.StatusConflict, "event_reused", "this event stands for another decision: send a new one")
	}
	if rejected, ok := errors.AsType[*ledger.RejectedError](err); ok {
		return rejection(rejected)
	}
	return err
}

// rejection tells why the ledger does not take a decision. What the API can not
// send is not among the reasons.
func rejection(err *ledger.RejectedError) error {
	switch err.Reason {
	case cardea.RejectedBase:
		return web.Errorf(http.StatusConflict, "base", "the base is ahead of the account's ledger")
	case cardea.RejectedConflict:
		return web.Errorf(http.StatusConflict, "conflict", "it was changed by somebody who had not seen this base: read it again")
	case cardea.RejectedTooBig:
		return web.Errorf(http.StatusConflict, "too_big", "with this a device could no longer be told everything: use a shorter value")
	case cardea.RejectedUnknown:
		return web.Errorf(http.StatusBadRequest, "unknown_preference", "the catalogue has no such preference")
	case cardea.RejectedValue:
		return web.Errorf(http.StatusBadRequest, "invalid_value", "the value does not fit the preference")
	}
	return err
}
