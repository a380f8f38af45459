package localapi

import (
	"slices"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
)

func (s *Server) decide(c *call) error {
	var req client.DecideRequest
	if err := c.readQuestion(&req); err != nil {
		return err
	}
	queries, err := queriesOf(req)
	if err != nil {
		return err
	}
	if err := c.permit(purposesOf(queries)...); err != nil {
		return err
	}
	// Read before deciding: a change in between makes the answer newer than
	// its generation says, never older.
	active, generation, ok := s.Gate.Active()
	link := active
	if !req.Link.IsZero() {
		link = req.Link
	}
	answers := make([]client.Answer, len(queries))
	for i, q := range queries {
		a := s.answer(link, ok && link == active, q)
		answers[i] = answerTo(q, a, generation)
		answers[i].Link = link
		if req.Queries == nil {
			s.used(c, link, q, a)
		}
	}
	if req.Queries == nil {
		return c.answer(answers[0])
	}
	return c.answer(client.Answers{Answers: answers, Generation: generation})
}

// answer is the word of one person on data that is theirs. While somebody else
// uses the device it waits for them, and is not lost by that.
func (s *Server) answer(link cardea.LinkID, active bool, q cardea.Query) cardea.Answer {
	if link.IsZero() {
		return cardea.Answer{Verdict: cardea.Deny, Reason: cardea.ReasonGuest}
	}
	a := s.Gate.DecideFor(link, q)
	if !active && a.Allowed() {
		return cardea.Answer{Verdict: cardea.Hold, Reason: cardea.ReasonGuest}
	}
	return a
}

func answerTo(q cardea.Query, a cardea.Answer, generation uint64) client.Answer {
	return client.Answer{
		Key: q.Key, Use: q.Use, Verdict: a.Verdict, Reason: a.Reason,
		LeftMS: a.Left.Milliseconds(), Generation: generation,
	}
}

// queriesOf checks what was asked. A purpose nobody knows is answered "no"; a
// word that can be none is a mistake of the program, and said.
func queriesOf(req client.DecideRequest) ([]cardea.Query, error) {
	queries := req.Queries
	switch {
	case queries == nil:
		queries = []cardea.Query{{Key: req.Key, Use: req.Use}}
	case req.Key != "" || req.Use != "":
		return nil, invalid("send either \"key\" or \"queries\"")
	case len(queries) == 0 || len(queries) > client.MaxQueries:
		return nil, invalid("\"queries\": 1 to %d", client.MaxQueries)
	}
	for i := range queries {
		q := &queries[i]
		if _, err := cardea.ParseKey(string(q.Key)); err != nil {
			return nil, err
		}
		switch q.Use {
		case "":
			q.Use = cardea.UseCollect
		case cardea.UseCollect, cardea.UseLocal, cardea.UseEgress:
		default:
			return nil, invalid("use %.20q: one of \"collect\", \"local\", \"egress\"", q.Use)
		}
	}
	return queries, nil
}

func purposesOf(queries []cardea.Query) []object {
	var on []object
	for _, q := range queries {
		if id := q.Key.Purpose(); !slices.Contains(on, object(id)) {
			on = append(on, id)
		}
	}
	return on
}
