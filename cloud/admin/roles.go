package admin

import (
	"net/http"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/store/accountdb"
)

// rolesOf are the names of what a customer is to the brand. Of an erased account
// there are none.
type rolesOf struct {
	Roles []string `json:"roles"`
}

func answerRoles(w http.ResponseWriter, roles cardea.Roles) error {
	web.JSON(w, http.StatusOK, rolesOf{append([]string{}, roles.Names()...)})
	return nil
}

func (a *api) roles(w http.ResponseWriter, r *http.Request, _ caller) error {
	account, err := a.account(r)
	if err != nil {
		return err
	}
	return answerRoles(w, account.Roles)
}

// putRoles says what a customer is from now on: in the next tokens, and on their
// devices as soon as these hear of it.
func (a *api) putRoles(w http.ResponseWriter, r *http.Request, by caller) error {
	var in struct {
		Roles *[]string `json:"roles"`
	}
	if err := web.ReadJSON(w, r, &in); err != nil {
		return err
	}
	if in.Roles == nil {
		return web.Errorf(http.StatusBadRequest, "invalid_request", "send all roles as \"roles\", an empty list for none")
	}
	roles, err := cardea.ParseRoles(*in.Roles)
	if err != nil {
		return web.Errorf(http.StatusBadRequest, "invalid_request", "%v", err)
	}
	err = a.update(r, func(tx *accountdb.Tx, account accountdb.Account) error {
		if account.Erased {
			return web.Errorf(http.StatusGone, "erased", "the account was erased: nobody is left to have a role")
		}
		changed, err := tx.SetRoles(account.ID, roles)
		if err != nil || !changed {
			return err
		}
		return tx.Audit(account.ID, by.actor(), "roles", string(roles))
	})
	if err != nil {
		return err
	}
	return answerRoles(w, roles)
}
