package admin

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/internal/web"
)

// A setting is a preference as it is answered. Source says where it was set, or
// "default" if nowhere.
type setting struct {
	Key        cardea.PreferenceKey `json:"key"`
	Value      json.RawMessage      `json:"value"`
	Source     cardea.Channel       `json:"source"`
	Since      cardea.Millis        `json:"since,omitempty"`
	Purpose    cardea.PurposeID     `json:"purpose,omitempty"`
	ValidUntil cardea.Millis        `json:"valid_until,omitempty"`
}

// preferences are read by purpose: those of the one that is named, while its
// consent is given, or those that belong to none.
func (a *api) preferences(w http.ResponseWriter, r *http.Request, _ caller) error {
	list, err := a.Ledger.Preferences(r.Context(), r.PathValue("subject"), cardea.PurposeID(r.URL.Query().Get("purpose")))
	if err != nil {
		return shown(err)
	}
	out := struct {
		Preferences []setting `json:"preferences"`
	}{make([]setting, 0, len(list))}
	for _, p := range list {
		out.Preferences = append(out.Preferences, setting{
			Key: p.Key, Value: json.RawMessage(p.Value), Source: cmp.Or(p.Source, "default"), Since: p.Since,
			Purpose: p.Under.Purpose(), ValidUntil: p.ValidUntil,
		})
	}
	web.JSON(w, http.StatusOK, out)
	return nil
}

// maySend answers "may I write to this customer?".
func (a *api) maySend(w http.ResponseWriter, r *http.Request, _ caller) error {
	var in struct {
		Channel string        `json:"channel"`
		Topic   string        `json:"topic"`
		At      cardea.Millis `json:"at"`   // absent: now
		Last    cardea.Millis `json:"last"` // when the one before was sent; absent: never
	}
	if err := web.ReadJSON(w, r, &in); err != nil {
		return err
	}
	if in.At < 0 || in.Last < 0 {
		return web.Errorf(http.StatusBadRequest, "invalid_request", "at and last: Unix milliseconds")
	}
	q := ledger.SendQuestion{Medium: in.Channel, Topic: in.Topic, At: in.At, Last: in.Last}
	s, frequency, err := a.Ledger.MaySend(r.Context(), r.PathValue("subject"), q)
	switch {
	case errors.Is(err, ledger.ErrNoMedium):
		return web.Errorf(http.StatusBadRequest, "unknown_channel", "%v", ledger.ErrNoMedium)
	case errors.Is(err, ledger.ErrNoTopic):
		return web.Errorf(http.StatusBadRequest, "unknown_topic", "%v", ledger.ErrNoTopic)
	case err != nil:
		return shown(err)
	}
	web.JSON(w, http.StatusOK, struct {
		Send      bool              `json:"send"`
		Reason    cardea.SendReason `json:"reason"`
		Frequency cardea.Frequency  `json:"frequency"`
		NotBefore cardea.Millis     `json:"not_before,omitempty"`
	}{s.Send, s.Reason, frequency, millis(s.NotBefore)})
	return nil
}
