package choices

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/store/accountdb"
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
	said, err := decisionOf(r)
	if err != nil {
		return desk.ErrForeign
	}
	if said.Act == cardea.ActGrant {
		if err := p.mayWiden(r.Context(), v, said); err != nil {
			return err
		}
	}
	said.Assurance = new(v.Session.Assurance())
	if _, err := p.ledger.Propose(r.Context(), v.Account, said); err != nil {
		return rejected(err)
	}
	http.Redirect(w, r, desk.Home+"#"+desk.Anchor(said.Key), http.StatusSeeOther)
	return nil
}

// mayWiden asks a session that is not sure enough of its owner to be surer, before
// a yes. What is no yes to anything that is asked is left to the ledger.
func (p *Room) mayWiden(ctx context.Context, v desk.Visit, said ledger.Proposal) error {
	asked, ok := p.ledger.Purpose(said.Key.Purpose(), said.Version)
	if !ok {
		return nil
	}
	devices, err := p.devices.Devices(ctx, v.Account)
	if err != nil {
		return err
	}
	var paired time.Time // the oldest device that the yes reaches
	for _, d := range devices {
		reached := said.Scope.Device == d.Device || said.Scope.Everywhere() && asked.On(d.Kind)
		if reached && d.State != hub.StateLeaving && (paired.IsZero() || d.Created.Before(paired)) {
			paired = d.Created
		}
	}
	return p.SureToWiden(v, asked.Class, paired, desk.Home)
}

// decisionOf reads the form of one facet, which decides one thing, and what its
// page showed. Its event is new each time, never from the form: an old page sent
// once more would otherwise pass for what it said the first time, and a no would
// be lost.
func decisionOf(r *http.Request) (said ledger.Proposal, err error) {
	said.Channel, said.Event = cardea.ChannelPortal, cardea.NewID[cardea.EventID]()
	if said.Base, err = desk.ParseBase(r.PostFormValue("base")); err != nil {
		return said, err
	}
	if said.Key, err = cardea.ParseKey(r.PostFormValue("key")); err != nil {
		return said, err
	}
	if device := r.PostFormValue("device"); device != "" {
		if said.Scope.Device, err = cardea.ParseDeviceID(device); err != nil {
			return said, err
		}
	}
	shown, wrong := shownOf(r)
	said.Shown = shown
	switch r.PostFormValue("decision") {
	case "allow":
		said.Act, said.Version, said.Notice = cardea.ActGrant, shown.Version, shown.Hash
		return said, wrong
	case "deny": // whatever was shown
		said.Act = cardea.ActDeny
		return said, nil
	}
	return said, errors.New("neither yes nor no")
}

// shownOf is what stood on the page of a form.
func shownOf(r *http.Request) (shown accountdb.Notice, err error) {
	version, err := strconv.ParseUint(r.PostFormValue("version"), 10, 32)
	if err != nil {
		return shown, err
	}
	shown.Version, shown.Signal = uint32(version), r.PostFormValue("signal") != ""
	return shown, shown.Hash.UnmarshalText([]byte(r.PostFormValue("notice")))
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
