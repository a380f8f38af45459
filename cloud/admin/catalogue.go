package admin

import (
	"errors"
	"net/http"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/catalogue"
	"github.com/cardea-id/cardea/internal/web"
)

const mediaYAML = "application/yaml" // RFC 9512

// putCatalogue puts a catalogue in force. Devices in reach are told at once.
func (a *api) putCatalogue(w http.ResponseWriter, r *http.Request, by caller) error {
	text, err := web.ReadBody(w, r, mediaYAML, catalogue.MaxBytes)
	if err != nil {
		return err
	}
	err = a.Ledger.Catalogue.Put(r.Context(), a.Ledger.DB, text, by.actor())
	if errors.Is(err, cardea.ErrInvalidCatalogue) {
		return web.Errorf(http.StatusBadRequest, "invalid_catalogue", "%v", err)
	}
	if err != nil {
		return err
	}
	_, hash := a.Ledger.Catalogue.Current()
	web.JSON(w, http.StatusOK, struct {
		Hash cardea.Hash `json:"hash"`
	}{hash})
	return nil
}

// getCatalogue answers the YAML that was put last. A cloud does not start without
// one.
func (a *api) getCatalogue(w http.ResponseWriter, r *http.Request, _ caller) error {
	text, err := catalogue.Source(r.Context(), a.Ledger.DB)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", mediaYAML)
	w.Header().Set("Cache-Control", "no-store")
	w.Write(text) // the client is gone if this fails
	return nil
}
