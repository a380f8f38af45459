package ingest

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/store/accountdb"
)

// A Line is an event as the brand gets it, or the note that whoever events were
// about was erased, which has only the first three fields. Subject is the pseudonym
// of its person. Decision names the cloud's decision to take it, and Consents by
// what each key was given when it was passed on.
type Line struct {
	ID         cardea.ItemID     `json:"id"`
	Subject    string            `json:"subject"`
	Erased     cardea.Millis     `json:"erased,omitzero"` // when; 0: it is an event
	Decision   cardea.DecisionID `json:"decision,omitzero"`
	Purpose    cardea.PurposeID  `json:"purpose,omitempty"`
	Facets     []cardea.Facet    `json:"facets,omitempty"`
	Device     cardea.DeviceID   `json:"device,omitempty"`
	Recipient  string            `json:"recipient,omitempty"`
	Source     string            `json:"source,omitempty"`
	Method     cardea.Method     `json:"method,omitempty"`
	Collected  cardea.Millis     `json:"collected,omitzero"`
	LegalBasis string            `json:"legal_basis,omitempty"`
	Consents   []ledger.Basis    `json:"consents,omitempty"`
	Data       json.RawMessage   `json:"data,omitempty"`

	row   int64
	retry time.Duration
}

// A sender is what is known, within one transaction, of a link that events came
// by.
type sender struct {
	link    accountdb.Link
	account accountdb.Account
	leave   *ledger.Leave // nil: the account was erased
}

func (in *Ingest) senderOf(tx *accountdb.Tx, id cardea.LinkID) (s sender, err error) {
	if s.link, err = tx.Link(id); err != nil {
		return s, err
	}
	if s.account, err = tx.Account(s.link.Account); err != nil || s.account.Erased {
		return s, err
	}
	s.leave, err = in.Ledger.Leave(tx, s.link)
	return s, err
}

// decide is the decision at the moment of passing on. It is the only maker of lines.
func (in *Ingest) decide(s sender, e accountdb.Event) (Line, cardea.Reason) {
	switch {
	case e.Erased:
		return Line{ID: e.Item.ID, Subject: s.account.Subject, Erased: e.Stored, row: e.ID}, cardea.ReasonGranted
	case s.leave == nil: // since it was claimed
		return Line{}, cardea.ReasonUnknown
	}
	basis, why := s.leave.Of(e.Item)
	if why != cardea.ReasonGranted {
		return Line{}, why
	}
	cat, _ := in.Ledger.Catalogue.Current()
	purpose, _ := cat.Purpose(e.Item.Purpose)
	line := Line{
		ID: e.Item.ID, Decision: e.Decision, Purpose: e.Item.Purpose, Subject: s.account.Subject, Device: s.link.Device,
		Recipient: e.Item.Recipient, Source: e.Item.Source, Method: e.Item.Method, Collected: e.Item.Collected,
		LegalBasis: purpose.LegalBasis, Consents: basis, Data: slices.Clone(e.Item.Data), row: e.ID,
	}
	for _, b := range basis {
		line.Facets = append(line.Facets, b.Key.Facet())
	}
	return line, why
}
