// Package preferences is where owners say how they like it: settings of their
// devices, everywhere or on one device apart, and which messages they want.
//
// What it promises:
//
//   - One press sets one thing and nothing else. What was set apart goes back to
//     what holds everywhere by one press too.
//   - A setting carries the head of the ledger of the page on which it was made:
//     it does not replace a value that the page did not show.
//   - Each value says where and when it was set. Of what protects, the page says
//     where it holds, and that nothing else counts against it.
//   - A message that is wanted is no consent. The page says of each topic whether
//     its consent is given, and leads to where that is decided.
package preferences

import (
	"context"
	"embed"
	"net/http"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/language"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/cloud/portal/desk"
)

//go:embed pages
var files embed.FS

// The pages of the room.
const (
	settingsPage = "/preferences"
	messagesPage = "/communication"
)

// Ledger is what owners can set: *ledger.Ledger.
type Ledger interface {
	Page(ctx context.Context, account cardea.AccountID, language string) (ledger.Page, error)
	Communication(ctx context.Context, account cardea.AccountID, language string) (ledger.CommunicationPage, error)
	Propose(ctx context.Context, account cardea.AccountID, p ledger.Proposal) (cardea.Entry, error)
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
	mux.Handle("GET "+settingsPage, p.Owner(p.showSettings))
	mux.Handle("POST "+settingsPage, p.Owner(p.postSetting))
	mux.Handle("GET "+messagesPage, p.Owner(p.showMessages))
	mux.Handle("POST "+messagesPage, p.Owner(p.postMessage))
}

// A sheet is a page of settings.
type sheet struct {
	Lead   string
	Empty  string // said where there are none
	Groups []group
}

// A group is a card. State, Question and Link are of the consent without which it
// has no effect.
type group struct {
	ID       string
	Title    language.Phrase
	Asked    bool
	On       bool
	State    string
	Question language.Phrase
	Link     string
	Settings []setting
}

func (p *Room) show(w http.ResponseWriter, v desk.Visit, title string, body sheet) error {
	return p.Pages.Show(w, v, http.StatusOK, "sheet.html", desk.View{Title: title, Section: "consents", Body: body})
}
