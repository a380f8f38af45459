package admin

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/archive"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/language"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/store/accountdb"
)

// An Eraser ends accounts, and knows which devices are late: *hub.Hub.
type Eraser interface {
	Erase(ctx context.Context, account cardea.AccountID, from cardea.Channel, by string) (accountdb.Erasure, hub.ProofSecret, error)
	Overdue(ctx context.Context, above cardea.LinkID, most int) (late []hub.Overdue, next cardea.LinkID, err error)
}

// An Archive writes a copy of everything for its owner: *archive.Writer.
type Archive interface {
	Write(ctx context.Context, out io.Writer, account cardea.AccountID, speaks *language.Language) error
}

// An erasure as it is told. Completed is there once nothing is waited for.
type erasure struct {
	ID        cardea.EventID `json:"id"`
	Subject   string         `json:"subject"`
	Channel   cardea.Channel `json:"channel"`
	Received  cardea.Millis  `json:"received"`
	Answered  cardea.Millis  `json:"answered"` // at once
	Due       cardea.Millis  `json:"due"`
	Completed cardea.Millis  `json:"completed,omitzero"`
	Devices   []erased       `json:"devices"`
	// Proof is the page on which the owner sees this, told once.
	Proof string `json:"proof,omitempty"`
}

// An erased device. State is "erased" once its signed report said so, "missed" if
// its owner said that it is gone, "waiting", or "bounded" when ErasesBy is over.
type erased struct {
	Link     cardea.LinkID     `json:"link"`
	Kind     cardea.DeviceKind `json:"kind"`
	Model    string            `json:"model"`
	State    string            `json:"state"`
	At       cardea.Millis     `json:"at,omitzero"`
	ErasesBy cardea.Millis     `json:"erases_by"`
}

func erasureOf(e accountdb.Erasure, now cardea.Millis) erasure {
	out := erasure{ID: e.ID, Subject: e.Subject, Channel: e.Channel, Received: e.Received, Answered: e.Received, Due: e.Due, Devices: []erased{}}
	if done := e.Completed(); done <= now {
		out.Completed = done
	}
	for _, l := range e.Links {
		d := erased{Link: l.Link, Kind: l.Kind, Model: l.Model, State: "waiting", ErasesBy: l.Bound}
		switch {
		case l.Erased != 0:
			d.State, d.At = "erased", l.Erased
		case l.Missed != 0:
			d.State, d.At = "missed", l.Missed
		case l.Bound <= now:
			d.State = "bounded"
		}
		out.Devices = append(out.Devices, d)
	}
	return out
}

// erase erases an account, on the word of a customer whom the brand has verified.
// Asked again it only tells how far that has come.
func (a *api) erase(w http.ResponseWriter, r *http.Request, by caller) error {
	account, err := a.account(r)
	if err != nil {
		return err
	}
	e, secret, err := a.Eraser.Erase(r.Context(), account.ID, cardea.ChannelBrand, by.actor())
	if err != nil {
		return err
	}
	out := erasureOf(e, cardea.MillisOf(time.Now()))
	if secret != "" {
		out.Proof = a.Issuer + "/erased?" + url.Values{"proof": {secret.Reveal()}}.Encode()
	}
	web.JSON(w, http.StatusOK, out)
	return nil
}

// erasures lists them, oldest first. after is when the last one was received that
// is known.
func (a *api) erasures(w http.ResponseWriter, r *http.Request, _ caller) error {
	var after int64
	if text := r.URL.Query().Get("after"); text != "" {
		var err error
		if after, err = strconv.ParseInt(text, 10, 64); err != nil || after < 0 {
			return web.Errorf(http.StatusBadRequest, "invalid_request", "after is a time in Unix milliseconds")
		}
	}
	out := struct {
		Erasures []erasure `json:"erasures"`
	}{[]erasure{}}
	err := a.Ledger.DB.View(r.Context(), func(tx *accountdb.Tx) error {
		all, err := tx.Erasures(cardea.Millis(after), maxChanges)
		for _, e := range all {
			out.Erasures = append(out.Erasures, erasureOf(e, tx.Millis()))
		}
		return err
	})
	if err != nil {
		return err
	}
	web.JSON(w, http.StatusOK, out)
	return nil
}

// archive sends what is held of a customer, for the customer.
func (a *api) archive(w http.ResponseWriter, r *http.Request, by caller) error {
	account, err := a.account(r)
	if err != nil {
		return err
	}
	speaks := language.For(r.URL.Query().Get("language"), r.Header.Get("Accept-Language"))
	err = a.Ledger.DB.Update(r.Context(), func(tx *accountdb.Tx) error {
		found, err := tx.Account(account.ID)
		if err != nil || found.Erased {
			return shownErased(err)
		}
		return tx.Audit(account.ID, by.actor(), "archive", "")
	})
	if err != nil {
		return err
	}
	return archive.Send(r.Context(), w, a.Log, func(out io.Writer) error { return a.Archive.Write(r.Context(), out, account.ID, speaks) })
}

func shownErased(err error) error {
	if err != nil {
		return err
	}
	return web.Errorf(http.StatusGone, "erased", "the account was erased: there is nothing left to copy")
}
