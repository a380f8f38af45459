// Package choices is where owners decide what their devices may do, and the
// history of what they decided.
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
//     stand as machine-readable <time> elements with milliseconds. Where the
//     browser runs scripts it goes on saying so while it is looked at.
//   - Every decision has a receipt, as a page and as a file, for its owner alone.
//   - A browser that sends Sec-GPC: 1 is told what was switched off because of it.
package choices

import (
	"context"
	"embed"
	"net/http"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/cloud/receipt"
)

//go:embed pages
var files embed.FS

// Ledger is what owners are asked and decide: *ledger.Ledger.
type Ledger interface {
	Page(ctx context.Context, account cardea.AccountID, language string) (ledger.Page, error)
	History(ctx context.Context, account cardea.AccountID, language string, below uint64, limit int) ([]ledger.Past, bool, error)
	Propose(ctx context.Context, account cardea.AccountID, p ledger.Proposal) (cardea.Entry, error)
	Signal(ctx context.Context, account cardea.AccountID) ([]cardea.Key, error)
	Purpose(id cardea.PurposeID, version uint32) (cardea.Purpose, bool)
	Notice(purpose cardea.PurposeID, version uint32, language string) (ledger.Choice, bool)
}

// Receipts makes receipts: *receipt.Maker.
type Receipts interface {
	Make(ctx context.Context, account cardea.AccountID, seq uint64) (receipt.Receipt, ledger.Evidence, error)
}

// A Room is these pages. It is safe for concurrent use.
type Room struct {
	*desk.Desk
	Pages *desk.Pages

	ledger   Ledger
	devices  desk.Devices
	receipts Receipts
}

// New makes the room, and has the desk honour what owners' browsers ask.
func New(d *desk.Desk, l Ledger, devices desk.Devices, receipts Receipts) *Room {
	d.Refuse = func(ctx context.Context, account cardea.AccountID) error {
		_, err := l.Signal(ctx, account)
		return err
	}
	return &Room{Desk: d, Pages: d.Pages(files), ledger: l, devices: devices, receipts: receipts}
}

// Routes adds the pages.
func (p *Room) Routes(mux *http.ServeMux) {
	mux.Handle("GET "+desk.Home, p.Owner(p.showConsents))
	mux.Handle("POST "+desk.Home, p.Owner(p.postConsent))
	mux.Handle("GET "+historyPage, p.Owner(p.showHistory))
	mux.Handle("GET "+receiptPage, p.Owner(p.showReceipt))
	mux.Handle("GET "+receiptFile, p.Owner(p.sendReceipt))
	mux.Handle("GET /notices/{purpose}/{version}/{language}", p.Open(p.showNotice))
}
