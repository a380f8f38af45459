package leaving

import (
	"io"
	"net/http"

	"github.com/cardea-id/cardea/cloud/archive"
	"github.com/cardea-id/cardea/cloud/portal/desk"
)

func (p *Room) showCopy(w http.ResponseWriter, _ *http.Request, v desk.Visit) error {
	return p.Pages.Show(w, v, http.StatusOK, "copy.html", desk.View{Title: "leaving.copy.title", Section: "account", Body: v.Form()})
}

// postCopy sends the archive as it is written.
func (p *Room) postCopy(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
	if err := p.Sure(v, desk.Export, pageCopy); err != nil {
		return err
	}
	return archive.Send(r.Context(), w, p.Log, func(out io.Writer) error {
		return p.archive.Write(r.Context(), out, v.Account, v.Language)
	})
}
