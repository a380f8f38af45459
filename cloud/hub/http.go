package hub

import (
	"errors"
	"net/http"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/clock"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/internal/wire"
)

// mediaCOSE is the media type of a COSE message (RFC 9052, Section 10).
const mediaCOSE = "application/cose"

// Up answers POST /v1/up: the same sealed reports as over the broker, for when
// the broker does not deliver. It asks for no token, because a report proves
// itself. 404 carries the signed word that the link is unknown.
func (h *Hub) Up() http.Handler {
	return web.Handle(h.Log, func(w http.ResponseWriter, r *http.Request) error {
		sealed, err := web.ReadBody(w, r, mediaCOSE, cardea.MaxReportBytes)
		if err != nil {
			return err
		}
		answer, err := h.Handle(r.Context(), sealed)
		status := http.StatusOK
		switch {
		case errors.Is(err, ErrUnknownLink) && answer != nil:
			status = http.StatusNotFound
		case errors.Is(err, clock.ErrClock):
			w.Header().Set("Retry-After", "10")
			return web.Errorf(http.StatusServiceUnavailable, "temporarily_unavailable", "the cloud's clock is being set: try again in a moment")
		case errors.Is(err, wire.ErrSignature):
			return web.Errorf(http.StatusForbidden, "signature", "the report is not signed or sealed by this link's device")
		case errors.Is(err, wire.ErrMalformed), errors.Is(err, wire.ErrTooBig), errors.Is(err, wire.ErrForeign), errors.Is(err, wire.ErrVersion):
			return web.Errorf(http.StatusBadRequest, "malformed", "the report can not be read: send the sealed bytes unchanged")
		case err != nil:
			return err
		}
		w.Header().Set("Content-Type", mediaCOSE)
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		w.Write(answer) // the device asks again if this fails
		return nil
	})
}
