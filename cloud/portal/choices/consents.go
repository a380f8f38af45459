package choices

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/cloud/portal/desk"
)

// showConsents shows what is asked and what stands. After a decision it waits a
// moment for the devices in reach, so that it can say what they have done.
func (p *Room) showConsents(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	devices, err := desk.Settle(r.Context(), p.devices, v.Account, desk.InStep)
	if err != nil {
		return err
	}
	asked, err := p.ledger.Page(r.Context(), v.Account, v.Language.Tag())
	if err != nil {
		return err
	}
	body := choicesOf(v, asked, devices, time.Now())
	return p.Pages.Show(w, v, http.StatusOK, "consents.html", desk.View{Title: "choices.title", Section: "consents", Body: body})
}

// postConsent takes one decision on one key. It was made on the page whose head
// the form carries, and is judged by what that page showed.
func (p *Room) postConsent(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	d, scope, err := decisionOf(r)
	if err != nil {
		return desk.ErrForeign
	}
	if _, err := p.ledger.Decide(r.Context(), v.Account, cardea.ChannelPortal, scope, d); err != nil {
		return rejected(err)
	}
	http.Redirect(w, r, desk.Home+"#"+desk.Anchor(d.Key), http.StatusSeeOther)
	return nil
}

// decisionOf reads the form of one facet. Its event is new each time, never from
// the form: an old page sent once more would otherwise pass for what it said
// the first time, and a no would be lost.
func decisionOf(r *http.Request) (d cardea.Decision, scope cardea.Scope, err error) {
	d.Event = cardea.NewID[cardea.EventID]()
	if d.Base, err = desk.ParseBase(r.PostFormValue("base")); err != nil {
		return d, scope, err
	}
	if d.Key, err = cardea.ParseKey(r.PostFormValue("key")); err != nil {
		return d, scope, err
	}
	if device := r.PostFormValue("device"); device != "" {
		if scope.Device, err = cardea.ParseDeviceID(device); err != nil {
			return d, scope, err
		}
	}
	switch r.PostFormValue("decision") {
	case "allow":
		d.Act = cardea.ActGrant
		version, err := strconv.ParseUint(r.PostFormValue("version"), 10, 32)
		if err != nil {
			return d, scope, err
		}
		d.Version = uint32(version)
		return d, scope, d.Notice.UnmarshalText([]byte(r.PostFormValue("notice")))
	case "deny":
		d.Act = cardea.ActDeny
		return d, scope, nil
	}
	return d, scope, errors.New("neither yes nor no")
}

// rejected says why a decision was not taken, if the ledger refused it.
func rejected(err error) error {
	why, ok := errors.AsType[*ledger.RejectedError](err)
	if !ok {
		return err
	}
	shown := desk.Problem{Status: http.StatusConflict, Link: desk.Home, Word: "choices.see"}
	switch why.Reason {
	case cardea.RejectedNotice, cardea.RejectedBase:
		shown.Key = "choices.changed_meanwhile"
	case cardea.RejectedConflict:
		shown.Key = "choices.crossed"
	case cardea.RejectedValue:
		shown.Status, shown.Key = http.StatusUnprocessableEntity, "choices.value"
	case cardea.RejectedTooBig:
		shown.Key = "choices.too_big"
	default:
		shown.Status, shown.Key = http.StatusNotFound, "choices.gone"
	}
	return shown
}
