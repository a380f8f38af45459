package choices

import (
	"net/http"
	"strconv"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/language"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/cloud/portal/desk"
)

// historyPage is everything the owner ever decided.
const historyPage = "/history"

// pastOnPage is how many decisions one page shows.
const pastOnPage = 50

// A past is one decision as the page tells it.
type past struct {
	What     string // what was done
	Off      bool   // it stopped something
	Title    language.Phrase
	Question language.Phrase
	Where    string // how far it reaches
	On       string // the device it reaches, by name
	How      string // where it was said
	By       string // the device it was said on or is about, by name
	When     language.Moment
	Version  uint32
	Text     *purpose // as it was read, if it is known
	Receipt  string   // where its receipt is; empty: it has none
}

type history struct {
	Past  []past
	Older string // a link to what is older; empty: nothing is
	Brand string
}

func (p *Room) showHistory(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	below, err := strconv.ParseUint(r.URL.Query().Get("below"), 10, 63)
	if err != nil {
		below = 0
	}
	entries, older, err := p.ledger.History(r.Context(), v.Account, v.Language.Tag(), below, pastOnPage)
	if err != nil {
		return err
	}
	body := history{Brand: p.Brand.Name}
	for _, e := range entries {
		body.Past = append(body.Past, pastOf(v.Language, e, time.Now()))
	}
	if older {
		body.Older = historyPage + "?below=" + strconv.FormatUint(entries[len(entries)-1].Entry.Position.Seq, 10)
	}
	return p.Pages.Show(w, v, http.StatusOK, "history.html", desk.View{Title: "choices.history", Section: "history", Body: body})
}

func pastOf(l *language.Language, e ledger.Past, now time.Time) past {
	out := past{
		What: l.Text("choices.deed." + string(e.Entry.Act)), Off: e.Entry.Act == cardea.ActDeny, Title: l.Phrase(e.Title, e.Language), Question: l.Phrase(e.Question, e.Language), On: e.On, By: e.By,
		When: l.Clock(e.Entry.Recorded.Time(), now), Version: e.Entry.Version,
	}
	if e.Text != nil {
		out.Text = new(purposeOf(l, ledger.Choice{Purpose: *e.Asked, Text: *e.Text, Language: e.Language, Names: e.Language}))
	}
	switch e.Entry.Channel {
	case cardea.ChannelPortal:
		out.How = l.Text("choices.how.portal")
	case cardea.ChannelDevice:
		out.How = l.Text("choices.how.device")
	case cardea.ChannelBrand:
		out.How = l.Text("choices.how.brand")
	case cardea.ChannelGPC:
		out.How = l.Text("choices.how.gpc")
	}
	if e.Title != "" && (e.Entry.Act == cardea.ActGrant || e.Entry.Act == cardea.ActDeny) {
		out.Receipt = receiptPage + "?entry=" + strconv.FormatUint(e.Entry.Position.Seq, 10)
	}
	if out.On == "" && !e.Entry.Scope.Everywhere() {
		out.Where = l.Text("choices.where.gone")
	}
	if e.Entry.Scope.Everywhere() && (e.Entry.Act == cardea.ActGrant || e.Entry.Act == cardea.ActDeny) {
		out.Where = l.Text("choices.where.all")
	}
	return out
}
