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
	asked, err := p.ledger.Page(r.Context(), v.Account, desk.Language)
	if err != nil {
		return err
	}
	body := choicesOf(asked, devices, time.Now(), v.Form())
	return p.Pages.Show(w, v, http.StatusOK, "consents.html", desk.View{Title: "Your choices", Section: "consents", Body: body})
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
	shown := desk.Problem{Status: http.StatusConflict, Link: desk.Home, Word: "See it as it is now"}
	switch why.Reason {
	case cardea.RejectedNotice, cardea.RejectedBase:
		shown.Title, shown.Text = "This has changed meanwhile", "What you agreed to is no longer what is asked, so your yes was not taken. Read it again and decide."
	case cardea.RejectedConflict:
		shown.Title, shown.Text = "Somebody else changed this", "It was set on another page or device in the meantime, so yours was not taken. Look at it and set it again."
	case cardea.RejectedValue:
		shown.Status, shown.Title, shown.Text = http.StatusUnprocessableEntity, "This value does not fit", "Choose one of those offered, or keep within the bounds that stand beside it."
	case cardea.RejectedTooBig:
		shown.Title, shown.Text = "There is no room for more", "Your devices cannot hold all this. Shorten another setting, or take back something you allowed."
	default:
		shown.Status, shown.Title, shown.Text = http.StatusNotFound, "This is not asked any more", "It was taken out meanwhile. Nothing was changed."
	}
	return shown
}
