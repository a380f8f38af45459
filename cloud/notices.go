package cloud

import (
	"net/http"
	"strconv"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/web"
)

const pathNotices = "/v1/notices/{purpose}/{version}"

// notice answers one version of a purpose, with its texts in all languages: all
// that its notice is the hash of, for a device that has a screen of its own. It is
// what everybody is shown, and never changes.
func (c *cloud) notice(w http.ResponseWriter, r *http.Request) error {
	version, err := strconv.ParseUint(r.PathValue("version"), 10, 32)
	if err != nil {
		return errNotThere
	}
	cat, _ := c.ledger.Catalogue.Current()
	p, ok := cat.VersionOf(cardea.PurposeID(r.PathValue("purpose")), uint32(version))
	if !ok {
		return errNotThere
	}
	web.JSON(w, http.StatusOK, p)
	return nil
}
