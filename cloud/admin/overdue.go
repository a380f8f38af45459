package admin

import (
	"net/http"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/internal/web"
)

// An overdue device has not proved by the time its owner was told that it has
// stopped, forgotten its owner or erased itself.
type overdue struct {
	What     hub.Late          `json:"what"`
	Link     cardea.LinkID     `json:"link"`
	Subject  string            `json:"subject"`
	Kind     cardea.DeviceKind `json:"kind"`
	Model    string            `json:"model"`
	By       cardea.Millis     `json:"by"`
	LastSeen cardea.Millis     `json:"last_seen,omitzero"`
}

// maxOverdue is of how many devices a page of the list is looked for.
const maxOverdue = 500

// overdue lists the devices that are late, a page at a time: it goes on after next
// as long as there is one, also where a page is empty.
func (a *api) overdue(w http.ResponseWriter, r *http.Request, _ caller) error {
	var after cardea.LinkID
	if text := r.URL.Query().Get("after"); text != "" {
		var err error
		if after, err = cardea.ParseID[cardea.LinkID](text); err != nil {
			return web.Errorf(http.StatusBadRequest, "invalid_request", "after is the next of the page before")
		}
	}
	late, next, err := a.Eraser.Overdue(r.Context(), after, maxOverdue)
	if err != nil {
		return err
	}
	out := struct {
		Overdue []overdue      `json:"overdue"`
		Next    *cardea.LinkID `json:"next,omitempty"`
	}{Overdue: []overdue{}}
	for _, o := range late {
		out.Overdue = append(out.Overdue, overdue{
			What: o.What, Link: o.Link, Subject: o.Subject, Kind: o.Kind, Model: o.Model, By: cardea.MillisOf(o.By), LastSeen: millis(o.LastSeen),
		})
	}
	if !next.IsZero() {
		out.Next = &next
	}
	web.JSON(w, http.StatusOK, out)
	return nil
}
