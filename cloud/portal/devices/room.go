// Package devices is where owners see what was paired and end it.
package devices

import (
	"context"
	"embed"
	"net/http"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
)

//go:embed pages
var files embed.FS

// Hub is what devices have come to: *hub.Hub.
type Hub interface {
	desk.Devices
	Unlink(ctx context.Context, account cardea.AccountID, link cardea.LinkID) error
	Rename(ctx context.Context, account cardea.AccountID, link cardea.LinkID, name string) error
	Identify(ctx context.Context, account cardea.AccountID, link cardea.LinkID) error
	ReportMissed(ctx context.Context, account cardea.AccountID, link cardea.LinkID) error
	Recovered(ctx context.Context, account cardea.AccountID, link cardea.LinkID) error
	GiveAway(ctx context.Context, account cardea.AccountID, link cardea.LinkID) error
	ConfirmFork(ctx context.Context, account cardea.AccountID, link cardea.LinkID) error
	Loss(ctx context.Context, account cardea.AccountID, link cardea.LinkID) (hub.Loss, error)
	ConfirmLoss(ctx context.Context, account cardea.AccountID, link cardea.LinkID, loss cardea.LossID, again []cardea.Key) error
}

// Grants is what was paired, with a link or without: *issuer.Issuer.
type Grants interface {
	Grants(ctx context.Context, account cardea.AccountID) ([]issuer.Grant, error)
	Revoke(ctx context.Context, account cardea.AccountID, grant pairing.GrantID) error
}

// Ledger is what owners are asked: *ledger.Ledger.
type Ledger interface {
	Page(ctx context.Context, account cardea.AccountID, language string) (ledger.Page, error)
}

// A Room is these pages. It is safe for concurrent use.
type Room struct {
	*desk.Desk
	Pages *desk.Pages

	devices Hub
	grants  Grants
	ledger  Ledger
}

// New makes the room.
func New(d *desk.Desk, h Hub, g Grants, l Ledger) *Room {
	return &Room{Desk: d, Pages: d.Pages(files), devices: h, grants: g, ledger: l}
}

// Routes adds the pages.
func (p *Room) Routes(mux *http.ServeMux) {
	mux.Handle("GET /devices", p.Owner(p.showDevices))
	mux.Handle("GET "+pageDevice, p.Owner(p.showDevice))
	mux.Handle("POST /devices/rename", p.Owner(p.postRename))
	mux.Handle("POST /devices/identify", p.Owner(p.postIdentify))
	mux.Handle("GET /devices/missed", p.Owner(p.ask(missing)))
	mux.Handle("POST /devices/missed", p.Owner(p.postMissed))
	mux.Handle("POST /devices/recovered", p.Owner(p.postRecovered))
	mux.Handle("GET /devices/given", p.Owner(p.ask(giving)))
	mux.Handle("POST /devices/given", p.Owner(p.postGiven))
	mux.Handle("GET /devices/unlink", p.Owner(p.showUnlink))
	mux.Handle("POST /devices/unlink", p.Owner(p.postUnlink))
	mux.Handle("POST /devices/confirm", p.Owner(p.postConfirm))
	mux.Handle("GET /devices/lost", p.Owner(p.showLoss))
	mux.Handle("POST /devices/lost", p.Owner(p.postLoss))
}
