package portal

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/store/accountdb"
)

// patience is how long a page waits for what devices in reach do within
// milliseconds, so that it shows the outcome without having to be reloaded.
const patience = 700 * time.Millisecond

// settle reads the devices, again and again for a moment while they are not as
// done wants them.
func (p *Portal) settle(ctx context.Context, account cardea.AccountID, done func([]hub.Device) bool) ([]hub.Device, error) {
	for waited, step := time.Duration(0), 10*time.Millisecond; ; waited, step = waited+step, min(2*step, 80*time.Millisecond) {
		devices, err := p.devices.Devices(ctx, account)
		if err != nil || waited >= patience || done(devices) {
			return devices, err
		}
		select {
		case <-time.After(step):
		case <-ctx.Done():
			return devices, ctx.Err()
		}
	}
}

// inStep reports whether no device in reach is still behind.
func inStep(devices []hub.Device) bool {
	for _, d := range devices {
		if d.Online && d.State != hub.StateApplied {
			return false
		}
	}
	return true
}

// A deviceCard is a device as the page of devices shows it.
type deviceCard struct {
	Link    string
	Name    string
	Kind    kind
	Model   string
	Serial  string
	Online  bool
	Seen    *moment // nil: never
	Applied *moment // nil: not yet
	Stops   *moment // nil: nothing runs on
	Stopped *moment // what ran on has ended by itself
	Leaving bool
	Forked  bool
	Missing bool
	Lost    bool // it has to be said again what it may do
	Form    string
}

func cardOf(d hub.Device, now time.Time, form string) deviceCard {
	c := deviceCard{
		Link: d.Link.String(), Name: d.Name, Kind: kindOf(d.Kind), Model: d.Model, Serial: d.Serial,
		Online: d.Online, Leaving: d.State == hub.StateLeaving, Forked: d.Forked, Missing: d.Missing, Lost: d.Lost, Form: form,
	}
	seen, applied := ago, clock
	if d.ByDay {
		seen, applied = onDay, onDay
	}
	if !d.LastSeen.IsZero() {
		c.Seen = new(seen(d.LastSeen, now))
	}
	if d.State == hub.StateApplied && !d.AppliedAt.IsZero() {
		c.Applied = new(applied(d.AppliedAt, now))
	}
	switch {
	case d.StopsBy.After(now):
		c.Stops = new(by(d.StopsBy, now))
	case !d.StopsBy.IsZero():
		c.Stopped = new(by(d.StopsBy, now))
	}
	return c
}

func (p *Portal) showDevices(w http.ResponseWriter, r *http.Request, v visit) error {
	devices, err := p.settle(r.Context(), v.Account, inStep)
	if err != nil {
		return err
	}
	now := time.Now()
	page := devicesPage{Devices: make([]deviceCard, len(devices))}
	for i, d := range devices {
		page.Devices[i] = cardOf(d, now, v.formToken())
	}
	if page.Apps, err = p.apps(r.Context(), v, devices); err != nil {
		return err
	}
	return p.show(w, v, http.StatusOK, "devices.html", view{Title: "Your devices", Section: "devices", Body: page})
}

// devicesPage is everything that was paired.
type devicesPage struct {
	Devices []deviceCard
	Apps    []app
}

// errNoDevice answers for a link that is not the owner's, whosever it is.
var errNoDevice = problem{Status: http.StatusNotFound, Title: "This device is not among yours",
	Text: "It may have been unlinked already.", Link: "/devices", Word: "Go to your devices"}

// showUnlink asks once more, because a device that was unlinked has to be paired
// again.
func (p *Portal) showUnlink(w http.ResponseWriter, r *http.Request, v visit) error {
	if grant := r.URL.Query().Get("grant"); grant != "" {
		return p.showUnlinkApp(w, r, v, grant)
	}
	link, err := cardea.ParseID[cardea.LinkID](r.URL.Query().Get("link"))
	if err != nil {
		return errNoDevice
	}
	devices, err := p.devices.Devices(r.Context(), v.Account)
	if err != nil {
		return err
	}
	for _, d := range devices {
		if d.Link == link && d.State != hub.StateLeaving {
			body := cardOf(d, time.Now(), v.formToken())
			return p.show(w, v, http.StatusOK, "unlink.html", view{Title: "Unlink this device?", Section: "devices", Body: body})
		}
	}
	return errNoDevice
}

func (p *Portal) postUnlink(w http.ResponseWriter, r *http.Request, v visit) error {
	if grant := r.PostFormValue("grant"); grant != "" {
		return p.unlinkApp(w, r, v, grant)
	}
	return p.onLink(w, r, v, p.devices.Unlink)
}

func (p *Portal) postConfirm(w http.ResponseWriter, r *http.Request, v visit) error {
	return p.onLink(w, r, v, p.devices.ConfirmFork)
}

// onLink does something to the link of the form and shows the devices.
func (p *Portal) onLink(w http.ResponseWriter, r *http.Request, v visit, do func(context.Context, cardea.AccountID, cardea.LinkID) error) error {
	link, err := cardea.ParseID[cardea.LinkID](r.PostFormValue("link"))
	if err != nil {
		return errNoDevice
	}
	if err := do(r.Context(), v.Account, link); errors.Is(err, accountdb.ErrNotFound) {
		return errNoDevice
	} else if err != nil {
		return err
	}
	http.Redirect(w, r, "/devices", http.StatusSeeOther)
	return nil
}
