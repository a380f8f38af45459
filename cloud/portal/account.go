package portal

import (
	"net/http"
	"slices"
	"time"

	"github.com/cardea-id/cardea/store/accountdb"
)

// accountPage is how an owner signs in.
const accountPage = "/account"

// showAccount lists the ways to sign in, and those that could be added.
func (p *Portal) showAccount(w http.ResponseWriter, r *http.Request, v visit) error {
	connected, err := p.accounts.Connections(r.Context(), v.Account)
	if err != nil {
		return err
	}
	offers := p.offers()
	for i, o := range offers {
		if at := slices.IndexFunc(connected, func(c accountdb.Connection) bool { return c.Provider == o.ID }); at >= 0 {
			offers[i].Since = onDay(connected[at].Since, time.Now())
		}
	}
	return p.show(w, v, http.StatusOK, "account.html", view{Title: "Your account", Section: "account", Body: offers})
}
