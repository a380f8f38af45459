package devices

import (
	"net/http"

	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/portal/desk"
)

// An ending asks once more before something is ended that takes more than a press
// to have back. All but names and addresses are keys of messages.
type ending struct {
	Title        string
	Ask          string // with the name in it
	Name         string
	Lead         string
	Facts        []fact
	Action, Form string
	Field, Value string // which one it is about
	Keep, End    string // the two answers
}

// A fact is what one of them means for somebody, or at some time.
type fact struct{ Word, Text string }

// unlinking ends a pairing, which has to be made anew.
func unlinking(hub.Device) ending {
	return ending{
		Title: "devices.unlink_this", Ask: "devices.unlink_this_named", Lead: "devices.forgets",
		Action: "/devices/unlink", Keep: "devices.keep", End: "devices.unlink",
	}
}

// missing stops everything on a device that its owner no longer has.
func missing(d hub.Device) ending {
	now := "devices.missed_now_away"
	if d.Online {
		now = "devices.missed_now_online"
	}
	return ending{
		Title: "devices.missed_this", Ask: "devices.missed_this_named", Lead: "devices.missed_lead",
		Facts:  []fact{{"devices.missed_now", now}, {"devices.missed_later", "devices.missed_later_text"}},
		Action: "/devices/missed", Keep: "devices.not_missed", End: "devices.stop_all",
	}
}

// giving ends a pairing with a device that is somebody else's from now on.
func giving(hub.Device) ending {
	return ending{
		Title: "devices.given_this", Ask: "devices.given_this_named", Lead: "devices.given_lead",
		Facts: []fact{
			{"devices.given_you", "devices.given_you_text"}, {"devices.given_others", "devices.given_others_text"},
			{"devices.given_next", "devices.given_next_text"},
		},
		Action: "/devices/given", Keep: "devices.keep", End: "devices.given_yes",
	}
}

// ask shows the question about one device of the owner's that has not left.
func (p *Room) ask(of func(hub.Device) ending) desk.Page {
	return func(w http.ResponseWriter, r *http.Request, v desk.Visit) error {
		d, err := p.device(r, v, r.URL.Query().Get("link"))
		if err != nil {
			return err
		}
		e := of(d)
		e.Name, e.Field, e.Value = d.Name, "link", d.Link.String()
		return p.showEnding(w, v, e)
	}
}

func (p *Room) showEnding(w http.ResponseWriter, v desk.Visit, e ending) error {
	e.Form = v.Form()
	return p.Pages.Show(w, v, http.StatusOK, "ending.html", desk.View{Title: e.Title, Section: "devices", Body: e})
}
