// Package pairs is where owners answer a device that asks to be paired, by the
// code it shows or the label it carries.
//
// What it promises: opening the link of a QR code shows which device asks, and
// nothing more (RFC 8628, Section 5.4); it says what was asked and when, and the
// code to compare, and Decline weighs as much as Approve. From another network
// the owner picks the device's code out of three.
package pairs

import (
	"context"
	"embed"
	"fmt"
	"net/http"
	"net/netip"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
)

//go:embed pages
var files embed.FS

// Codes is who asks to be paired under a code, and who was: *issuer.Issuer.
type Codes interface {
	Lookup(ctx context.Context, account cardea.AccountID, code pairing.UserCode, from netip.Addr) (issuer.Request, error)
	Approve(ctx context.Context, account cardea.AccountID, code pairing.UserCode, name string) (pairing.GrantID, error)
	Deny(ctx context.Context, account cardea.AccountID, code pairing.UserCode) error
	Grants(ctx context.Context, account cardea.AccountID) ([]issuer.Grant, error)
}

// Labels is who asks under the label of a device without a screen:
// *issuer.Issuer.
type Labels interface {
	LookupLabel(ctx context.Context, account cardea.AccountID, label pairing.Label, from netip.Addr) (issuer.LabelRequest, error)
	ApproveLabel(ctx context.Context, account cardea.AccountID, label pairing.Label, name string) error
	DenyLabel(ctx context.Context, account cardea.AccountID, label pairing.Label) error
}

// A Room is these pages. It is safe for concurrent use.
type Room struct {
	*desk.Desk
	Pages *desk.Pages

	// Tells makes what tells an owner of what they are about to let in: a letter that
	// goes if they do, by the same transaction. Sent is called when they have. Nil:
	// nobody is told.
	Tells func(ctx context.Context, v desk.Visit, grant pairing.GrantID, name string) error
	Sent  func()

	codes   Codes
	labels  Labels
	devices desk.Devices
}

// tells has the owner told of a grant once it is theirs. Without that nothing is
// let in: it is how they hear of what somebody else did in their name.
func (p *Room) tells(r *http.Request, v desk.Visit, grant pairing.GrantID, name string) error {
	if p.Tells == nil {
		return nil
	}
	if err := p.Tells(r.Context(), v, grant, name); err != nil {
		return fmt.Errorf("letter of a pairing: %w", err)
	}
	return nil
}

// told has letters looked for.
func (p *Room) told() {
	if p.Sent != nil {
		p.Sent()
	}
}

// New makes the room.
func New(d *desk.Desk, codes Codes, labels Labels, devices desk.Devices) *Room {
	return &Room{Desk: d, Pages: d.Pages(files), codes: codes, labels: labels, devices: devices}
}

// Routes adds the pages.
func (p *Room) Routes(mux *http.ServeMux) {
	mux.Handle("GET /pair", p.Owner(p.showPair))
	mux.Handle("POST /pair", p.Owner(p.postPair))
	mux.Handle("GET /pair/label", p.Owner(p.showLabel))
	mux.Handle("POST /pair/label", p.Owner(p.postLabel))
	mux.HandleFunc("GET /l/{label}", shortLabel)
	mux.HandleFunc("GET /L/{label}", shortLabel)
	mux.HandleFunc("GET /p/{code}", shortPair)
	mux.HandleFunc("GET /P/{code}", shortPair)
	mux.Handle("GET /pair/approved", p.Owner(p.showApproved))
	mux.Handle("GET /pair/declined", p.Owner(p.showDeclined))
}
