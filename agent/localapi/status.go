package localapi

import (
	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/agent/programs"
)

// status tells a program what the agent takes it for and how the agent is. It
// says nothing about a person.
func (s *Server) status(c *call) error {
	st := client.Status{
		Program:      c.caller.program.Name,
		Entitlements: []string{},
		Device:       s.Device,
		Links:        []cardea.LinkID{},
		Clock:        cardea.ClockUntrusted,
		Generation:   s.Gate.Generation(),
		Connected:    s.Decider.Status().Connected,
	}
	for _, e := range c.caller.program.Entitlements {
		st.Entitlements = append(st.Entitlements, string(e))
	}
	if s.Gate.Clock().Synced {
		st.Clock = cardea.ClockSynced
	}
	links, err := s.DB.Links()
	if err != nil {
		return err
	}
	active, _, _ := s.Gate.Active()
	st.Bar = cardea.ReasonGuest
	for _, l := range links {
		st.Links = append(st.Links, l.ID)
		if l.ID == active {
			st.Link, st.Issuer, st.Bar, st.Pending = l.ID, l.Issuer, l.Barred(), len(l.Log.Entries)
		}
	}
	if s.Collector != nil && c.caller.program.May(programs.MayEvents) {
		if st.Events, err = s.collected(); err != nil {
			return err
		}
	}
	return c.answer(st)
}

// collected counts events. It is no secret to who hands them in how many others
// wait, and to nobody else.
func (s *Server) collected() (*client.Collected, error) {
	n, err := s.DB.Collected()
	if err != nil {
		return nil, err
	}
	return &client.Collected{Waiting: n.Waiting, Sent: n.Sent, Deleted: n.Deleted, Dropped: n.Dropped, Refused: s.Collector.Refused()}, nil
}
