package devices

import (
	"errors"
	"net/http"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/language"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/store/accountdb"
)

// A lossPage asks what a device may do again that has lost what was said on it.
type lossPage struct {
	Name    string
	Link    string
	Loss    string
	Form    string
	Choices []again
}

// again is one thing it might do again.
type again struct {
	ID, Key         string
	Title, Question language.Phrase
}

// showLoss asks, with nothing ticked: a box that was ticked for somebody is no
// yes of theirs.
func (p *Room) showLoss(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	link, err := cardea.ParseID[cardea.LinkID](r.URL.Query().Get("link"))
	if err != nil {
		return errNoDevice
	}
	loss, err := p.devices.Loss(r.Context(), v.Account, link)
	if errors.Is(err, accountdb.ErrNotFound) { // it was answered, or there never was one
		http.Redirect(w, r, "/devices", http.StatusSeeOther)
		return nil
	}
	if err != nil {
		return err
	}
	asked, err := p.ledger.Page(r.Context(), v.Account, v.Language.Tag())
	if err != nil {
		return err
	}
	body := lossPage{
		Name: loss.Device.Name, Link: link.String(), Loss: loss.ID.String(), Form: v.Form(), Choices: choicesAgain(v.Language, asked, loss),
	}
	return p.Pages.Show(w, v, http.StatusOK, "lost.html", desk.View{Title: "devices.again", Section: "devices", Body: body})
}

// choicesAgain puts the keys in words, in the order of the page of choices.
func choicesAgain(l *language.Language, asked ledger.Page, loss hub.Loss) (out []again) {
	given := map[cardea.Key]bool{}
	for _, key := range loss.Given {
		given[key] = true
	}
	for _, c := range asked.Choices {
		for _, f := range c.Facets {
			if given[f.Key] {
				out = append(out, again{desk.Anchor(f.Key), string(f.Key), l.Phrase(c.Text.Title, c.Language), l.Phrase(f.Question, c.Language)})
			}
		}
	}
	return out
}

// postLoss takes what was ticked. What was not is stopped on the device.
func (p *Room) postLoss(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	loss, err := cardea.ParseID[cardea.LossID](r.PostFormValue("loss"))
	if err != nil {
		return desk.ErrForeign
	}
	link, err := cardea.ParseID[cardea.LinkID](r.PostFormValue("link"))
	if err != nil {
		return errNoDevice
	}
	var keys []cardea.Key
	for _, text := range r.PostForm["again"] {
		key, err := cardea.ParseKey(text)
		if err != nil {
			return desk.ErrForeign
		}
		keys = append(keys, key)
	}
	err = p.devices.ConfirmLoss(r.Context(), v.Account, link, loss, keys)
	if err != nil && !errors.Is(err, accountdb.ErrNotFound) { // the page of devices says how it stands
		return err
	}
	http.Redirect(w, r, "/devices", http.StatusSeeOther)
	return nil
}
