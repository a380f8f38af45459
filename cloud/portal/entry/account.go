package entry

import (
	"net/http"
	"slices"
	"time"

	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/store/accountdb"
)

// accountPage is how an owner signs in.
const accountPage = "/account"

// showAccount lists the ways to sign in, and those that could be added.
func (p *Room) showAccount(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	connected, err := p.accounts.Connections(r.Context(), v.Account)
	if err != nil {
		return err
	}
	offers := p.offers()
	for i, o := range offers {
		if at := slices.IndexFunc(connected, func(c accountdb.Connection) bool { return c.Provider == o.ID }); at >= 0 {
			offers[i].Since = v.Language.OnDay(connected[at].Since, time.Now())
		}
	}
	return p.Pages.Show(w, v, http.StatusOK, "account.html", desk.View{Title: "entry.account", Section: "account", Body: offers})
}
