package localapi

import (
	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/agent/programs"
	"github.com/cardea-id/cardea/store/devicedb"
)

func (s *Server) consents(c *call) error {
	generation := s.Gate.Generation()
	link, err := s.held()
	if err != nil {
		return err
	}
	return c.answer(client.Consents{
		Generation: generation, Link: link.ID, Head: link.Head, Consents: s.visible(c.caller.program, link),
	})
}

// visible is what stands of the program's purposes and what the gate makes of
// it now.
func (s *Server) visible(p *programs.Program, link devicedb.Link) []client.Consent {
	own, denied := link.Log.Own(), s.deniedForAll()
	out := []client.Consent{}
	for _, c := range link.Body.Consents {
		if !p.MayPurpose(c.Key.Purpose()) {
			continue
		}
		a := s.Gate.DecideFor(link.ID, cardea.Query{Key: c.Key, Use: cardea.UseCollect})
		out = append(out, client.Consent{
			Key: c.Key, Version: c.Version, Class: c.Class, ValidUntil: c.ValidUntil, Own: own[c.Key],
			Verdict: a.Verdict, Reason: a.Reason, LeftMS: a.Left.Milliseconds(),
			Everyone: denied[c.Key] && !a.Allowed(),
		})
	}
	return out
}

// deniedForAll is what the device's owner denies for all who use it. What can
// not be read is denied already, and only not explained.
func (s *Server) deniedForAll() map[cardea.Key]bool {
	links, err := s.DB.Links()
	owner, _, ownerErr := s.DB.Owner()
	if err != nil || ownerErr != nil {
		return nil
	}
	return devicedb.DeniedForAll(owner, links...)
}

// withdraw is never refused for what the device holds: a key it does not know
// is denied all the same.
func (s *Server) withdraw(c *call) error {
	var req client.Withdrawal
	if err := c.read(&req); err != nil {
		return err
	}
	reach, err := about(req.Key, req.Reach)
	if err != nil {
		return err
	}
	if err := c.permit(req.Key.Purpose()); err != nil {
		return err
	}
	link, err := s.deniedBy(req.Link, reach)
	if err != nil {
		return err
	}
	base := link.Head
	if req.Head != nil {
		base = *req.Head
	}
	if err := s.Decider.Withdraw(link.ID, req.Key, reach, base); err != nil {
		return err
	}
	return c.answer(client.Stopped{Stopped: true, Generation: s.Gate.Generation()})
}

// allow wants to know the screen: a yes counts only against the denials its
// owner could have seen there.
func (s *Server) allow(c *call) error {
	var req client.Grant
	if err := c.read(&req); err != nil {
		return err
	}
	reach, err := about(req.Key, req.Reach)
	if err != nil {
		return err
	}
	if err := c.permit(req.Key.Purpose()); err != nil {
		return err
	}
	if reach == cardea.ReachEveryone {
		return s.lift(c, req)
	}
	if req.Version == 0 || req.Notice.IsZero() || req.Head == nil {
		return invalid("a yes names the version and the notice that were shown, and the head of GET /v1/consents behind that screen")
	}
	link, err := s.agreedBy(req.Link)
	if err != nil {
		return err
	}
	if err := s.Decider.Allow(link.ID, req.Key, req.Version, req.Notice, reach, *req.Head); err != nil {
		return err
	}
	return c.answer(client.Noted{Pending: true, Generation: s.Gate.Generation()})
}

// lift takes a stop for everyone back. It is no yes of anybody's, so it names no
// notice.
func (s *Server) lift(c *call, req client.Grant) error {
	if req.Version != 0 || !req.Notice.IsZero() {
		return invalid("with reach \"everyone\" a stop is taken back and nobody says yes: send no version and no notice")
	}
	link, err := s.present(req.Link)
	if err != nil {
		return err
	}
	base := link.Head
	if req.Head != nil {
		base = *req.Head
	}
	if err := s.Decider.Lift(link.ID, req.Key, base); err != nil {
		return err
	}
	return c.answer(client.Noted{Pending: true, Generation: s.Gate.Generation()})
}

// about checks what a decision is about. It reaches no further than this device
// unless the person chose so.
func about(key cardea.Key, reach cardea.Reach) (cardea.Reach, error) {
	if _, err := cardea.ParseKey(string(key)); err != nil {
		return "", err
	}
	if reach == cardea.ReachEveryone {
		return reach, nil
	}
	return reachOf(reach)
}

func reachOf(reach cardea.Reach) (cardea.Reach, error) {
	switch reach {
	case "", cardea.ReachDevice:
		return cardea.ReachDevice, nil
	case cardea.ReachEverywhere:
		return reach, nil
	}
	return "", invalid("reach %.20q: \"device\" or \"everywhere\"", reach)
}
