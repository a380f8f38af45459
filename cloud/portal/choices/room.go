// Package choices is where owners decide: consents and settings, and the history
// of what they decided.
//
// What it promises:
//
//   - Nothing is ticked in advance. A purpose is asked facet by facet, each with
//     its own two equal buttons, and one press decides one thing. Taking back
//     takes as many presses as giving.
//   - A decision carries the head of the ledger and the notice of the page on
//     which it was made. A yes from an old page does not count against a no that
//     the page did not show.
//   - The page says what is known of the devices: where a change is in force
//     and since when, or the instant by which it is. All instants are UTC and
//     stand as machine-readable <time> elements with milliseconds.
package choices

import (
	"context"
	"embed"
	"net/http"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/cloud/portal/desk"
)

//go:embed pages
var files embed.FS

// Ledger is what owners are asked and decide: *ledger.Ledger.
type Ledger interface {
	Page(ctx context.Context, account cardea.AccountID, language string) (ledger.Page, error)
	History(ctx context.Context, account cardea.AccountID, language string, below uint64, limit int) ([]ledger.Past, bool, error)
	Decide(ctx context.Context, account cardea.AccountID, channel cardea.Channel, scope cardea.Scope, d cardea.Decision) (cardea.Entry, error)
}

// A Room is these pages. It is safe for concurrent use.
type Room struct {
	*desk.Desk
	Pages *desk.Pages

	ledger  Ledger
	devices desk.Devices
}

// New makes the room.
func New(d *desk.Desk, l Ledger, devices desk.Devices) *Room {
	return &Room{Desk: d, Pages: d.Pages(files), ledger: l, devices: devices}
}

// Routes adds the pages.
func (p *Room) Routes(mux *http.ServeMux) {
	mux.Handle("GET "+desk.Home, p.Owner(p.showConsents))
	mux.Handle("POST "+desk.Home, p.Owner(p.postConsent))
	mux.Handle("GET "+historyPage, p.Owner(p.showHistory))
	mux.Handle("GET /preferences", http.RedirectHandler(desk.Home+"#preferences", http.StatusSeeOther))
	mux.Handle("POST /preferences", p.Owner(p.postPreference))
}
