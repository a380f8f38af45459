package leaving

import (
	"net/http"
	"slices"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/language"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/cloud/portal/desk"
)

// A unit is one thing that is allowed: a purpose and a question about it.
type unit struct {
	Title, Question language.Phrase
	On              []string // the devices it is allowed on, by name; none: all
}

// unitsOf is what a page of choices has that is allowed, everywhere or somewhere.
func unitsOf(l *language.Language, page ledger.Page) (units []unit) {
	for _, c := range page.Choices {
		for _, f := range c.Facets {
			if f.Standing.Class == cardea.ClassN || !f.Standing.Given() && len(f.OnlyOn) == 0 {
				continue
			}
			u := unit{Title: l.Phrase(c.Text.Title, c.Language), Question: l.Phrase(f.Question, c.Language)}
			if !f.Standing.Given() {
				for _, place := range f.OnlyOn {
					u.On = append(u.On, place.Name)
				}
				slices.Sort(u.On)
			}
			units = append(units, u)
		}
	}
	return units
}

func (p *Room) showWithdraw(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	page, err := p.ledger.Page(r.Context(), v.Account, v.Language.Tag())
	if err != nil {
		return err
	}
	body := struct {
		Units []unit
		Form  string
	}{unitsOf(v.Language, page), v.Form()}
	return p.Pages.Show(w, v, http.StatusOK, "withdraw.html", desk.View{Title: "leaving.withdraw.title", Section: "consents", Body: body})
}

// postWithdraw takes back all that is allowed at this moment: what was allowed
// since the page was shown as well, for a no too many does no harm.
func (p *Room) postWithdraw(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	if _, err := p.ledger.WithdrawAll(r.Context(), v.Account, cardea.ChannelPortal); err != nil {
		return err
	}
	http.Redirect(w, r, desk.Home, http.StatusSeeOther)
	return nil
}
