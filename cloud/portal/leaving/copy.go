package leaving

import (
	"net/http"
	"time"

	"github.com/cardea-id/cardea/cloud/archive"
	"github.com/cardea-id/cardea/cloud/portal/desk"
)

func (p *Room) showCopy(w http.ResponseWriter, _ *http.Request, v desk.Visit) error {
	if err := p.Sure(v, desk.Export, pageCopy); err != nil {
		return err
	}
	return p.Pages.Show(w, v, http.StatusOK, "copy.html", desk.View{Title: "leaving.copy.title", Section: "account", Body: v.Form()})
}

// postCopy sends the archive as it is written. One that fails on the way ends the
// connection, so that the browser says that it is not whole.
func (p *Room) postCopy(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	if err := p.Sure(v, desk.Export, pageCopy); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/zip")
	w.Header().Set("Content-Disposition", `attachment; filename="`+archive.Name(time.Now())+`"`)
	if err := p.archive.Write(r.Context(), w, v.Account, v.Language); err != nil {
		if r.Context().Err() == nil {
			p.Log.ErrorContext(r.Context(), "archive not written", "err", err)
		}
		panic(http.ErrAbortHandler)
	}
	return nil
}
