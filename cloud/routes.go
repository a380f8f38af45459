package cloud

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/receipt"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/store/accountdb"
)

const (
	pathUp    = "/v1/up"
	pathLinks = "/v1/links"
	pathKeys  = "/v1/keys"
)

var errEnded = web.Errorf(http.StatusForbidden, "invalid_token", "the pairing has ended: pair again")

var errNotThere = web.Errorf(http.StatusNotFound, "not_found", "there is nothing here for devices, or not with this method")

var errClock = web.Errorf(http.StatusServiceUnavailable, "temporarily_unavailable", "the cloud's clock is being set: try again in a moment")

func (c *cloud) routes(pages, brand http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/oauth/", c.issuer)
	mux.Handle("/.well-known/", c.issuer)
	mux.HandleFunc("GET /.well-known/gpc.json", sendGPC)
	mux.HandleFunc("GET "+receipt.PathKeys, c.sendReceiptKeys)
	mux.Handle("/admin/v1/", brand)
	mux.Handle("POST "+pathUp, c.hub.Up())
	mux.Handle("POST "+pathLinks, web.Handle(c.log, c.join))
	mux.HandleFunc("GET "+pathKeys, c.sendKeys)
	if c.ingest != nil {
		mux.Handle("POST "+pathIngest, c.ingest.Handler())
	}
	mux.Handle("GET "+pathNotices, web.Handle(c.log, c.notice))
	mux.Handle("/v1/", web.Handle(c.log, func(http.ResponseWriter, *http.Request) error { return errNotThere }))
	c.handleHealth(mux)
	mux.Handle("/", pages)
	return c.metrics.HTTP(c.parting(web.Secure(c.onlyTLS(c.timely(mux)))))
}

// timely refuses what would be signed or recorded while the clock can not be
// right. Pages are still shown.
func (c *cloud) timely(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead || c.inTime(time.Now()) == nil {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Retry-After", "10")
		web.Fail(w, r, c.log, errClock)
	})
}

// join answers POST /v1/links: a device with the first tokens of a grant gets
// its link. Asked again, it gets the same.
func (c *cloud) join(w http.ResponseWriter, r *http.Request) error {
	access, err := c.keys.VerifyAccess(w, r)
	if err != nil {
		return err
	}
	if access.JKT == "" {
		return web.Errorf(http.StatusForbidden, "invalid_token", "only a device that proves its key can be linked: use DPoP")
	}
	var body struct {
		PublicKey json.RawMessage `json:"public_key"`
	}
	if err := web.ReadJSON(w, r, &body); err != nil {
		return err
	}
	j, err := c.joining(r, access.Grant)
	if err != nil {
		return err
	}
	j.Thumbprint, j.PublicKey = access.JKT, body.PublicKey
	joined, err := c.hub.Join(r.Context(), j)
	switch {
	case errors.Is(err, hub.ErrForeignKey):
		return web.Errorf(http.StatusBadRequest, "invalid_request", "public_key must be the JWK of the key the token is bound to")
	case errors.Is(err, hub.ErrEnded):
		return errEnded
	case err != nil:
		return err
	}
	if err := c.issuer.Used(r.Context(), access.Grant, access.Set); err != nil {
		return err
	}
	web.JSON(w, http.StatusOK, joined)
	return nil
}

// joining is what the grant says of the device that joins.
func (c *cloud) joining(r *http.Request, id pairing.GrantID) (j hub.Joining, err error) {
	var g pairing.Grant
	err = c.db.View(r.Context(), func(tx *accountdb.Tx) error {
		g, err = tx.FindGrant(pairing.GrantKey{ID: id})
		return err
	})
	if errors.Is(err, pairing.ErrNoGrant) || err == nil && g.State != pairing.GrantActive {
		return j, errEnded
	}
	return hub.Joining{
		Account: g.Account, Grant: string(g.ID), Name: g.Name,
		Kind: cardea.DeviceKind(g.Device.Kind), Model: g.Device.Model, Serial: g.Device.Serial,
	}, err
}
