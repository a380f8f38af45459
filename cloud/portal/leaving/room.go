// Package leaving is where owners take everything back, take a copy of it, or go.
//
// Taking back is one press for all that is allowed, each unit of which the page
// lists: it becomes one denial for each. Nothing can be given that way. A copy
// and an end need an owner who has just shown that they are the one. After the
// end there is nobody to sign in: how far it has come is on a page with a secret
// address, which is told once and in which nothing is personal.
package leaving

import (
	"context"
	"embed"
	"io"
	"net/http"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/language"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/store/accountdb"
)

//go:embed pages
var files embed.FS

// Hub ends accounts and tells devices: *hub.Hub.
type Hub interface {
	desk.Devices
	Erase(ctx context.Context, account cardea.AccountID, from cardea.Channel, by string) (accountdb.Erasure, hub.ProofSecret, error)
	Erasure(ctx context.Context, secret hub.ProofSecret) (accountdb.Erasure, time.Time, error)
	ErasedMissed(ctx context.Context, secret hub.ProofSecret, link cardea.LinkID) error
}

// Ledger is what owners allow: *ledger.Ledger.
type Ledger interface {
	Page(ctx context.Context, account cardea.AccountID, language string) (ledger.Page, error)
	WithdrawAll(ctx context.Context, account cardea.AccountID, channel cardea.Channel) ([]cardea.Key, error)
}

// Archive writes a copy of everything: *archive.Writer.
type Archive interface {
	Write(ctx context.Context, out io.Writer, account cardea.AccountID, speaks *language.Language) error
}

// A Room is these pages. It is safe for concurrent use.
type Room struct {
	*desk.Desk
	Pages *desk.Pages

	hub     Hub
	ledger  Ledger
	archive Archive
}

// New makes the room.
func New(d *desk.Desk, h Hub, l Ledger, a Archive) *Room {
	return &Room{Desk: d, Pages: d.Pages(files), hub: h, ledger: l, archive: a}
}

// The pages of the room.
const (
	pageHome     = "/leaving"
	pageWithdraw = "/leaving/withdraw"
	pageCopy     = "/leaving/copy"
	pageErase    = "/leaving/erase"
	pageErased   = "/erased"
)

// Routes adds the pages.
func (p *Room) Routes(mux *http.ServeMux) {
	mux.Handle("GET "+pageHome, p.Owner(p.showHome))
	mux.Handle("GET "+pageWithdraw, p.Owner(p.showWithdraw))
	mux.Handle("POST "+pageWithdraw, p.Owner(p.postWithdraw))
	mux.Handle("GET "+pageCopy, p.Owner(p.showCopy))
	mux.Handle("POST "+pageCopy, p.Owner(p.postCopy))
	mux.Handle("GET "+pageErase, p.Owner(p.showErase))
	mux.Handle("POST "+pageErase, p.Owner(p.postErase))
	mux.Handle("GET "+pageErased, p.Open(p.showErased))
	mux.Handle("POST "+pageErased, p.Open(p.postErased))
}

func (p *Room) showHome(w http.ResponseWriter, _ *http.Request, v desk.Visit) error {
	return p.Pages.Show(w, v, http.StatusOK, "leaving.html", desk.View{Title: "leaving.title", Section: "account"})
}
