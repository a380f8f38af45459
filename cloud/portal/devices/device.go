package devices

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/store/accountdb"
)

// pageDevice is about one device.
const pageDevice = "/devices/device"

// A devicePage is what can be done with one device, besides what it may do.
type devicePage struct {
	deviceCard
	MaxName int
	Typed   string // as a name
	Wrong   string // what is wrong with it
	Shows   bool   // it was just asked to show itself
}

func (p *Room) showDevice(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	return p.aboutDevice(w, r, v, r.URL.Query().Get("link"), devicePage{Shows: r.URL.Query().Has("shows")})
}

func (p *Room) aboutDevice(w http.ResponseWriter, r *http.Request, v desk.Visit, link string, page devicePage) error {
	d, err := p.device(r, v, link)
	if err != nil {
		return err
	}
	page.deviceCard, page.MaxName = cardOf(v, d, time.Now()), desk.MaxName
	status := http.StatusOK
	if page.Wrong == "" {
		page.Typed = d.Name
	} else {
		status = http.StatusUnprocessableEntity
	}
	return p.Pages.Show(w, v, status, "device.html", desk.View{Title: "devices.device", Section: "devices", Body: page})
}

// mostTyped bounds what is shown again of a name that is too long.
const mostTyped = 4 * desk.MaxName

func (p *Room) postRename(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	text := r.PostFormValue("name")
	name, wrong := v.CheckName(text)
	if wrong != "" {
		if runes := []rune(text); len(runes) > mostTyped {
			text = string(runes[:mostTyped])
		}
		return p.aboutDevice(w, r, v, r.PostFormValue("link"), devicePage{Typed: text, Wrong: wrong})
	}
	return p.onLinkTo(w, r, v, "/devices", func(ctx context.Context, account cardea.AccountID, link cardea.LinkID) error {
		return p.devices.Rename(ctx, account, link, name)
	})
}

func (p *Room) postIdentify(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	back := pageDevice + "?" + url.Values{"link": {r.PostFormValue("link")}, "shows": {""}}.Encode()
	return p.onLinkTo(w, r, v, back, p.devices.Identify)
}

// postMissed stops everything on a device. It is not asked for more than a
// session: who stops something may always do so.
func (p *Room) postMissed(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	return p.onLink(w, r, v, p.devices.ReportMissed)
}

// postRecovered gives a device back what it may do, which widens it: a session
// younger than the pairing must say again who it is of.
func (p *Room) postRecovered(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	d, err := p.device(r, v, r.PostFormValue("link"))
	if err != nil {
		return err
	}
	if err := p.SureToWiden(v, cardea.ClassA, d.Created, "/devices"); err != nil {
		return err
	}
	return p.onLink(w, r, v, p.devices.Recovered)
}

func (p *Room) postGiven(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	return p.onLink(w, r, v, p.devices.GiveAway)
}

// onLinkTo does something to the link of the form and leads on.
func (p *Room) onLinkTo(w http.ResponseWriter, r *http.Request, v desk.Visit, to string, do func(context.Context, cardea.AccountID, cardea.LinkID) error) error {
	link, err := cardea.ParseID[cardea.LinkID](r.PostFormValue("link"))
	if err != nil {
		return errNoDevice
	}
	if err := do(r.Context(), v.Account, link); errors.Is(err, accountdb.ErrNotFound) {
		return errNoDevice
	} else if err != nil {
		return err
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}
