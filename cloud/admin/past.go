package admin

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/cloud/receipt"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/store/accountdb"
)

// Receipts makes receipts: *receipt.Maker.
type Receipts interface {
	Make(ctx context.Context, account cardea.AccountID, seq uint64) (receipt.Receipt, ledger.Evidence, error)
}

// A standing is what stood of one key.
type standing struct {
	Key        cardea.Key    `json:"key"`
	Given      bool          `json:"given"`
	Reason     cardea.Reason `json:"reason"`
	Version    uint32        `json:"version"`              // of the purpose: that the yes was to, or that was asked
	ValidUntil cardea.Millis `json:"valid_until,omitzero"` // of a yes
	Decided    *cardea.Point `json:"decided,omitempty"`    // the last word on it; absent: there is none
}

// consents tells what stood at an instant, now if none is named: of all keys or
// of one, everywhere or on one device.
func (a *api) consents(w http.ResponseWriter, r *http.Request, _ caller) error {
	at, err := number(r, "at", uint64(time.Now().UnixMilli()), 1<<62)
	if err != nil {
		return err
	}
	key, device := cardea.Key(r.URL.Query().Get("key")), cardea.DeviceID(r.URL.Query().Get("device"))
	if key != "" {
		if _, err := cardea.ParseKey(string(key)); err != nil {
			return web.Errorf(http.StatusBadRequest, "invalid_key", "%v", err)
		}
	}
	if device != "" {
		if _, err := cardea.ParseDeviceID(string(device)); err != nil {
			return web.Errorf(http.StatusBadRequest, "invalid_request", "device: %v", err)
		}
	}
	state, err := a.Ledger.At(r.Context(), r.PathValue("subject"), device, cardea.Millis(at))
	if err != nil {
		return shown(err)
	}
	out := struct {
		At       cardea.Millis   `json:"at"`
		Head     cardea.Position `json:"head"`
		Consents []standing      `json:"consents"`
	}{state.At, state.Head, []standing{}}
	for _, c := range state.Consents {
		if key == "" || c.Key == key {
			out.Consents = append(out.Consents, standingOf(c))
		}
	}
	web.JSON(w, http.StatusOK, out)
	return nil
}

func standingOf(c cardea.Consent) standing {
	s := standing{Key: c.Key, Given: c.Given(), Reason: c.Reason, Version: c.Version, ValidUntil: c.ValidUntil}
	if c.Decided != (cardea.Point{}) {
		s.Decided = &c.Decided
	}
	return s
}

// receipt answers the receipt of one decision, as its owner gets it.
func (a *api) receipt(w http.ResponseWriter, r *http.Request, _ caller) error {
	seq, err := strconv.ParseUint(r.PathValue("seq"), 10, 63)
	if err != nil {
		return errNoReceipt
	}
	account, err := a.account(r)
	if err != nil {
		return err
	}
	made, _, err := a.Receipts.Make(r.Context(), account.ID, seq)
	if errors.Is(err, accountdb.ErrNotFound) || errors.Is(err, ledger.ErrNoConsent) {
		return errNoReceipt
	}
	if err != nil {
		return err
	}
	web.JSON(w, http.StatusOK, made)
	return nil
}

var errNoReceipt = web.Errorf(http.StatusNotFound, "no_receipt", "the account's ledger has no yes or no at this sequence number")
