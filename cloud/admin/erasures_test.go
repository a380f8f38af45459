package admin_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/store/accountdb"
)

// TestErasure erases a customer through the API: once, with a page of proof in the
// first answer alone, and told in the feed of changes.
func TestErasure(t *testing.T) {
	w := newWorld(t)
	path := "/admin/v1/accounts/" + w.account.Subject + "/erasure"
	var first, second struct {
		ID, Subject, Channel, Proof string
		Received, Due, Completed    int64
		Devices                     []struct{ State, Kind string }
	}
	w.read("POST", path, &first)
	w.read("POST", path, &second)
	if !strings.HasPrefix(first.Proof, "https://id.example.com/erased?proof=") || second.Proof != "" || first.ID != second.ID {
		t.Errorf("proofs %q and %q", first.Proof, second.Proof)
	}
	if first.Subject != w.account.Subject || first.Channel != "brand" || first.Completed != 0 || first.Due <= first.Received ||
		len(first.Devices) != 1 || first.Devices[0].State != "waiting" {
		t.Errorf("%+v", first)
	}
	var feed struct {
		Changes []struct{ Act, Subject string }
	}
	w.read("GET", "/admin/v1/changes", &feed)
	if last := feed.Changes[len(feed.Changes)-1]; last.Act != "erase" || last.Subject != w.account.Subject {
		t.Errorf("the feed ends with %+v", last)
	}
	w.update(func(tx *accountdb.Tx) error {
		e, err := tx.ErasureOf(w.account.ID)
		if err != nil {
			return err
		}
		return tx.LinkErased(e.Links[0].Link)
	})
	var list struct {
		Erasures []struct {
			Completed int64
			Devices   []struct{ State string }
		}
	}
	w.read("GET", "/admin/v1/erasures", &list)
	if len(list.Erasures) != 1 || list.Erasures[0].Completed == 0 || list.Erasures[0].Devices[0].State != "erased" {
		t.Errorf("%+v", list)
	}
}

// read is a call that is answered.
func (w *world) read(method, path string, into any) {
	w.Helper()
	status, answer := w.call(method, path, "")
	text, err := json.Marshal(answer)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil || status != http.StatusOK {
		w.Fatalf("%s %s: %d %v", method, path, status, err)
	}
}

// A device that has not proved in time that it is erased is listed, with the time
// that its owner was told.
func TestOverdue(t *testing.T) {
	w := newWorld(t)
	var list struct {
		Overdue []struct {
			What, Link, Subject, Kind string
			By                        int64
		}
		Next string
	}
	w.read("POST", "/admin/v1/accounts/"+w.account.Subject+"/erasure", &struct{}{})
	w.read("GET", "/admin/v1/overdue", &list)
	if len(list.Overdue) != 0 || list.Next != "" {
		t.Errorf("before its time: %+v", list)
	}
	w.late = []hub.Overdue{{What: hub.LateErase, Link: cardea.LinkID{7}, Subject: w.account.Subject, Kind: "car", By: time.UnixMilli(5)}}
	w.read("GET", "/admin/v1/overdue", &list)
	if len(list.Overdue) != 1 || list.Overdue[0].What != "erase" || list.Overdue[0].Subject != w.account.Subject || list.Overdue[0].By != 5 {
		t.Errorf("%+v", list)
	}
}
