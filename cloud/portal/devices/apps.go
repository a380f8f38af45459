package devices

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/language"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/pairing"
)

// An app is what was paired and never made itself a device that is kept in step:
// the app of a TV, say, with an OAuth library of its own. It has tokens of the
// account and is told nothing of consents; its owner must be able to see it and
// to end it.
type app struct {
	Grant  string
	Name   string
	Kind   desk.Kind
	Model  string
	Serial string
	Since  language.Moment
	Form   string
}

// apps are the grants of an account that belong to none of its devices.
func (p *Room) apps(ctx context.Context, v desk.Visit, devices []hub.Device) ([]app, error) {
	grants, err := p.grants.Grants(ctx, v.Account)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	var out []app
	for _, g := range grants {
		linked := slices.ContainsFunc(devices, func(d hub.Device) bool { return d.Grant == string(g.ID) })
		if linked || !g.Redeemed {
			continue
		}
		out = append(out, app{
			Grant: string(g.ID), Name: g.Name, Kind: desk.KindOf(cardea.DeviceKind(g.Device.Kind)), Model: g.Device.Model, Serial: g.Device.Serial,
			Since: v.Language.Ago(g.Approved, now), Form: v.Form(),
		})
	}
	return out, nil
}

// app finds one of them: a device is unlinked by its link, which ends more than
// its grant.
func (p *Room) app(ctx context.Context, v desk.Visit, grant string) (app, error) {
	devices, err := p.devices.Devices(ctx, v.Account)
	if err != nil {
		return app{}, err
	}
	apps, err := p.apps(ctx, v, devices)
	if err != nil {
		return app{}, err
	}
	i := slices.IndexFunc(apps, func(a app) bool { return a.Grant == grant })
	if i < 0 {
		return app{}, errNoDevice
	}
	return apps[i], nil
}

// showUnlinkApp asks once more, as for a device.
func (p *Room) showUnlinkApp(w http.ResponseWriter, r *http.Request, v desk.Visit, grant string) error {
	found, err := p.app(r.Context(), v, grant)
	if err != nil {
		return err
	}
	e := unlinking(hub.Device{})
	e.Name, e.Lead, e.Field, e.Value = found.Name, "devices.signs_out", "grant", found.Grant
	return p.showEnding(w, v, e)
}

func (p *Room) unlinkApp(w http.ResponseWriter, r *http.Request, v desk.Visit, grant string) error {
	found, err := p.app(r.Context(), v, grant)
	if err != nil {
		return err
	}
	if err := p.grants.Revoke(r.Context(), v.Account, pairing.GrantID(found.Grant)); err != nil {
		return err
	}
	http.Redirect(w, r, "/devices", http.StatusSeeOther)
	return nil
}
