package admin_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/store/accountdb"
)

// putRoles says what the customer is and returns what is answered.
func (w *world) putRoles(body string, want int) string {
	w.Helper()
	status, answer := w.call("PUT", w.path("/roles"), body)
	if status != want {
		w.Fatalf("%.60s: %d %v, want %d", body, status, answer, want)
	}
	return fmt.Sprint(answer["roles"])
}

// Roles are kept in order, reach the statement of the account's device, and are
// audited when they change.
func TestRoles(t *testing.T) {
	w := newWorld(t)
	if _, answer := w.call("GET", w.path("/roles"), ""); fmt.Sprint(answer["roles"]) != "[]" {
		t.Errorf("at first: %v", answer)
	}
	woken := w.woken.Load()
	if got := w.putRoles(`{"roles":["service","driver","driver"]}`, 200); got != "[driver service]" {
		t.Errorf("answered %s", got)
	}
	if w.woken.Load() == woken {
		t.Error("no device is told")
	}
	w.putRoles(`{"roles":["driver","service"]}`, 200)
	w.look(func(tx *accountdb.Tx) error {
		if got, err := tx.Audited("roles", tx.Millis()); err != nil || got != "driver service" {
			t.Errorf("audited as %q, %v", got, err)
		}
		return nil
	})
	if got := w.stated(); !slices.Equal(got, []string{"driver", "service"}) {
		t.Errorf("stated %q", got)
	}
	for _, bad := range []string{`{}`, `{"roles":null}`, `{"roles":"driver"}`, `{"roles":["The Boss"]}`, `{"roles":["` + strings.Repeat("x", 33) + `"]}`,
		`{"roles":["a","b","c","d","e","f","g","h","i"]}`} {
		w.putRoles(bad, 400)
	}
	if _, answer := w.call("GET", w.path("/roles"), ""); fmt.Sprint(answer["roles"]) != "[driver service]" {
		t.Errorf("read again: %v", answer)
	}
	w.putRoles(`{"roles":[]}`, 200)
	if got := w.stated(); got != nil {
		t.Errorf("stated %q after the removal", got)
	}
	w.look(func(tx *accountdb.Tx) error {
		if got, err := tx.Audited("roles", tx.Millis()); err != nil || got != "" {
			t.Errorf("the removal is audited as %q, %v", got, err)
		}
		return nil
	})
}

// stated are the roles that the account's device is to be told.
func (w *world) stated() (roles []string) {
	w.Helper()
	w.look(func(tx *accountdb.Tx) error {
		links, err := tx.Links(w.account.ID)
		if err != nil {
			return err
		}
		if !links[0].Built.Hash.IsZero() {
			w.Error("the statement is not made anew")
		}
		cat, _ := w.ledger.Catalogue.Current()
		body, err := w.ledger.Body(tx, cat, links[0])
		roles = body.Identity.Roles
		return err
	})
	return roles
}

func (w *world) look(f func(*accountdb.Tx) error) {
	w.Helper()
	if err := w.db.View(w.Context(), f); err != nil {
		w.Fatal(err)
	}
}
