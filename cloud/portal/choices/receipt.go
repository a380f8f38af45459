package choices

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/language"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/cloud/portal/desk"
	"github.com/cardea-id/cardea/cloud/receipt"
	"github.com/cardea-id/cardea/store/accountdb"
)

// The receipt of a decision, as a page and as a file.
const (
	receiptPage = "/history/receipt"
	receiptFile = "/history/receipt.json"
)

// A receiptView is a receipt as its page shows it: what stands in the file, and
// the terms as the pages say them.
type receiptView struct {
	receipt.Receipt
	Controller receipt.Party
	Authority  *receipt.Party // to complain to; nil: the brand names none
	Event      receipt.Event
	Asked      receipt.Purpose
	Terms      purpose
	Question   language.Phrase
	On         string // the one device it reaches, by name
	Yes        bool
	What, How  string
	When       language.Moment
	Until      *language.Moment // of a yes
	Language   string
	Unknown    bool // nobody knows what was shown
	File       string
}

var errNoReceipt = desk.Problem{Status: http.StatusNotFound, Key: "choices.no_receipt", Link: historyPage, Word: "choices.history"}

// receiptOf makes the receipt of the entry a request names.
func (p *Room) receiptOf(r *http.Request, v desk.Visit) (receipt.Receipt, ledger.Evidence, error) {
	seq, err := strconv.ParseUint(r.URL.Query().Get("entry"), 10, 63)
	if err != nil || p.receipts == nil {
		return receipt.Receipt{}, ledger.Evidence{}, errNoReceipt
	}
	made, of, err := p.receipts.Make(r.Context(), v.Account, seq)
	if errors.Is(err, accountdb.ErrNotFound) || errors.Is(err, ledger.ErrNoConsent) {
		err = errNoReceipt
	}
	return made, of, err
}

func (p *Room) showReceipt(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	made, of, err := p.receiptOf(r, v)
	if err != nil {
		return err
	}
	body := viewOf(v.Language, made, of, time.Now())
	return p.Pages.Show(w, v, http.StatusOK, "receipt.html", desk.View{Title: "choices.receipt.title", Section: "history", Body: body})
}

func viewOf(l *language.Language, made receipt.Receipt, of ledger.Evidence, now time.Time) receiptView {
	e := of.Entry
	told := pastOf(l, ledger.Past{Entry: e}, now)
	out := receiptView{
		Receipt: made, Controller: made.Record.Parties[0], Event: made.Record.Events[0], Asked: made.Record.Processing.Purposes[0],
		Terms: purposeOf(l, ledger.Choice{Purpose: of.Purpose, Text: of.Text, Language: of.Language, Names: of.Names}), Yes: e.Act == cardea.ActGrant, What: told.What, How: told.How,
		When: l.Clock(e.Recorded.Time(), time.Time{}), Language: language.NameOf(of.Language), Unknown: made.Proof.Notice.IsZero(),
		File: receiptFile + "?entry=" + strconv.FormatUint(e.Position.Seq, 10),
	}
	out.Question = l.Phrase(out.Asked.Question, of.Language)
	out.On = of.On
	said := []*string{&out.Controller.Address, &out.Controller.Contact}
	for _, p := range made.Record.Parties {
		if p.ID == out.Asked.Authority {
			out.Authority = &p
			said = append(said, &p.Contact)
		}
	}
	for _, text := range said {
		if *text == receipt.NotStated {
			*text = l.Text("choices.receipt.not_stated")
		}
	}
	if out.Yes {
		out.Until = new(l.Day(e.Recorded.Add(of.Purpose.Validity).Time()))
	}
	return out
}

// sendReceipt gives the file, which only its owner gets.
func (p *Room) sendReceipt(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	made, _, err := p.receiptOf(r, v)
	if err != nil {
		return err
	}
	text, err := made.JSON()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Disposition", `attachment; filename="receipt-`+made.ReceiptID+`.json"`)
	w.Write(text) // the browser is gone if this fails
	return nil
}

// A notice is one version of what is asked, for whoever holds a receipt of it.
type notice struct {
	purpose
	Version   uint32
	Language  string
	Hash      string
	Questions []language.Phrase
}

// showNotice shows what was asked under a version, to everybody: it is no secret
// and about nobody.
func (p *Room) showNotice(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	version, err := strconv.ParseUint(r.PathValue("version"), 10, 32)
	if err != nil {
		return desk.ErrNoPage
	}
	asked, ok := p.ledger.Notice(cardea.PurposeID(r.PathValue("purpose")), uint32(version), r.PathValue("language"))
	if !ok {
		return desk.ErrNoPage
	}
	body := notice{purpose: purposeOf(v.Language, asked), Version: asked.Purpose.Version, Language: language.NameOf(r.PathValue("language")), Hash: asked.Notice.String()}
	for _, f := range asked.Facets {
		body.Questions = append(body.Questions, v.Language.Phrase(f.Question, asked.Language))
	}
	return p.Pages.Show(w, v, http.StatusOK, "notice.html", desk.View{Title: body.Title.Text, Body: body})
}
