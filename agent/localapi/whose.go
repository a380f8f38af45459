package localapi

import (
	"net/http"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/store/devicedb"
)

// Whose decision it is: a screen is shown to one person, and somebody else may
// have taken over when its button is pressed.

// errSwitched answers a decision for somebody who has left.
var errSwitched = web.Errorf(http.StatusConflict, "switched", "somebody else uses the device by now: show them their own screen")

// present is who uses the device now, if that is whom the screen was shown to or
// the program does not say.
func (s *Server) present(shown cardea.LinkID) (devicedb.Link, error) {
	link, err := s.held()
	if err == nil && !shown.IsZero() && shown != link.ID {
		err = errSwitched
	}
	return link, err
}

// deniedBy is who said no. That counts for whom the screen was shown to, whoever
// uses the device by now; only for others nobody speaks who is not there.
func (s *Server) deniedBy(shown cardea.LinkID, reach cardea.Reach) (devicedb.Link, error) {
	if shown.IsZero() || reach == cardea.ReachEveryone {
		return s.present(shown)
	}
	return s.DB.Link(shown)
}

// agreedBy is who said yes. Where it could be somebody else's, the program has to
// say whose screen it was.
func (s *Server) agreedBy(shown cardea.LinkID) (devicedb.Link, error) {
	link, err := s.present(shown)
	if err != nil || !shown.IsZero() {
		return link, err
	}
	all, err := s.DB.Links()
	if err == nil && len(all) > 1 {
		err = invalid("several people are linked: name the link of GET /v1/consents behind that screen")
	}
	return link, err
}
