package localapi

import (
	"slices"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
)

func (s *Server) decide(c *call) error {
	var req client.DecideRequest
	if err := c.read(&req); err != nil {
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
	generation := s.Gate.Generation()
	answers := make([]client.Answer, len(queries))
	for i, q := range queries {
		answers[i] = answerTo(q, s.Gate.Decide(q), generation)
	}
	if req.Queries == nil {
		return c.answer(answers[0])
	}
	return c.answer(client.Answers{Answers: answers, Generation: generation})
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
