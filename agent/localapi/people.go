package localapi

import (
	"net/http"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/agent/programs"
	"github.com/cardea-id/cardea/internal/web"
)

var (
	errNoLink  = web.Errorf(http.StatusNotFound, "unknown_link", "this device holds no such link: GET /v1/links lists them")
	errNoReset = web.Errorf(http.StatusNotFound, "not_found", "this device can not be reset from here")
)

// links lists who is linked, the device's owner first. That they are there, and
// how many, everybody at the device may see; by the names they chose to be shown
// by, only a screen that asks who it is.
func (s *Server) links(c *call) error {
	generation := s.Gate.Generation()
	active, _, _ := s.Gate.Active()
	order, err := s.DB.Order()
	if err != nil {
		return err
	}
	held, err := s.DB.Links()
	if err != nil {
		return err
	}
	names := make(map[cardea.LinkID]string, len(held))
	for _, l := range held {
		names[l.ID] = l.Body.Identity.Name
	}
	out := client.Links{Generation: generation, Links: make([]client.Person, 0, len(order))}
	for i, id := range order {
		p := client.Person{Link: id, Active: id == active, Owner: i == 0}
		if c.caller.program.May(programs.MayPeople) {
			p.Name = names[id]
		}
		out.Links = append(out.Links, p)
	}
	return c.answer(out)
}

// activate says who uses the device now.
func (s *Server) activate(c *call) error {
	id, err := c.link()
	if err != nil {
		return err
	}
	return s.switchTo(c, id)
}

// guest says that whoever uses the device now is nobody it knows.
func (s *Server) guest(c *call) error { return s.switchTo(c, cardea.LinkID{}) }

func (s *Server) switchTo(c *call, id cardea.LinkID) error {
	if err := c.read(&struct{}{}); err != nil {
		return err
	}
	if err := s.Decider.Activate(id); err != nil {
		return err
	}
	return c.answer(client.Switched{Link: id, Generation: s.Gate.Generation()})
}

// reset empties the device.
func (s *Server) reset(c *call) error {
	if err := c.read(&struct{}{}); err != nil {
		return err
	}
	if s.Resetter == nil {
		return errNoReset
	}
	ended, err := s.DB.Order()
	if err != nil {
		s.log.Warn("whose links end with the reset can not be read", "err", err) // they end all the same
	}
	device, err := s.Resetter.Reset(c.r.Context())
	if err != nil {
		return unreachable(err)
	}
	c.part()
	return c.answer(client.Reset{Reset: true, Device: device, Ended: append([]cardea.LinkID{}, ended...)})
}

// part ends the connection after the answer: what is asked next is for the
// device that was reset, which another server answers for.
func (c *call) part() { c.w.Header().Set("Connection", "close") }

// link reads the link in the path.
func (c *call) link() (cardea.LinkID, error) {
	id, err := cardea.ParseID[cardea.LinkID](c.r.PathValue("id"))
	if err != nil || id.IsZero() {
		return id, errNoLink
	}
	return id, nil
}

// unlink ends a link here at once; the cloud hears of it when it can.
func (s *Server) unlink(c *call) error {
	id, err := c.link()
	if err != nil {
		return err
	}
	if err := s.Decider.Unlink(id); err != nil {
		return err
	}
	return c.answer(client.Unlinked{Unlinked: true, Generation: s.Gate.Generation()})
}
