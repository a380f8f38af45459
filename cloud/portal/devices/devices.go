package devices

import (
	"context"
	"net/http"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/language"
	"github.com/cardea-id/cardea/cloud/portal/desk"
)

// A deviceCard is a device as the page of devices shows it.
type deviceCard struct {
	Link    string
	Name    string
	Kind    desk.Kind
	Model   string
	Serial  string
	Online  bool
	Seen    *language.Moment // nil: never
	Applied *language.Moment // nil: not yet
	Stops   *language.Moment // nil: nothing runs on
	Stopped *language.Moment // what ran on has ended by itself
	Deleted int              // of what was collected there and not sent
	Leaving bool
	Forked  bool
	Missing bool
	Lost    bool             // it has to be said again what it may do
	Missed  *language.Moment // since when its owner misses it
	Form    string
}

func cardOf(v desk.Visit, d hub.Device, now time.Time) deviceCard {
	c := deviceCard{
		Link: d.Link.String(), Name: d.Name, Kind: desk.KindOf(d.Kind), Model: d.Model, Serial: d.Serial,
		Online: d.Online, Leaving: d.State == hub.StateLeaving, Forked: d.Forked, Missing: d.Missing, Lost: d.Lost, Form: v.Form(),
	}
	if !d.Missed.IsZero() {
		c.Missed = new(v.Language.Clock(d.Missed, now))
	}
	for _, k := range d.Kept {
		c.Deleted += int(k.Deleted)
	}
	seen, applied := v.Language.Ago, v.Language.Clock
	if d.ByDay {
		seen, applied = v.Language.OnDay, v.Language.OnDay
	}
	if !d.LastSeen.IsZero() {
		c.Seen = new(seen(d.LastSeen, now))
	}
	if d.State == hub.StateApplied && !d.AppliedAt.IsZero() {
		c.Applied = new(applied(d.AppliedAt, now))
	}
	switch {
	case d.StopsBy.After(now):
		c.Stops = new(v.Language.By(d.StopsBy, now))
	case !d.StopsBy.IsZero():
		c.Stopped = new(v.Language.By(d.StopsBy, now))
	}
	return c
}

func (p *Room) showDevices(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	devices, err := desk.Settle(r.Context(), p.devices, v.Account, desk.InStep)
	if err != nil {
		return err
	}
	now := time.Now()
	page := devicesPage{Devices: make([]deviceCard, len(devices))}
	for i, d := range devices {
		page.Devices[i] = cardOf(v, d, now)
	}
	if page.Apps, err = p.apps(r.Context(), v, devices); err != nil {
		return err
	}
	return p.Pages.Show(w, v, http.StatusOK, "devices.html", desk.View{Title: "devices.title", Section: "devices", Body: page})
}

// devicesPage is everything that was paired.
type devicesPage struct {
	Devices []deviceCard
	Apps    []app
}

// errNoDevice answers for a link that is not the owner's, whosever it is.
var errNoDevice = desk.Problem{Status: http.StatusNotFound, Key: "devices.not_yours", Link: "/devices", Word: "problem.go.devices"}

// showUnlink asks once more, because a device that was unlinked has to be paired
// again.
func (p *Room) showUnlink(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	if grant := r.URL.Query().Get("grant"); grant != "" {
		return p.showUnlinkApp(w, r, v, grant)
	}
	return p.ask(unlinking)(w, r, v)
}

// device finds one device of the owner's that has not left.
func (p *Room) device(r *http.Request, v desk.Visit, text string) (hub.Device, error) {
	link, err := cardea.ParseID[cardea.LinkID](text)
	if err != nil {
		return hub.Device{}, errNoDevice
	}
	devices, err := p.devices.Devices(r.Context(), v.Account)
	if err != nil {
		return hub.Device{}, err
	}
	for _, d := range devices {
		if d.Link == link && d.State != hub.StateLeaving {
			return d, nil
		}
	}
	return hub.Device{}, errNoDevice
}

func (p *Room) postUnlink(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	if grant := r.PostFormValue("grant"); grant != "" {
		return p.unlinkApp(w, r, v, grant)
	}
	return p.onLink(w, r, v, p.devices.Unlink)
}

func (p *Room) postConfirm(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	return p.onLink(w, r, v, p.devices.ConfirmFork)
}

// onLink does something to the link of the form and shows the devices.
func (p *Room) onLink(w http.ResponseWriter, r *http.Request, v desk.Visit, do func(context.Context, cardea.AccountID, cardea.LinkID) error) error {
	return p.onLinkTo(w, r, v, "/devices", do)
}
